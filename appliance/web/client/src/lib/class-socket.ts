import type { ByeCode, ClassEvent, ClientFrame, Command, Identity, LinkState, ServerFrame, Welcome } from './protocol';

const PING_EVERY_MS = 10_000;
const SILENCE_MAX_MS = 25_000;
/** After a wake or a change of network, a server that is reached answers within this time. */
const PROBE_MAX_MS = 3_000;
/** A socket that is not open by then is tried anew: a path that has just come back must not wait for an old attempt. */
const OPENS_WITHIN_MS = 5_000;
const BACKOFF_FIRST_MS = 400;
const BACKOFF_MAX_MS = 10_000;

export type SocketStatus = 'connecting' | 'open' | 'reconnecting' | 'closed';

/** The part of a WebSocket that is used; a test hands in its own. */
export interface Wire {
  onopen: ((event: never) => void) | null;
  onmessage: ((event: MessageEvent<string>) => void) | null;
  onclose: ((event: never) => void) | null;
  send(text: string): void;
  close(): void;
}

export interface Surroundings {
  open(): Wire;
  random(): number;
  later(run: () => void, ms: number): unknown;
  cancel(timer: unknown): void;
}

export interface Listener {
  status(status: SocketStatus): void;
  welcome(frame: Welcome): void;
  event(event: ClassEvent): void;
  /** A state of somebody's way down; `null`: the current ones follow. */
  link?(link: (LinkState & { identity?: Identity }) | null): void;
  bye(code: ByeCode, text: string): void;
}

/** A command that the server refused, or that never got an answer (`code` is then `offline`). */
export class Refused extends Error {
  constructor(
    readonly code: string,
    text: string,
  ) {
    super(text);
  }
}

export function browserSurroundings(lesson: string): Surroundings {
  const url = new URL(`/class/${encodeURIComponent(lesson)}`, location.href);
  url.protocol = url.protocol === 'http:' ? 'ws:' : 'wss:';
  return {
    open: () => new WebSocket(url) as unknown as Wire,
    random: Math.random,
    later: (run, ms) => setTimeout(run, ms),
    cancel: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
  };
}

/**
 * The class socket: says hello, keeps the place in the stream of events, and comes back by itself
 * until the server says goodbye for good.
 */
export class ClassSocket {
  private wire: Wire | null = null;
  private place: { epoch: string; seq: number } | null = null;
  private pending = new Map<number, { done: () => void; failed: (error: Refused) => void }>();
  private askers: ((heard: boolean) => void)[] = [];
  private nextId = 1;
  private attempt = 0;
  private over = false;
  private greeted = false;
  private pingTimer: unknown;
  private silenceTimer: unknown;
  private retryTimer: unknown;

  constructor(
    private readonly around: Surroundings,
    private readonly listener: Listener,
  ) {}

  start(): void {
    this.listener.status('connecting');
    this.connect();
  }

  /** Ends it from this side; no more events come. */
  stop(): void {
    this.over = true;
    this.around.cancel(this.retryTimer);
    this.drop();
    this.listener.status('closed');
  }

  /** The network has come back or the page is seen again: do not sit out the back-off. */
  hurry(): void {
    if (this.over) return;
    if (this.wire) {
      // It may be dead without knowing: after a sleep or in another network nothing tells it so.
      if (this.greeted) this.send({ type: 'ping' });
      this.expectSound(PROBE_MAX_MS);
      return;
    }
    this.around.cancel(this.retryTimer);
    this.connect();
  }

  /** Whether the server is heard within this time; it is asked to say something. */
  answers(withinMs: number): Promise<boolean> {
    if (!this.greeted) return Promise.resolve(false);
    this.send({ type: 'ping' });
    return new Promise((answer) => {
      const timer = this.around.later(() => this.answerAsked(false), withinMs);
      this.askers.push((heard) => {
        this.around.cancel(timer);
        answer(heard);
      });
    });
  }

  /** The path under it is dead: nothing comes on this socket any more. */
  renew(): void {
    if (this.over || !this.wire) return;
    this.lost();
  }

  command(command: Command): Promise<void> {
    if (!this.greeted) return Promise.reject(new Refused('offline', ''));
    const id = this.nextId++;
    return new Promise((done, failed) => {
      this.pending.set(id, { done, failed });
      this.send({ type: 'command', id, command });
    });
  }

  private connect(): void {
    const wire = this.around.open();
    this.wire = wire;
    wire.onopen = () => {
      this.expectSound();
      this.send({ type: 'hello', resume: this.place });
    };
    wire.onmessage = (message) => this.receive(message.data);
    wire.onclose = () => {
      if (this.wire === wire) this.lost();
    };
    this.expectSound(OPENS_WITHIN_MS);
  }

  private receive(text: string): void {
    this.expectSound();
    this.answerAsked(true);
    let frame: ServerFrame;
    try {
      frame = JSON.parse(text) as ServerFrame;
    } catch {
      return;
    }
    switch (frame.type) {
      case 'welcome':
        this.place = { epoch: frame.epoch, seq: frame.seq };
        this.listener.welcome(frame);
        this.settled();
        break;
      case 'resumed':
        this.settled();
        break;
      case 'link': {
        const { type: _, ...link } = frame;
        this.listener.link?.(link);
        break;
      }
      case 'event':
        this.take(frame.seq, frame.event);
        break;
      case 'done':
        this.answer(frame.id)?.done();
        break;
      case 'refused':
        this.answer(frame.id)?.failed(new Refused(frame.code, frame.text));
        break;
      case 'bye':
        this.farewell(frame.code, frame.text);
        break;
      case 'pong':
        break;
    }
  }

  private answerAsked(heard: boolean): void {
    for (const asker of this.askers.splice(0)) asker(heard);
  }

  private take(seq: number, event: ClassEvent): void {
    // After a resume an event may come twice; the place in the stream decides.
    if (!this.place || seq <= this.place.seq) return;
    this.place = { ...this.place, seq };
    this.listener.event(event);
  }

  private answer(id: number) {
    const waiter = this.pending.get(id);
    this.pending.delete(id);
    return waiter;
  }

  private settled(): void {
    this.attempt = 0;
    this.greeted = true;
    this.listener.link?.(null);
    this.listener.status('open');
    this.schedulePing();
  }

  private schedulePing(): void {
    this.around.cancel(this.pingTimer);
    this.pingTimer = this.around.later(() => {
      this.send({ type: 'ping' });
      this.schedulePing();
    }, PING_EVERY_MS);
  }

  private expectSound(withinMs = SILENCE_MAX_MS): void {
    this.around.cancel(this.silenceTimer);
    this.silenceTimer = this.around.later(() => this.lost(), withinMs);
  }

  private farewell(code: ByeCode, text: string): void {
    if (code === 'restarting') {
      this.lost();
      return;
    }
    this.over = true;
    this.drop();
    this.listener.bye(code, text);
    this.listener.status('closed');
  }

  private lost(): void {
    this.drop();
    if (this.over) return;
    this.listener.status(this.place ? 'reconnecting' : 'connecting');
    this.retryTimer = this.around.later(() => this.connect(), this.backoff());
  }

  /** Doubling with full jitter, so that a class of thirty does not come back in one blow. */
  private backoff(): number {
    const ceiling = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** this.attempt);
    this.attempt += 1;
    return ceiling / 4 + this.around.random() * ceiling * 0.75;
  }

  private drop(): void {
    this.around.cancel(this.pingTimer);
    this.around.cancel(this.silenceTimer);
    this.greeted = false;
    this.answerAsked(false);
    const wire = this.wire;
    this.wire = null;
    if (wire) {
      wire.onopen = wire.onmessage = wire.onclose = null;
      wire.close();
    }
    for (const waiter of this.pending.values()) waiter.failed(new Refused('offline', ''));
    this.pending.clear();
  }

  private send(frame: ClientFrame): void {
    this.wire?.send(JSON.stringify(frame));
  }
}

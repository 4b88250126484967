// Sockets that say what a test lets them say, and time that passes when a test lets it.

import type { Surroundings, Wire } from '../src/lib/class-socket';
import type { ClientFrame, ServerFrame } from '../src/lib/protocol';

export class FakeWire implements Wire {
  onopen: Wire['onopen'] = null;
  onmessage: Wire['onmessage'] = null;
  onclose: Wire['onclose'] = null;
  sent: ClientFrame[] = [];
  closed = false;

  send(text: string): void {
    this.sent.push(JSON.parse(text) as ClientFrame);
  }

  close(): void {
    this.closed = true;
  }

  opens(): void {
    this.onopen?.(undefined as never);
  }

  says(frame: ServerFrame): void {
    this.onmessage?.({ data: JSON.stringify(frame) } as MessageEvent<string>);
  }

  breaks(): void {
    this.onclose?.(undefined as never);
  }
}

interface Timer {
  at: number;
  run: () => void;
}

/** A browser's network and clock. */
export class FakeWorld implements Surroundings {
  wires: FakeWire[] = [];
  now = 0;
  private readonly timers = new Set<Timer>();

  /** `chance`: what every die shows. */
  constructor(private readonly chance: number) {}

  /** The last socket that was opened. */
  get wire(): FakeWire {
    return this.wires.at(-1) as FakeWire;
  }

  open(): Wire {
    this.wires.push(new FakeWire());
    return this.wire;
  }

  random(): number {
    return this.chance;
  }

  later(run: () => void, ms: number): unknown {
    const timer = { at: this.now + ms, run };
    this.timers.add(timer);
    return timer;
  }

  cancel(timer: unknown): void {
    this.timers.delete(timer as Timer);
  }

  pass(ms: number): void {
    const until = this.now + ms;
    for (;;) {
      const [due] = [...this.timers].filter((timer) => timer.at <= until).sort((a, b) => a.at - b.at);
      if (!due) break;
      this.timers.delete(due);
      this.now = due.at;
      due.run();
    }
    this.now = until;
  }
}

// Tells our own server, and nobody else, how this participant's connections are.

import { me } from './api';
import { deviceClass, type DeviceClass } from './path-device';
import { type Queued, ReportQueue } from './path-queue';
import { type Down, downOf, Growth, type Stat, type Up, upOf, type Way, type Why } from './path-report';
import { thisDevice } from './quirks';

const SAMPLE_EVERY_MS = 10_000;
/** How often it is looked whether the connection or a device has changed. */
const LOOK_EVERY_MS = 1_000;
const ERRORS_MAX = 8;
/** What a browser sends for a page that is going away. */
const KEEPALIVE_BYTES_MAX = 60_000;

export type Trouble = 'denied' | 'missing' | 'busy' | 'insecure' | 'unknown';
type Kind = 'microphone' | 'camera';

interface Sample {
  why: Why;
  away_ms?: number;
  up?: Up;
  down?: Down;
  errors?: string[];
}

/** What is looked at; the lesson hands it in. */
export interface Watched {
  status(): 'idle' | 'connecting' | 'connected' | 'reconnecting';
  /** Statistics of the connection for sending and of the one for receiving. */
  stats(): Promise<[RTCStatsReport | undefined, RTCStatsReport | undefined]>;
  /** Names of the tracks of the teachers' pictures. */
  teachers(): ReadonlySet<string>;
  trouble(kind: Kind): Trouble | null;
  microphoneSilent(): boolean;
  soundBlocked(): boolean;
}

const CODES: Record<Trouble, string> = {
  denied: 'denied',
  missing: 'missing',
  busy: 'busy',
  insecure: 'failed',
  unknown: 'failed',
};

export class Telemetry {
  private readonly queue: ReportQueue<Sample>;
  private readonly device: DeviceClass = deviceClass(thisDevice());
  private growth = { up: new Growth(), down: new Growth() };
  private sampledAt = 0;
  private lookedAt = 0;
  private joined = false;
  private awaySince: number | null = null;
  private way: Way | undefined;
  private told: Record<Kind, Trouble | null> = { microphone: null, camera: null };
  private sampling = false;
  private csrf: string | null = null;
  private timer: ReturnType<typeof setInterval> | undefined;
  private readonly hurry = () => void this.queue.flush();
  private readonly leaving = () => this.leave();

  constructor(
    private readonly lesson: string,
    private readonly watched: Watched,
  ) {
    this.queue = new ReportQueue({
      now: () => Date.now(),
      send: (samples, leaving) => this.send(samples, leaving),
    });
  }

  start(): void {
    this.timer ??= setInterval(() => this.look(), LOOK_EVERY_MS);
    addEventListener('online', this.hurry);
    addEventListener('pagehide', this.leaving);
  }

  /** Ends it with a last word. */
  stop(): void {
    if (this.timer === undefined) return;
    clearInterval(this.timer);
    this.timer = undefined;
    removeEventListener('online', this.hurry);
    removeEventListener('pagehide', this.leaving);
    this.leave();
  }

  private leave(): void {
    if (!this.joined) return;
    this.joined = false;
    this.queue.put({ why: 'left' });
    this.queue.leave();
  }

  private look(): void {
    const now = Date.now();
    const status = this.watched.status();
    if (status === 'connected') {
      if (!this.joined) {
        this.joined = true;
        void this.sample('joined');
      } else if (this.awaySince !== null) {
        void this.sample('reconnected', now - this.awaySince);
      }
      this.awaySince = null;
    } else if (status === 'reconnecting' && this.joined && this.awaySince === null) {
      this.awaySince = now;
      // The connections may be gone; their last figures are not worth waiting for.
      this.report({ why: 'reconnecting' });
    }
    if (!this.joined) return;
    if (this.freshTrouble()) void this.sample('device');
    else if (now - this.lookedAt >= SAMPLE_EVERY_MS && this.awaySince === null) void this.sample('timer');
  }

  private freshTrouble(): boolean {
    const kinds: Kind[] = ['microphone', 'camera'];
    return kinds.some((kind) => {
      const trouble = this.watched.trouble(kind);
      return trouble !== null && trouble !== this.told[kind];
    });
  }

  private async sample(why: Why, awayMs?: number): Promise<void> {
    this.lookedAt = Date.now();
    if (this.sampling) {
      // Two at once would count the same packets twice; what has changed is told all the same.
      this.report({ why, away_ms: awayMs, errors: this.errors() });
      return;
    }
    this.sampling = true;
    try {
      const [sending, receiving] = await this.watched.stats();
      const now = Date.now();
      const passedMs = this.sampledAt ? now - this.sampledAt : 0;
      this.sampledAt = now;
      const up = sending && upOf(listed(sending), this.growth.up, passedMs);
      const down = receiving && downOf(listed(receiving), this.growth.down, passedMs, this.watched.teachers());
      this.growth.up.done();
      this.growth.down.done();
      const way = down?.way ?? up?.way;
      const moved = why === 'timer' && this.way !== undefined && way !== undefined && way !== this.way;
      this.way = way ?? this.way;
      this.report({ why: moved ? 'path' : why, away_ms: awayMs, up, down, errors: this.errors() });
    } catch {
      this.report({ why, away_ms: awayMs, errors: this.errors() });
    } finally {
      this.sampling = false;
    }
  }

  private errors(): string[] {
    const errors: string[] = [];
    for (const kind of ['microphone', 'camera'] as const) {
      const trouble = this.watched.trouble(kind);
      if (trouble !== null && trouble !== this.told[kind]) errors.push(`${kind}_${CODES[trouble]}`);
      this.told[kind] = trouble;
    }
    if (this.watched.microphoneSilent()) errors.push('microphone_silent');
    if (this.watched.soundBlocked()) errors.push('sound_blocked');
    return errors.slice(0, ERRORS_MAX);
  }

  private report(sample: Sample): void {
    this.queue.put(sample);
    void this.queue.flush();
  }

  private async send(samples: Queued<Sample>[], leaving: boolean): Promise<number> {
    try {
      this.csrf ??= (await me()).csrf;
      const now = Date.now();
      const body = JSON.stringify({
        lesson: this.lesson,
        device: this.device,
        // A clock that was set meanwhile must not make a sample come from the future.
        samples: inOrder(samples.map(({ at, sample }) => ({ ago_ms: Math.max(0, now - at), ...sample }))),
      });
      const response = await fetch('/app/api/telemetry', {
        method: 'POST',
        headers: { 'x-csrf': this.csrf, 'content-type': 'application/json' },
        credentials: 'same-origin',
        redirect: 'manual',
        keepalive: leaving && body.length <= KEEPALIVE_BYTES_MAX,
        body,
      });
      // Signed in anew in another tab: the token is another one.
      if (response.status === 403) this.csrf = null;
      return response.status;
    } catch {
      return 0;
    }
  }
}

function listed(report: RTCStatsReport): Stat[] {
  const stats: Stat[] = [];
  report.forEach((stat: Stat) => stats.push(stat));
  return stats;
}

/** Oldest first, as the server wants them. */
function inOrder<T extends { ago_ms: number }>(samples: T[]): T[] {
  return [...samples].sort((a, b) => b.ago_ms - a.ago_ms);
}

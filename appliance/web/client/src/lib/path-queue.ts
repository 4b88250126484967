// Samples that wait to be reported. They outlive an outage; that is when they matter.

/** Samples that wait; the oldest go first when there are more. */
const WAITING_MAX = 90;
/** Samples of one report; the server takes no more. */
const REPORT_MAX = 30;
/** A sample that is older is of no use any more; the server would refuse it. */
const AGE_MAX_MS = 14 * 60_000;
/** How long the server is left alone after it said that this was too much. */
const HUSH_MS = 30_000;

const TOO_MANY = 429;
const SERVER_ERRORS = 500;

export interface Queued<T> {
  at: number;
  sample: T;
}

export interface Post<T> {
  now(): number;
  /** The status of the answer; 0: the server was not reached. */
  send(samples: Queued<T>[], leaving: boolean): Promise<number>;
}

export class ReportQueue<T> {
  private waiting: Queued<T>[] = [];
  private sending = false;
  private hushedUntil = 0;

  constructor(private readonly post: Post<T>) {}

  get length(): number {
    return this.waiting.length;
  }

  put(sample: T): void {
    this.waiting = [...this.waiting, { at: this.post.now(), sample }].slice(-WAITING_MAX);
  }

  /** Sends what waits, oldest first. What the server cannot take now stays. */
  async flush(): Promise<void> {
    if (this.sending) return;
    this.sending = true;
    try {
      while (this.due().length && (await this.next())) {
        // Until nothing waits, or the server does not answer.
      }
    } finally {
      this.sending = false;
    }
  }

  /** The page goes away: one last report, which nobody waits for. */
  leave(): void {
    const last = this.due().slice(-REPORT_MAX);
    this.waiting = [];
    if (last.length) void this.post.send(last, true);
  }

  private due(): Queued<T>[] {
    const now = this.post.now();
    if (now < this.hushedUntil) return [];
    this.waiting = this.waiting.filter(({ at }) => now - at <= AGE_MAX_MS);
    return this.waiting;
  }

  /** False: no more for now. */
  private async next(): Promise<boolean> {
    const batch = this.waiting.slice(0, REPORT_MAX);
    const status = await this.post.send(batch, false);
    if (status === 0 || status >= SERVER_ERRORS) return false;
    if (status === TOO_MANY) {
      this.hushedUntil = this.post.now() + HUSH_MS;
      return false;
    }
    // Taken, or refused for good: the same again would be refused again.
    this.waiting = this.waiting.filter((one) => !batch.includes(one));
    return true;
  }
}

// What is shown of a state that changes: worse at once, better only when it stays so.

/** What is shown stays at least this long. */
export const SHOWN_MIN_MS = 6_000;
/** A state that is better counts when it has held for this long. */
export const BETTER_HOLD_MS = 5_000;

export interface Clock {
  now(): number;
  later(run: () => void, ms: number): unknown;
  cancel(timer: unknown): void;
}

export const browserClock: Clock = {
  now: () => performance.now(),
  later: (run, ms) => setTimeout(run, ms),
  cancel: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
};

/** Holds back what gets better, so that a banner does not flap. */
export class Steady<T> {
  private shownAt: number;
  private timer: unknown;

  constructor(
    private shown: T,
    private readonly rank: (state: T) => number,
    private readonly show: (state: T) => void,
    private readonly clock: Clock = browserClock,
  ) {
    this.shownAt = -Infinity;
  }

  take(next: T): void {
    this.clock.cancel(this.timer);
    const better = this.rank(next) < this.rank(this.shown);
    if (!better) {
      this.put(next);
      return;
    }
    const now = this.clock.now();
    const wait = Math.max(BETTER_HOLD_MS, this.shownAt + SHOWN_MIN_MS - now);
    this.timer = this.clock.later(() => this.put(next), wait);
  }

  stop(): void {
    this.clock.cancel(this.timer);
  }

  private put(next: T): void {
    if (this.rank(next) !== this.rank(this.shown)) this.shownAt = this.clock.now();
    this.shown = next;
    this.show(next);
  }
}

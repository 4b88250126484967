// Notices within seconds that the network under a lesson has gone, where no browser event tells of it.

/** Media that flowed comes many times a second, on any path that carries it. */
const QUIET_MS = 750;
/** How long the server's answer on the class socket may take. Long enough for a segment that TCP has to send twice. */
const ANSWER_MS = 1_250;
export const LOOK_EVERY_MS = 250;

export interface AlarmSurroundings {
  now(): number;
  /** A number that grows whenever media of somebody else comes. */
  heard(): number;
  /** Whether the server says anything within this time; it is asked. */
  answers(withinMs: number): Promise<boolean>;
  /** Neither media nor the server: the path is dead. */
  dead(): void;
}

/**
 * Raised when media that flowed has stopped and the server does not answer either. One of them alone means nothing: somebody
 * may have muted, or a lossy network may hold up TCP while media goes on. It is raised once, until media flows again.
 */
export class PathAlarm {
  private heard = 0;
  private heardAt = 0;
  private armed = false;
  private asking = false;

  constructor(private readonly around: AlarmSurroundings) {}

  look(): void {
    if (this.flows() || !this.armed || this.asking) return;
    if (this.around.now() - this.heardAt < QUIET_MS) return;
    void this.ask();
  }

  private flows(): boolean {
    const heard = this.around.heard();
    if (heard <= this.heard) return false;
    this.heard = heard;
    this.heardAt = this.around.now();
    this.armed = true;
    return true;
  }

  private async ask(): Promise<void> {
    this.asking = true;
    const answered = await this.around.answers(ANSWER_MS);
    this.asking = false;
    // A page that was busy may find the answer and the end of the time together, and media, too.
    if (this.flows()) return;
    this.armed = false;
    if (!answered) this.around.dead();
  }
}

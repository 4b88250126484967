// Whether a camera that is open gives pictures.

import type { LocalVideoTrack } from 'livekit-client';

/** A camera that gave no pictures stays closed this long before it is opened again: drivers need a moment to let go of it. */
const RELEASED_MS = 1_000;

/** An open camera gives its first picture within two seconds, also an old one. */
const STALLED_AFTER_MS = 4_000;
/** A camera that gives nothing however often it is taken anew is tried this rarely. */
const STALLED_AFTER_MS_MAX = 64_000;

/** Tells when a camera gives no pictures and is to be taken anew: soon at first, then ever more rarely. */
export class PictureWatch {
  private frames = -1;
  private since: number | null = null;
  private patience = STALLED_AFTER_MS;

  /** `frames`: how many pictures it has given so far; undefined: nobody knows, or it need not give any. */
  read(now: number, frames: number | undefined): boolean {
    if (frames === undefined || frames !== this.frames) {
      if (frames !== undefined && frames > this.frames && this.frames >= 0) this.patience = STALLED_AFTER_MS;
      this.frames = frames ?? -1;
      this.since = null;
      return false;
    }
    this.since ??= now;
    if (now - this.since < this.patience) return false;
    this.since = null;
    this.patience = Math.min(this.patience * 2, STALLED_AFTER_MS_MAX);
    return true;
  }
}

/** A published camera may be open and give nothing, above all when it was closed and opened in one moment: it is let go of and
 *  taken again. */
export class CameraWatch {
  private readonly pictures = new PictureWatch();
  /** What is being looked at: an answer of a connection that is closed meanwhile may never come. */
  private lookedAt: unknown = null;

  async look(track: LocalVideoTrack | null, failed: (error: unknown) => void): Promise<void> {
    const at = track?.sender;
    if (!track || !at || at === this.lookedAt) return;
    this.lookedAt = at;
    const pictures = await picturesOf(track).catch(() => undefined);
    if (this.pictures.read(Date.now(), pictures)) await this.retake(track).catch(failed);
    if (this.lookedAt === at) this.lookedAt = null;
  }

  private async retake(track: LocalVideoTrack): Promise<void> {
    const taken = track.mediaStreamTrack;
    taken.stop();
    await new Promise((done) => setTimeout(done, RELEASED_MS));
    // Turned off or taken by somebody else meanwhile.
    if (track.mediaStreamTrack === taken && !track.isMuted && track.sender) await track.restartTrack();
  }
}

/** The pictures that a published camera has given; undefined if it is off, held by the system, or the browser does not say. */
export async function picturesOf(track: LocalVideoTrack): Promise<number | undefined> {
  const { sender, mediaStreamTrack } = track;
  const open = !track.isMuted && mediaStreamTrack.readyState === 'live' && !mediaStreamTrack.muted;
  if (!sender || !open) return undefined;
  for (const stat of (await sender.getStats()).values()) {
    if (stat.type === 'media-source') return stat.frames;
  }
  return undefined;
}

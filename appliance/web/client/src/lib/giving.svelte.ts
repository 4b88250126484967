// What this person gives to the lesson, microphone and camera, and that no broken line takes it away.

import { ConnectionState, type LocalTrack, type Room, Track } from 'livekit-client';
import type { Kind, OwnMedia } from './own-media.svelte';
import type { VideoCodec } from './protocol';

const KINDS: readonly Kind[] = ['microphone', 'camera'];
const SOURCES = { microphone: Track.Source.Microphone, camera: Track.Source.Camera };

export class Giving {
  /** What the person wants to give; it outlives a line that had to be made anew. */
  wanted: Record<Kind, boolean> = $state({ microphone: false, camera: false });
  /** The line is there, and what was wanted is on it as far as the server allows. */
  published = $state(false);
  codec: VideoCodec = 'vp8';
  /** How many times what a line has lost is still to be given again, one after the other. */
  private restoring = 0;
  private restored: Promise<void> = Promise.resolve();

  constructor(
    private readonly room: Room,
    private readonly own: OwnMedia,
  ) {}

  /** What is open in the device check is wanted in the lesson. */
  begin(): void {
    this.wanted = { microphone: this.own.microphone !== null, camera: this.own.camera !== null };
  }

  /** Turns the microphone or camera on or off. False: the device could not be opened. */
  turn(kind: Kind, on: boolean): Promise<boolean> {
    this.wanted[kind] = on;
    // Without a line it is a wish: the device opens or closes now, the line gets it when it is there.
    return this.published ? this.give(kind, on) : this.wish(kind, on);
  }

  private async wish(kind: Kind, on: boolean): Promise<boolean> {
    // The tracks are on their way to the server: what has changed meanwhile is made good after that.
    if (this.room.state === ConnectionState.Connected) return true;
    if (on) return (await this.open(kind)) !== null;
    this.close(kind);
    return true;
  }

  private async give(kind: Kind, on: boolean): Promise<boolean> {
    const publication = this.publication(kind);
    if (publication) {
      await (on ? publication.unmute() : publication.mute());
    } else if (on) {
      const track = await this.open(kind);
      if (!track) return false;
      await this.publishTrack(track, kind);
    }
    return true;
  }

  private async publishTrack(track: LocalTrack, kind: Kind): Promise<void> {
    try {
      await this.room.localParticipant.publishTrack(track, this.own.publishing(kind, this.codec));
    } catch (error) {
      // Refused, or the line broke meanwhile: nothing may stay open that nobody can see.
      this.close(kind);
      throw error;
    }
  }

  /** Gives what the person had open, in the device check or before the line was lost. */
  async publish(): Promise<void> {
    const kinds = KINDS.filter((kind) => this.wanted[kind]);
    await Promise.allSettled(kinds.map((kind) => this.give(kind, true)));
    const changed = KINDS.filter((kind) => kinds.includes(kind) !== this.wanted[kind]);
    await Promise.allSettled(changed.map((kind) => this.give(kind, this.wanted[kind])));
    this.published = true;
  }

  /** Gives again what a line that was made anew has lost: the library takes everything back before it publishes it once more,
   *  and forgets it if that line breaks, too. */
  async restore(): Promise<void> {
    if (!this.published) return;
    this.restoring += 1;
    this.restored = this.restored.then(async () => {
      const lost = KINDS.filter((kind) => this.wanted[kind] && !this.publication(kind));
      await Promise.allSettled(lost.map((kind) => this.give(kind, true)));
      this.restoring -= 1;
    });
    await this.restored;
  }

  /** Takes up what the room says: a teacher may have muted the person. */
  follow(): void {
    if (!this.published || this.restoring > 0 || this.room.state !== ConnectionState.Connected) return;
    const { isMicrophoneEnabled, isCameraEnabled } = this.room.localParticipant;
    this.wanted = { microphone: isMicrophoneEnabled, camera: isCameraEnabled };
  }

  /** The server took the track away, for example because cameras were locked: close the device. */
  taken(source: Track.Source): void {
    // While the line is made anew the library takes each track back and gives it again.
    if (this.room.state !== ConnectionState.Connected) return;
    const kind = KINDS.find((one) => SOURCES[one] === source);
    if (kind) this.close(kind);
  }

  /** The line is gone. The library has stopped what was given; what is wanted is opened anew with the next line. */
  over(): void {
    if (this.published) KINDS.forEach((kind) => this.close(kind));
    this.published = false;
  }

  private publication(kind: Kind) {
    return this.room.localParticipant.getTrackPublication(SOURCES[kind]);
  }

  private open(kind: Kind): Promise<LocalTrack | null> {
    return kind === 'microphone' ? this.own.openMicrophone() : this.own.openCamera();
  }

  private close(kind: Kind): void {
    if (kind === 'microphone') this.own.closeMicrophone();
    else this.own.closeCamera();
  }
}

// What is heard: one audio element for each sound of the lesson, kept in step with the room as it is.
//
// Not driven by the library's events: while a line is made anew some of them are not sent, and a voice would stay silent.

import type { RemoteParticipant, RemoteTrack } from 'livekit-client';

export class Sounds {
  private readonly elements = new Map<RemoteTrack, HTMLMediaElement>();

  /** Plays every sound that is there and lets go of those that are not. */
  follow(participants: Iterable<RemoteParticipant>): void {
    const present = new Set<RemoteTrack>();
    for (const one of participants) {
      for (const { track } of one.audioTrackPublications.values()) if (track) present.add(track as RemoteTrack);
    }
    for (const track of present) if (!this.elements.has(track)) this.play(track);
    for (const [track, element] of this.elements) {
      if (present.has(track)) continue;
      track.detach(element);
      element.remove();
      this.elements.delete(track);
    }
  }

  private play(track: RemoteTrack): void {
    // Always a new element: one that the library recycles from an ended track may not play again.
    const element = track.attach(document.createElement('audio'));
    document.body.append(element);
    this.elements.set(track, element);
  }
}

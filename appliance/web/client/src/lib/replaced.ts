// What becomes of a track whose device went away.

import { type LocalAudioTrack, type LocalVideoTrack, TrackEvent } from 'livekit-client';

export type OwnTrack = LocalAudioTrack | LocalVideoTrack;

/** How long the media library is given to replace a device that went away. */
const REPLACED_WITHIN_MS = 5_000;

export function works(track: OwnTrack): boolean {
  return track.mediaStreamTrack.readyState === 'live' && !track.isMuted;
}

/** It was stopped, by us or by the library, and gives nothing any more. */
export const over = (track: OwnTrack): boolean => track.mediaStreamTrack.readyState === 'ended';

/** Waits until the library has brought a published track back or given it up. */
export function settled(track: OwnTrack): Promise<void> {
  return new Promise((done) => {
    const over = () => {
      clearTimeout(timer);
      track.off(TrackEvent.Restarted, over).off(TrackEvent.Muted, over);
      done();
    };
    const timer = setTimeout(over, REPLACED_WITHIN_MS);
    track.on(TrackEvent.Restarted, over).on(TrackEvent.Muted, over);
  });
}

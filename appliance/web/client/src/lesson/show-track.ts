import type { VideoTrack } from 'livekit-client';
import type { Attachment } from 'svelte/attachments';

/** Shows `track` in the video element; livekit then asks the server for the layer that fits it. */
export function showTrack(track: VideoTrack): Attachment<HTMLVideoElement> {
  return (element) => {
    track.attach(element);
    return () => {
      track.detach(element);
    };
  };
}

// How sound and pictures are sent.

import {
  AudioPresets,
  type ScreenShareCaptureOptions,
  Track,
  type TrackPublishOptions,
  VideoPresets,
} from 'livekit-client';
import type { VideoCodec } from './protocol';
import type { Quirks } from './quirks';

export function soundOptions(teacher: boolean, quirks: Quirks): TrackPublishOptions {
  return {
    source: Track.Source.Microphone,
    audioPreset: teacher ? AudioPresets.music : AudioPresets.speech,
    // The teacher's voice is carried twice and never pauses; a quiet student costs nothing.
    red: teacher && !quirks.noRed,
    dtx: !teacher,
  };
}

export function cameraOptions(teacher: boolean, codec: VideoCodec): TrackPublishOptions {
  return {
    ...pictureOptions(codec),
    source: Track.Source.Camera,
    simulcast: true,
    videoEncoding: (teacher ? VideoPresets.h720 : VideoPresets.h360).encoding,
    videoSimulcastLayers: teacher ? [VideoPresets.h180, VideoPresets.h360] : [VideoPresets.h180],
    // VP8 and H.264 are sent in several sizes, VP9 and AV1 in layers of one stream.
    ...(codec === 'vp9' || codec === 'av1' ? { scalabilityMode: teacher ? 'L3T3_KEY' : 'L2T3_KEY' } : {}),
  };
}

/** The server forwards one codec of each track: none beside it. */
export function pictureOptions(codec: VideoCodec): TrackPublishOptions {
  return { videoCodec: codec, backupCodec: false };
}

export const SCREEN: ScreenShareCaptureOptions = {
  audio: true,
  systemAudio: 'include',
  surfaceSwitching: 'include',
  contentHint: 'detail',
};

/** What is sent of what the district wants: a browser that cannot send it sends VP8, which all understand. */
export function codecToSend(wanted: VideoCodec, mimeTypes: string[]): VideoCodec {
  return mimeTypes.some((one) => one.toLowerCase() === `video/${wanted}`) ? wanted : 'vp8';
}

/** The video formats that this browser says it can send. */
export function sendable(): string[] {
  return (RTCRtpSender.getCapabilities?.('video')?.codecs ?? []).map((one) => one.mimeType);
}

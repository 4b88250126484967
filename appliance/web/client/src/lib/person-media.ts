import { type Participant, type RemoteParticipant, Track, type VideoTrack } from 'livekit-client';

/** What comes from one person at this moment. */
export interface PersonMedia {
  camera: VideoTrack | null;
  cameraOn: boolean;
  microphoneOn: boolean;
  screen: VideoTrack | null;
  /** The server holds the picture back because the line is full. */
  paused: boolean;
}

export function mediaOf(one: Participant): PersonMedia {
  const camera = one.getTrackPublication(Track.Source.Camera);
  const screen = one.getTrackPublication(Track.Source.ScreenShare);
  return {
    camera: camera?.videoTrack ?? null,
    cameraOn: one.isCameraEnabled,
    microphoneOn: one.isMicrophoneEnabled,
    screen: screen && !screen.isMuted ? (screen.videoTrack ?? null) : null,
    paused: camera?.videoTrack?.streamState === Track.StreamState.Paused,
  };
}

/** When media of somebody came last, as the browser counts time; 0: none has. Cheap, unlike statistics. */
export function heardAt(one: RemoteParticipant): number {
  const receivers = Array.from(one.trackPublications.values(), ({ track }) => track?.receiver);
  const sources = receivers.flatMap((receiver) => receiver?.getSynchronizationSources() ?? []);
  return Math.max(0, ...sources.map(({ timestamp }) => timestamp));
}

// Cameras, microphones and loudspeakers of this device, and what can be wrong with them.

/** Why a device cannot be used. Each has a sentence that says what to do. */
export type Trouble = 'denied' | 'missing' | 'busy' | 'insecure' | 'unknown';

export function troubleOf(error: unknown): Trouble {
  const name = error instanceof Error || error instanceof DOMException ? error.name : '';
  switch (name) {
    case 'NotAllowedError':
    case 'SecurityError':
    case 'PermissionDeniedError':
      return 'denied';
    case 'NotFoundError':
    case 'DevicesNotFoundError':
    case 'OverconstrainedError':
      return 'missing';
    case 'NotReadableError':
    case 'TrackStartError':
    case 'AbortError':
      return 'busy';
    default:
      return typeof navigator !== 'undefined' && !navigator.mediaDevices ? 'insecure' : 'unknown';
  }
}

export interface DeviceLists {
  microphones: MediaDeviceInfo[];
  cameras: MediaDeviceInfo[];
  speakers: MediaDeviceInfo[];
}

export async function listDevices(): Promise<DeviceLists> {
  const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  // Before permission is given the browser lists devices without id or label: nothing to choose.
  const known = all.filter((one) => one.deviceId !== '');
  return {
    microphones: known.filter((one) => one.kind === 'audioinput'),
    cameras: known.filter((one) => one.kind === 'videoinput'),
    speakers: known.filter((one) => one.kind === 'audiooutput'),
  };
}

/** Whether microphone and camera open without a question to the person. */
export async function alreadyAllowed(): Promise<boolean> {
  try {
    const asked = ['microphone', 'camera'].map((name) =>
      navigator.permissions.query({ name: name as PermissionName }),
    );
    return (await Promise.all(asked)).every((status) => status.state === 'granted');
  } catch {
    return false;
  }
}

/** A new device of a kind that was not there before; the default entries are not devices. */
export function newDevice(before: MediaDeviceInfo[], after: MediaDeviceInfo[]): MediaDeviceInfo | null {
  const old = new Set(before.map((one) => one.deviceId));
  const fresh = after.find(
    (one) => !old.has(one.deviceId) && one.deviceId !== 'default' && one.deviceId !== 'communications',
  );
  return fresh ?? null;
}

const TONES_HZ = [523.25, 659.25, 783.99];
const TONE_S = 0.28;

/** Three soft rising notes on the chosen loudspeaker. */
export async function playTone(speaker: string | null): Promise<void> {
  const context = new AudioContext();
  const routed = context as AudioContext & { setSinkId?: (id: string) => Promise<void> };
  if (speaker && routed.setSinkId) await routed.setSinkId(speaker).catch(() => undefined);
  await context.resume();
  TONES_HZ.forEach((frequency, index) => {
    const start = context.currentTime + index * TONE_S;
    const note = new OscillatorNode(context, { type: 'sine', frequency });
    const volume = new GainNode(context, { gain: 0 });
    volume.gain.setValueAtTime(0, start);
    volume.gain.linearRampToValueAtTime(0.2, start + 0.04);
    volume.gain.linearRampToValueAtTime(0, start + TONE_S);
    note.connect(volume).connect(context.destination);
    note.start(start);
    note.stop(start + TONE_S);
  });
  setTimeout(() => void context.close(), (TONES_HZ.length * TONE_S + 0.5) * 1000);
}

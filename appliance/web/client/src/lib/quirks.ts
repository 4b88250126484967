// What is known about browsers and devices, as data. A row says for whom it holds and why.

export interface Quirks {
  /** Redundant audio (RFC 2198) breaks or is not spoken. */
  noRed: boolean;
  /** Choosing the loudspeaker from the page is not possible. */
  noSpeakerChoice: boolean;
  /** The screen cannot be shared from this browser. */
  noScreenShare: boolean;
  /** Sound starts only inside a tap, and stops when the page was in the background. */
  soundNeedsTap: boolean;
  /** Few videos are decoded at once unless the person asks for more. */
  small: boolean;
}

export interface Device {
  userAgent: string;
  touchPoints: number;
  memoryGb: number | undefined;
  cores: number | undefined;
}

interface Row {
  why: string;
  holds(device: Device): boolean;
  sets: Partial<Quirks>;
}

const SMALL_MEMORY_GB = 4;
const SMALL_CORES = 4;

const isFirefox = (device: Device) => /Firefox\//.test(device.userAgent);
const isSafari = (device: Device) =>
  /Safari\//.test(device.userAgent) && !/Chrome\/|Chromium\/|Android/.test(device.userAgent);
// An iPad calls itself a Macintosh; only the touch screen tells them apart.
const isIos = (device: Device) =>
  /iPhone|iPad|iPod/.test(device.userAgent) ||
  (/Macintosh/.test(device.userAgent) && device.touchPoints > 1);

export const table: Row[] = [
  { why: 'Firefox has no payload type for RED', holds: isFirefox, sets: { noRed: true } },
  { why: 'Safari stutters when it decodes RED', holds: isSafari, sets: { noRed: true } },
  { why: 'Safari has no setSinkId for pages in a call', holds: isSafari, sets: { noSpeakerChoice: true } },
  {
    why: 'iOS unlocks sound per tap, and every browser there is Safari inside',
    holds: isIos,
    sets: { soundNeedsTap: true, noScreenShare: true, noRed: true, noSpeakerChoice: true },
  },
  {
    why: 'No browser on Android gives getDisplayMedia',
    holds: (device) => /Android/.test(device.userAgent),
    sets: { noScreenShare: true },
  },
  {
    why: 'A 4 GB Chromebook decodes about four thumbnails beside the lesson',
    holds: (device) =>
      (device.memoryGb ?? Infinity) <= SMALL_MEMORY_GB || (device.cores ?? Infinity) <= SMALL_CORES,
    sets: { small: true },
  },
];

const none: Quirks = {
  noRed: false,
  noSpeakerChoice: false,
  noScreenShare: false,
  soundNeedsTap: false,
  small: false,
};

export function quirksOf(device: Device): Quirks {
  return table
    .filter((row) => row.holds(device))
    .reduce((found, row) => ({ ...found, ...row.sets }), none);
}

export function thisDevice(): Device {
  const hints = navigator as Navigator & { deviceMemory?: number };
  return {
    userAgent: navigator.userAgent,
    touchPoints: navigator.maxTouchPoints,
    memoryGb: hints.deviceMemory,
    cores: navigator.hardwareConcurrency,
  };
}

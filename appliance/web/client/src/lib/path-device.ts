// A device in as few words as tell why a lesson was slow on it.

import type { Device } from './quirks';

export type Browser = 'chromium' | 'edge' | 'firefox' | 'safari' | 'other';
export type System = 'chromeos' | 'windows' | 'macos' | 'linux' | 'ios' | 'android' | 'other';
/** In gigabytes or cores; 8 is everything above 4. */
export type Bucket = 'unknown' | '2' | '4' | '8';

export interface DeviceClass {
  browser: Browser;
  major: number;
  system: System;
  memory: Bucket;
  cores: Bucket;
}

const MAJOR_MAX = 9_999;

// The order decides: Edge calls itself Chrome, and Chrome calls itself Safari.
const BROWSERS: [Browser, RegExp][] = [
  ['edge', /Edg(?:A|iOS)?\/(\d+)/],
  ['firefox', /(?:Firefox|FxiOS)\/(\d+)/],
  ['chromium', /(?:Chrome|Chromium|CriOS)\/(\d+)/],
  ['safari', /Version\/(\d+).*Safari\//],
];

const SYSTEMS: [System, RegExp][] = [
  ['chromeos', /CrOS/],
  ['windows', /Windows/],
  ['android', /Android/],
  ['ios', /iPhone|iPad|iPod/],
  ['macos', /Macintosh/],
  ['linux', /Linux/],
];

function bucket(value: number | undefined): Bucket {
  if (!value) return 'unknown';
  return value <= 2 ? '2' : value <= 4 ? '4' : '8';
}

export function deviceClass({ userAgent, touchPoints, memoryGb, cores }: Device): DeviceClass {
  const row = BROWSERS.map(([name, pattern]) => ({ name, major: pattern.exec(userAgent)?.[1] })).find((one) => one.major);
  const system = SYSTEMS.find(([, pattern]) => pattern.test(userAgent))?.[0] ?? 'other';
  return {
    browser: row?.name ?? 'other',
    major: Math.min(MAJOR_MAX, Number(row?.major ?? 0)),
    // An iPad calls itself a Macintosh; only the touch screen tells them apart.
    system: system === 'macos' && touchPoints > 1 ? 'ios' : system,
    memory: bucket(memoryGb),
    cores: bucket(cores),
  };
}

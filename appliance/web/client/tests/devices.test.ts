import { describe, expect, test } from 'vitest';
import { newDevice, troubleOf } from '../src/lib/devices';
import { loudness, SilenceWatch } from '../src/lib/level';
import { codecToSend } from '../src/lib/publishing';
import { quirksOf, type Device } from '../src/lib/quirks';
import { isTyping, shortcutOf } from '../src/lib/shortcuts';

const named = (name: string) => Object.assign(new Error(name), { name });

test('each failure of a device has its plain cause', () => {
  expect(troubleOf(named('NotAllowedError'))).toBe('denied');
  expect(troubleOf(named('NotFoundError'))).toBe('missing');
  expect(troubleOf(named('OverconstrainedError'))).toBe('missing');
  expect(troubleOf(named('NotReadableError'))).toBe('busy');
});

test('a plugged-in device is noticed, an alias of the system default is not', () => {
  const device = (deviceId: string) => ({ deviceId }) as MediaDeviceInfo;
  expect(newDevice([device('a')], [device('a'), device('default')])).toBeNull();
  expect(newDevice([device('a')], [device('a'), device('b')])?.deviceId).toBe('b');
});

describe('the watch over a silent microphone', () => {
  test('waits before it speaks, and forgives at the first sound', () => {
    const watch = new SilenceWatch();
    expect(watch.read(0, 0, false)).toBe(false);
    expect(watch.read(11_999, 0, false)).toBe(false);
    expect(watch.read(12_000, 0, false)).toBe(true);
    expect(watch.read(12_100, 0.001, false)).toBe(false);
    expect(watch.read(12_200, 0, false)).toBe(false);
  });

  test('is quick when the device itself says that it was interrupted', () => {
    const watch = new SilenceWatch();
    watch.read(0, 0.2, true);
    expect(watch.read(2_000, 0.2, true)).toBe(true);
  });
});

test('the level follows the ear', () => {
  expect(loudness(0)).toBe(0);
  expect(loudness(0.001)).toBeCloseTo(0);
  expect(loudness(0.0316)).toBeCloseTo(0.5, 1);
  expect(loudness(1)).toBe(1);
});

describe('the table of quirks', () => {
  const device = (userAgent: string, change: Partial<Device> = {}): Device => ({
    userAgent,
    touchPoints: 0,
    memoryGb: 8,
    cores: 8,
    ...change,
  });
  const chrome = 'Mozilla/5.0 (X11; CrOS x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36';
  const safari = 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Safari/605.1.15';

  test('knows a small Chromebook by memory or by cores', () => {
    expect(quirksOf(device(chrome))).toMatchObject({ small: false, noRed: false });
    expect(quirksOf(device(chrome, { memoryGb: 4 })).small).toBe(true);
    expect(quirksOf(device(chrome, { cores: 4 })).small).toBe(true);
  });

  test('tells an iPad from a Mac by its touch screen', () => {
    expect(quirksOf(device(safari))).toMatchObject({ soundNeedsTap: false, noRed: true });
    expect(quirksOf(device(safari, { touchPoints: 5 }))).toMatchObject({ soundNeedsTap: true, noScreenShare: true });
  });

  test('gives Firefox no redundant audio', () => {
    expect(quirksOf(device('Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0')).noRed).toBe(true);
  });
});

test('single keys act alone, never with a modifier or while held', () => {
  const press = { key: 'M', ctrlKey: false, metaKey: false, altKey: false, repeat: false };
  expect(shortcutOf(press)).toBe('microphone');
  expect(shortcutOf({ ...press, ctrlKey: true })).toBeNull();
  expect(shortcutOf({ ...press, repeat: true })).toBeNull();
  expect(shortcutOf({ ...press, key: 'x' })).toBeNull();
});

test('outside a page nothing is being typed', () => {
  Object.assign(globalThis, { Element: class {} });
  expect(isTyping(null)).toBe(false);
});

test('what a browser cannot send it sends as VP8', () => {
  const chromium = ['video/VP8', 'video/rtx', 'video/H264', 'video/VP9', 'video/AV1'];
  expect(codecToSend('h264', chromium)).toBe('h264');
  expect(codecToSend('av1', chromium)).toBe('av1');
  expect(codecToSend('h264', ['video/VP8', 'video/VP9', 'video/AV1'])).toBe('vp8');
  expect(codecToSend('vp9', [])).toBe('vp8');
});

// A camera that is open and gives no pictures is found out; one that works is left alone.

import { expect, test } from 'vitest';
import { PictureWatch } from '../src/lib/pictures';

test('a camera that gives pictures is never taken anew', () => {
  const watch = new PictureWatch();
  const taken = Array.from({ length: 120 }, (_, second) => watch.read(second * 1_000, second * 30)).filter(Boolean);
  expect(taken).toEqual([]);
});

test('one that gives none is taken anew soon, then ever more rarely, and soon again once it has worked', () => {
  const watch = new PictureWatch();
  const taken: number[] = [];
  const read = (second: number, frames: number) => watch.read(second * 1_000, frames) && taken.push(second);
  for (let second = 0; second < 100; second += 1) read(second, 0);
  expect(taken).toEqual([5, 14, 31, 64]);
  for (let second = 100; second < 104; second += 1) read(second, second);
  for (let second = 104; second < 110; second += 1) read(second, 103);
  expect(taken.at(-1)).toBe(108);
});

test('a camera that is off, or of which nobody knows, is left alone', () => {
  const watch = new PictureWatch();
  const of = (second: number) => (second % 3 === 0 ? undefined : 0);
  const taken = Array.from({ length: 60 }, (_, second) => watch.read(second * 1_000, of(second))).filter(Boolean);
  expect(taken).toEqual([]);
});

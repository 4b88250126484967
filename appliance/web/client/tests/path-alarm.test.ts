// A path that died without a word, and what only looks like one.

import { beforeEach, expect, test } from 'vitest';
import { LOOK_EVERY_MS, PathAlarm } from '../src/lib/path-alarm';

let now: number;
let heard: number;
let asked: ((answered: boolean) => void)[];
let raised: number;
let alarm: PathAlarm;

beforeEach(() => {
  [now, heard, asked, raised] = [0, 0, [], 0];
  alarm = new PathAlarm({
    now: () => now,
    heard: () => heard,
    answers: () => new Promise((answer) => asked.push(answer)),
    dead: () => (raised += 1),
  });
});

function passes(ms: number, flowing: boolean): void {
  for (const until = now + ms; now < until; ) {
    now += LOOK_EVERY_MS;
    if (flowing) heard += 1;
    alarm.look();
  }
}

async function answered(answer: boolean): Promise<void> {
  asked.at(-1)?.(answer);
  await Promise.resolve();
}

test('media that stops and a server that is silent raise it, within seconds and once', async () => {
  passes(5_000, true);
  expect(asked).toHaveLength(0);
  passes(1_000, false);
  expect(asked).toHaveLength(1);
  await answered(false);
  expect(raised).toBe(1);
  passes(60_000, false);
  expect(asked).toHaveLength(1);
  passes(1_000, true);
  passes(1_000, false);
  await answered(false);
  expect(raised).toBe(2);
});

test('a server that answers says that somebody has only muted', async () => {
  passes(5_000, true);
  passes(1_000, false);
  await answered(true);
  passes(60_000, false);
  expect([asked.length, raised]).toEqual([1, 0]);
});

test('media that comes again while the server is asked is an answer, too', async () => {
  passes(5_000, true);
  passes(1_000, false);
  passes(500, true);
  heard += 1;
  await answered(false);
  expect(raised).toBe(0);
});

test('a lesson in which nobody has spoken yet asks nothing', () => {
  passes(60_000, false);
  expect(asked).toHaveLength(0);
});

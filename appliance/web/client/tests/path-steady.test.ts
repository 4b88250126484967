import { beforeEach, expect, test } from 'vitest';
import { Steady } from '../src/lib/path-steady';

let now: number;
let due: { at: number; run: () => void } | null;
let shown: number[];
let steady: Steady<number>;

function pass(ms: number): void {
  now += ms;
  if (due && due.at <= now) {
    const { run } = due;
    due = null;
    run();
  }
}

beforeEach(() => {
  now = 100_000;
  due = null;
  shown = [];
  steady = new Steady(0, (state) => state, (state) => shown.push(state), {
    now: () => now,
    later: (run, ms) => {
      due = { at: now + ms, run };
      return due;
    },
    cancel: () => (due = null),
  });
});

test('what gets worse is shown at once', () => {
  steady.take(2);
  steady.take(4);
  expect(shown).toEqual([2, 4]);
});

test('what gets better is shown when it has stayed so', () => {
  steady.take(4);
  pass(10_000);
  steady.take(1);
  pass(4_999);
  expect(shown).toEqual([4]);
  pass(1);
  expect(shown).toEqual([4, 1]);
});

test('a state that comes and goes does not flap', () => {
  for (let n = 0; n < 20; n += 1) {
    steady.take(3);
    pass(1_000);
    steady.take(0);
    pass(1_000);
  }
  expect(new Set(shown)).toEqual(new Set([3]));
  pass(10_000);
  expect(shown.at(-1)).toBe(0);
});

test('a banner stays long enough to be read', () => {
  steady.take(3);
  pass(100);
  steady.take(0);
  pass(5_500);
  expect(shown).toEqual([3]);
  pass(400);
  expect(shown).toEqual([3, 0]);
});

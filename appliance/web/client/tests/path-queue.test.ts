import { beforeEach, expect, test } from 'vitest';
import { ReportQueue } from '../src/lib/path-queue';

let now: number;
let status: number;
let sent: { samples: number[]; leaving: boolean }[];
let queue: ReportQueue<number>;

beforeEach(() => {
  now = 0;
  status = 204;
  sent = [];
  queue = new ReportQueue({
    now: () => now,
    send: async (samples, leaving) => {
      sent.push({ samples: samples.map(({ sample }) => sample), leaving });
      return status;
    },
  });
});

function put(count: number): void {
  for (let n = 0; n < count; n += 1) queue.put(n);
}

test('what could not be sent waits, and comes in order when the server is back', async () => {
  status = 0;
  put(40);
  await queue.flush();
  expect(queue.length).toBe(40);
  status = 204;
  sent = [];
  await queue.flush();
  expect(sent.map((one) => one.samples.length)).toEqual([30, 10]);
  expect(sent.flatMap((one) => one.samples)).toEqual([...Array(40).keys()]);
  expect(queue.length).toBe(0);
});

test('in a long outage the oldest go, and no memory grows', async () => {
  status = 0;
  put(1_000);
  expect(queue.length).toBe(90);
  now = 15 * 60_000;
  await queue.flush();
  expect(queue.length).toBe(0);
});

test('what is refused for good is not sent again', async () => {
  status = 400;
  put(2);
  await queue.flush();
  await queue.flush();
  expect(sent.length).toBe(1);
});

test('a server that says it was too much is left alone for a while', async () => {
  status = 429;
  put(1);
  await queue.flush();
  status = 204;
  await queue.flush();
  expect(sent.length).toBe(1);
  now = 30_000;
  await queue.flush();
  expect(sent.length).toBe(2);
  expect(queue.length).toBe(0);
});

test('a page that goes away sends its last samples once', () => {
  put(50);
  queue.leave();
  queue.leave();
  expect(sent).toEqual([{ samples: [...Array(50).keys()].slice(20), leaving: true }]);
});

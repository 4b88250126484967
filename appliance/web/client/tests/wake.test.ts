// Sleep, wake and another network: back at once, and nothing forgotten.

import { beforeEach, expect, test } from 'vitest';
import { ClassSocket, type SocketStatus } from '../src/lib/class-socket';
import type { ClassEvent, LinkState } from '../src/lib/protocol';
import { FakeWorld } from './fake-wire';
import { welcome } from './fixtures';

let world: FakeWorld;
let status: SocketStatus;
let links: (LinkState | null)[];
let events: ClassEvent[];
let socket: ClassSocket;

beforeEach(() => {
  [world, links, events] = [new FakeWorld(0.5), [], []];
  socket = new ClassSocket(world, {
    status: (next) => (status = next),
    welcome: () => undefined,
    event: (event) => events.push(event),
    link: (link) => links.push(link),
    bye: () => undefined,
  });
  socket.start();
  world.wire.opens();
  world.wire.says(welcome());
});

test('a socket that died in a sleep is found out in seconds and resumes where it was', () => {
  world.wires[0]?.says({ type: 'event', seq: welcome().seq + 1, event: { kind: 'hands', hands: [] } });
  socket.hurry();
  expect(world.wires[0]?.sent.at(-1)).toEqual({ type: 'ping' });
  world.pass(2_999);
  expect(status).toBe('open');
  world.pass(1);
  expect(status).toBe('reconnecting');
  world.pass(400);
  expect(world.wires).toHaveLength(2);
  world.wires[1]?.opens();
  const resume = { epoch: welcome().epoch, seq: welcome().seq + 1 };
  expect(world.wires[1]?.sent[0]).toEqual({ type: 'hello', resume });
  world.wires[1]?.says({ type: 'resumed', seq: resume.seq });
  expect(status).toBe('open');
  expect(events).toHaveLength(1);
});

test('a socket that is alive after a wake stays', () => {
  socket.hurry();
  world.pass(500);
  world.wires[0]?.says({ type: 'pong' });
  world.pass(20_000);
  expect(world.wires).toHaveLength(1);
  expect(status).toBe('open');
});

test('the network that comes back ends the wait', () => {
  world.pass(25_000);
  for (let n = 0; n < 6; n += 1) {
    world.pass(10_000);
    world.wires.at(-1)?.breaks();
  }
  const before = world.wires.length;
  socket.hurry();
  expect(world.wires).toHaveLength(before + 1);
});

test('an attempt of before the network came back is not waited for', () => {
  world.pass(25_000);
  world.pass(1_000);
  const hanging = world.wires.length;
  socket.hurry();
  world.pass(3_000 + 1_000);
  expect(world.wires.length).toBeGreaterThan(hanging);
});

test('a socket that does not open is tried anew', () => {
  world.wires[0]?.breaks();
  world.pass(400);
  expect(world.wires).toHaveLength(2);
  world.pass(5_000 + 800);
  expect(world.wires).toHaveLength(3);
});

test('a server that is asked answers with anything, or not at all', async () => {
  const heard = socket.answers(1_500);
  expect(world.wires[0]?.sent.at(-1)).toEqual({ type: 'ping' });
  world.wires[0]?.says({ type: 'pong' });
  expect(await heard).toBe(true);
  const silence = socket.answers(1_500);
  world.pass(1_500);
  expect(await silence).toBe(false);
  expect(status).toBe('open');
  socket.renew();
  expect(status).toBe('reconnecting');
  expect(await socket.answers(1_500)).toBe(false);
});

test('states of the way down are forgotten when the current ones are about to come', () => {
  const link = { type: 'link', carried: 'voices', cause: 'loss', loss_percent: 12 } as const;
  world.wires[0]?.says(link);
  expect(links).toEqual([null, { carried: 'voices', cause: 'loss', loss_percent: 12 }]);
});

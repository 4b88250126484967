import { beforeEach, describe, expect, test } from 'vitest';
import { ClassSocket, Refused, type SocketStatus } from '../src/lib/class-socket';
import type { ClassEvent } from '../src/lib/protocol';
import { FakeWorld } from './fake-wire';
import { welcome } from './fixtures';

let world: FakeWorld;
let statuses: SocketStatus[];
let events: ClassEvent[];
let byes: string[];
let socket: ClassSocket;

const wire = () => world.wire;

beforeEach(() => {
  [world, statuses, events, byes] = [new FakeWorld(1), [], [], []];
  socket = new ClassSocket(world, {
    status: (status) => statuses.push(status),
    welcome: () => undefined,
    event: (event) => events.push(event),
    bye: (code) => byes.push(code),
  });
  socket.start();
  wire().opens();
});

describe('the class socket', () => {
  test('says hello without a place, and is open after the welcome', () => {
    expect(wire().sent).toEqual([{ type: 'hello', resume: null }]);
    wire().says(welcome());
    expect(statuses).toEqual(['connecting', 'open']);
  });

  test('comes back with its place and does not hear an event twice', () => {
    wire().says(welcome({ seq: 17 }));
    wire().says({ type: 'event', seq: 18, event: { kind: 'asked_to_unmute' } });
    wire().breaks();
    expect(statuses.at(-1)).toBe('reconnecting');
    world.pass(400);
    expect(world.wires).toHaveLength(2);
    wire().opens();
    expect(wire().sent).toEqual([{ type: 'hello', resume: { epoch: 'e1', seq: 18 } }]);
    wire().says({ type: 'resumed', seq: 18 });
    wire().says({ type: 'event', seq: 18, event: { kind: 'asked_to_unmute' } });
    wire().says({ type: 'event', seq: 19, event: { kind: 'asked_to_unmute' } });
    expect(events).toHaveLength(2);
    expect(statuses.at(-1)).toBe('open');
  });

  test('takes a fresh welcome when its place is too old', () => {
    wire().says(welcome({ seq: 17 }));
    wire().breaks();
    world.pass(400);
    wire().opens();
    wire().says(welcome({ epoch: 'e2', seq: 3 }));
    wire().says({ type: 'event', seq: 4, event: { kind: 'asked_to_unmute' } });
    expect(events).toHaveLength(1);
  });

  test('pings each ten seconds and gives up after twenty-five of silence', () => {
    wire().says(welcome());
    world.pass(10_000);
    expect(wire().sent.at(-1)).toEqual({ type: 'ping' });
    wire().says({ type: 'pong' });
    world.pass(24_999);
    expect(wire().closed).toBe(false);
    world.pass(1);
    expect(world.wires[0]?.closed).toBe(true);
    expect(statuses.at(-1)).toBe('reconnecting');
  });

  test('waits longer after each failure, but never longer than ten seconds', () => {
    const waits: number[] = [];
    for (let round = 0; round < 8; round += 1) {
      const before = world.wires.length;
      const since = world.now;
      wire().breaks();
      while (world.wires.length === before) world.pass(100);
      waits.push(world.now - since);
    }
    expect(waits).toEqual([400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000]);
  });

  test('does not sit out the back-off when the network is back', () => {
    wire().says(welcome());
    wire().breaks();
    socket.hurry();
    expect(world.wires).toHaveLength(2);
    wire().opens();
    world.pass(20_000);
    expect(world.wires).toHaveLength(2);
  });

  test('comes back after restarting and never after a final goodbye', () => {
    wire().says(welcome());
    wire().says({ type: 'bye', code: 'restarting', text: '' });
    expect(byes).toEqual([]);
    world.pass(400);
    expect(world.wires).toHaveLength(2);
    wire().opens();
    wire().says({ type: 'bye', code: 'removed', text: 'why' });
    world.pass(60_000);
    expect(byes).toEqual(['removed']);
    expect(world.wires).toHaveLength(2);
    expect(statuses.at(-1)).toBe('closed');
  });

  test('answers commands by their number, and with the words of a refusal', async () => {
    wire().says(welcome());
    const first = socket.command({ kind: 'raise_hand' });
    const second = socket.command({ kind: 'mute_all' });
    wire().says({ type: 'refused', id: 2, code: 'not_allowed', text: 'Only teachers can do that.' });
    wire().says({ type: 'done', id: 1 });
    await expect(first).resolves.toBeUndefined();
    await expect(second).rejects.toMatchObject({ code: 'not_allowed', message: 'Only teachers can do that.' });
  });

  test('a command without an answer fails when the line breaks, and one without a line at once', async () => {
    wire().says(welcome());
    const lost = socket.command({ kind: 'raise_hand' });
    wire().breaks();
    await expect(lost).rejects.toBeInstanceOf(Refused);
    await expect(socket.command({ kind: 'raise_hand' })).rejects.toMatchObject({ code: 'offline' });
  });

  test('a frame that is no JSON is passed over', () => {
    wire().says(welcome());
    wire().onmessage?.({ data: '{' } as MessageEvent<string>);
    wire().says({ type: 'event', seq: 18, event: { kind: 'asked_to_unmute' } });
    expect(events).toHaveLength(1);
  });
});

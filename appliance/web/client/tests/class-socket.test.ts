import { beforeEach, describe, expect, test } from 'vitest';
import { ClassSocket, Refused, type SocketStatus, type Wire } from '../src/lib/class-socket';
import type { ClassEvent, ClientFrame, ServerFrame } from '../src/lib/protocol';
import { welcome } from './fixtures';

class FakeWire implements Wire {
  onopen: Wire['onopen'] = null;
  onmessage: Wire['onmessage'] = null;
  onclose: Wire['onclose'] = null;
  sent: ClientFrame[] = [];
  closed = false;

  send(text: string): void {
    this.sent.push(JSON.parse(text) as ClientFrame);
  }

  close(): void {
    this.closed = true;
  }

  opens(): void {
    this.onopen?.(undefined as never);
  }

  says(frame: ServerFrame): void {
    this.onmessage?.({ data: JSON.stringify(frame) } as MessageEvent<string>);
  }

  breaks(): void {
    this.onclose?.(undefined as never);
  }
}

interface Timer {
  at: number;
  run: () => void;
}

let wires: FakeWire[];
let timers: Set<Timer>;
let now: number;
let statuses: SocketStatus[];
let events: ClassEvent[];
let byes: string[];
let socket: ClassSocket;

function pass(ms: number): void {
  const until = now + ms;
  for (;;) {
    const [due] = [...timers].filter((timer) => timer.at <= until).sort((a, b) => a.at - b.at);
    if (!due) break;
    timers.delete(due);
    now = due.at;
    due.run();
  }
  now = until;
}

const wire = () => wires.at(-1) as FakeWire;

beforeEach(() => {
  [wires, timers, now, statuses, events, byes] = [[], new Set(), 0, [], [], []];
  socket = new ClassSocket(
    {
      open: () => {
        wires.push(new FakeWire());
        return wire();
      },
      random: () => 1,
      later: (run, ms) => {
        const timer = { at: now + ms, run };
        timers.add(timer);
        return timer;
      },
      cancel: (timer) => timers.delete(timer as Timer),
    },
    {
      status: (status) => statuses.push(status),
      welcome: () => undefined,
      event: (event) => events.push(event),
      bye: (code) => byes.push(code),
    },
  );
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
    pass(400);
    expect(wires).toHaveLength(2);
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
    pass(400);
    wire().opens();
    wire().says(welcome({ epoch: 'e2', seq: 3 }));
    wire().says({ type: 'event', seq: 4, event: { kind: 'asked_to_unmute' } });
    expect(events).toHaveLength(1);
  });

  test('pings each ten seconds and gives up after twenty-five of silence', () => {
    wire().says(welcome());
    pass(10_000);
    expect(wire().sent.at(-1)).toEqual({ type: 'ping' });
    wire().says({ type: 'pong' });
    pass(24_999);
    expect(wire().closed).toBe(false);
    pass(1);
    expect(wires[0]?.closed).toBe(true);
    expect(statuses.at(-1)).toBe('reconnecting');
  });

  test('waits longer after each failure, but never longer than ten seconds', () => {
    const waits: number[] = [];
    for (let round = 0; round < 8; round += 1) {
      const before = wires.length;
      const since = now;
      wire().breaks();
      while (wires.length === before) pass(100);
      waits.push(now - since);
    }
    expect(waits).toEqual([400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000]);
  });

  test('does not sit out the back-off when the network is back', () => {
    wire().says(welcome());
    wire().breaks();
    socket.hurry();
    expect(wires).toHaveLength(2);
    pass(20_000);
    expect(wires).toHaveLength(2);
  });

  test('comes back after restarting and never after a final goodbye', () => {
    wire().says(welcome());
    wire().says({ type: 'bye', code: 'restarting', text: '' });
    expect(byes).toEqual([]);
    pass(400);
    expect(wires).toHaveLength(2);
    wire().opens();
    wire().says({ type: 'bye', code: 'removed', text: 'why' });
    pass(60_000);
    expect(byes).toEqual(['removed']);
    expect(wires).toHaveLength(2);
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

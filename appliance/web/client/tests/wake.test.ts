// Sleep, wake and another network: back at once, and nothing forgotten.

import { beforeEach, expect, test } from 'vitest';
import { ClassSocket, type SocketStatus, type Wire } from '../src/lib/class-socket';
import type { ClassEvent, ClientFrame, LinkState, ServerFrame } from '../src/lib/protocol';
import { welcome } from './fixtures';

class FakeWire implements Wire {
  onopen: Wire['onopen'] = null;
  onmessage: Wire['onmessage'] = null;
  onclose: Wire['onclose'] = null;
  sent: ClientFrame[] = [];

  send(text: string): void {
    this.sent.push(JSON.parse(text) as ClientFrame);
  }

  close(): void {
    // A dead socket says nothing of its end.
  }

  says(frame: ServerFrame): void {
    this.onmessage?.({ data: JSON.stringify(frame) } as MessageEvent<string>);
  }
}

let wires: FakeWire[];
let timers: Set<{ at: number; run: () => void }>;
let now: number;
let status: SocketStatus;
let links: (LinkState | null)[];
let events: ClassEvent[];
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

beforeEach(() => {
  wires = [];
  timers = new Set();
  now = 0;
  links = [];
  events = [];
  socket = new ClassSocket(
    {
      open: () => {
        const wire = new FakeWire();
        wires.push(wire);
        return wire;
      },
      random: () => 0.5,
      later: (run, ms) => {
        const timer = { at: now + ms, run };
        timers.add(timer);
        return timer;
      },
      cancel: (timer) => void timers.delete(timer as never),
    },
    {
      status: (next) => (status = next),
      welcome: () => undefined,
      event: (event) => events.push(event),
      link: (link) => links.push(link),
      bye: () => undefined,
    },
  );
  socket.start();
  wires[0]?.onopen?.(undefined as never);
  wires[0]?.says(welcome());
});

test('a socket that died in a sleep is found out in seconds and resumes where it was', () => {
  wires[0]?.says({ type: 'event', seq: welcome().seq + 1, event: { kind: 'hands', hands: [] } });
  socket.hurry();
  expect(wires[0]?.sent.at(-1)).toEqual({ type: 'ping' });
  pass(2_999);
  expect(status).toBe('open');
  pass(1);
  expect(status).toBe('reconnecting');
  pass(400);
  expect(wires).toHaveLength(2);
  wires[1]?.onopen?.(undefined as never);
  const resume = { epoch: welcome().epoch, seq: welcome().seq + 1 };
  expect(wires[1]?.sent[0]).toEqual({ type: 'hello', resume });
  wires[1]?.says({ type: 'resumed', seq: resume.seq });
  expect(status).toBe('open');
  expect(events).toHaveLength(1);
});

test('a socket that is alive after a wake stays', () => {
  socket.hurry();
  pass(500);
  wires[0]?.says({ type: 'pong' });
  pass(20_000);
  expect(wires).toHaveLength(1);
  expect(status).toBe('open');
});

test('the network that comes back ends the wait', () => {
  pass(25_000);
  for (let n = 0; n < 6; n += 1) {
    pass(10_000);
    wires.at(-1)?.onclose?.(undefined as never);
  }
  const before = wires.length;
  socket.hurry();
  expect(wires).toHaveLength(before + 1);
});

test('an attempt of before the network came back is not waited for', () => {
  pass(25_000);
  pass(1_000);
  const hanging = wires.length;
  socket.hurry();
  pass(3_000 + 1_000);
  expect(wires.length).toBeGreaterThan(hanging);
});

test('states of the way down are forgotten when the current ones are about to come', () => {
  const link = { type: 'link', carried: 'voices', cause: 'loss', loss_percent: 12 } as const;
  wires[0]?.says(link);
  expect(links).toEqual([null, { carried: 'voices', cause: 'loss', loss_percent: 12 }]);
});

import type { ClassState, Participant, Role, Welcome } from '../src/lib/protocol';

export function person(identity: string, role: Role = 'student', change: Partial<Participant> = {}): Participant {
  return {
    identity,
    name: `Name ${identity}`,
    role,
    connected: true,
    hand: null,
    joined_at: 0,
    quality: null,
    loss_percent: 0,
    ...change,
  };
}

export function state(change: Partial<ClassState> = {}): ClassState {
  return {
    lesson: { lesson: 'L1', name: 'Science', band: '6-12', phase: 'open', started_at: 0, grace_until: null },
    locks: { microphones: false, cameras: false, screen_share: false, chat: 'on' },
    layout: { mode: 'gallery', spotlight: null, follow: false, followed: null },
    participants: [person('p1', 'teacher'), person('p2'), person('p3')],
    waiting: [],
    chat: [],
    guest_link: null,
    ...change,
  };
}

export function welcome(change: Partial<Welcome> = {}): Welcome {
  return {
    type: 'welcome',
    epoch: 'e1',
    seq: 17,
    now: 1000,
    you: { identity: 'p2', role: 'student', admitted: true, media: { token: 't1' } },
    state: state(),
    ...change,
  };
}

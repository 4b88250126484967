import type { ClassEvent, ClassState, Participant, Welcome, You } from './protocol';
import { leads } from './protocol';

/** All that this participant knows of the lesson. Replaced, never changed in place. */
export interface Snapshot {
  you: You;
  state: ClassState;
  /** Server time minus the device's time, in milliseconds: school devices have wrong clocks. */
  clockSkewMs: number;
}

export function fromWelcome(frame: Welcome, now: number): Snapshot {
  return { you: frame.you, state: frame.state, clockSkewMs: frame.now - now };
}

/** The next snapshot. An event that changes nothing returns the same object. */
export function reduce(snapshot: Snapshot, event: ClassEvent): Snapshot {
  const { you, state } = snapshot;
  const next = (change: Partial<ClassState>): Snapshot => ({ ...snapshot, state: { ...state, ...change } });
  const people = (change: (one: Participant) => Participant) =>
    next({ participants: state.participants.map(change) });
  switch (event.kind) {
    case 'participant':
      return next({ participants: withParticipant(state.participants, event.participant) });
    case 'left':
      return next({ participants: state.participants.filter((one) => one.identity !== event.identity) });
    case 'waiting':
      return next({ waiting: event.waiting });
    case 'blocked':
      return next({ blocked: event.blocked });
    case 'admitted':
    case 'role':
      return { ...snapshot, you: { ...event.you, media: event.you.media ?? you.media } };
    case 'phase':
      return next({ lesson: event.lesson });
    case 'locks':
      return next({ locks: event.locks });
    case 'layout':
      return next({ layout: event.layout });
    case 'hands': {
      const raised = new Map(event.hands.map((hand) => [hand.identity, hand.at]));
      return people((one) => ({ ...one, hand: raised.get(one.identity) ?? null }));
    }
    case 'chat':
      return state.chat.some((one) => one.message === event.message.message)
        ? snapshot
        : next({ chat: [...state.chat, event.message] });
    case 'chat_deleted':
      return next({ chat: state.chat.filter((one) => one.message !== event.message) });
    case 'token':
      return { ...snapshot, you: { ...you, media: { ...you.media, token: event.token } } };
    case 'quality':
      return people((one) =>
        one.identity === event.identity
          ? { ...one, quality: event.quality, loss_percent: event.loss_percent }
          : one,
      );
    case 'asked_to_unmute':
    case 'muted_by_teacher':
      return snapshot;
  }
  // A newer server may send kinds that this client does not know.
  return snapshot;
}

function withParticipant(all: Participant[], one: Participant): Participant[] {
  const at = all.findIndex((other) => other.identity === one.identity);
  return at < 0 ? [...all, one] : all.with(at, one);
}

/** Hands in the order in which they went up. */
export function handQueue(state: ClassState): Participant[] {
  return state.participants
    .filter((one) => one.hand !== null)
    .sort((a, b) => (a.hand ?? 0) - (b.hand ?? 0));
}

/** Teachers first, then everybody by name: the order of the gallery and of the list of people. */
export function inOrder(participants: Participant[]): Participant[] {
  const rank = (one: Participant) => (one.role === 'teacher' ? 0 : one.role === 'co_teacher' ? 1 : 2);
  return [...participants].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
}

/** Where this participant's chat messages may go; empty when they may not write. */
export function chatTargets(snapshot: Snapshot): ('everyone' | 'teachers')[] {
  if (leads(snapshot.you.role)) return ['everyone', 'teachers'];
  switch (snapshot.state.locks.chat) {
    case 'on':
      return ['everyone', 'teachers'];
    case 'teacher_only':
      return ['teachers'];
    case 'off':
      return [];
  }
}

import { expect, test } from 'vitest';
import { chatTargets, fromWelcome, handQueue, inOrder, reduce } from '../src/lib/lesson-state';
import type { ChatMessage, ClassEvent } from '../src/lib/protocol';
import { person, state, welcome } from './fixtures';

const start = fromWelcome(welcome(), 400);
const after = (...events: ClassEvent[]) => events.reduce(reduce, start);
const message: ChatMessage = { message: 'm1', from: 'p3', name: 'Name p3', text: 'hi', at: 1, to: 'everyone' };

test('the clock of the device is measured against the server', () => {
  expect(start.clockSkewMs).toBe(600);
});

test('a participant is added once and changed in place', () => {
  const added = after({ kind: 'participant', participant: person('p9') });
  expect(added.state.participants).toHaveLength(4);
  const changed = reduce(added, { kind: 'participant', participant: person('p9', 'co_teacher') });
  expect(changed.state.participants.at(-1)?.role).toBe('co_teacher');
  expect(changed.state.participants).toHaveLength(4);
});

test('who left is gone', () => {
  expect(after({ kind: 'left', identity: 'p3' }).state.participants.map((one) => one.identity)).toEqual(['p1', 'p2']);
});

test('the queue of hands is whole each time and in the order of raising', () => {
  const raised = after({ kind: 'hands', hands: [{ identity: 'p3', at: 5 }, { identity: 'p2', at: 9 }] });
  expect(handQueue(raised.state).map((one) => one.identity)).toEqual(['p3', 'p2']);
  const one = reduce(raised, { kind: 'hands', hands: [{ identity: 'p2', at: 9 }] });
  expect(handQueue(one.state).map((other) => other.identity)).toEqual(['p2']);
});

test('a chat message comes once and goes when deleted', () => {
  const twice = after({ kind: 'chat', message }, { kind: 'chat', message });
  expect(twice.state.chat).toHaveLength(1);
  expect(reduce(twice, { kind: 'chat_deleted', message: 'm1' }).state.chat).toEqual([]);
});

test('a fresh token replaces the old one and a change of role keeps it', () => {
  const fresh = after({ kind: 'token', token: 't2' });
  expect(fresh.you.media).toEqual({ token: 't2' });
  const you = { identity: 'p2', role: 'co_teacher', admitted: true, media: null } as const;
  expect(reduce(fresh, { kind: 'role', you }).you).toEqual({ ...you, media: { token: 't2' } });
});

test('quality is written to the person it is about', () => {
  const told = after({ kind: 'quality', identity: 'p3', quality: 'poor', loss_percent: 12 });
  expect(told.state.participants[2]).toMatchObject({ quality: 'poor', loss_percent: 12 });
  expect(told.state.participants[1]?.quality).toBeNull();
});

test('an event of a newer server changes nothing', () => {
  expect(reduce(start, { kind: 'confetti' } as unknown as ClassEvent)).toBe(start);
});

test('the snapshot before is not touched', () => {
  const before = JSON.stringify(start);
  after({ kind: 'hands', hands: [{ identity: 'p2', at: 1 }] }, { kind: 'chat', message });
  expect(JSON.stringify(start)).toBe(before);
});

test('teachers come first, then everybody by name', () => {
  const people = [person('p3', 'student', { name: 'Zoe' }), person('p2', 'student', { name: 'Ada' }), person('p1', 'teacher')];
  expect(inOrder(people).map((one) => one.identity)).toEqual(['p1', 'p2', 'p3']);
});

test('a student writes where the chat lock lets them, a teacher always', () => {
  const locked = (chat: 'on' | 'off' | 'teacher_only', role: 'student' | 'teacher') =>
    chatTargets({
      ...start,
      you: { ...start.you, role },
      state: state({ locks: { ...start.state.locks, chat } }),
    });
  expect(locked('on', 'student')).toEqual(['everyone', 'teachers']);
  expect(locked('teacher_only', 'student')).toEqual(['teachers']);
  expect(locked('off', 'student')).toEqual([]);
  expect(locked('off', 'teacher')).toEqual(['everyone', 'teachers']);
});

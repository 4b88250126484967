// The JSON API of the application shell.

import type { Phase, Role } from './protocol';

export interface Me {
  name: string;
  role: 'admin' | 'teacher' | 'student';
  csrf: string;
  school: string;
}

export interface ClassToday {
  /** Null: a lesson outside the timetable that belongs to no class. */
  class: string | null;
  name: string;
  band: 'k5' | '6-12';
  teacher: string;
  starts_at: number;
  /** Null: a lesson outside the timetable has no end. */
  ends_at: number | null;
  lesson: null | { lesson: string; phase: Phase; present: number };
}

export interface Today {
  now: number;
  classes: ClassToday[];
}

export interface LessonToJoin {
  lesson: string;
  name: string;
  phase: Phase;
  role: Role;
}

/** `text` is a sentence for people, from the server; empty when the server was not reached. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    text: string,
  ) {
    super(text);
  }
}

async function call<T>(path: string, init: RequestInit = {}): Promise<T> {
  let response: Response;
  try {
    response = await fetch(`/app/api${path}`, { ...init, credentials: 'same-origin', redirect: 'manual' });
  } catch {
    throw new ApiError(0, 'unreachable', '');
  }
  if (response.type === 'opaqueredirect') throw new ApiError(401, 'sign_in', '');
  const body = (await response.json().catch(() => null)) as T | { code: string; text: string } | null;
  if (!response.ok) {
    const refusal = body as { code?: string; text?: string } | null;
    throw new ApiError(response.status, refusal?.code ?? 'unknown', refusal?.text ?? '');
  }
  if (body === null) throw new ApiError(response.status, 'unknown', '');
  return body as T;
}

function post<T>(path: string, csrf: string, body: unknown = {}): Promise<T> {
  return call(path, {
    method: 'POST',
    headers: { 'x-csrf': csrf, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

export const me = () => call<Me>('/me');
export const today = () => call<Today>('/today');
export const startClass = (csrf: string, id: string) =>
  post<{ lesson: string }>(`/classes/${encodeURIComponent(id)}/start`, csrf);
export const startLesson = (csrf: string, name: string) =>
  post<{ lesson: string; guest_link: string | null }>('/lessons', csrf, { name });
export const lessonToJoin = (lesson: string) =>
  call<LessonToJoin>(`/lessons/${encodeURIComponent(lesson)}`);

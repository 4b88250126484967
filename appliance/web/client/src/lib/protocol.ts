// The class socket's frames, as PROTOCOL.md fixes them. Times are milliseconds since 1970.

export type Identity = string;
export type Role = 'teacher' | 'co_teacher' | 'student' | 'guest';
export type Phase = 'before_teacher' | 'open' | 'grace' | 'ended';
export type Source = 'microphone' | 'camera' | 'screen_share';
export type LockTarget = 'microphones' | 'cameras' | 'screen_share';
export type ChatMode = 'on' | 'off' | 'teacher_only';
export type ChatTo = 'everyone' | 'teachers';
export type LayoutMode = 'gallery' | 'focus' | 'spotlight';
export type VideoCodec = 'vp8' | 'vp9' | 'h264' | 'av1';
export type Quality = 'poor' | 'good' | 'excellent' | 'lost';
/** Besides these the server may close with a code of its own, for example `full`; its text says why. */
export type ByeCode =
  | 'removed'
  | 'ended'
  | 'elsewhere'
  | 'blocked'
  | 'restarting'
  | 'full'
  | 'guest_links_off'
  | 'slow_down'
  | 'malformed';

export interface You {
  identity: Identity;
  role: Role;
  admitted: boolean;
  media: null | MediaAccess;
}

/** What the media line is opened with. */
export interface MediaAccess {
  token: string;
  /** What the district wants cameras and screens to be sent with. */
  video_codec?: VideoCodec;
}

export interface LessonInfo {
  lesson: string;
  name: string;
  band: 'k5' | '6-12';
  phase: Phase;
  started_at: number | null;
  grace_until: number | null;
}

export interface Locks {
  microphones: boolean;
  cameras: boolean;
  screen_share: boolean;
  chat: ChatMode;
}

export interface View {
  mode: LayoutMode;
  spotlight: Identity | null;
  page: number;
}

export interface Layout {
  mode: LayoutMode;
  spotlight: Identity | null;
  follow: boolean;
  followed: View | null;
}

export interface Participant {
  identity: Identity;
  name: string;
  role: Role;
  connected: boolean;
  hand: number | null;
  joined_at: number;
  quality: Quality | null;
  loss_percent: number;
}

export interface Waiting {
  identity: Identity;
  name: string;
  guest: boolean;
  since: number;
}

export interface ChatMessage {
  message: string;
  from: Identity;
  name: string;
  text: string;
  at: number;
  to: ChatTo;
}

/** Somebody who was removed and kept out of this lesson. */
export interface Blocked {
  identity: Identity;
  name: string;
}

export interface ClassState {
  lesson: LessonInfo;
  locks: Locks;
  layout: Layout;
  participants: Participant[];
  waiting: Waiting[];
  /** Who may not come back; for those who lead. */
  blocked?: Blocked[];
  chat: ChatMessage[];
  guest_link: string | null;
}

export type Command =
  | { kind: 'raise_hand' | 'lower_hand' | 'lower_all_hands' | 'admit_all' | 'mute_all' | 'leave' | 'end' }
  | { kind: 'lower_hand_of' | 'admit' | 'ask_unmute' | 'unblock'; identity: Identity }
  | { kind: 'make_co_teacher' | 'end_co_teacher'; identity: Identity }
  | { kind: 'chat'; text: string; to: ChatTo }
  | { kind: 'delete_message'; message: string }
  | { kind: 'refuse'; identity: Identity; reason: string }
  | { kind: 'mute'; identity: Identity; source: Source }
  | { kind: 'lock'; what: LockTarget; on: boolean }
  | { kind: 'chat_mode'; mode: ChatMode }
  | { kind: 'remove'; identity: Identity; reason: string; block: boolean }
  | { kind: 'layout'; mode: LayoutMode; spotlight: Identity | null }
  | { kind: 'follow'; on: boolean; view: View | null };

export type ClassEvent =
  | { kind: 'participant'; participant: Participant }
  | { kind: 'left'; identity: Identity }
  | { kind: 'waiting'; waiting: Waiting[] }
  | { kind: 'blocked'; blocked: Blocked[] }
  | { kind: 'admitted' | 'role'; you: You }
  | { kind: 'phase'; lesson: LessonInfo }
  | { kind: 'locks'; locks: Locks }
  | { kind: 'layout'; layout: Layout }
  | { kind: 'hands'; hands: { identity: Identity; at: number }[] }
  | { kind: 'chat'; message: ChatMessage }
  | { kind: 'chat_deleted'; message: string }
  | { kind: 'asked_to_unmute' }
  | { kind: 'muted_by_teacher'; source: Source }
  | { kind: 'token'; token: string }
  | { kind: 'quality'; identity: Identity; quality: Quality; loss_percent: number };

/** How much of the lesson still fits through the way down to somebody, from all to least. */
export const CARRIED = ['all', 'softer', 'fewer_pictures', 'teacher_picture', 'voices', 'teacher_voice'] as const;
export type Carried = (typeof CARRIED)[number];

export interface LinkState {
  carried: Carried;
  cause: 'none' | 'loss' | 'bandwidth';
  loss_percent: number;
}

export interface Welcome {
  type: 'welcome';
  epoch: string;
  seq: number;
  now: number;
  you: You;
  state: ClassState;
}

export type ServerFrame =
  | Welcome
  | { type: 'resumed'; seq: number }
  | { type: 'event'; seq: number; event: ClassEvent }
  | { type: 'done'; id: number }
  | { type: 'refused'; id: number; code: string; text: string }
  | { type: 'pong' }
  | ({ type: 'link'; identity?: Identity } & LinkState)
  | { type: 'bye'; code: ByeCode; text: string };

export type ClientFrame =
  | { type: 'hello'; resume: null | { epoch: string; seq: number } }
  | { type: 'command'; id: number; command: Command }
  | { type: 'ping' };

/** Who leads the lesson: the teacher and the co-teachers. */
export function leads(role: Role): boolean {
  return role === 'teacher' || role === 'co_teacher';
}

// Who is shown where. Pure: sizes and people in, places out.

import type { Identity, Layout, LayoutMode, Participant, Role } from './protocol';
import { leads } from './protocol';

export const TILES_PER_PAGE_MAX = 49;
/** How many videos a small device decodes at once. */
export const VIDEOS_SMALL_MAX = 4;

const TILE_WIDTH_MIN_PX = 148;
const NARROW_PX = 480;

export interface Grid {
  columns: number;
  rows: number;
  width: number;
  height: number;
  /** Tiles on one page. */
  pageSize: number;
  pages: number;
}

/** The largest tiles of one shape that fit `count` people, over as many pages as it takes. */
export function gridFor(count: number, width: number, height: number, gap: number): Grid {
  const narrow = width < NARROW_PX;
  const ratio = narrow ? 4 / 3 : 16 / 9;
  const least = narrow ? Math.floor((width - gap) / 2) : TILE_WIDTH_MIN_PX;
  const columnsMax = Math.max(1, Math.floor((width + gap) / (least + gap)));
  const rowsMax = Math.max(1, Math.floor((height + gap) / (least / ratio + gap)));
  const pageSize = Math.min(TILES_PER_PAGE_MAX, columnsMax * rowsMax);
  const onPage = Math.max(1, Math.min(count, pageSize));
  let best = { columns: 1, rows: onPage, width: 0, height: 0 };
  for (let columns = 1; columns <= onPage; columns += 1) {
    const rows = Math.ceil(onPage / columns);
    const tileWidth = Math.min(
      (width - gap * (columns - 1)) / columns,
      ((height - gap * (rows - 1)) / rows) * ratio,
    );
    if (tileWidth > best.width) {
      best = { columns, rows, width: Math.floor(tileWidth), height: Math.floor(tileWidth / ratio) };
    }
  }
  return { ...best, pageSize, pages: Math.max(1, Math.ceil(count / pageSize)) };
}

export interface Seen {
  mode: LayoutMode;
  /** The person on the stage; null in the gallery, or while a screen has the stage. */
  stage: Identity | null;
  /** The page that the teacher leads to, or null when this participant turns pages alone. */
  page: number | null;
  /** Everybody who gets a tile, the one on the stage included. */
  tiles: Identity[];
}

export interface Looking {
  self: Identity;
  role: Role;
  layout: Layout;
  people: Participant[];
  /** The tile that this person enlarged. */
  pinned: Identity | null;
}

/** What this participant looks at, from the class layout and their own choice. */
export function seenBy({ self, role, layout, people, pinned }: Looking): Seen {
  const all = people.map((one) => one.identity);
  const present = (identity: Identity | null) =>
    identity !== null && all.includes(identity) ? identity : null;
  const onStage = (identity: Identity | null, page: number | null): Seen => {
    const stage = present(identity);
    return { mode: stage ? 'spotlight' : 'gallery', stage, page, tiles: all };
  };
  if (leads(role)) {
    return onStage(present(pinned) ?? (layout.mode === 'spotlight' ? layout.spotlight : null), null);
  }
  const led = layout.follow ? layout.followed : null;
  const mode = led?.mode ?? layout.mode;
  if (mode === 'focus') {
    const teachers = people.filter((one) => leads(one.role)).map((one) => one.identity);
    const tiles = [...teachers, ...(teachers.includes(self) ? [] : [self])];
    return { mode, stage: teachers[0] ?? null, page: null, tiles };
  }
  if (mode === 'spotlight') return onStage(led ? led.spotlight : layout.spotlight, led?.page ?? null);
  if (led) return onStage(null, led.page);
  // Without a leader everybody finds their own picture on the first page, after the teachers.
  const rank = (one: Participant) => (leads(one.role) ? 0 : one.identity === self ? 1 : 2);
  const tiles = [...people].sort((a, b) => rank(a) - rank(b)).map((one) => one.identity);
  return { ...onStage(pinned, null), tiles };
}

export interface VideoChoice {
  /** People on the screen whose camera is on, in the order of the tiles. */
  candidates: Identity[];
  /** Who must be seen if at all possible: the stage, teachers. */
  first: Identity[];
  /** Most recent speaker first. */
  speakers: Identity[];
  /** What is shown now: it stays if there is room, so that pictures do not come and go. */
  shown: Identity[];
  limit: number;
}

/** Whose video is decoded; everybody else shows initials. */
export function videosToShow(choice: VideoChoice): Set<Identity> {
  const wanted = [...choice.first, ...choice.speakers.slice(0, choice.limit), ...choice.shown, ...choice.candidates];
  const possible = new Set(choice.candidates);
  const chosen = new Set<Identity>();
  for (const identity of wanted) {
    if (chosen.size >= choice.limit) break;
    if (possible.has(identity)) chosen.add(identity);
  }
  return chosen;
}

const TINTS = 6;

/** A ground for the tile that stays the same for the same person. */
export function tintOf(identity: Identity): number {
  let sum = 0;
  for (const letter of identity) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) % 9973;
  return sum % TINTS;
}

/** One or two letters for a tile without a picture. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/).filter(Boolean);
  const first = words[0] ?? '?';
  const last = words.length > 1 ? (words.at(-1) ?? '') : '';
  return ([...first][0] ?? '?').toLocaleUpperCase() + ([...last][0] ?? '').toLocaleUpperCase();
}

import { gridFor, seenBy, videosToShow, VIDEOS_SMALL_MAX, TILES_PER_PAGE_MAX, type Grid, type Seen } from './layout';
import type { Lesson } from './lesson.svelte';
import { prefs } from './prefs.svelte';
import type { Identity, View } from './protocol';
import { leads } from './protocol';
import type { Quirks } from './quirks';

/** What is on this participant's screen: stage, tiles, page, and whose video is decoded. */
export class LessonView {
  /** The tile that this person enlarged. */
  pinned: Identity | null = $state(null);
  ownPage = $state(0);
  /** The room that the tiles have. */
  area = $state({ width: 0, height: 0, gap: 8 });

  constructor(
    private readonly lesson: Lesson,
    private readonly quirks: Quirks,
  ) {}

  readonly seen: Seen = $derived.by(() => {
    const snapshot = this.lesson.snapshot;
    if (!snapshot) return { mode: 'gallery', stage: null, page: null, tiles: [] };
    return seenBy({
      self: snapshot.you.identity,
      role: snapshot.you.role,
      layout: snapshot.state.layout,
      people: this.lesson.people.filter((one) => one.connected),
      pinned: this.pinned,
    });
  });

  /** Who shares a screen; a teacher's screen goes before a student's. */
  readonly screen: Identity | null = $derived.by(() => {
    const sharing = this.lesson.people.filter((one) => this.lesson.media.people.get(one.identity)?.screen);
    return sharing[0]?.identity ?? null;
  });

  /** For those who want it so: who speaks is large, where nobody else has set the layout. */
  private readonly speaker: Identity | null = $derived.by(() => {
    if (!prefs.speakerView || this.seen.mode !== 'gallery' || this.seen.page !== null) return null;
    const self = this.lesson.snapshot?.you.identity;
    const others = this.seen.tiles.filter((one) => one !== self);
    return this.lesson.media.speakers.find((one) => others.includes(one)) ?? others[0] ?? null;
  });

  /** Who is large. A shared screen has the stage for itself. */
  readonly stage: Identity | null = $derived.by(() => (this.screen ? null : (this.seen.stage ?? this.speaker)));

  readonly strip: Identity[] = $derived.by(() =>
    this.stage ? this.seen.tiles.filter((one) => one !== this.stage) : this.seen.tiles,
  );

  readonly grid: Grid = $derived.by(() =>
    gridFor(this.strip.length, this.area.width, this.area.height, this.area.gap),
  );

  readonly page: number = $derived.by(() =>
    Math.min(this.seen.page ?? this.ownPage, this.grid.pages - 1),
  );

  readonly onPage: Identity[] = $derived.by(() =>
    this.strip.slice(this.page * this.grid.pageSize, (this.page + 1) * this.grid.pageSize),
  );

  readonly fewVideos: boolean = $derived.by(() => this.quirks.small && !prefs.moreVideo);

  private shown: Identity[] = [];
  readonly videos: Set<Identity> = $derived.by(() => {
    const self = this.lesson.snapshot?.you.identity;
    const { media } = this.lesson;
    const on = (identity: Identity) =>
      identity === self ? media.cameraOn : (media.people.get(identity)?.cameraOn ?? false);
    const candidates = [...(this.stage ? [this.stage] : []), ...this.onPage].filter(on);
    const teachers = this.lesson.people.filter((one) => leads(one.role)).map((one) => one.identity);
    const chosen = videosToShow({
      candidates,
      first: [...(this.stage ? [this.stage] : []), ...teachers],
      speakers: this.lesson.media.speakers,
      shown: this.shown,
      limit: this.fewVideos ? VIDEOS_SMALL_MAX : TILES_PER_PAGE_MAX,
    });
    this.shown = [...chosen];
    return chosen;
  });

  /** What the class sees while it follows this teacher. */
  readonly asView: View = $derived.by(() => ({
    mode: this.stage ? 'spotlight' : 'gallery',
    spotlight: this.stage,
    page: this.page,
  }));

  enlarge(identity: Identity): void {
    this.pinned = this.pinned === identity ? null : identity;
  }

  turnPage(by: number): void {
    this.ownPage = Math.max(0, Math.min(this.grid.pages - 1, this.page + by));
  }
}

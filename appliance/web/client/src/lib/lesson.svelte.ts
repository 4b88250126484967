import { SvelteSet } from 'svelte/reactivity';
import { announcer } from './announcer.svelte';
import { ApiError, lessonToJoin } from './api';
import { browserSurroundings, ClassSocket, Refused, type SocketStatus } from './class-socket';
import { t } from './i18n';
import { handQueue, fromWelcome, inOrder, reduce, type Snapshot } from './lesson-state';
import { LessonMedia } from './media.svelte';
import type { OwnMedia } from './own-media.svelte';
import { LOOK_EVERY_MS, PathAlarm } from './path-alarm';
import { Links } from './path-links.svelte';
import type { ByeCode, ClassEvent, Command, Participant, Source } from './protocol';
import { leads } from './protocol';
import { Telemetry } from './telemetry';
import { watched } from './path-watched';

/** A question or a fact that stays on the screen until it is answered. */
export type Notice = 'asked_to_unmute' | 'muted_by_teacher';

const TRIES_BEFORE_ASKING_WHY = 3;

/** One lesson as this participant lives through it: the class socket, the media, what is due. */
export class Lesson {
  snapshot: Snapshot | null = $state.raw(null);
  socket: SocketStatus = $state('connecting');
  over: { code: ByeCode | 'left'; text: string } | null = $state.raw(null);
  /** Why the lesson cannot be entered at all, in the server's words. */
  refusal: string | null = $state(null);
  notices = new SvelteSet<Notice>();
  readonly media: LessonMedia;
  readonly links = new Links();
  private readonly telemetry: Telemetry;
  private readonly line: ClassSocket;
  private triesWithoutWelcome = 0;
  private readonly hurry = () => {
    if (document.visibilityState !== 'visible') return;
    this.line.hurry();
    this.media.hurry();
    // An iPad stops the sound of a page in the background and does not start it by itself.
    void this.media.unlockSound();
  };
  private readonly networkChanged = () => this.media.networkChanged();
  private readonly alarm = new PathAlarm({
    now: () => performance.now(),
    heard: () => this.media.heardAt,
    answers: (withinMs) => this.line.answers(withinMs),
    dead: () => {
      this.line.renew();
      this.media.networkChanged();
    },
  });
  private looking: ReturnType<typeof setInterval> | undefined;

  constructor(
    readonly id: string,
    readonly own: OwnMedia,
  ) {
    this.media = new LessonMedia(own, () => {
      if (this.socket !== 'open') this.line.hurry();
    });
    this.telemetry = new Telemetry(id, watched(this));
    this.line = new ClassSocket(browserSurroundings(id), {
      status: (status) => this.statusChanged(status),
      welcome: (frame) => this.take(fromWelcome(frame, Date.now())),
      event: (event) => this.heard(event),
      link: (link) => (link ? this.links.take(link) : this.links.begin()),
      bye: (code, text) => void this.finish(code, text),
    });
  }

  readonly people: Participant[] = $derived.by(() => inOrder(this.snapshot?.state.participants ?? []));
  readonly hands: Participant[] = $derived.by(() => (this.snapshot ? handQueue(this.snapshot.state) : []));
  readonly leading: boolean = $derived.by(() => (this.snapshot ? leads(this.snapshot.you.role) : false));
  readonly me: Participant | undefined = $derived.by(() =>
    this.people.find((one) => one.identity === this.snapshot?.you.identity),
  );
  readonly inside: boolean = $derived.by(() => Boolean(this.snapshot?.you.admitted && this.snapshot.you.media));

  /** Called inside the tap on Join. */
  enter(): void {
    void this.media.unlockSound();
    addEventListener('online', this.hurry);
    addEventListener('online', this.networkChanged);
    addEventListener('pageshow', this.hurry);
    document.addEventListener('resume', this.hurry);
    this.telemetry.start();
    document.addEventListener('visibilitychange', this.hurry);
    this.looking = setInterval(() => this.alarm.look(), LOOK_EVERY_MS);
    this.line.start();
  }

  /** Sends a command; a refusal is told to the person in the server's words. */
  async do(command: Command): Promise<boolean> {
    try {
      await this.line.command(command);
      return true;
    } catch (error) {
      const text = error instanceof Refused && error.code !== 'offline' ? error.message : t('error-offline');
      announcer.toast(text, 'warn');
      return false;
    }
  }

  async leave(): Promise<void> {
    if (this.socket === 'open') await this.line.command({ kind: 'leave' }).catch(() => undefined);
    await this.finish('left', '');
  }

  /** The page goes away: close quietly, without telling anybody anything. */
  abandon(): void {
    this.deafen();
    this.line.stop();
    void this.media.leave();
    this.own.close();
  }

  mayUse(source: Source): boolean {
    const locks = this.snapshot?.state.locks;
    if (!locks || this.leading) return true;
    const lock = { microphone: locks.microphones, camera: locks.cameras, screen_share: locks.screen_share };
    return !lock[source];
  }

  /** Turns the microphone or camera on or off and says what stands in the way. */
  async turn(kind: 'microphone' | 'camera', on: boolean): Promise<void> {
    if (on && !this.mayUse(kind)) {
      announcer.toast(t(`locked-${kind}`), 'warn');
      return;
    }
    if (on && kind === 'microphone') {
      this.notices.delete('asked_to_unmute');
      this.notices.delete('muted_by_teacher');
    }
    try {
      if (await this.media.turn(kind, on)) return;
    } catch {
      announcer.toast(t(`failed-${kind}`), 'warn');
      return;
    }
    const trouble = this.own.trouble[kind];
    if (trouble) announcer.toast(t(`trouble-${kind}-${trouble}`), 'warn');
  }

  async share(on: boolean): Promise<void> {
    try {
      await this.media.share(on);
    } catch (error) {
      // Closing the browser's chooser is an answer, not a failure.
      if (error instanceof Error && error.name === 'NotAllowedError') return;
      announcer.toast(t('failed-screen_share'), 'warn');
    }
  }

  private take(snapshot: Snapshot): void {
    this.snapshot = snapshot;
    this.triesWithoutWelcome = 0;
    if (snapshot.you.admitted && snapshot.you.media) this.media.use(snapshot.you.media);
  }

  private heard(event: ClassEvent): void {
    const before = this.snapshot;
    if (!before) return;
    this.take(reduce(before, event));
    this.tell(event, before);
  }

  private tell(event: ClassEvent, before: Snapshot): void {
    const { you, state } = before;
    switch (event.kind) {
      case 'participant':
        if (!state.participants.some((one) => one.identity === event.participant.identity)) {
          announcer.someoneJoined(event.participant.name);
        }
        break;
      case 'waiting':
        if (event.waiting.length > state.waiting.length) {
          announcer.toast(t('say-waiting', { count: event.waiting.length }));
        }
        break;
      case 'hands': {
        const known = new Set(handQueue(state).map((one) => one.identity));
        const fresh = event.hands.find((hand) => !known.has(hand.identity) && hand.identity !== you.identity);
        const name = state.participants.find((one) => one.identity === fresh?.identity)?.name;
        if (name) announcer.say(t('say-hand', { name }));
        break;
      }
      case 'chat':
        if (event.message.from !== you.identity) announcer.say(t('say-chat', { name: event.message.name }));
        break;
      case 'asked_to_unmute':
        if (!this.media.microphoneOn) this.notices.add('asked_to_unmute');
        announcer.say(t('notice-asked'));
        break;
      case 'muted_by_teacher':
        if (event.source === 'microphone') this.notices.add('muted_by_teacher');
        announcer.say(t(`say-muted-${event.source}`));
        break;
      case 'admitted':
        announcer.say(t('say-admitted'));
        break;
      case 'role':
        if (event.you.role !== you.role) announcer.toast(t(leads(event.you.role) ? 'say-co-teacher' : 'say-student'));
        break;
      default:
        break;
    }
  }

  private statusChanged(status: SocketStatus): void {
    this.socket = status;
    if (status === 'open') this.media.hurry();
    if (status !== 'connecting' || this.snapshot) return;
    this.triesWithoutWelcome += 1;
    if (this.triesWithoutWelcome > TRIES_BEFORE_ASKING_WHY) void this.askWhy();
  }

  /** A browser does not tell why a socket was refused; the join page's request does. */
  private async askWhy(): Promise<void> {
    try {
      await lessonToJoin(this.id);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status === 0 || error.status >= 500) return;
      this.refusal = error.message || t('error-lesson');
      this.abandon();
    }
  }

  private async finish(code: ByeCode | 'left', text: string): Promise<void> {
    if (this.over) return;
    this.over = { code, text };
    this.deafen();
    this.line.stop();
    this.own.close();
    await this.media.leave();
  }

  private deafen(): void {
    clearInterval(this.looking);
    this.telemetry.stop();
    this.links.stop();
    removeEventListener('online', this.hurry);
    removeEventListener('online', this.networkChanged);
    removeEventListener('pageshow', this.hurry);
    document.removeEventListener('resume', this.hurry);
    document.removeEventListener('visibilitychange', this.hurry);
  }
}

import {
  ConnectionState,
  DisconnectReason,
  type Participant,
  Room,
  RoomEvent,
  setLogLevel,
} from 'livekit-client';
import { Giving } from './giving.svelte';
import type { Kind, OwnMedia } from './own-media.svelte';
import { prefs } from './prefs.svelte';
import { heardAt, mediaOf, type PersonMedia } from './person-media';
import type { Identity, MediaAccess } from './protocol';
import { codecToSend, pictureOptions, SCREEN, sendable } from './publishing';
import { Sounds } from './sounds';

// The default level writes addresses to the console, and with them tokens.
setLogLevel('warn');

const RETRY_FIRST_MS = 1_000;
const RETRY_MAX_MS = 15_000;
/** A socket that is not open by then is tried anew: a path that has just come back must not wait for an old attempt. */
const SOCKET_OPENS_WITHIN_MS = 4_000;
/** The first attempt comes at once; none waits longer than the last. Never gives up: the class socket says when it is over. */
const RESUME_DELAYS_MS = [0, 300, 600, 1_000];
/** How often the room is looked at besides its events: the library holds back some of them while a line is made anew, and may
 *  forget them. */
const LOOK_EVERY_MS = 1000;
const SPEAKERS_REMEMBERED = 8;

export type MediaStatus = 'idle' | 'connecting' | 'connected' | 'reconnecting';

/** The sound and picture of one lesson. */
export class LessonMedia {
  status: MediaStatus = $state('idle');
  people: Map<Identity, PersonMedia> = $state.raw(new Map());
  levels: Map<Identity, number> = $state.raw(new Map());
  /** Who spoke last, most recent first. */
  speakers: Identity[] = $state.raw([]);
  soundBlocked = $state(false);
  sharing = $state(false);
  private readonly room: Room;
  private readonly giving: Giving;
  private token: string | null = null;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private attempt = 0;
  private ended = false;
  private refreshing = false;
  private looking: ReturnType<typeof setInterval> | undefined;
  private readonly sounds = new Sounds();
  /** `back`: the line to the server is there again. */
  constructor(private readonly own: OwnMedia, private readonly back: () => void) {
    this.room = new Room({
      adaptiveStream: true,
      dynacast: true,
      singlePeerConnection: false,
      reconnectPolicy: { nextRetryDelayInMs: ({ retryCount }) => RESUME_DELAYS_MS[Math.min(retryCount, RESUME_DELAYS_MS.length - 1)] ?? 0 },
      audioOutput: prefs.speaker ? { deviceId: prefs.speaker } : undefined,
    });
    this.giving = new Giving(this.room, own);
    this.hear();
  }

  /** Inside a tap, so that sound is unlocked where browsers hold it back. */
  unlockSound(): Promise<void> {
    return this.room.startAudio().catch(() => undefined);
  }

  /** A token to enter with; a later one is kept for the next time the line has to be made anew. */
  use({ token, video_codec }: MediaAccess): void {
    this.token = token;
    this.giving.codec = codecToSend(video_codec ?? 'vp8', sendable());
    if (this.status !== 'idle' || this.ended) return;
    this.giving.begin();
    this.looking ??= setInterval(() => this.look(), LOOK_EVERY_MS);
    void this.connect();
  }

  async leave(): Promise<void> {
    this.ended = true;
    this.rest();
    await this.room.disconnect();
    this.status = 'idle';
  }

  /** No more timers: the line is over, or another window has it. */
  private rest(): void {
    clearTimeout(this.retry);
    clearInterval(this.looking);
    this.looking = undefined;
  }

  get microphoneOn(): boolean {
    return this.giving.published ? (this.people.get(this.self)?.microphoneOn ?? false) : this.giving.wanted.microphone;
  }

  get cameraOn(): boolean {
    return this.giving.published ? (this.people.get(this.self)?.cameraOn ?? false) : this.giving.wanted.camera;
  }

  get self(): Identity {
    return this.room.localParticipant.identity;
  }

  /** Turns the microphone or camera on or off. False: the device could not be opened. */
  async turn(kind: Kind, on: boolean): Promise<boolean> {
    const opened = await this.giving.turn(kind, on);
    this.refresh();
    return opened;
  }

  async share(on: boolean): Promise<void> {
    await this.room.localParticipant.setScreenShareEnabled(on, SCREEN, pictureOptions(this.giving.codec));
    this.refresh();
  }

  async useSpeaker(deviceId: string): Promise<void> {
    await this.room.switchActiveDevice('audiooutput', deviceId);
  }

  private async connect(): Promise<void> {
    if (!this.token || this.ended) return;
    this.status = this.attempt === 0 ? 'connecting' : 'reconnecting';
    try {
      await this.room.connect(location.origin, this.token, { websocketTimeout: SOCKET_OPENS_WITHIN_MS });
      this.attempt = 0;
      this.status = 'connected';
      await this.giving.publish();
    } catch {
      if (this.room.state === ConnectionState.Disconnected) this.again();
    }
    this.refresh();
  }

  private again(): void {
    if (this.ended) return;
    this.status = 'reconnecting';
    const ceiling = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** this.attempt);
    this.attempt += 1;
    clearTimeout(this.retry);
    this.retry = setTimeout(() => void this.connect(), ceiling / 2 + (Math.random() * ceiling) / 2);
  }

  /** The network has come back or the page is awake again: do not sit out the wait. */
  hurry(): void {
    if (this.ended || this.status !== 'reconnecting' || this.room.state !== ConnectionState.Disconnected) return;
    clearTimeout(this.retry);
    this.attempt = 1;
    void this.connect();
  }

  /** The browser has another network. Sockets of the one before say nothing of their end, and the library would wait for its
   *  ping to fail; a socket that was whole after all is resumed within moments. */
  networkChanged(): void {
    if (this.ended || this.room.state !== ConnectionState.Connected) return;
    void this.room.simulateScenario('signal-reconnect').catch(() => undefined);
  }

  /** When media of anybody else came last, as the browser counts time. */
  get heardAt(): number {
    return Math.max(0, ...Array.from(this.room.remoteParticipants.values(), heardAt));
  }

  /** What telemetry looks at. */
  get peers() {
    return this.room.engine?.pcManager;
  }

  private hear(): void {
    const redraw = () => this.refresh();
    for (const event of [
      RoomEvent.ParticipantConnected,
      RoomEvent.ParticipantDisconnected,
      RoomEvent.TrackPublished,
      RoomEvent.TrackUnpublished,
      RoomEvent.TrackSubscribed,
      RoomEvent.TrackUnsubscribed,
      RoomEvent.TrackMuted,
      RoomEvent.TrackUnmuted,
      RoomEvent.LocalTrackPublished,
      RoomEvent.TrackStreamStateChanged,
    ] as const) {
      this.room.on(event, redraw);
    }
    this.room
      .on(RoomEvent.LocalTrackUnpublished, ({ source }) => {
        this.giving.taken(source);
        redraw();
      })
      .on(RoomEvent.ActiveSpeakersChanged, (speakers) => this.heard(speakers))
      .on(RoomEvent.AudioPlaybackStatusChanged, () => {
        this.soundBlocked = !this.room.canPlaybackAudio;
      })
      .on(RoomEvent.Reconnecting, () => (this.status = 'reconnecting'))
      .on(RoomEvent.SignalReconnecting, () => (this.status = 'reconnecting'))
      .on(RoomEvent.Reconnected, () => {
        this.status = 'connected';
        void this.giving.restore().then(redraw);
        this.refresh();
      })
      .on(RoomEvent.SignalConnected, () => this.back())
      .on(RoomEvent.Disconnected, (reason) => {
        this.giving.over();
        this.refresh();
        // A failed first connect is handled where it was awaited.
        if (this.status === 'connecting') return;
        // Coming back would be wrong: two windows of one person would throw each other out for ever. But the library leaves by
        // itself, too, when a browser freezes the page, and a page that wakes comes back.
        if (reason === DisconnectReason.DUPLICATE_IDENTITY) this.rest();
        else this.again();
      });
  }

  private heard(speakers: Participant[]): void {
    this.levels = new Map(speakers.map((one) => [one.identity, one.audioLevel]));
    const now = speakers.map((one) => one.identity);
    this.speakers = [...now, ...this.speakers.filter((one) => !now.includes(one))].slice(0, SPEAKERS_REMEMBERED);
  }

  private look(): void {
    this.refresh();
    if (this.room.state === ConnectionState.Connected) void this.own.lookAtCamera();
  }

  /** Once per burst of events: thirty people joining at the bell are one redraw. */
  private refresh(): void {
    if (this.refreshing) return;
    this.refreshing = true;
    queueMicrotask(() => {
      this.refreshing = false;
      const { localParticipant, remoteParticipants } = this.room;
      this.sounds.follow(remoteParticipants.values());
      const everyone: Participant[] = [localParticipant, ...remoteParticipants.values()];
      this.people = new Map(everyone.map((one) => [one.identity, mediaOf(one)]));
      this.sharing = localParticipant.isScreenShareEnabled;
      this.giving.follow();
    });
  }
}

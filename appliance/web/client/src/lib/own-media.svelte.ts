import {
  createLocalAudioTrack,
  createLocalTracks,
  createLocalVideoTrack,
  type LocalAudioTrack,
  type LocalVideoTrack,
  type TrackPublishOptions,
  Track,
  TrackEvent,
  VideoPresets,
} from 'livekit-client';
import { type DeviceLists, listDevices, newDevice, troubleOf, type Trouble } from './devices';
import { SilenceWatch, watchLevel } from './level';
import { CameraWatch } from './pictures';
import { prefs, savePrefs } from './prefs.svelte';
import type { VideoCodec } from './protocol';
import { cameraOptions, soundOptions } from './publishing';
import type { Quirks } from './quirks';
import { type OwnTrack, over, settled, works } from './replaced';

const SOUND = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

export type Kind = 'microphone' | 'camera';

/**
 * This person's microphone and camera: opened for the device check, kept for the lesson, so that the
 * device is asked for once and the light does not blink between the two.
 */
export class OwnMedia {
  microphone: LocalAudioTrack | null = $state.raw(null);
  camera: LocalVideoTrack | null = $state.raw(null);
  trouble: Record<Kind, Trouble | null> = $state({ microphone: null, camera: null });
  opening: Record<Kind, boolean> = $state({ microphone: false, camera: false });
  devices: DeviceLists = $state.raw({ microphones: [], cameras: [], speakers: [] });
  level = $state(0);
  /** The microphone is open but gives nothing: the person speaks and nobody hears. */
  microphoneDead = $state(false);
  /** A microphone or camera that was just plugged in. */
  fresh: { kind: Kind; device: MediaDeviceInfo } | null = $state.raw(null);
  /** A device in use went away; `to` is the name of the one that took its place, if there is one. */
  moved: { kind: Kind; to: string | null } | null = $state.raw(null);
  /** The devices that are really open: a remembered one may be in a drawer today. */
  using: Record<Kind, string | null> = $state({ microphone: null, camera: null });

  /** Openings wait for each other: a device is asked for once. */
  private turn: Promise<void> = Promise.resolve();
  /** Who asks while a device opens gets what comes of it. */
  private readonly pending = new Map<Kind, Promise<unknown>>();
  private silence = new SilenceWatch();
  private readonly pictures = new CameraWatch();
  private stopLevel: (() => void) | null = null;
  private readonly onDeviceChange = () => void this.devicesChanged();

  constructor(
    private readonly leading: () => boolean,
    private readonly quirks: Quirks,
  ) {
    navigator.mediaDevices?.addEventListener('devicechange', this.onDeviceChange);
  }

  /** Opens what is wanted, both with one question to the person where both are. */
  openWanted(microphone: boolean, camera: boolean): Promise<void> {
    this.turn = this.turn.then(() => this.openNow(microphone, camera));
    return this.turn;
  }

  private async openNow(microphone: boolean, camera: boolean): Promise<void> {
    if (microphone && camera && !this.microphone && !this.camera && navigator.mediaDevices) {
      await this.openTogether();
    }
    // One by one if that failed: then it is known which of the two is in trouble.
    await Promise.all([microphone && this.openMicrophone(), camera && this.openCamera()]);
  }

  private async openTogether(): Promise<void> {
    this.opening = { microphone: true, camera: true };
    const [sound, picture] = [prefs.microphone, prefs.camera].map((id) => (id ? { deviceId: id } : {}));
    try {
      const tracks = await createLocalTracks({
        audio: { ...SOUND, ...sound },
        video: { resolution: this.resolution, ...picture },
      });
      for (const track of tracks) {
        if (track.kind === Track.Kind.Audio) this.tookMicrophone(track as LocalAudioTrack);
        else this.tookCamera(track as LocalVideoTrack);
      }
      this.trouble = { microphone: null, camera: null };
      void this.refreshDevices();
    } catch {
      // Said by the openings one by one.
    } finally {
      this.opening = { microphone: false, camera: false };
    }
  }

  async openMicrophone(): Promise<LocalAudioTrack | null> {
    if (this.opening.microphone) await this.pending.get('microphone');
    if (this.microphone && over(this.microphone)) this.closeMicrophone();
    if (this.microphone || this.opening.microphone) return this.microphone;
    const opened = this.open('microphone', (deviceId) =>
      createLocalAudioTrack({ deviceId, ...SOUND }),
    );
    this.pending.set('microphone', opened);
    const track = await opened;
    if (track) this.tookMicrophone(track);
    return track;
  }

  private tookMicrophone(track: LocalAudioTrack): void {
    this.microphone = track;
    track.on(TrackEvent.Restarted, () => this.listen());
    this.listen();
    this.follow('microphone', track);
  }

  private tookCamera(track: LocalVideoTrack): void {
    this.camera = track;
    this.follow('camera', track);
  }

  /** Knows which device a track comes from, also after it was changed or went away. */
  private follow(kind: Kind, track: OwnTrack): void {
    const note = () => (this.using[kind] = track.mediaStreamTrack.getSettings().deviceId ?? null);
    track.on(TrackEvent.Restarted, note).on(TrackEvent.Ended, () => void this.wentAway(kind, track));
    note();
  }

  /** The device was pulled out, or the system took it away. */
  private async wentAway(kind: Kind, track: OwnTrack): Promise<void> {
    const live = !track.isMuted;
    const gone = this.using[kind];
    // What is published the library moves to the system's default by itself, or mutes where that fails.
    const replaced = track.sender && live ? settled(track) : Promise.resolve();
    await Promise.all([replaced, this.refreshDevices()]);
    if (this[kind] !== track) return;
    try {
      if (!works(track)) await this.takeAnother(kind, track, gone, live);
      this.trouble[kind] = null;
    } catch (error) {
      this.trouble[kind] = troubleOf(error);
    }
    const { devices } = this;
    const list = kind === 'microphone' ? devices.microphones : devices.cameras;
    const label = list.find((one) => one.deviceId === this.using[kind])?.label || track.mediaStreamTrack.label;
    this.moved = { kind, to: works(track) || !live ? label : null };
  }

  /** The first other device there is. One that is muted opens when it is unmuted. */
  private async takeAnother(kind: Kind, track: OwnTrack, gone: string | null, live: boolean): Promise<void> {
    const { devices } = this;
    const other = (kind === 'microphone' ? devices.microphones : devices.cameras).find((one) => one.deviceId !== gone);
    if (!other) throw new DOMException('', 'NotFoundError');
    this.using[kind] = other.deviceId;
    await track.setDeviceId({ exact: other.deviceId });
    if (live && track.isMuted) await track.unmute();
  }

  private get resolution() {
    return (this.leading() ? VideoPresets.h720 : VideoPresets.h360).resolution;
  }

  async openCamera(): Promise<LocalVideoTrack | null> {
    if (this.opening.camera) await this.pending.get('camera');
    if (this.camera && over(this.camera)) this.closeCamera();
    if (this.camera || this.opening.camera) return this.camera;
    const opened = this.open('camera', (deviceId) =>
      createLocalVideoTrack({ deviceId, resolution: this.resolution, ...(deviceId ? {} : { facingMode: 'user' as const }) }),
    );
    this.pending.set('camera', opened);
    const track = await opened;
    if (track) this.tookCamera(track);
    return track;
  }

  closeMicrophone(): void {
    this.stopLevel?.();
    this.stopLevel = null;
    this.level = 0;
    this.microphoneDead = false;
    this.silence.reset();
    this.microphone?.stop();
    this.microphone = null;
  }

  closeCamera(): void {
    this.camera?.stop();
    this.camera = null;
  }

  close(): void {
    navigator.mediaDevices?.removeEventListener('devicechange', this.onDeviceChange);
    this.closeMicrophone();
    this.closeCamera();
  }

  /** Takes the device into use and remembers it. */
  async choose(kind: Kind, deviceId: string): Promise<void> {
    savePrefs({ [kind]: deviceId });
    this.fresh = null;
    this.moved = null;
    const track = kind === 'microphone' ? this.microphone : this.camera;
    try {
      if (track) await track.setDeviceId({ exact: deviceId });
      else if (kind === 'microphone') await this.openMicrophone();
      else await this.openCamera();
      this.trouble[kind] = null;
    } catch (error) {
      this.trouble[kind] = troubleOf(error);
    }
  }

  /** The one-tap repair of a dead microphone: take it again from the system. */
  async reviveMicrophone(): Promise<void> {
    this.silence.reset();
    this.microphoneDead = false;
    try {
      await this.microphone?.restartTrack();
    } catch (error) {
      this.trouble.microphone = troubleOf(error);
    }
  }

  /** To be called every second or so while the line is there. */
  lookAtCamera(): Promise<void> {
    return this.pictures.look(this.camera, (error) => (this.trouble.camera = troubleOf(error)));
  }

  async refreshDevices(): Promise<void> {
    this.devices = await listDevices();
  }

  publishing(kind: Kind, codec: VideoCodec): TrackPublishOptions {
    return kind === 'microphone' ? soundOptions(this.leading(), this.quirks) : cameraOptions(this.leading(), codec);
  }

  private async open<T>(kind: Kind, make: (deviceId: string | undefined) => Promise<T>): Promise<T | null> {
    this.opening[kind] = true;
    try {
      if (!navigator.mediaDevices) throw new Error('no media devices');
      const remembered = prefs[kind];
      // A remembered device may be in a drawer today; the browser then picks its default.
      const track = await make(remembered ?? undefined).catch((error: unknown) => {
        if (remembered && troubleOf(error) === 'missing') return make(undefined);
        throw error;
      });
      this.trouble[kind] = null;
      void this.refreshDevices();
      return track;
    } catch (error) {
      this.trouble[kind] = troubleOf(error);
      return null;
    } finally {
      this.opening[kind] = false;
    }
  }

  private listen(): void {
    this.stopLevel?.();
    const track = this.microphone;
    if (!track) return;
    const source = track.mediaStreamTrack;
    this.stopLevel = watchLevel(source, (level, peak) => {
      this.level = track.isMuted ? 0 : level;
      if (track.isMuted) this.silence.reset();
      this.microphoneDead = !track.isMuted && this.silence.read(Date.now(), peak, source.muted);
    });
  }

  private async devicesChanged(): Promise<void> {
    const before = this.devices;
    await this.refreshDevices();
    const known = before.microphones.length > 0 || before.cameras.length > 0;
    if (!known) return;
    const microphone = newDevice(before.microphones, this.devices.microphones);
    const camera = newDevice(before.cameras, this.devices.cameras);
    if (microphone) this.fresh = { kind: 'microphone', device: microphone };
    else if (camera) this.fresh = { kind: 'camera', device: camera };
  }
}

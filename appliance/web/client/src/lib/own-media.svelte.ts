import {
  AudioPresets,
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
import { prefs, savePrefs } from './prefs.svelte';
import type { Quirks } from './quirks';

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

  /** Openings wait for each other: a device is asked for once. */
  private turn: Promise<void> = Promise.resolve();
  private silence = new SilenceWatch();
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
        else this.camera = track as LocalVideoTrack;
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
    if (this.microphone || this.opening.microphone) return this.microphone;
    const track = await this.open('microphone', (deviceId) =>
      createLocalAudioTrack({ deviceId, ...SOUND }),
    );
    if (track) this.tookMicrophone(track);
    return track;
  }

  private tookMicrophone(track: LocalAudioTrack): void {
    this.microphone = track;
    track.on(TrackEvent.Restarted, () => this.listen());
    this.listen();
  }

  private get resolution() {
    return (this.leading() ? VideoPresets.h720 : VideoPresets.h360).resolution;
  }

  async openCamera(): Promise<LocalVideoTrack | null> {
    if (this.camera || this.opening.camera) return this.camera;
    const track = await this.open('camera', (deviceId) =>
      createLocalVideoTrack({ deviceId, resolution: this.resolution, ...(deviceId ? {} : { facingMode: 'user' as const }) }),
    );
    if (track) this.camera = track;
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

  async refreshDevices(): Promise<void> {
    this.devices = await listDevices();
  }

  publishing(source: Kind): TrackPublishOptions {
    const teacher = this.leading();
    if (source === 'microphone') {
      return {
        source: Track.Source.Microphone,
        audioPreset: teacher ? AudioPresets.music : AudioPresets.speech,
        // The teacher's voice is carried twice and never pauses; a quiet student costs nothing.
        red: teacher && !this.quirks.noRed,
        dtx: !teacher,
      };
    }
    return {
      source: Track.Source.Camera,
      videoCodec: 'vp8',
      simulcast: true,
      videoEncoding: (teacher ? VideoPresets.h720 : VideoPresets.h360).encoding,
      videoSimulcastLayers: teacher ? [VideoPresets.h180, VideoPresets.h360] : [VideoPresets.h180],
    };
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

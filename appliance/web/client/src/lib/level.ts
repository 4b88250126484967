// How loud a microphone is, and whether it has gone dead.

const READ_EVERY_MS = 100;
const FLOOR_DB = -60;

/** Reads the level of `track`, 0 to 1 on a scale that follows the ear, until the stop is called. */
export function watchLevel(track: MediaStreamTrack, report: (level: number, peak: number) => void): () => void {
  const context = new AudioContext();
  const source = context.createMediaStreamSource(new MediaStream([track]));
  const analyser = new AnalyserNode(context, { fftSize: 1024 });
  source.connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    if (context.state !== 'running') {
      void context.resume();
      return;
    }
    analyser.getFloatTimeDomainData(samples);
    let peak = 0;
    let energy = 0;
    for (const sample of samples) {
      peak = Math.max(peak, Math.abs(sample));
      energy += sample * sample;
    }
    report(loudness(Math.sqrt(energy / samples.length)), peak);
  }, READ_EVERY_MS);
  return () => {
    clearInterval(timer);
    source.disconnect();
    void context.close();
  };
}

export function loudness(rms: number): number {
  if (rms <= 0) return 0;
  const db = 20 * Math.log10(rms);
  return Math.min(1, Math.max(0, 1 - db / FLOOR_DB));
}

/** A live microphone always hisses a little; below this peak nothing is connected to it. */
const DEAD_PEAK = 0.000_05;
/** Noise suppression may hold true silence for some seconds in a quiet room. */
const DEAD_AFTER_MS = 12_000;
/** The device itself says that it gives no sound: a call on an iPad, a switch on the headset. */
const INTERRUPTED_AFTER_MS = 2_000;

/** Tells once that an open microphone gives no sound at all, and when it does again. */
export class SilenceWatch {
  private silentSince: number | null = null;
  dead = false;

  read(now: number, peak: number, interrupted: boolean): boolean {
    if (peak > DEAD_PEAK && !interrupted) {
      this.silentSince = null;
      this.dead = false;
      return this.dead;
    }
    this.silentSince ??= now;
    this.dead = now - this.silentSince >= (interrupted ? INTERRUPTED_AFTER_MS : DEAD_AFTER_MS);
    return this.dead;
  }

  reset(): void {
    this.silentSince = null;
    this.dead = false;
  }
}

// From what a browser counts of its two connections to one sample of a report. Knows no network and no clock.

export type Way = 'udp' | 'turn_udp' | 'ice_tcp' | 'turn_tcp' | 'turn_tls';
export type Why = 'timer' | 'joined' | 'reconnecting' | 'reconnected' | 'path' | 'device' | 'left';
export type Limit = 'none' | 'cpu' | 'bandwidth' | 'other';

export interface Up {
  way?: Way;
  rtt_ms?: number;
  available_bps?: number;
  sent_bps?: number;
  lost_percent?: number;
  limit?: Limit;
  encode_ms?: number;
}

export interface Down {
  way?: Way;
  rtt_ms?: number;
  received_bps?: number;
  packets_received?: number;
  packets_lost?: number;
  sound_samples?: number;
  sound_concealed?: number;
  freezes?: number;
  frozen_ms?: number;
  buffer_ms?: number;
  teacher_fps?: number;
  decode_ms?: number;
}

/** One entry of a browser's statistics; which fields it has depends on the browser. */
export type Stat = { id: string; type: string } & Record<string, unknown>;

// The bounds of the server's parser: a browser that counts wrong must not cost the whole report.
const MS_MAX = 60_000;
const BPS_MAX = 100_000_000_000;
const COUNT_MAX = 1_000_000_000;
const FPS_MAX = 240;

function number(stat: Stat | undefined, key: string): number | undefined {
  const value = stat?.[key];
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

function whole(value: number | undefined, max: number): number | undefined {
  return value === undefined ? undefined : Math.min(max, Math.max(0, Math.round(value)));
}

/** Leaves out what is not known: the wire has no null. */
function known<T extends object>(sample: T): T {
  return Object.fromEntries(Object.entries(sample).filter(([, value]) => value !== undefined)) as T;
}

/** How much counters have grown since the last look at them. */
export class Growth {
  private before = new Map<string, number>();
  private now = new Map<string, number>();

  /** Of a counter that is new, all of it: a track that has just begun has counted since then. */
  of(stat: Stat, key: string): number {
    const value = number(stat, key);
    if (value === undefined) return 0;
    const name = `${stat.id} ${key}`;
    this.now.set(name, value);
    // A counter that went back belongs to something new under an old name.
    return Math.max(0, value - (this.before.get(name) ?? 0));
  }

  /** The look is over; what was not seen any more is forgotten. */
  done(): void {
    this.before = this.now;
    this.now = new Map();
  }
}

/** The pair of candidates that the media takes. */
function pairOf(stats: Stat[]): Stat | undefined {
  const pairs = stats.filter((stat) => stat.type === 'candidate-pair');
  const chosen = stats.find((stat) => stat.type === 'transport' && stat.selectedCandidatePairId)?.selectedCandidatePairId;
  return (
    pairs.find((pair) => pair.id === chosen) ??
    pairs.find((pair) => pair.selected === true) ??
    pairs.find((pair) => pair.nominated === true && pair.state === 'succeeded')
  );
}

function wayOf(pair: Stat | undefined, stats: Stat[]): Way | undefined {
  const local = stats.find((stat) => stat.type === 'local-candidate' && stat.id === pair?.localCandidateId);
  if (!local) return undefined;
  if (local.candidateType === 'relay') {
    const to = local.relayProtocol;
    return to === 'tls' ? 'turn_tls' : to === 'tcp' ? 'turn_tcp' : 'turn_udp';
  }
  return local.protocol === 'tcp' ? 'ice_tcp' : 'udp';
}

function lineOf(stats: Stat[]): { way?: Way; rtt_ms?: number; available_bps?: number; pair?: Stat } {
  const pair = pairOf(stats);
  const rtt = number(pair, 'currentRoundTripTime');
  return {
    way: wayOf(pair, stats),
    rtt_ms: rtt === undefined ? undefined : whole(rtt * 1000, MS_MAX),
    available_bps: whole(number(pair, 'availableOutgoingBitrate'), BPS_MAX),
    pair,
  };
}

const LIMITS: Limit[] = ['none', 'other', 'bandwidth', 'cpu'];

/** What limits the encoders, the worst first: a slow device is not to be taken for a slow network. */
function limitOf(encoders: Stat[]): Limit | undefined {
  const reasons = encoders.map((stat) => LIMITS.indexOf(stat.qualityLimitationReason as Limit)).filter((at) => at >= 0);
  return reasons.length ? LIMITS[Math.max(...reasons)] : undefined;
}

/** The longest time for one frame among all pictures, in milliseconds. */
function frameMs(pictures: Stat[], growth: Growth, time: string, frames: string): number | undefined {
  const each = pictures.map((stat) => [growth.of(stat, time) * 1000, growth.of(stat, frames)] as const);
  const busy = each.filter(([, count]) => count > 0).map(([ms, count]) => ms / count);
  return busy.length ? whole(Math.max(...busy), MS_MAX) : undefined;
}

function rate(pair: Stat | undefined, key: string, growth: Growth, passedMs: number): number | undefined {
  if (!pair || passedMs <= 0) return undefined;
  return whole((growth.of(pair, key) * 8000) / passedMs, BPS_MAX);
}

/** The connection on which this participant sends. */
export function upOf(stats: Stat[], growth: Growth, passedMs: number): Up {
  const { pair, ...line } = lineOf(stats);
  const pictures = stats.filter((stat) => stat.type === 'outbound-rtp' && stat.kind === 'video' && stat.active !== false);
  const lost = stats.filter((stat) => stat.type === 'remote-inbound-rtp').map((stat) => number(stat, 'fractionLost') ?? 0);
  return known({
    ...line,
    sent_bps: rate(pair, 'bytesSent', growth, passedMs),
    lost_percent: lost.length ? whole(Math.max(...lost) * 100, 100) : undefined,
    limit: limitOf(pictures),
    encode_ms: frameMs(pictures, growth, 'totalEncodeTime', 'framesEncoded'),
  });
}

/** The connection on which this participant receives; `teachers` are the names of the teachers' tracks. */
export function downOf(stats: Stat[], growth: Growth, passedMs: number, teachers: ReadonlySet<string>): Down {
  const { pair, available_bps: _, ...line } = lineOf(stats);
  const tracks = stats.filter((stat) => stat.type === 'inbound-rtp');
  const sounds = tracks.filter((stat) => stat.kind === 'audio');
  const pictures = tracks.filter((stat) => stat.kind === 'video');
  const sum = (of: Stat[], key: string) => of.reduce((total, stat) => total + growth.of(stat, key), 0);
  const samples = sum(sounds, 'totalSamplesReceived');
  // What is made up while nobody speaks is not heard.
  const concealed = sum(sounds, 'concealedSamples') - sum(sounds, 'silentConcealedSamples');
  const waited = sum(sounds, 'jitterBufferDelay');
  const played = sum(sounds, 'jitterBufferEmittedCount');
  const shown = pictures.filter((stat) => teachers.has(String(stat.trackIdentifier)));
  const fps = shown.map((stat) => number(stat, 'framesPerSecond') ?? 0);
  return known({
    ...line,
    received_bps: rate(pair, 'bytesReceived', growth, passedMs),
    packets_received: whole(sum(tracks, 'packetsReceived'), COUNT_MAX),
    packets_lost: whole(sum(tracks, 'packetsLost'), COUNT_MAX),
    sound_samples: whole(samples, COUNT_MAX),
    sound_concealed: Math.min(whole(concealed, COUNT_MAX) ?? 0, whole(samples, COUNT_MAX) ?? 0),
    freezes: whole(sum(pictures, 'freezeCount'), COUNT_MAX),
    frozen_ms: whole(sum(pictures, 'totalFreezesDuration') * 1000, COUNT_MAX),
    buffer_ms: played > 0 ? whole((waited / played) * 1000, MS_MAX) : undefined,
    teacher_fps: fps.length ? whole(Math.max(...fps), FPS_MAX) : undefined,
    decode_ms: frameMs(pictures, growth, 'totalDecodeTime', 'framesDecoded'),
  });
}

import { expect, test } from 'vitest';
import { deviceClass } from '../src/lib/path-device';
import { downOf, Growth, type Stat, upOf } from '../src/lib/path-report';

const pair = (more: object = {}): Stat[] => [
  { id: 'T', type: 'transport', selectedCandidatePairId: 'P' },
  { id: 'P', type: 'candidate-pair', localCandidateId: 'L', currentRoundTripTime: 0.0384, availableOutgoingBitrate: 812_345.6, bytesSent: 0, ...more },
  { id: 'Q', type: 'candidate-pair', localCandidateId: 'X', nominated: true, state: 'succeeded' },
];
const local = (more: object): Stat => ({ id: 'L', type: 'local-candidate', ...more });

test.each([
  [{ candidateType: 'host', protocol: 'udp' }, 'udp'],
  [{ candidateType: 'prflx', protocol: 'udp' }, 'udp'],
  [{ candidateType: 'host', protocol: 'tcp' }, 'ice_tcp'],
  [{ candidateType: 'relay', protocol: 'udp', relayProtocol: 'udp' }, 'turn_udp'],
  [{ candidateType: 'relay', protocol: 'udp', relayProtocol: 'tcp' }, 'turn_tcp'],
  [{ candidateType: 'relay', protocol: 'udp', relayProtocol: 'tls' }, 'turn_tls'],
])('the way of %o is %s', (candidate, way) => {
  expect(upOf([...pair(), local(candidate)], new Growth(), 0)).toMatchObject({ way, rtt_ms: 38, available_bps: 812_346 });
});

test('Firefox has no transport and marks the pair itself', () => {
  const stats: Stat[] = [
    { id: 'A', type: 'candidate-pair', localCandidateId: 'L', selected: true },
    local({ candidateType: 'host', protocol: 'tcp' }),
  ];
  expect(downOf(stats, new Growth(), 0, new Set()).way).toBe('ice_tcp');
});

test('counters are told as what they grew by', () => {
  const growth = new Growth();
  const sound = (of: Record<string, number>): Stat => ({ id: 'S', type: 'inbound-rtp', kind: 'audio', ...of });
  const picture = (of: Record<string, unknown>): Stat => ({ id: 'V', type: 'inbound-rtp', kind: 'video', trackIdentifier: 'teacher', ...of });
  const look = (stats: Stat[]) => {
    const down = downOf(stats, growth, 10_000, new Set(['teacher']));
    growth.done();
    return down;
  };
  look([sound({ packetsReceived: 500, packetsLost: 5, totalSamplesReceived: 480_000, concealedSamples: 9_000, silentConcealedSamples: 9_000 })]);
  const down = look([
    sound({
      packetsReceived: 1_000,
      packetsLost: 45,
      totalSamplesReceived: 960_000,
      concealedSamples: 33_000,
      silentConcealedSamples: 13_800,
      jitterBufferDelay: 1_200,
      jitterBufferEmittedCount: 20_000,
    }),
    picture({ packetsReceived: 200, framesDecoded: 100, totalDecodeTime: 0.6, framesPerSecond: 23.7, freezeCount: 2, totalFreezesDuration: 1.25 }),
  ]);
  expect(down).toEqual({
    packets_received: 700,
    packets_lost: 40,
    sound_samples: 480_000,
    sound_concealed: 19_200,
    freezes: 2,
    frozen_ms: 1250,
    buffer_ms: 60,
    teacher_fps: 24,
    decode_ms: 6,
  });
  expect(look([sound({ packetsReceived: 10, packetsLost: -3 })])).toMatchObject({ packets_received: 0, packets_lost: 0 });
});

test('of several pictures the one that suffers most is told', () => {
  const picture = (id: string, reason: string, encodeTime: number): Stat => ({
    id,
    type: 'outbound-rtp',
    kind: 'video',
    qualityLimitationReason: reason,
    totalEncodeTime: encodeTime,
    framesEncoded: 100,
  });
  const remote: Stat = { id: 'R', type: 'remote-inbound-rtp', fractionLost: 0.117 };
  const up = upOf([picture('a', 'bandwidth', 0.4), picture('b', 'cpu', 4.5), picture('c', 'none', 0), remote], new Growth(), 0);
  expect(up).toEqual({ limit: 'cpu', encode_ms: 45, lost_percent: 12 });
});

test('a browser that counts nonsense does not break the report', () => {
  const odd: Stat[] = [
    { id: 'P', type: 'candidate-pair', selected: true, currentRoundTripTime: NaN, availableOutgoingBitrate: 1e30 },
    { id: 'S', type: 'inbound-rtp', kind: 'audio', packetsReceived: 'many', concealedSamples: 900, totalSamplesReceived: 10 },
  ];
  expect(upOf(odd, new Growth(), 0)).toEqual({ available_bps: 100_000_000_000 });
  expect(downOf(odd, new Growth(), 0, new Set())).toMatchObject({ packets_received: 0, sound_samples: 10, sound_concealed: 10 });
});

const agents: [string, number, object][] = [
  ['Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36', 0, { browser: 'chromium', major: 156, system: 'chromeos' }],
  ['Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36 Edg/156.0.0.0', 0, { browser: 'edge', major: 156, system: 'windows' }],
  ['Mozilla/5.0 (Windows NT 10.0; rv:153.0) Gecko/20100101 Firefox/153.0', 0, { browser: 'firefox', major: 153, system: 'windows' }],
  ['Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15', 5, { browser: 'safari', major: 18, system: 'ios' }],
  ['curl/8', 0, { browser: 'other', major: 0, system: 'other' }],
];

test.each(agents)('a device is told in few words: %s', (userAgent, touchPoints, expected) => {
  expect(deviceClass({ userAgent, touchPoints, memoryGb: 4, cores: 12 })).toEqual({ ...expected, memory: '4', cores: '8' });
});

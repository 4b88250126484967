//! One layer of a published track, as it comes in: what is missing is asked for, what was there is
//! dropped, the rest is kept for retransmission and handed on.

use std::time::{Duration, Instant};

use crate::rtp::codec::{Peek, Structure, TEMPORAL_MAX, peek};
use crate::rtp::header::Header;
use crate::rtp::nack::Nack;
use crate::rtp::ring::{Info, Packet, Ring};
use crate::rtp::sequence::Extender;
use crate::rtp::slab::Pool;
use crate::rtp::stats::Stats;
use crate::rtp::throttle::Throttle;
use crate::sdp::{CodecKind, Extension, Extensions};

/// A layer without a packet for this long is off: its publisher saves bandwidth or was told to.
const SILENT: Duration = Duration::from_millis(1_500);
/// The rate is measured over this long.
const RATE_WINDOW: Duration = Duration::from_millis(500);
/// Frames are counted over this long.
const CADENCE_WINDOW: Duration = Duration::from_secs(1);
/// Spatial layers of one stream that are told apart; higher ones count as the last.
const SPATIAL_MAX: usize = 3;
/// A frame rate counts as what was asked for if it is not more than this part of it: cameras say 30
/// and send 31.
const FPS_PERCENT: u32 = 115;

#[derive(Debug, Default)]
pub(crate) struct Layer {
    /// The publisher repeats what is asked for.
    repairs: bool,
    /// The SSRC of its media, once known.
    pub(crate) ssrc: Option<u32>,
    pub(crate) ring: Ring,
    pub(crate) nack: Nack,
    pub(crate) stats: Stats,
    pub(crate) keyframe: Throttle,
    extender: Extender,
    /// By spatial layer.
    coded: [Coded; SPATIAL_MAX],
    cadence: Cadence,
    /// Of the dependency descriptors.
    structure: Option<Box<Structure>>,
    /// H.264 whose parameter sets come in band: nobody can begin without.
    has_parameters: bool,
}

/// What arrives of one spatial layer.
#[derive(Clone, Copy, Debug, Default)]
struct Coded {
    last: Option<Instant>,
    rate: Rate,
}

impl Coded {
    fn is_live(&self, now: Instant) -> bool {
        self.last.is_some_and(|last| now.duration_since(last) < SILENT)
    }
}

/// What became of a packet.
#[derive(Debug)]
pub(crate) enum Accepted<'a> {
    /// To be forwarded.
    Media(Packet<'a>),
    /// A number without media: padding.
    Padding(u64),
    /// Seen before, or malformed.
    Dropped,
}

/// A media packet out of its envelopes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Incoming<'a> {
    pub(crate) header: &'a Header,
    /// The whole packet, for the extensions.
    pub(crate) bytes: &'a [u8],
    pub(crate) extensions: Extensions,
    /// Of the media; out of a retransmission, the original's.
    pub(crate) sequence: u16,
    pub(crate) payload: &'a [u8],
    pub(crate) codec: CodecKind,
}

impl Incoming<'_> {
    fn extension(&self, extension: Extension) -> Option<&[u8]> {
        self.header.extension(self.bytes, self.extensions.id(extension)?)
    }

    fn byte(&self, extension: Extension) -> Option<u8> {
        self.extension(extension)?.first().copied()
    }
}

impl Layer {
    /// `repairs`: NACK was negotiated.
    pub(crate) fn new(repairs: bool) -> Self {
        Self { repairs, ..Self::default() }
    }

    /// Takes up a packet, original or retransmitted.
    pub(crate) fn accept<'a>(
        &mut self,
        incoming: &'a Incoming<'a>,
        pool: &mut Pool,
        now: Instant,
    ) -> Accepted<'a> {
        let sequence = self.extender.extend(incoming.sequence);
        if incoming.payload.is_empty() {
            self.note(sequence, now);
            return Accepted::Padding(sequence);
        }
        let descriptor = incoming.extension(Extension::DependencyDescriptor).unwrap_or_default();
        let Some(peek) = self.peek(incoming, descriptor) else { return Accepted::Dropped };
        let info = info(incoming, sequence, peek, now);
        let packet = Packet { info, descriptor, payload: incoming.payload };
        if !self.ring.insert(&packet, pool) {
            return Accepted::Dropped;
        }
        self.count(&packet, incoming.codec.clock_rate(), now);
        Accepted::Media(packet)
    }

    fn peek(&mut self, incoming: &Incoming<'_>, descriptor: &[u8]) -> Option<Peek> {
        let mut peek = peek(incoming.codec, incoming.payload, descriptor, &mut self.structure)?;
        if incoming.codec == CodecKind::H264 {
            self.has_parameters |= peek.parameters;
            peek.keyframe &= peek.parameters || !self.has_parameters;
        }
        Some(peek)
    }

    fn note(&mut self, sequence: u64, now: Instant) {
        if self.repairs {
            self.nack.arrived(sequence, now);
        }
    }

    fn count(&mut self, packet: &Packet<'_>, clock_hz: u32, now: Instant) {
        let Info { sequence, timestamp, peek, .. } = packet.info;
        self.note(sequence, now);
        self.stats.arrived(sequence, timestamp, clock_hz, now);
        if let Some(coded) = self.coded.get_mut(usize::from(peek.spatial).min(SPATIAL_MAX - 1)) {
            coded.rate.arrived(packet.payload.len(), now);
            coded.last = Some(now);
        }
        self.cadence.arrived(timestamp, peek.temporal, now);
        if peek.is_entry() {
            self.keyframe.satisfied();
        }
    }

    /// The publisher sends this layer on another SSRC now: nothing of before fits any more.
    pub(crate) fn restart(&mut self, ssrc: u32, pool: &mut Pool) {
        self.ring.clear(pool);
        let (repairs, keyframe) = (self.repairs, self.keyframe);
        *self = Self { ssrc: Some(ssrc), keyframe, ..Self::new(repairs) };
    }

    /// Packets arrive.
    pub(crate) fn is_live(&self, now: Instant) -> bool {
        self.coded.iter().any(|coded| coded.is_live(now))
    }

    /// Packets of a spatial layer arrive.
    pub(crate) fn is_coded(&self, spatial: usize, now: Instant) -> bool {
        self.coded.get(spatial).is_some_and(|coded| coded.is_live(now))
    }

    /// The structure that the stream's dependency descriptors refer to.
    pub(crate) fn structure(&self) -> Option<&Structure> {
        self.structure.as_deref()
    }

    /// The highest spatial layer that ever arrived.
    pub(crate) fn spatial_top(&self) -> u8 {
        self.coded.iter().rposition(|coded| coded.last.is_some()).unwrap_or(0) as u8
    }

    /// Bits per second of payload.
    pub(crate) fn rate_bps(&self) -> u64 {
        self.rate_up_to_bps(SPATIAL_MAX - 1)
    }

    /// Bits per second of payload up to a spatial layer.
    pub(crate) fn rate_up_to_bps(&self, spatial: usize) -> u64 {
        self.coded.iter().take(spatial + 1).map(|coded| coded.rate.bps).sum()
    }

    /// The highest temporal layer that keeps to a frame rate; 0: no limit.
    pub(crate) fn temporal_max(&self, fps: u32) -> u8 {
        self.cadence.temporal_max(fps)
    }
}

fn info(incoming: &Incoming<'_>, sequence: u64, peek: Peek, now: Instant) -> Info {
    Info {
        sequence,
        timestamp: incoming.header.timestamp,
        marker: incoming.header.marker,
        codec: incoming.codec,
        arrival: now,
        peek,
        level: incoming.byte(Extension::AudioLevel),
        orientation: incoming.byte(Extension::VideoOrientation),
    }
}

/// Bits per second, smoothed over a few windows.
#[derive(Clone, Copy, Debug, Default)]
struct Rate {
    since: Option<Instant>,
    bytes: usize,
    bps: u64,
}

impl Rate {
    fn arrived(&mut self, bytes: usize, now: Instant) {
        let since = *self.since.get_or_insert(now);
        let elapsed = now.duration_since(since);
        if elapsed >= RATE_WINDOW {
            let bps = (self.bytes as f64 * 8.0 / elapsed.as_secs_f64()) as u64;
            self.bps = if self.bps == 0 { bps } else { (self.bps * 3 + bps) / 4 };
            (self.since, self.bytes) = (Some(now), 0);
        }
        self.bytes += bytes;
    }
}

/// Frames per second by temporal layer.
#[derive(Clone, Copy, Debug, Default)]
struct Cadence {
    since: Option<Instant>,
    timestamp: Option<u32>,
    counts: [u32; TEMPORAL_MAX as usize + 1],
    /// Of the layer and all below it, in hundredths; 0 before the first measurement.
    rates: [u32; TEMPORAL_MAX as usize + 1],
}

impl Cadence {
    fn arrived(&mut self, timestamp: u32, temporal: u8, now: Instant) {
        let since = *self.since.get_or_insert(now);
        let elapsed = now.duration_since(since);
        if elapsed >= CADENCE_WINDOW {
            let mut sum = 0.0;
            for (rate, count) in self.rates.iter_mut().zip(&mut self.counts) {
                sum += f64::from(std::mem::take(count)) * 100.0 / elapsed.as_secs_f64();
                *rate = sum as u32;
            }
            self.since = Some(now);
        }
        if self.timestamp.replace(timestamp) != Some(timestamp)
            && let Some(count) = self.counts.get_mut(usize::from(temporal))
        {
            *count += 1;
        }
    }

    fn temporal_max(&self, fps: u32) -> u8 {
        if fps == 0 {
            return TEMPORAL_MAX;
        }
        let fits = |rate: &u32| *rate <= fps.saturating_mul(FPS_PERCENT);
        self.rates.iter().rposition(fits).unwrap_or(0) as u8
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Cadence;
    use crate::rtp::codec::TEMPORAL_MAX;

    #[test]
    fn a_frame_rate_is_kept_by_the_temporal_layers_that_arrive() {
        let (mut cadence, start) = (Cadence::default(), Instant::now());
        assert_eq!(cadence.temporal_max(7), TEMPORAL_MAX, "nothing is measured yet");
        for frame in 0..90_u32 {
            let temporal = [0, 2, 1, 2][frame as usize % 4];
            let now = start + Duration::from_micros(33_333) * frame;
            // Three packets of a frame are one frame.
            (0..3).for_each(|_| cadence.arrived(frame * 3_000, temporal, now));
        }
        let of = |fps| cadence.temporal_max(fps);
        assert_eq!([of(0), of(60), of(30)], [TEMPORAL_MAX; 3]);
        assert_eq!([of(29), of(20), of(15)], [TEMPORAL_MAX, 1, 1]);
        assert_eq!([of(14), of(8), of(7), of(1)], [1, 0, 0, 0]);
    }
}

//! One layer of a published track, as it comes in: what is missing is asked for, what was there is
//! dropped, the rest is kept for retransmission and handed on.

use std::time::{Duration, Instant};

use crate::rtp::codec::{Peek, peek};
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
    last: Option<Instant>,
    rate: Rate,
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
        let Some(peek) = peek(incoming.codec, incoming.payload, descriptor) else {
            return Accepted::Dropped;
        };
        let info = info(incoming, sequence, peek, now);
        let packet = Packet { info, descriptor, payload: incoming.payload };
        if !self.ring.insert(&packet, pool) {
            return Accepted::Dropped;
        }
        self.count(&packet, incoming.codec.clock_rate(), now);
        Accepted::Media(packet)
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
        self.rate.arrived(packet.payload.len(), now);
        self.last = Some(now);
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
        self.last.is_some_and(|last| now.duration_since(last) < SILENT)
    }

    /// Bits per second of payload.
    pub(crate) fn rate_bps(&self) -> u64 {
        self.rate.bps
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

//! One track on its way to one subscriber: which layer it gets, under which numbers, and what is
//! sent once more.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use belfry_media_api::TrackSettings;

use crate::allocate::SETTINGS_DEFAULT;
use crate::context::Context;
use crate::egress::{Departure, Egress};
use crate::layer::Layer;
use crate::rtp::codec::primary;
use crate::rtp::header::Outgoing;
use crate::rtp::munge::{Munger, Numbers};
use crate::rtp::ring::{Packet, RING_PACKETS_MAX};
use crate::rtp::rtcp::Writer;
use crate::rtp::stats::SenderReport;
use crate::sdp::{CodecKind, Sending};

/// A packet is repeated this often at most.
const REPEATS_MAX: u8 = 6;
/// Until the first measurement.
const RTT_INITIAL: Duration = Duration::from_millis(60);
const RTT_MIN: Duration = Duration::from_millis(10);
/// First numbers lie in the lower half, so that an early loss cannot be mistaken for a wrap
/// (RFC 3711, 3.3.1).
const SEQUENCE_START_MASK: u16 = 0x7FFF;
/// Sender reports whose echo is awaited.
const REPORTS_KEPT: usize = 4;

/// What a sent packet was made of.
#[derive(Clone, Copy, Debug)]
struct Sent {
    numbers: Numbers,
    layer: usize,
    source: u64,
    repeats: u8,
    repeated: Option<Instant>,
}

#[derive(Debug)]
pub(crate) struct Down {
    /// The subscriber's key in the room.
    pub(crate) participant: usize,
    pub(crate) ssrc: u32,
    pub(crate) rtx_ssrc: Option<u32>,
    pub(crate) settings: TrackSettings,
    /// The allocator left it out for want of bandwidth.
    pub(crate) paused: bool,
    /// What the subscriber accepted; nothing is sent before.
    sending: Option<Sending>,
    target: Option<usize>,
    current: Option<usize>,
    clock_hz: u32,
    munger: Munger,
    /// By outgoing number, modulo its length; empty without retransmission.
    sent: Vec<Option<Sent>>,
    rtx_number: u16,
    /// The subscriber has reported on this SSRC, so it needs no MID any more (RFC 9143, 7.2).
    confirmed: bool,
    packets: u32,
    bytes: u32,
    /// Middle bits of the NTP time of our reports, and when they left.
    reports: VecDeque<(u32, Instant)>,
}

impl Down {
    pub(crate) fn new(participant: usize, ssrc: u32, rtx_ssrc: Option<u32>, clock_hz: u32) -> Self {
        Self {
            participant,
            ssrc,
            rtx_ssrc,
            settings: SETTINGS_DEFAULT,
            paused: false,
            sending: None,
            target: None,
            current: None,
            clock_hz,
            munger: Munger::new(clock_hz, rand::random::<u16>() & SEQUENCE_START_MASK),
            sent: Vec::new(),
            rtx_number: rand::random(),
            confirmed: false,
            packets: 0,
            bytes: 0,
            reports: VecDeque::with_capacity(REPORTS_KEPT + 1),
        }
    }

    /// The subscriber answered: sending may begin.
    pub(crate) fn accept(&mut self, sending: Sending) {
        let repeats =
            self.rtx_ssrc.is_some() && sending.codecs.iter().any(|codec| codec.rtx_pt.is_some());
        if repeats && self.sent.is_empty() {
            self.sent.resize(RING_PACKETS_MAX, None);
        }
        self.sending = Some(sending);
    }

    pub(crate) fn is_accepted(&self) -> bool {
        self.sending.is_some()
    }

    /// Sends this layer from its next keyframe on; `None` stops at once.
    pub(crate) fn set_target(&mut self, target: Option<usize>) {
        self.target = target;
        if target.is_none() {
            self.current = None;
        }
    }

    /// What is sent now ends here: the next packet has to begin a keyframe.
    pub(crate) fn interrupt(&mut self) {
        self.current = None;
    }

    pub(crate) fn current(&self) -> Option<usize> {
        self.current
    }

    /// The layer of which a keyframe is awaited.
    pub(crate) fn awaited(&self) -> Option<usize> {
        self.target.filter(|target| self.sending.is_some() && self.current != Some(*target))
    }

    /// Hands on a packet of `layer`, if that is the one that is sent.
    pub(crate) fn forward(
        &mut self,
        layer: usize,
        packet: &Packet<'_>,
        layers: &[Layer],
        egress: &mut Egress,
        context: &mut Context<'_>,
    ) {
        if self.current == Some(layer) {
            self.send(layer, packet, egress, context);
        } else if self.awaited() == Some(layer) && packet.info.peek.is_entry() {
            self.munger.switch(layer, &packet.info, self.same_time(layer, layers));
            self.current = Some(layer);
            self.send(layer, packet, egress, context);
            // A keyframe whose first packet had to be repeated: the others are here already.
            let ring = layers.get(layer).map(|layer| &layer.ring);
            for later in ring.into_iter().flat_map(|ring| ring.after(packet.info.sequence)) {
                self.send(layer, &later, egress, context);
            }
        }
    }

    /// A number of `layer` without media.
    pub(crate) fn skip(&mut self, layer: usize, sequence: u64) {
        if self.current == Some(layer) {
            self.munger.skip(layer, sequence);
        }
    }

    fn send(
        &mut self,
        layer: usize,
        packet: &Packet<'_>,
        egress: &mut Egress,
        context: &mut Context<'_>,
    ) {
        let Some(numbers) = self.munger.map(layer, &packet.info) else { return };
        let Some(departure) = self.departure(packet, &numbers, false) else { return };
        let len = departure.payload.len() as u32;
        if !egress.send(&departure, context) {
            return;
        }
        self.packets = self.packets.wrapping_add(1);
        self.bytes = self.bytes.wrapping_add(len);
        let source = packet.info.sequence;
        if let Some(slot) = slot(&mut self.sent, numbers.sequence as u16) {
            *slot = Some(Sent { numbers, layer, source, repeats: 0, repeated: None });
        }
    }

    /// The packet under its outgoing numbers; `None` if the subscriber has no payload type for it.
    fn departure<'a>(
        &'a self,
        packet: &Packet<'a>,
        numbers: &Numbers,
        repeated: bool,
    ) -> Option<Departure<'a>> {
        let sending = self.sending.as_ref()?;
        let (codec, payload) = match sending.codec(packet.info.codec) {
            Some(codec) => (codec, packet.payload),
            None if packet.info.codec == CodecKind::Red => {
                (sending.codec(CodecKind::Opus)?, primary(packet.payload)?)
            }
            None => return None,
        };
        let (payload_type, ssrc, sequence) = if repeated {
            (codec.rtx_pt?, self.rtx_ssrc?, self.rtx_number)
        } else {
            (codec.pt, self.ssrc, numbers.sequence as u16)
        };
        Some(Departure {
            header: Outgoing {
                marker: packet.info.marker,
                payload_type,
                sequence,
                timestamp: numbers.timestamp,
                ssrc,
            },
            extensions: &sending.extensions,
            mid: if self.confirmed { "" } else { &sending.mid },
            descriptor: packet.descriptor,
            level: packet.info.level,
            orientation: packet.info.orientation,
            original: repeated.then_some(numbers.sequence as u16),
            payload,
            vp8: packet.info.peek.vp8.map(|vp8| (vp8, numbers.picture_id, numbers.tl0)),
        })
    }

    /// Sends once more what the subscriber misses, at the pace of its path.
    pub(crate) fn repeat(
        &mut self,
        missing: &[u16],
        layers: &[Layer],
        egress: &mut Egress,
        context: &mut Context<'_>,
    ) {
        let now = context.now;
        let rtt = egress.estimate.rtt().unwrap_or(RTT_INITIAL).max(RTT_MIN);
        for number in missing {
            let Some(sent) = slot(&mut self.sent, *number).and_then(|slot| slot.as_mut()) else {
                continue;
            };
            let paced = sent.repeated.is_some_and(|at| now.duration_since(at) < rtt);
            if sent.numbers.sequence as u16 != *number || sent.repeats >= REPEATS_MAX || paced {
                continue;
            }
            sent.repeats += 1;
            sent.repeated = Some(now);
            let sent = *sent;
            let stored = layers.get(sent.layer).and_then(|layer| layer.ring.get(sent.source));
            let departure = stored.and_then(|packet| self.departure(&packet, &sent.numbers, true));
            if departure.is_some_and(|departure| egress.send(&departure, context)) {
                self.rtx_number = self.rtx_number.wrapping_add(1);
                context.shared.counters.retransmitted += 1;
            }
        }
    }

    /// What has to be added to the timestamps of `layer` to stay on the time line of what is sent
    /// now, by the sender reports of both.
    fn same_time(&self, layer: usize, layers: &[Layer]) -> Option<u32> {
        let report = |layer: usize| layers.get(layer)?.stats.last_sender_report();
        let (old, new) = (report(self.munger.layer()?)?, report(layer)?);
        let ticks = ntp_seconds(new.ntp, old.ntp) * f64::from(self.clock_hz);
        let old_timestamp = old.timestamp.wrapping_add((ticks as i64) as u32);
        Some(
            self.munger.timestamp_offset()?.wrapping_add(old_timestamp).wrapping_sub(new.timestamp),
        )
    }

    /// Writes a sender report: the publisher's own wall clock, so that audio and video of one
    /// publisher stay in step.
    pub(crate) fn report(&mut self, layers: &[Layer], now: Instant, writer: &mut Writer) {
        let Some(current) = self.current else { return };
        let source = layers.get(current).and_then(|layer| layer.stats.last_sender_report());
        let Some((SenderReport { ntp, timestamp, arrival }, offset)) =
            source.zip(self.munger.timestamp_offset())
        else {
            return;
        };
        let elapsed = now.duration_since(arrival).as_secs_f64();
        let ntp = ntp.wrapping_add((elapsed * 4_294_967_296.0) as u64);
        let ticks = (elapsed * f64::from(self.clock_hz)) as u32;
        let timestamp = timestamp.wrapping_add(ticks).wrapping_add(offset);
        writer.sender_report(self.ssrc, ntp, timestamp, self.packets, self.bytes);
        if self.reports.len() == REPORTS_KEPT {
            self.reports.pop_front();
        }
        self.reports.push_back(((ntp >> 16) as u32, now));
    }

    /// The subscriber reported on this SSRC: the round trip, if it names one of our reports.
    pub(crate) fn reported(&mut self, last_sr: u32, delay: u32, now: Instant) -> Option<Duration> {
        self.confirmed = true;
        let (_, left) = self.reports.iter().find(|(ntp, _)| *ntp == last_sr && last_sr != 0)?;
        let delay = Duration::from_secs_f64(f64::from(delay) / 65_536.0);
        now.duration_since(*left).checked_sub(delay)
    }
}

fn slot(sent: &mut [Option<Sent>], number: u16) -> Option<&mut Option<Sent>> {
    let index = usize::from(number).checked_rem(sent.len())?;
    sent.get_mut(index)
}

/// `a - b` of two 64-bit NTP times, in seconds.
fn ntp_seconds(a: u64, b: u64) -> f64 {
    a.wrapping_sub(b).cast_signed() as f64 / 4_294_967_296.0
}

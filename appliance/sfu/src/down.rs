//! One track on its way to one subscriber: which layer it gets, under which numbers, and what is
//! sent once more.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use belfry_media_api::TrackSettings;

use crate::allocate::SETTINGS_DEFAULT;
use crate::context::Context;
use crate::egress::{Departure, Egress};
use crate::layer::Layer;
use crate::rtp::codec::{primary, renumber};
use crate::rtp::header::Outgoing;
use crate::rtp::munge::{Munger, Numbers, Place};
use crate::rtp::ring::{Info, Packet, RING_PACKETS_MAX};
use crate::rtp::rtcp::Writer;
use crate::rtp::selection::{Caps, Selection, Verdict};
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
/// An element of a header extension is not longer (RFC 8285, 4.3).
const ELEMENT_BYTES_MAX: usize = 255;

/// What a sent packet was made of.
#[derive(Clone, Copy, Debug)]
struct Sent {
    numbers: Numbers,
    marker: bool,
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
    /// Of the current layer's frames.
    selection: Selection,
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
            selection: Selection::begin(Caps::ALL),
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

    /// The stream of which a keyframe is awaited, of so many that the track has. A single one may
    /// be coded in spatial layers, and a higher one of those begins with a keyframe, too.
    pub(crate) fn awaited(&self, streams: usize) -> Option<usize> {
        let target = self.target.filter(|_| self.sending.is_some())?;
        let (stream, spatial) = if streams == 1 { (0, target) } else { (target, 0) };
        let there = self.current == Some(stream);
        (!there || usize::from(self.selection.caps().spatial) < spatial).then_some(stream)
    }

    /// How much of the frames of a stream is wanted.
    fn caps(&self, stream: usize, layers: &[Layer]) -> Caps {
        let temporal = layers.get(stream).map_or(0, |layer| layer.temporal_max(self.settings.fps));
        let spatial = match (layers.len(), self.target) {
            (1, Some(target)) => target as u8,
            _ => Caps::ALL.spatial,
        };
        Caps { spatial, temporal }
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
            self.send(layer, packet, layers, egress, context);
        } else if self.awaited(layers.len()) == Some(layer) && packet.info.peek.is_entry() {
            self.munger.switch(layer, &packet.info, self.same_time(layer, layers));
            self.selection = Selection::begin(self.caps(layer, layers));
            self.current = Some(layer);
            self.send(layer, packet, layers, egress, context);
            // A keyframe whose first packet had to be repeated: the others are here already.
            let ring = layers.get(layer).map(|layer| &layer.ring);
            for later in ring.into_iter().flat_map(|ring| ring.after(packet.info.sequence)) {
                self.send(layer, &later, layers, egress, context);
            }
        }
    }

    /// A number of `layer` without media.
    pub(crate) fn skip(
        &mut self,
        layer: usize,
        sequence: u64,
        egress: &mut Egress,
        context: &mut Context<'_>,
    ) {
        if self.current != Some(layer) {
            return;
        }
        match self.munger.place(layer, sequence) {
            Place::New => self.munger.skip(layer, sequence, false),
            Place::Late(_) => self.fill(layer, sequence, egress, context),
            Place::Gone => {}
        }
    }

    fn send(
        &mut self,
        layer: usize,
        packet: &Packet<'_>,
        layers: &[Layer],
        egress: &mut Egress,
        context: &mut Context<'_>,
    ) {
        let Info { sequence, timestamp, peek, codec, marker, .. } = packet.info;
        let target = self.caps(layer, layers);
        let caps = match self.munger.place(layer, sequence) {
            Place::Gone => return,
            Place::Late(caps) if caps.take(&peek) => caps,
            Place::Late(_) => return self.fill(layer, sequence, egress, context),
            Place::New => {
                match self.selection.judge(&peek, timestamp, target) {
                    Verdict::Send(caps) => {
                        self.munger.select(sequence, caps);
                        caps
                    }
                    Verdict::Drop { first } => {
                        // A receiver of VP8 takes a picture id that is left out for a loss.
                        let picture = first && codec == CodecKind::Vp8;
                        return self.munger.skip(layer, sequence, picture);
                    }
                }
            }
        };
        let Some(numbers) = self.munger.map(layer, &packet.info) else { return };
        // The picture ends with the highest spatial layer that is sent of it.
        let top = layers.get(layer).map_or(0, Layer::spatial_top);
        let marker = marker || (caps.spatial < top && caps.end(&peek, target));
        let sent = Sent { numbers, marker, layer, source: sequence, repeats: 0, repeated: None };
        let mut descriptor = [0; ELEMENT_BYTES_MAX];
        let packet = renumbered(packet, numbers.frame, &mut descriptor);
        let Some(departure) = self.departure(&packet, &sent, false) else { return };
        let len = departure.payload.len() as u32;
        if !egress.send(&departure, context) {
            return;
        }
        self.packets = self.packets.wrapping_add(1);
        self.bytes = self.bytes.wrapping_add(len);
        if let Some(slot) = slot(&mut self.sent, numbers.sequence as u16) {
            *slot = Some(sent);
        }
    }

    /// Sends a packet without media for a number that was kept for what then was none of the
    /// subscriber's: it would ask for it, and wait.
    fn fill(
        &mut self,
        layer: usize,
        sequence: u64,
        egress: &mut Egress,
        context: &mut Context<'_>,
    ) {
        let Some(codec) = self.sending.as_ref().and_then(|sending| sending.codecs.first()) else {
            return;
        };
        let payload_type = codec.pt;
        let Some(numbers) = self.munger.gap(layer, sequence) else { return };
        let Some(sending) = self.sending.as_ref() else { return };
        let departure = Departure {
            header: Outgoing {
                marker: false,
                payload_type,
                sequence: numbers.sequence as u16,
                timestamp: numbers.timestamp,
                ssrc: self.ssrc,
            },
            extensions: &sending.extensions,
            mid: if self.confirmed { "" } else { &sending.mid },
            descriptor: &[],
            level: None,
            orientation: None,
            original: None,
            payload: &[],
            numbering: None,
        };
        if egress.send(&departure, context) {
            self.packets = self.packets.wrapping_add(1);
        }
    }

    /// The packet under its outgoing numbers; `None` if the subscriber has no payload type for it.
    fn departure<'a>(
        &'a self,
        packet: &Packet<'a>,
        sent: &Sent,
        repeated: bool,
    ) -> Option<Departure<'a>> {
        let numbers = &sent.numbers;
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
                marker: sent.marker,
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
            numbering: packet
                .info
                .peek
                .numbering
                .map(|numbering| (numbering, numbers.picture_id, numbers.tl0)),
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
            let mut descriptor = [0; ELEMENT_BYTES_MAX];
            let stored =
                stored.map(|packet| renumbered(&packet, sent.numbers.frame, &mut descriptor));
            let departure = stored.and_then(|packet| self.departure(&packet, &sent, true));
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

/// The packet with its descriptor under another frame number. Only AV1 is sent with one: the other
/// codecs say in their payloads what a receiver has to know, and numbers there are rewritten.
fn renumbered<'a>(packet: &Packet<'a>, frame: u16, place: &'a mut [u8]) -> Packet<'a> {
    let descriptor = match packet.info.codec {
        CodecKind::Av1 => packet.descriptor,
        _ => &[],
    };
    let Some(place) = place.get_mut(..descriptor.len()) else { return *packet };
    place.copy_from_slice(descriptor);
    renumber(place, frame);
    Packet { descriptor: place, ..*packet }
}

fn slot(sent: &mut [Option<Sent>], number: u16) -> Option<&mut Option<Sent>> {
    let index = usize::from(number).checked_rem(sent.len())?;
    sent.get_mut(index)
}

/// `a - b` of two 64-bit NTP times, in seconds.
fn ntp_seconds(a: u64, b: u64) -> f64 {
    a.wrapping_sub(b).cast_signed() as f64 / 4_294_967_296.0
}

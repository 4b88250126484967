//! One track on its way to one subscriber: which layer it gets, under which numbers, and what is
//! sent once more.

mod again;
mod report;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use belfry_media_api::{MediaKind, TrackSettings};

use crate::allocate::SETTINGS_DEFAULT;
use crate::congestion::Class;
use crate::context::Context;
use crate::egress::{Departure, Egress, Kept};
use crate::layer::Layer;
use crate::rtp::codec::{Active, primary, rewrite};
use crate::rtp::header::Outgoing;
use crate::rtp::munge::{Munger, Numbers, Place};
use crate::rtp::ring::{Info, Packet, RING_PACKETS_MAX};
use crate::rtp::selection::{Caps, Selection, Verdict};
use crate::sdp::{CodecKind, Sending};

use report::REPORTS_KEPT;

/// Sent packets of a voice that can be repeated: more than a second.
const VOICE_PACKETS: usize = 64;
/// What was taken is given back after this long at the earliest: every change costs a keyframe.
const RISE_AFTER: Duration = Duration::from_secs(2);
/// First numbers lie in the lower half, so that an early loss cannot be mistaken for a wrap
/// (RFC 3711, 3.3.1).
const SEQUENCE_START_MASK: u16 = 0x7FFF;
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
    /// The transport-wide number that it left under, and whether it named its MID.
    transport: u16,
    named: bool,
    /// What its descriptor says of decode targets, if that is not the publisher's word.
    active: Option<Active>,
}

/// In which shape a packet leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Under its own number, with the MID or without.
    Itself { named: bool },
    /// In the envelope of RFC 4588.
    Repeat,
}

#[derive(Debug)]
pub(crate) struct Down {
    /// The subscriber's key in the room.
    pub(crate) participant: usize,
    /// The track's key in the room.
    track: usize,
    pub(crate) ssrc: u32,
    pub(crate) rtx_ssrc: Option<u32>,
    pub(crate) settings: TrackSettings,
    /// The allocator left it out for want of bandwidth.
    pub(crate) paused: bool,
    /// What the subscriber accepted; nothing is sent before.
    sending: Option<Sending>,
    accepted_at: Option<Instant>,
    target: Option<usize>,
    /// When an allocation took something from it.
    lowered_at: Option<Instant>,
    current: Option<usize>,
    clock_hz: u32,
    /// Of the current layer's frames.
    selection: Selection,
    munger: Munger,
    /// By outgoing number, modulo its length; empty without retransmission.
    sent: Vec<Option<Sent>>,
    /// The subscriber was told of fewer decode targets than there are.
    reduced: bool,
    rtx_number: u16,
    /// Outgoing number of the newest packet, and how many probes went back from it.
    newest: u64,
    padded: u64,
    /// The subscriber has reported on this SSRC, so it needs no MID any more (RFC 9143, 7.2).
    confirmed: bool,
    packets: u32,
    bytes: u32,
    /// Middle bits of the NTP time of our reports, and when they left.
    reports: VecDeque<(u32, Instant)>,
}

impl Down {
    pub(crate) fn new(
        participant: usize,
        track: usize,
        ssrc: u32,
        rtx_ssrc: Option<u32>,
        clock_hz: u32,
    ) -> Self {
        Self {
            participant,
            track,
            ssrc,
            rtx_ssrc,
            settings: SETTINGS_DEFAULT,
            paused: false,
            sending: None,
            accepted_at: None,
            target: None,
            lowered_at: None,
            current: None,
            clock_hz,
            selection: Selection::begin(Caps::ALL),
            munger: Munger::new(clock_hz, rand::random::<u16>() & SEQUENCE_START_MASK),
            sent: Vec::new(),
            reduced: false,
            rtx_number: rand::random(),
            newest: 0,
            padded: 0,
            confirmed: false,
            packets: 0,
            bytes: 0,
            reports: VecDeque::with_capacity(REPORTS_KEPT + 1),
        }
    }

    /// The subscriber answered: sending may begin.
    pub(crate) fn accept(&mut self, sending: Sending, now: Instant) {
        let packets = if self.class() == Class::Voice { VOICE_PACKETS } else { RING_PACKETS_MAX };
        if self.sending.as_ref() != Some(&sending) {
            // What left under other terms cannot be made again exactly as it was.
            self.sent.clear();
        }
        self.sent.resize(packets, None);
        self.sending = Some(sending);
        self.accepted_at.get_or_insert(now);
    }

    fn class(&self) -> Class {
        if self.kind() == MediaKind::Audio { Class::Voice } else { Class::Media }
    }

    fn kind(&self) -> MediaKind {
        if self.rtx_ssrc.is_some() { MediaKind::Video } else { MediaKind::Audio }
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

    /// The layer that is to be sent.
    pub(crate) fn target(&self) -> Option<usize> {
        self.target
    }

    /// Takes over what an allocation grants.
    pub(crate) fn grant(&mut self, granted: Option<usize>, now: Instant) {
        if granted < self.target {
            self.lowered_at = Some(now);
        }
        self.set_target(granted);
    }

    /// Nothing was taken from it lately.
    pub(crate) fn may_rise(&self, now: Instant) -> bool {
        self.lowered_at.is_none_or(|at| now.duration_since(at) >= RISE_AFTER)
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
        let sent = Sent {
            numbers,
            marker,
            layer,
            source: sequence,
            repeats: 0,
            repeated: None,
            transport: 0,
            named: !self.confirmed,
            active: self.promise(packet, caps.promised(&peek, target), layers.get(layer)),
        };
        self.newest = self.newest.max(numbers.sequence);
        let kept = Kept { track: self.track, sequence: numbers.sequence, repeated: false };
        if egress.admits(self.class(), kept, context) {
            self.transmit(sent, packet, egress, context);
        } else if let Some(slot) = slot(&mut self.sent, numbers.sequence as u16) {
            *slot = Some(sent);
        }
    }

    /// The decode targets of a subscriber who gets the layers up to `caps`. Once fewer than all were
    /// named they are named in every packet, of which any may be lost, until a keyframe brings all.
    fn promise(
        &mut self,
        packet: &Packet<'_>,
        caps: Caps,
        layer: Option<&Layer>,
    ) -> Option<Active> {
        let structure = layer?.structure().filter(|_| packet.info.codec == CodecKind::Av1)?;
        let active = structure.active(caps.spatial, caps.temporal);
        let reset = packet.info.peek.is_entry();
        self.reduced = !active.is_all() || (self.reduced && !reset);
        self.reduced.then_some(active)
    }

    /// Sends a packet under its own number, and remembers it.
    fn transmit(
        &mut self,
        mut sent: Sent,
        packet: &Packet<'_>,
        egress: &mut Egress,
        context: &mut Context<'_>,
    ) {
        let mut descriptor = [0; ELEMENT_BYTES_MAX];
        let packet = rewritten(packet, &sent, &mut descriptor);
        let shape = Shape::Itself { named: sent.named };
        let Some(departure) = self.departure(&packet, &sent, shape) else { return };
        let len = departure.payload.len() as u32;
        let Some(transport) = egress.send(&departure, context) else { return };
        sent.transport = transport;
        self.packets = self.packets.wrapping_add(1);
        self.bytes = self.bytes.wrapping_add(len);
        if let Some(slot) = slot(&mut self.sent, sent.numbers.sequence as u16) {
            *slot = Some(sent);
        }
    }

    /// Sends what the pacer kept.
    pub(crate) fn depart(
        &mut self,
        kept: &Kept,
        layers: &[Layer],
        egress: &mut Egress,
        context: &mut Context<'_>,
    ) {
        let sent = slot(&mut self.sent, kept.sequence as u16).and_then(|slot| *slot);
        let Some(sent) = sent.filter(|sent| sent.numbers.sequence == kept.sequence) else { return };
        if kept.repeated {
            self.again(&sent, layers, egress, context);
        } else if let Some(packet) = stored(&sent, layers) {
            self.transmit(sent, &packet, egress, context);
        }
    }

    /// What waited in the pacer from this number on comes too late: the next packet that leaves has
    /// to begin a keyframe.
    pub(crate) fn overtaken(&mut self, sequence: u64) {
        self.interrupt();
        let late =
            |slot: &&mut Option<Sent>| slot.is_some_and(|sent| sent.numbers.sequence >= sequence);
        self.sent.iter_mut().filter(late).for_each(|slot| *slot = None);
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
            padding: 0,
            numbering: None,
        };
        if egress.send(&departure, context).is_some() {
            self.packets = self.packets.wrapping_add(1);
        }
    }

    /// The packet under its outgoing numbers; `None` if the subscriber has no payload type for it.
    fn departure<'a>(
        &'a self,
        packet: &Packet<'a>,
        sent: &Sent,
        shape: Shape,
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
        let (payload_type, ssrc, sequence, named) = match shape {
            Shape::Repeat => (codec.rtx_pt?, self.rtx_ssrc?, self.rtx_number, !self.confirmed),
            Shape::Itself { named } => (codec.pt, self.ssrc, numbers.sequence as u16, named),
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
            mid: if named { &sending.mid } else { "" },
            descriptor: packet.descriptor,
            level: packet.info.level,
            orientation: packet.info.orientation,
            original: (shape == Shape::Repeat).then_some(numbers.sequence as u16),
            payload,
            padding: 0,
            numbering: packet
                .info
                .peek
                .numbering
                .map(|numbering| (numbering, numbers.picture_id, numbers.tl0)),
        })
    }
}

/// The packet with its descriptor under another frame number and with the decode targets that the
/// subscriber gets. Only AV1 is sent with one: the other codecs say in their payloads what a receiver
/// has to know, and numbers there are rewritten.
fn rewritten<'a>(packet: &Packet<'a>, sent: &Sent, place: &'a mut [u8]) -> Packet<'a> {
    let descriptor = match packet.info.codec {
        CodecKind::Av1 => rewrite(packet.descriptor, sent.numbers.frame, sent.active, place),
        _ => Some(&[][..]),
    };
    Packet { descriptor: descriptor.unwrap_or(packet.descriptor), ..*packet }
}

/// What a sent packet was made of, if it is there still.
fn stored<'a>(sent: &Sent, layers: &'a [Layer]) -> Option<Packet<'a>> {
    layers.get(sent.layer)?.ring.get(sent.source)
}

fn slot(sent: &mut [Option<Sent>], number: u16) -> Option<&mut Option<Sent>> {
    let index = usize::from(number).checked_rem(sent.len())?;
    sent.get_mut(index)
}

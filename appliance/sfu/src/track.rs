//! A published track: its layers as they come in, and its ways to the subscribers.

use std::time::Instant;

use belfry_media_api::{MediaKind, Publication, Quality};

use crate::allocate::{Rank, layer_max};
use crate::context::Context;
use crate::down::Down;
use crate::layer::{Accepted, Incoming, Layer};
use crate::participant::Participant;
use crate::rtp::rtcp::Writer;
use crate::rtp::slab::Pool;
use crate::sdp::{CodecKind, NegotiatedCodec};
use crate::speakers::Heard;
use crate::wanted::Wanted;

/// The SSRC that stands for the appliance as a receiver.
pub(crate) const RECEIVER_SSRC: u32 = 1;

#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) publication: Publication,
    /// The publisher's key in the room.
    pub(crate) owner: usize,
    pub(crate) kind: MediaKind,
    /// What the publisher may send, in the order of preference.
    pub(crate) codecs: Vec<CodecKind>,
    pub(crate) layers: Vec<Layer>,
    /// Sorted by participant.
    pub(crate) downs: Vec<Down>,
    pub(crate) heard: Heard,
    started: bool,
    wanted: Wanted,
}

impl Track {
    pub(crate) fn new(
        publication: Publication,
        owner: usize,
        kind: MediaKind,
        codecs: &[NegotiatedCodec],
        layers: usize,
    ) -> Self {
        let repairs = codecs.iter().any(|codec| codec.feedback.nack);
        // A single stream with several announced layers is one that is coded in layers.
        let coded = if layers == 1 { publication.layers.len().max(1) } else { layers };
        // Several payload types may be one codec, as profiles of H.264 are.
        let mut kinds: Vec<CodecKind> = Vec::new();
        for codec in codecs {
            if !kinds.contains(&codec.kind) {
                kinds.push(codec.kind);
            }
        }
        Self {
            publication,
            owner,
            kind,
            codecs: kinds,
            layers: std::iter::repeat_with(|| Layer::new(repairs)).take(layers).collect(),
            downs: Vec::new(),
            heard: Heard::default(),
            started: false,
            wanted: Wanted::new(coded),
        }
    }

    pub(crate) fn clock_hz(&self) -> u32 {
        self.codecs.first().map_or(90_000, |codec| codec.clock_rate())
    }

    pub(crate) fn down(&mut self, participant: usize) -> Option<&mut Down> {
        let at = self.downs.binary_search_by_key(&participant, |down| down.participant).ok()?;
        self.downs.get_mut(at)
    }

    pub(crate) fn add_down(&mut self, down: Down) {
        let at = self.downs.partition_point(|other| other.participant < down.participant);
        self.downs.insert(at, down);
    }

    pub(crate) fn remove_down(&mut self, participant: usize) -> Option<Down> {
        let at = self.downs.binary_search_by_key(&participant, |down| down.participant).ok()?;
        Some(self.downs.remove(at))
    }

    /// A media packet on its way from its publisher to everybody who gets this layer now. Says
    /// whether it was the track's first.
    pub(crate) fn forward(
        &mut self,
        layer_index: usize,
        incoming: &Incoming<'_>,
        participants: &mut slab::Slab<Participant>,
        context: &mut Context<'_>,
    ) -> bool {
        let Some(layer) = self.layers.get_mut(layer_index) else { return false };
        match layer.accept(incoming, &mut context.shared.pool, context.now) {
            Accepted::Media(packet) if !self.publication.muted => {
                if let Some(level) = packet.info.level {
                    self.heard.packet(level);
                }
                for down in &mut self.downs {
                    let Some(subscriber) = participants.get_mut(down.participant) else { continue };
                    let egress = &mut subscriber.egress;
                    down.forward(layer_index, &packet, &self.layers, egress, context);
                }
            }
            Accepted::Padding(sequence) => {
                for down in &mut self.downs {
                    let Some(subscriber) = participants.get_mut(down.participant) else { continue };
                    down.skip(layer_index, sequence, &mut subscriber.egress, context);
                }
                return false;
            }
            Accepted::Media(_) => {}
            Accepted::Dropped => return false,
        }
        !std::mem::replace(&mut self.started, true)
    }

    /// The layer goes on under another SSRC, if it does.
    pub(crate) fn meet(&mut self, layer_index: usize, ssrc: u32, pool: &mut Pool) {
        let Some(layer) = self.layers.get_mut(layer_index) else { return };
        if layer.ssrc == Some(ssrc) {
            return;
        }
        layer.restart(ssrc, pool);
        let here = |down: &&mut Down| down.current() == Some(layer_index);
        self.downs.iter_mut().filter(here).for_each(Down::interrupt);
    }

    pub(crate) fn mute(&mut self, muted: bool) {
        self.publication.muted = muted;
        self.downs.iter_mut().for_each(Down::interrupt);
        if !muted {
            self.want_awaited();
        }
    }

    /// Wants keyframes of the layers that somebody waits for.
    pub(crate) fn want_awaited(&mut self) {
        if self.kind == MediaKind::Audio || self.publication.muted {
            return;
        }
        for down in &self.downs {
            let awaited = down.awaited(self.layers.len());
            if let Some(layer) = awaited.and_then(|awaited| self.layers.get_mut(awaited)) {
                layer.keyframe.want();
            }
        }
    }

    /// Writes what is to be asked of the publisher now: missing packets and keyframes.
    pub(crate) fn ask(&mut self, now: Instant, writer: &mut Writer, numbers: &mut Vec<u16>) {
        let muted = self.publication.muted;
        for layer in &mut self.layers {
            let Some(ssrc) = layer.ssrc else { continue };
            numbers.clear();
            layer.nack.due(now, numbers);
            if !numbers.is_empty() && !muted {
                writer.nack(RECEIVER_SSRC, ssrc, numbers);
            }
            if layer.nack.take_gave_up() && self.kind == MediaKind::Video && !self.downs.is_empty()
            {
                layer.keyframe.want();
            }
            if layer.keyframe.take_due(now) && !muted {
                writer.keyframe_request(RECEIVER_SSRC, ssrc);
            }
        }
    }

    /// When [`Track::ask`] may have something to ask.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        let of = |layer: &Layer| {
            layer.ssrc?;
            [layer.nack.deadline(), layer.keyframe.deadline(now)].into_iter().flatten().min()
        };
        self.layers.iter().filter_map(of).min()
    }

    /// The index of the best layer that is of use to a subscriber.
    pub(crate) fn layer_max(&self, down: &Down) -> Option<usize> {
        let best = layer_max(&self.publication.layers, &down.settings)?;
        match self.layers.as_slice() {
            // One stream, perhaps coded in spatial layers: what was not announced is not held back.
            [stream] if self.publication.layers.len() < 2 => {
                Some(best.max(stream.spatial_top().into()))
            }
            [_] => Some(best),
            layers => Some(best.min(layers.len().saturating_sub(1))),
        }
    }

    /// `spotlit`: its owner is shown large to all.
    pub(crate) fn rank(&self, spotlit: bool) -> Rank {
        match self.publication.source {
            belfry_media_api::Source::ScreenShare => Rank::Screen,
            _ if self.publication.lead => Rank::Lead,
            _ if spotlit => Rank::Spotlight,
            _ => Rank::Visible,
        }
    }

    /// Bits per second of the layers that arrive, by index; of one stream that is coded in spatial
    /// layers, what each takes together with those below.
    pub(crate) fn rates(&self, now: Instant) -> [Option<u64>; 3] {
        let mut rates = [None; 3];
        for (index, rate) in rates.iter_mut().enumerate() {
            let (live, measured) = match self.layers.as_slice() {
                [stream] => (stream.is_coded(index, now), stream.rate_up_to_bps(index)),
                layers => layers
                    .get(index)
                    .map_or((false, 0), |layer| (layer.is_live(now), layer.rate_bps())),
            };
            let announced = self.publication.layers.get(index).map_or(0, |layer| layer.bitrate_bps);
            let known = if measured == 0 { u64::from(announced) } else { measured };
            *rate = live.then_some(known);
        }
        rates
    }

    /// Which qualities to tell the publisher now, if that changed.
    pub(crate) fn wanted(&mut self, now: Instant) -> Option<[bool; 3]> {
        if self.kind == MediaKind::Audio {
            return None;
        }
        let layers = self.downs.iter().filter_map(|down| self.layer_max(down)).map(|max| max + 1);
        let count = self.wanted.update(layers.max().unwrap_or(0), now)?;
        let mut qualities = [false; 3];
        for (index, layer) in self.publication.layers.iter().enumerate() {
            if let Some(slot) = qualities.get_mut(layer.quality as usize) {
                *slot |= index < count;
            }
        }
        if self.publication.layers.is_empty() {
            qualities[Quality::High as usize] = count > 0;
        }
        // A client that sends one layer of high quality may know it by any name below that, too.
        let announced = |quality: usize| {
            self.publication.layers.iter().any(|layer| layer.quality as usize == quality)
        };
        for lower in (0..Quality::High as usize).rev().filter(|quality| !announced(*quality)) {
            qualities[lower] |= qualities[lower + 1];
        }
        Some(qualities)
    }
}

//! A room: its participants and tracks, and the way of a packet through it.
//!
//! **Invariant:** nothing that one room does reaches into another; a room that fails is dropped
//! whole.

mod allocation;
mod command;
mod pace;
mod tick;

use std::collections::HashMap;
use std::time::Instant;

use belfry_media_api::{ConnectionState, Event, PeerRole};
use belfry_model::{Outside, ParticipantSid, Pii, RoomSid, TrackSid};
use slab::Slab;

use crate::allocate::{Voice, Want};
use crate::connection::{Happened, Received};
use crate::context::Context;
use crate::outbox::Destination;
use crate::participant::Participant;
use crate::rtp::header::RTP_HEADER;
use crate::rtp::rtcp::{Message, RTCP};
use crate::rtp::stats::SenderReport;
use crate::speakers::Speakers;
use crate::track::Track;

#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) sid: RoomSid,
    /// This room's key in the shard.
    key: usize,
    pub(crate) participants: Slab<Participant>,
    tracks: Slab<Track>,
    by_participant: HashMap<ParticipantSid, usize>,
    by_track: HashMap<TrackSid, usize>,
    speakers: Speakers,
    /// Scratch of the allocation.
    wants: Vec<Want>,
    voices: Vec<Voice>,
    /// Who is shown large to all, here or not.
    spotlight: Vec<ParticipantSid>,
    /// When to ask publishers, send feedback and wake connections.
    urgent_at: Instant,
    /// When to send what pacers kept, and probes.
    pace_at: Instant,
    /// When to allocate, and to look after what is not urgent.
    allocate_at: Instant,
    speakers_at: Instant,
    quality_at: Instant,
}

impl Room {
    pub(crate) fn new(sid: RoomSid, key: usize, now: Instant) -> Self {
        Self {
            sid,
            key,
            participants: Slab::new(),
            tracks: Slab::new(),
            by_participant: HashMap::new(),
            by_track: HashMap::new(),
            speakers: Speakers::default(),
            wants: Vec::new(),
            voices: Vec::new(),
            spotlight: Vec::new(),
            urgent_at: now,
            pace_at: now,
            allocate_at: now,
            speakers_at: now + crate::speakers::INTERVAL,
            quality_at: now + crate::quality::INTERVAL,
        }
    }

    pub(crate) fn has_track(&self, track: &TrackSid) -> bool {
        self.by_track.contains_key(track)
    }

    /// Takes a datagram for a connection of this room. On an authenticated ICE check it says which
    /// path gives way.
    pub(crate) fn receive(
        &mut self,
        participant: usize,
        role: PeerRole,
        from: Destination,
        datagram: &mut [u8],
        context: &mut Context<'_>,
    ) -> Received {
        let Some(connection) =
            self.participants.get_mut(participant).and_then(|found| found.connection(role))
        else {
            return Received::Nothing;
        };
        let received = connection.receive(from, datagram, context.now, context.outbox);
        let packet = |len| datagram.get(..len).unwrap_or_default();
        match received {
            Received::Rtp { len } => self.rtp(participant, packet(len), context),
            Received::Rtcp { len } => self.rtcp(participant, role, packet(len), context),
            Received::Checked { .. } | Received::Nothing => self.poll(participant, role, context),
            Received::Refused(_) => context.shared.counters.refused += 1,
        }
        received
    }

    /// The way of a media packet: whose is it, out of its envelope, kept, handed on.
    fn rtp(&mut self, participant: usize, bytes: &[u8], context: &mut Context<'_>) {
        let Some(publisher) =
            self.participants.get_mut(participant).and_then(|found| found.publisher.as_mut())
        else {
            return;
        };
        let Ok(header) = RTP_HEADER.parse(Outside::new(bytes)) else {
            context.shared.counters.refused += 1;
            return;
        };
        publisher.ssrc = header.ssrc;
        if let Some(&[high, low]) = header.extension(bytes, publisher.transport_cc_id()) {
            publisher.feedback.arrived(u16::from_be_bytes([high, low]), context.now);
        }
        let Some(source) = publisher.identify(&header, bytes) else { return };
        let Some(track_key) = publisher.track_of(source) else { return };
        let Some(track) = self.tracks.get_mut(track_key) else { return };
        let Some((incoming, repeated)) = publisher.open(source, &header, bytes) else { return };
        if !repeated {
            track.meet(source.layer, header.ssrc, &mut context.shared.pool);
        }
        let codec = incoming.codec;
        if track.forward(source.layer, &incoming, &mut self.participants, context) {
            let track = track.publication.track.clone();
            context.tell(Event::TrackStarted { track, mime: codec.mime().to_owned() });
            self.allocate_at = context.now;
        }
        self.hurry(participant, track_key, context.now);
        self.pace_soon(context);
    }

    /// Wakes up in time for what a packet made due.
    fn hurry(&mut self, participant: usize, track: usize, now: Instant) {
        let publisher =
            self.participants.get(participant).and_then(|found| found.publisher.as_ref());
        let feedback = publisher.and_then(|publisher| publisher.feedback.deadline());
        let ask = self.tracks.get(track).and_then(|track| track.deadline(now));
        for deadline in [feedback, ask].into_iter().flatten() {
            self.urgent_at = self.urgent_at.min(deadline);
        }
    }

    fn rtcp(
        &mut self,
        participant: usize,
        role: PeerRole,
        bytes: &[u8],
        context: &mut Context<'_>,
    ) {
        let Ok(messages) = RTCP.parse(Outside::new(bytes)) else {
            context.shared.counters.refused += 1;
            return;
        };
        for message in messages {
            match role {
                PeerRole::Publisher => self.publisher_reports(participant, &message, context.now),
                PeerRole::Subscriber => self.subscriber_reports(participant, &message, context),
            }
        }
    }

    fn publisher_reports(&mut self, participant: usize, message: &Message, now: Instant) {
        let Message::SenderReport { ssrc, ntp, timestamp } = *message else { return };
        let own = |track: &&mut Track| track.owner == participant;
        let mut layers = self
            .tracks
            .iter_mut()
            .map(|(_, track)| track)
            .filter(own)
            .flat_map(|track| &mut track.layers);
        if let Some(layer) = layers.find(|layer| layer.ssrc == Some(ssrc)) {
            layer.stats.sender_report(SenderReport { ntp, timestamp, arrival: now });
        }
    }

    fn subscriber_reports(
        &mut self,
        participant: usize,
        message: &Message,
        context: &mut Context<'_>,
    ) {
        let Some(subscriber) = self.participants.get_mut(participant) else { return };
        let ssrc = match message {
            Message::TransportCc { base, reference, arrivals } => {
                let congestion = &mut subscriber.egress.congestion;
                congestion.feedback(*base, *reference, arrivals, context.now);
                let moved = congestion.take_moved();
                if let Some(at) = congestion.deadline() {
                    self.pace_at = self.pace_at.min(at);
                }
                if moved {
                    self.allocate_for(participant, context);
                    self.want_keyframes(context.now);
                }
                return;
            }
            Message::SenderReport { .. } => return,
            Message::Report { ssrc, .. }
            | Message::Keyframe { ssrc }
            | Message::Nack { ssrc, .. } => *ssrc,
        };
        let Some(track_key) = subscriber.by_ssrc.get(&ssrc).copied() else { return };
        let Some(track) = self.tracks.get_mut(track_key) else { return };
        let Ok(at) = track.downs.binary_search_by_key(&participant, |down| down.participant) else {
            return;
        };
        let Some(down) = track.downs.get_mut(at) else { return };
        match message {
            Message::Report { fraction_lost, last_sr, delay, .. } => {
                let loss = f64::from(*fraction_lost) / 256.0;
                subscriber.egress.congestion.reported(loss, context.now);
                let rtt = down.reported(*last_sr, *delay, context.now);
                if let Some(rtt) = rtt {
                    subscriber.egress.congestion.rtt_sample(rtt);
                }
            }
            Message::Nack { sequences, .. } => {
                down.repeat(sequences, &track.layers, &mut subscriber.egress, context);
                self.pace_soon(context);
            }
            _ => {
                let current = down.current().and_then(|layer| track.layers.get_mut(layer));
                if let Some(layer) = current.filter(|_| !track.publication.muted) {
                    layer.keyframe.want();
                }
                self.hurry(participant, track_key, context.now);
            }
        }
    }

    /// Tells what happened to a connection.
    fn poll(&mut self, participant: usize, role: PeerRole, context: &mut Context<'_>) {
        while let Some(found) = self.participants.get_mut(participant) {
            let sid = found.sid.clone();
            let Some(connection) = found.connection(role) else { return };
            if let Some(at) = connection.deadline() {
                self.urgent_at = self.urgent_at.min(at);
            }
            let Some(happened) = connection.poll() else { return };
            let state = |state| Event::Connection { participant: sid.clone(), role, state };
            let event = match happened {
                Happened::Connected => {
                    self.refresh(participant, role, context.now);
                    state(ConnectionState::Connected)
                }
                Happened::Lost => state(ConnectionState::Lost),
                Happened::Data { kind, bytes } => Event::Data { participant: sid, kind, bytes },
                Happened::Path(path, address) => {
                    Event::Path { participant: sid, role, path, address: Pii::new(address) }
                }
                Happened::Ended(end) => Event::Ended { participant: sid, end },
            };
            context.tell(event);
        }
    }

    /// A connection came up, perhaps again: what was lost meanwhile is made good by keyframes.
    fn refresh(&mut self, participant: usize, role: PeerRole, now: Instant) {
        for (_, track) in &mut self.tracks {
            if role == PeerRole::Subscriber
                && let Some(down) = track.down(participant)
            {
                down.interrupt();
                track.want_awaited();
            }
        }
        self.allocate_at = now;
        self.urgent_at = now;
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        if self.participants.is_empty() {
            return None;
        }
        [self.urgent_at, self.pace_at, self.allocate_at, self.speakers_at, self.quality_at]
            .into_iter()
            .min()
    }
}

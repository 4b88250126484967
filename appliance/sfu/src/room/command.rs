//! What the control plane asks of a room.

use belfry_media_api::{
    Carried, DataKind, Event, MediaKind, PeerRole, Preference, Publication, SubscriptionError,
    TrackSettings,
};
use belfry_model::limits::{PARTICIPANT_TRACKS_MAX, ROOM_PARTICIPANTS_MAX, TRACK_LAYERS_MAX};
use belfry_model::{ParticipantSid, TrackSid};
use bytes::Bytes;

use super::Room;
use crate::congestion::{Congestion, Tuning};
use crate::context::{Context, Owner};
use crate::down::Down;
use crate::egress::Egress;
use crate::ladder::Ladder;
use crate::participant::Participant;
use crate::publisher::Publisher;
use crate::sdp::{self, Outgoing, SdpError};
use crate::track::Track;

impl Room {
    /// A new participant, whose first offer has the data channels only. `false`: the room is full.
    pub(crate) fn open(&mut self, sid: ParticipantSid, context: &mut Context<'_>) -> bool {
        if self.participants.len() >= ROOM_PARTICIPANTS_MAX {
            context.shared.counters.refused += 1;
            return false;
        }
        let entry = self.participants.vacant_entry();
        let owner = Owner { room: self.key, participant: entry.key(), role: PeerRole::Subscriber };
        let (key, connection) = context.connect(owner);
        self.by_participant.insert(sid.clone(), entry.key());
        let congestion = Congestion::new(context.now, Tuning::default());
        let spotlit = self.spotlight.contains(&sid);
        let participant = entry.insert(Participant {
            sid,
            publisher: None,
            key,
            egress: Egress { connection, congestion },
            offers: sdp::Subscriber::new(rand::random::<u64>() >> 2),
            subscriptions: Vec::new(),
            by_ssrc: std::collections::HashMap::new(),
            quality: None,
            carried: Carried::All,
            ladder: Ladder::default(),
            spotlit,
            reports_at: context.now,
        });
        participant.offer_if_wanted(context);
        true
    }

    pub(crate) fn close(&mut self, sid: &ParticipantSid, context: &mut Context<'_>) {
        let Some(key) = self.by_participant.remove(sid) else { return };
        let published: Vec<TrackSid> = self
            .tracks
            .iter()
            .filter(|(_, track)| track.owner == key)
            .map(|(_, track)| track.publication.track.clone())
            .collect();
        for track in published {
            self.unpublish(&track, context);
        }
        let Some(participant) = self.participants.try_remove(key) else { return };
        for track in participant.subscriptions {
            if let Some(track) = self.tracks.get_mut(track) {
                track.remove_down(key);
            }
        }
        self.speakers.remove(key);
        context.shared.owners.try_remove(participant.key);
        if let Some(publisher) = participant.publisher {
            context.shared.owners.try_remove(publisher.key);
        }
        self.allocate_at = context.now;
    }

    /// Gives all memory back: nobody is told, as nobody is left.
    pub(crate) fn close_all(&mut self, context: &mut Context<'_>) {
        for track in self.tracks.drain() {
            for mut layer in track.layers {
                layer.ring.clear(&mut context.shared.pool);
            }
        }
    }

    pub(crate) fn publisher_offer(
        &mut self,
        sid: &ParticipantSid,
        offer_id: u32,
        text: &str,
        preferences: &[Preference],
        context: &mut Context<'_>,
    ) {
        let Some(&key) = self.by_participant.get(sid) else { return };
        let Some(participant) = self.participants.get_mut(key) else { return };
        if participant.publisher.is_none() {
            let owner = Owner { room: self.key, participant: key, role: PeerRole::Publisher };
            let (connection_key, connection) = context.connect(owner);
            participant.publisher = Some(Publisher::new(connection_key, connection, context.now));
        }
        let Some(publisher) = participant.publisher.as_mut() else { return };
        let event = match publisher.answer(text, preferences, context.shared) {
            Ok((sdp, sections)) => {
                Event::PublisherAnswer { participant: sid.clone(), offer_id, sdp, sections }
            }
            Err(refusal) => refused(sid, PeerRole::Publisher, offer_id, &refusal),
        };
        context.tell(event);
        self.urgent_at = context.now;
    }

    pub(crate) fn publish(
        &mut self,
        sid: &ParticipantSid,
        publication: Publication,
        context: &mut Context<'_>,
    ) -> bool {
        let Some(&owner) = self.by_participant.get(sid) else { return false };
        let published = self.tracks.iter().filter(|(_, track)| track.owner == owner).count();
        let known = self.by_track.contains_key(&publication.track);
        let publisher = self.participants.get_mut(owner).and_then(|found| found.publisher.as_mut());
        let Some(publisher) = publisher.filter(|_| !known && published < PARTICIPANT_TRACKS_MAX)
        else {
            context.shared.counters.refused += 1;
            return false;
        };
        let Some(section) = publisher.section(&publication.mid) else {
            context.shared.counters.refused += 1;
            return false;
        };
        let layers = section.rids.len().clamp(1, TRACK_LAYERS_MAX);
        let (mid, track_sid) = (publication.mid.clone(), publication.track.clone());
        let track = Track::new(publication, owner, section.kind, &section.codecs, layers);
        let key = self.tracks.insert(track);
        let before = publisher.bind(&mid, Some(key));
        self.by_track.insert(track_sid, key);
        let before = before.and_then(|key| self.tracks.get(key));
        if let Some(before) = before.map(|track| track.publication.track.clone()) {
            self.unpublish(&before, context);
        }
        true
    }

    pub(crate) fn unpublish(&mut self, track: &TrackSid, context: &mut Context<'_>) {
        let Some(key) = self.by_track.remove(track) else { return };
        let Some(mut track) = self.tracks.try_remove(key) else { return };
        for layer in &mut track.layers {
            layer.ring.clear(&mut context.shared.pool);
        }
        let publisher =
            self.participants.get_mut(track.owner).and_then(|found| found.publisher.as_mut());
        if let Some(publisher) = publisher {
            publisher.unbind(key);
        }
        for down in track.downs {
            let Some(subscriber) = self.participants.get_mut(down.participant) else { continue };
            subscriber.forget(key, &down);
            subscriber.offers.remove(&track.publication.track);
            subscriber.offer_if_wanted(context);
        }
        self.allocate_at = context.now;
    }

    pub(crate) fn mute(&mut self, track: &TrackSid, muted: bool, context: &mut Context<'_>) {
        let Some(track) = self.by_track.get(track).and_then(|key| self.tracks.get_mut(*key)) else {
            return;
        };
        if track.publication.muted != muted {
            track.mute(muted);
            self.allocate_at = context.now;
            self.urgent_at = context.now;
        }
    }

    pub(crate) fn subscribe(
        &mut self,
        sid: &ParticipantSid,
        track_sid: &TrackSid,
        publisher: ParticipantSid,
        stream: String,
        context: &mut Context<'_>,
    ) {
        let Some(&key) = self.by_participant.get(sid) else { return };
        let Some(subscriber) = self.participants.get_mut(key) else { return };
        let track_key = self.by_track.get(track_sid).copied();
        let Some((track_key, track)) =
            track_key.zip(track_key.and_then(|key| self.tracks.get_mut(key)))
        else {
            context.tell(failed(sid, track_sid, SubscriptionError::TrackNotFound));
            return;
        };
        if track.down(key).is_some() {
            return;
        }
        let ssrc = subscriber.new_ssrc(track_key);
        let rtx_ssrc = (track.kind == MediaKind::Video).then(|| subscriber.new_ssrc(track_key));
        let outgoing = Outgoing {
            track: track_sid.clone(),
            publisher,
            stream,
            kind: track.kind,
            codecs: track.codecs.clone(),
            ssrc,
            rtx_ssrc,
        };
        let mut down = Down::new(key, track_key, ssrc, rtx_ssrc, track.clock_hz());
        if subscriber.offers.add(outgoing).is_err() {
            subscriber.forget(track_key, &down);
            context.shared.counters.refused += 1;
            context.tell(failed(sid, track_sid, SubscriptionError::TrackNotFound));
            return;
        }
        if track.kind == MediaKind::Audio {
            down.set_target(Some(0));
        }
        track.add_down(down);
        subscriber.subscriptions.push(track_key);
        subscriber.offer_if_wanted(context);
        self.allocate_at = context.now;
    }

    pub(crate) fn unsubscribe(
        &mut self,
        sid: &ParticipantSid,
        track_sid: &TrackSid,
        context: &mut Context<'_>,
    ) {
        if self.drop_down(sid, track_sid)
            && let Some(subscriber) =
                self.by_participant.get(sid).and_then(|key| self.participants.get_mut(*key))
        {
            subscriber.offers.remove(track_sid);
            subscriber.offer_if_wanted(context);
            self.allocate_at = context.now;
        }
    }

    /// Ends the forwarding of a track to a participant; `false` if there was none.
    fn drop_down(&mut self, sid: &ParticipantSid, track: &TrackSid) -> bool {
        let keys = self.by_participant.get(sid).copied().zip(self.by_track.get(track).copied());
        let Some((key, track_key)) = keys else { return false };
        let down = self.tracks.get_mut(track_key).and_then(|track| track.remove_down(key));
        let found = self.participants.get_mut(key).zip(down);
        if let Some((subscriber, down)) = &mut { found } {
            subscriber.forget(track_key, down);
            return true;
        }
        false
    }

    /// Who is shown large to all from now on.
    pub(crate) fn spotlight(&mut self, sids: Vec<ParticipantSid>, context: &mut Context<'_>) {
        for (_, participant) in &mut self.participants {
            participant.spotlit = sids.contains(&participant.sid);
        }
        self.spotlight = sids;
        self.allocate_at = context.now;
    }

    pub(crate) fn settings(
        &mut self,
        sid: &ParticipantSid,
        track: &TrackSid,
        settings: TrackSettings,
        context: &mut Context<'_>,
    ) {
        let keys = self.by_participant.get(sid).copied().zip(self.by_track.get(track).copied());
        let Some((key, track)) = keys else { return };
        let Some(track) = self.tracks.get_mut(track) else { return };
        let kind = track.kind;
        if let Some(down) = track.down(key) {
            down.settings = settings;
            if kind == MediaKind::Audio {
                down.set_target((!settings.disabled).then_some(0));
            }
        }
        self.allocate_at = context.now;
    }

    pub(crate) fn subscriber_answer(
        &mut self,
        sid: &ParticipantSid,
        offer_id: u32,
        text: &str,
        context: &mut Context<'_>,
    ) {
        let Some(&key) = self.by_participant.get(sid) else { return };
        let Some(subscriber) = self.participants.get_mut(key) else { return };
        let answered = match subscriber.answered(offer_id, text) {
            Ok(answered) => answered,
            // An answer to an offer that another one has overtaken is no fault.
            Err(belfry_model::outside::Refusal::Malformed { source: SdpError::Stale, .. }) => {
                return;
            }
            Err(refusal) => {
                context.tell(refused(sid, PeerRole::Subscriber, offer_id, &refusal));
                return;
            }
        };
        for (track_sid, sending) in answered.tracks {
            let Some(sending) = sending else {
                self.drop_down(sid, &track_sid);
                context.tell(failed(sid, &track_sid, SubscriptionError::Codec));
                continue;
            };
            let track = self.by_track.get(&track_sid).and_then(|key| self.tracks.get_mut(*key));
            if let Some(down) = track.and_then(|track| track.down(key)) {
                let feedback = sending.extensions.id(sdp::Extension::TransportCc).is_some();
                down.accept(sending, context.now);
                if let Some(subscriber) = self.participants.get_mut(key) {
                    subscriber.egress.congestion.expect_feedback(feedback);
                }
            }
        }
        if let Some(subscriber) = self.participants.get_mut(key) {
            subscriber.offer_if_wanted(context);
        }
        self.allocate_at = context.now;
        self.urgent_at = context.now;
    }

    pub(crate) fn restart_subscriber(&mut self, sid: &ParticipantSid, context: &mut Context<'_>) {
        let participant =
            self.by_participant.get(sid).and_then(|key| self.participants.get_mut(*key));
        if let Some(participant) = participant {
            participant.egress.connection.restart_ice();
            participant.offer(context);
        }
    }

    pub(crate) fn send_data(
        &mut self,
        to: &ParticipantSid,
        kind: DataKind,
        bytes: &Bytes,
        context: &mut Context<'_>,
    ) {
        let Some(&key) = self.by_participant.get(to) else { return };
        let Some(participant) = self.participants.get_mut(key) else { return };
        let connection = &mut participant.egress.connection;
        if connection.send_data(kind, bytes, context.now, context.outbox).is_err() {
            context.shared.counters.send_failed += 1;
        }
        self.poll(key, PeerRole::Subscriber, context);
    }
}

fn failed(participant: &ParticipantSid, track: &TrackSid, error: SubscriptionError) -> Event {
    Event::SubscriptionFailed { participant: participant.clone(), track: track.clone(), error }
}

fn refused(
    participant: &ParticipantSid,
    role: PeerRole,
    offer_id: u32,
    refusal: &belfry_model::outside::Refusal<SdpError>,
) -> Event {
    let reason = match refusal {
        belfry_model::outside::Refusal::Malformed { source, .. } => source.to_string(),
        too_long @ belfry_model::outside::Refusal::TooLong { .. } => too_long.to_string(),
    };
    Event::OfferRefused { participant: participant.clone(), role, offer_id, reason }
}

//! What the media plane tells.

use belfry_media_api::{
    ConnectionQuality, ConnectionState, Event, MediaKind, PeerRole, Speaker, SubscriptionError,
};
use belfry_model::{Identity, ParticipantSid, RoomSid, Timestamp, TrackSid};
use livekit_protocol as proto;
use livekit_protocol::participant_info::State;
use livekit_protocol::signal_response::Message;

use super::Room;
use super::frames::mid_map;
use super::participant::Offer;
use super::types::{LeaveReason, Notice, SpeakerLevel};

/// How long a lower demand for a track's layers must last before its publisher hears of it.
const LOWER_AFTER_MS: i64 = 5_000;
/// Levels are told in these steps, so that small changes cost nothing.
const LEVEL_STEPS: f32 = 8.0;

impl Room {
    /// An event of one of this room's participants or tracks; others are ignored.
    pub fn media_event(&mut self, event: Event, now: Timestamp) {
        match event {
            Event::PublisherAnswer { participant, offer_id, sdp, sections } => {
                if self.participants.contains_key(&participant) {
                    let answer = description("answer", offer_id, sdp);
                    self.publisher_answer(&participant, answer, sections, now);
                }
            }
            Event::OfferRefused { participant, role, reason, .. } => {
                tracing::warn!(%participant, ?role, reason, "a description was refused");
                self.leave(&participant, LeaveReason::MediaFailure, now);
            }
            Event::SubscriberOffer { participant, offer_id, sdp, mids } => {
                self.subscriber_offer(&participant, offer_id, sdp, mids);
            }
            Event::Connection { participant, role: PeerRole::Subscriber, state } => {
                self.primary_connection(&participant, state, now);
            }
            Event::Data { participant, kind, bytes } => self.data(&participant, kind, &bytes, now),
            Event::TrackStarted { track, mime } => self.track_started(&track, mime),
            Event::Speakers { room, changed } => self.speakers(&room, &changed),
            Event::Quality { participant, quality, loss_percent, rtt_ms } => {
                self.quality(&participant, quality, loss_percent, rtt_ms);
            }
            Event::Wanted { track, qualities } => self.wanted(&track, qualities, now),
            Event::Paused { participant, track, paused } => {
                self.paused(&participant, &track, paused);
            }
            Event::SubscriptionFailed { participant, track, error } => {
                let error = match error {
                    SubscriptionError::Codec => proto::SubscriptionError::SeCodecUnsupported,
                    SubscriptionError::TrackNotFound => proto::SubscriptionError::SeTrackNotfound,
                };
                self.subscription_failed(&participant, &track, error);
            }
            Event::Ended { participant, .. } => {
                self.leave(&participant, LeaveReason::MediaFailure, now);
            }
            Event::RoomFailed { room } => {
                if room == self.config.sid {
                    self.everybody_leaves(LeaveReason::MediaFailure, now);
                }
            }
            // The signalling protocol has no word for these two.
            Event::Downlink { participant, downlink } => {
                if let Some(identity) = self.identity_of(&participant) {
                    self.notice(Notice::Downlink { identity, participant, downlink });
                }
            }
            Event::Path { participant, role, path, address } => {
                if let Some(identity) = self.identity_of(&participant) {
                    self.notice(Notice::Path { identity, participant, role, path, address });
                }
            }
            Event::Ready { .. }
            | Event::Unusable { .. }
            | Event::Counters { .. }
            | Event::Connection { role: PeerRole::Publisher, .. } => {}
        }
    }

    fn identity_of(&self, sid: &ParticipantSid) -> Option<Identity> {
        self.participants.get(sid).map(|participant| participant.identity.clone())
    }

    fn subscriber_offer(
        &mut self,
        sid: &ParticipantSid,
        id: u32,
        sdp: String,
        mids: Vec<(String, TrackSid)>,
    ) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        let offer = proto::SessionDescription {
            mid_to_track_id: mid_map(mids),
            ..description("offer", id, sdp)
        };
        // Kept until it is answered: the socket may break before it is read.
        participant.offer = Some(Offer { id, description: offer.clone() });
        self.send(sid, Message::Offer(offer));
    }

    /// The subscriber connection is the primary one: a client is there when it is.
    fn primary_connection(&mut self, sid: &ParticipantSid, state: ConnectionState, now: Timestamp) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        match state {
            ConnectionState::Lost => {
                participant.lost_at.get_or_insert(now);
            }
            ConnectionState::Connected => {
                participant.lost_at = None;
                if participant.state != State::Active {
                    participant.state = State::Active;
                    let identity = participant.identity.clone();
                    self.tell_of(sid);
                    self.notice(Notice::Active { identity, participant: sid.clone() });
                }
            }
        }
    }

    fn track_started(&mut self, track_sid: &TrackSid, mime: String) {
        let Some(track) = self.tracks.get_mut(track_sid) else { return };
        if track.info.mime_type == mime {
            return;
        }
        for codec in &mut track.info.codecs {
            codec.mime_type.clone_from(&mime);
        }
        track.info.mime_type = mime;
        let publisher = track.publisher.clone();
        self.tell_of(&publisher);
    }

    /// Each hears of itself and of those whose sound it receives.
    fn speakers(&mut self, room: &RoomSid, changed: &[Speaker]) {
        if *room != self.config.sid {
            return;
        }
        let changed: Vec<_> = changed
            .iter()
            .filter(|speaker| self.participants.contains_key(&speaker.participant))
            .map(|speaker| Speaker {
                level: (speaker.level.clamp(0.0, 1.0) * LEVEL_STEPS).ceil() / LEVEL_STEPS,
                ..speaker.clone()
            })
            .collect();
        let listeners: Vec<_> = self.participants.keys().cloned().collect();
        for listener in listeners {
            let heard = changed.iter().filter(|speaker| {
                speaker.participant == listener || self.hears(&listener, &speaker.participant)
            });
            let speakers: Vec<_> = heard
                .map(|speaker| proto::SpeakerInfo {
                    sid: speaker.participant.to_string(),
                    level: speaker.level,
                    active: speaker.active,
                })
                .collect();
            if !speakers.is_empty() {
                self.send(&listener, Message::SpeakersChanged(proto::SpeakersChanged { speakers }));
            }
        }
        let changed = changed.into_iter().map(|speaker| SpeakerLevel {
            identity: self.participants[&speaker.participant].identity.clone(),
            level: speaker.level,
            active: speaker.active,
        });
        let changed = changed.collect();
        self.notice(Notice::Speakers { changed });
    }

    fn hears(&self, listener: &ParticipantSid, speaker: &ParticipantSid) -> bool {
        self.tracks.values().any(|track| {
            track.publisher == *speaker
                && track.kind() == MediaKind::Audio
                && track.subscribers.contains(listener)
        })
    }

    /// The lesson hears at once, clients every few seconds.
    fn quality(
        &mut self,
        sid: &ParticipantSid,
        quality: ConnectionQuality,
        loss_percent: u8,
        rtt_ms: u32,
    ) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        participant.quality_changed |= participant.quality != quality;
        participant.quality = quality;
        let identity = participant.identity.clone();
        self.notice(Notice::Quality { identity, quality, loss_percent, rtt_ms });
    }

    /// Dynacast: more is told at once, less when it has lasted.
    fn wanted(&mut self, track_sid: &TrackSid, qualities: [bool; 3], now: Timestamp) {
        let Some(track) = self.tracks.get_mut(track_sid) else { return };
        track.wanted = qualities;
        let more = qualities.iter().zip(track.told).any(|(wanted, told)| *wanted && !told);
        if qualities == track.told {
            track.lower_due = None;
        } else if more {
            // What is not wanted any more stays on until its own time.
            let told = track.told;
            let raised = [0, 1, 2].map(|quality: usize| qualities[quality] || told[quality]);
            if raised != qualities {
                track.lower_due.get_or_insert(now.plus_ms(LOWER_AFTER_MS));
            }
            self.tell_wanted(track_sid, raised);
        } else {
            track.lower_due.get_or_insert(now.plus_ms(LOWER_AFTER_MS));
        }
    }

    pub(super) fn tell_wanted(&mut self, track_sid: &TrackSid, qualities: [bool; 3]) {
        let Some(track) = self.tracks.get_mut(track_sid) else { return };
        if track.told == qualities || track.kind() != MediaKind::Video {
            return;
        }
        track.told = qualities;
        let publisher = track.publisher.clone();
        // By the name that the client knows: one that it does not send yet would be a request to
        // publish the track a second time, with that codec.
        let codec = track.asked_codec.clone().unwrap_or_else(|| {
            track.info.mime_type.trim_start_matches("video/").to_ascii_lowercase()
        });
        self.send(
            &publisher,
            Message::SubscribedQualityUpdate(wanted_update(track_sid, codec, qualities)),
        );
    }

    fn paused(&mut self, sid: &ParticipantSid, track_sid: &TrackSid, paused: bool) {
        let Some(track) = self.tracks.get(track_sid) else { return };
        let state = if paused { proto::StreamState::Paused } else { proto::StreamState::Active };
        let info = proto::StreamStateInfo {
            participant_sid: track.publisher.to_string(),
            track_sid: track_sid.to_string(),
            state: state.into(),
        };
        let update = proto::StreamStateUpdate { stream_states: vec![info] };
        self.send(sid, Message::StreamStateUpdate(update));
    }
}

#[allow(deprecated, reason = "older clients read the list without codecs")]
fn wanted_update(
    track: &TrackSid,
    codec: String,
    qualities: [bool; 3],
) -> proto::SubscribedQualityUpdate {
    // All of them, always: a client takes a missing one for one that it may send.
    let qualities: Vec<_> = qualities
        .into_iter()
        .zip(0..)
        .map(|(enabled, quality)| proto::SubscribedQuality { quality, enabled })
        .collect();
    proto::SubscribedQualityUpdate {
        track_sid: track.to_string(),
        subscribed_qualities: qualities.clone(),
        subscribed_codecs: vec![proto::SubscribedCodec { codec, qualities }],
    }
}

fn description(kind: &str, id: u32, sdp: String) -> proto::SessionDescription {
    proto::SessionDescription {
        r#type: kind.to_owned(),
        sdp,
        id,
        mid_to_track_id: std::collections::HashMap::new(),
    }
}

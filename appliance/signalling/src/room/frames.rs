//! What clients say on the signalling socket.

use std::collections::HashMap;

use belfry_media_api::Command;
use belfry_model::outside::Refusal;
use belfry_model::{Outside, ParticipantSid, Timestamp, TrackSid, limits};
use livekit_protocol as proto;
use livekit_protocol::request_response::{Reason, Request};
use livekit_protocol::signal_request::Message as Asked;
use livekit_protocol::signal_response::Message;

use super::Room;
use super::types::{LeaveReason, SocketId};
use crate::declared::RequestKind;
use crate::policy::Rule;
use crate::token::{ATTRIBUTES_BYTES_MAX, ROLE_ATTRIBUTE};
use crate::wire::{self, WireError};

/// Frames refused for coming too fast before their participant is given up.
const FRAMES_REFUSED_MAX: u32 = 1000;
/// From this protocol on a request may be answered with OK.
const PROTOCOL_OK_RESPONSES: i32 = 15;

impl Room {
    /// One binary frame of a client.
    pub fn frame(&mut self, socket: SocketId, bytes: Outside<'_>, now: Timestamp) {
        let Some(sid) = self.sockets.get(&socket).cloned() else { return };
        let participant = self.participants.get_mut(&sid).expect("a socket has its participant");
        participant.heard_at = now;
        if !participant.frames.take(now) {
            participant.frames_refused += 1;
            match participant.frames_refused {
                1 => self.refused(&sid, Rule::TooMany),
                FRAMES_REFUSED_MAX => self.leave(&sid, LeaveReason::Removed, now),
                _ => {}
            }
            return;
        }
        match wire::REQUESTS.parse(bytes) {
            Ok(asked) => {
                let need = RequestKind::of(&asked).declaration().need;
                match need.check(&participant.grants) {
                    Ok(()) => self.asked(&sid, asked, now),
                    Err(rule) => self.turn_down(&sid, rule, asked),
                }
            }
            Err(Refusal::Malformed { source: WireError::Undeclared, .. }) => {
                self.refused(&sid, Rule::Undeclared);
            }
            Err(error) => {
                tracing::debug!(participant = %sid, %error, "a frame was refused");
                self.refused(&sid, Rule::Malformed);
            }
        }
    }

    #[allow(deprecated, reason = "older clients send what newer ones do not")]
    fn asked(&mut self, sid: &ParticipantSid, asked: Asked, now: Timestamp) {
        match asked {
            Asked::Offer(offer) => self.publisher_offer(sid, offer),
            Asked::Answer(answer) => self.subscriber_answer(sid, answer),
            Asked::Trickle(trickle) => {
                let json = Outside::new(trickle.candidate_init.as_bytes());
                if !trickle.candidate_init.is_empty() && wire::TRICKLES.parse(json).is_err() {
                    self.refused(sid, Rule::Malformed);
                }
            }
            Asked::AddTrack(request) => self.add_track(sid, request, now),
            Asked::Mute(request) => self.client_mute(sid, &request),
            Asked::Subscription(request) => self.update_subscription(sid, request),
            Asked::TrackSetting(settings) => self.track_settings(sid, &settings),
            Asked::Leave(_) => self.leave(sid, LeaveReason::ClientInitiated, now),
            Asked::SubscriptionPermission(permission) => self.set_audience(sid, permission),
            Asked::SyncState(state) => self.sync_state(sid, state, now),
            Asked::Ping(_) => self.send(sid, Message::Pong(now.0)),
            Asked::PingReq(ping) => self.send(
                sid,
                Message::PongResp(proto::Pong {
                    last_ping_timestamp: ping.timestamp,
                    timestamp: now.0,
                }),
            ),
            Asked::UpdateMetadata(request) => self.update_metadata(sid, request),
            Asked::UpdateAudioTrack(update) => {
                self.update_own_track(sid, &update.track_sid, |info| {
                    info.audio_features.clone_from(&update.features);
                    info.audio_features.truncate(8);
                });
            }
            Asked::UpdateVideoTrack(update) => {
                self.update_own_track(sid, &update.track_sid, |info| {
                    (info.width, info.height) = (update.width, update.height);
                });
            }
            // Deprecated, or declared as nobody's.
            Asked::UpdateLayers(_)
            | Asked::Simulate(_)
            | Asked::PublishDataTrackRequest(_)
            | Asked::UnpublishDataTrackRequest(_)
            | Asked::UpdateDataSubscription(_)
            | Asked::StoreDataBlobRequest(_)
            | Asked::GetDataBlobRequest(_) => {}
        }
    }

    /// Refuses what its sender may not, and answers where the protocol has an answer.
    fn turn_down(&mut self, sid: &ParticipantSid, rule: Rule, asked: Asked) {
        let (request_id, request) = match asked {
            Asked::AddTrack(request) => (0, Request::AddTrack(request)),
            Asked::UpdateMetadata(request) => {
                (request.request_id, Request::UpdateMetadata(request))
            }
            Asked::PublishDataTrackRequest(request) => (0, Request::PublishDataTrack(request)),
            Asked::UnpublishDataTrackRequest(request) => (0, Request::UnpublishDataTrack(request)),
            _ => {
                self.refused(sid, rule);
                return;
            }
        };
        self.refuse(sid, rule, request_id, request);
    }

    fn publisher_offer(&mut self, sid: &ParticipantSid, offer: proto::SessionDescription) {
        if offer.sdp.len() > limits::SDP_BYTES_MAX {
            self.refused(sid, Rule::TooLong);
            return;
        }
        let (participant, offer_id, sdp) = (sid.clone(), offer.id, offer.sdp);
        let preferences = self.preferences(sid);
        self.command(Command::PublisherOffer { participant, offer_id, sdp, preferences });
    }

    fn subscriber_answer(&mut self, sid: &ParticipantSid, answer: proto::SessionDescription) {
        if answer.sdp.len() > limits::SDP_BYTES_MAX {
            self.refused(sid, Rule::TooLong);
            return;
        }
        let Some(participant) = self.participants.get_mut(sid) else { return };
        let mut restart = false;
        // Native clients always answer 0, the latest.
        if participant.offer.as_ref().is_some_and(|offer| answer.id == 0 || answer.id == offer.id) {
            participant.offer = None;
            restart = std::mem::take(&mut participant.restart_after_answer);
        }
        self.command(Command::SubscriberAnswer {
            participant: sid.clone(),
            offer_id: answer.id,
            sdp: answer.sdp,
        });
        if restart {
            self.command(Command::RestartSubscriber { participant: sid.clone() });
        }
    }

    /// What the client still has of before its socket broke.
    fn sync_state(&mut self, sid: &ParticipantSid, state: proto::SyncState, now: Timestamp) {
        // The cid may be stale; the sid is what counts.
        let known = |published: &proto::TrackPublishedResponse| {
            published.track.as_ref().is_some_and(|info| self.owns_track(sid, &info.sid))
        };
        if !state.publish_tracks.iter().all(known) {
            self.leave(sid, LeaveReason::StateMismatch, now);
            return;
        }
        if let Some(subscription) = state.subscription {
            self.update_subscription(sid, subscription);
        }
        let settings = proto::UpdateTrackSettings {
            track_sids: state.track_sids_disabled,
            disabled: true,
            ..Default::default()
        };
        self.track_settings(sid, &settings);
        self.replay(sid, &state.datachannel_receive_states, now);
    }

    fn update_metadata(&mut self, sid: &ParticipantSid, asked: proto::UpdateParticipantMetadata) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        let request_id = asked.request_id;
        let mut attributes = participant.grants.attributes.clone();
        merge(&mut attributes, asked.attributes.iter());
        let bytes = attributes.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
        if bytes + asked.metadata.len() > ATTRIBUTES_BYTES_MAX
            || asked.name.chars().count() > limits::NAME_CHARS_MAX
        {
            self.answer(sid, request_id, Reason::LimitExceeded, Request::UpdateMetadata(asked));
            return;
        }
        participant.grants.attributes = attributes;
        if !asked.metadata.is_empty() {
            participant.grants.metadata.clone_from(&asked.metadata);
        }
        // The name is the account's: it is not changed from a client.
        self.answer(sid, request_id, Reason::Ok, Request::UpdateMetadata(asked));
        self.tell_of(sid);
    }

    fn update_own_track(
        &mut self,
        sid: &ParticipantSid,
        track: &str,
        change: impl FnOnce(&mut proto::TrackInfo),
    ) {
        let track = self.tracks.get_mut(&TrackSid::from(track));
        if let Some(track) = track.filter(|track| track.publisher == *sid) {
            change(&mut track.info);
            self.tell_of(sid);
        }
    }

    /// Refuses a request by a rule, and tells the client.
    pub(super) fn refuse(
        &mut self,
        sid: &ParticipantSid,
        rule: Rule,
        request_id: u32,
        request: Request,
    ) {
        self.answer(sid, request_id, Reason::NotAllowed, request);
        self.refused(sid, rule);
    }

    pub(super) fn answer(
        &mut self,
        sid: &ParticipantSid,
        request_id: u32,
        reason: Reason,
        request: Request,
    ) {
        let Some(participant) = self.participants.get(sid) else { return };
        if reason == Reason::Ok && participant.protocol < PROTOCOL_OK_RESPONSES {
            return;
        }
        let message = match reason {
            Reason::NotAllowed => "not allowed in this lesson",
            Reason::LimitExceeded => "more than is allowed",
            Reason::UnsupportedType => "not supported by this server",
            _ => "",
        };
        self.send(
            sid,
            Message::RequestResponse(proto::RequestResponse {
                request_id,
                reason: reason.into(),
                message: message.to_owned(),
                request: Some(request),
            }),
        );
    }
}

/// Sets attributes; an empty value removes. The role is nobody's to set.
pub(super) fn merge<'a>(
    attributes: &mut std::collections::BTreeMap<String, String>,
    changes: impl Iterator<Item = (&'a String, &'a String)>,
) {
    for (key, value) in changes.filter(|(key, _)| *key != ROLE_ATTRIBUTE) {
        if value.is_empty() {
            attributes.remove(key);
        } else {
            attributes.insert(key.clone(), value.clone());
        }
    }
}

/// The map from media sections to tracks as descriptions carry it.
pub(super) fn mid_map(mids: Vec<(String, TrackSid)>) -> HashMap<String, String> {
    mids.into_iter().map(|(mid, track)| (mid, track.to_string())).collect()
}

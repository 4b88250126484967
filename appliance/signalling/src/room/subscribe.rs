//! Who receives which track, and how much of it.

use belfry_media_api::{Command, Quality, TrackSettings};
use belfry_model::{ParticipantSid, TrackSid};
use livekit_protocol as proto;
use livekit_protocol::signal_response::Message;

use super::Room;
use crate::policy::Rule;
use crate::wire;

/// Entries of one message that name tracks or participants.
const ENTRIES_MAX: usize = 1000;

impl Room {
    /// Subscribes a participant to everything that it wants.
    pub(super) fn subscribe_to_all(&mut self, sid: &ParticipantSid) {
        let tracks: Vec<_> = self.tracks.keys().cloned().collect();
        for track in tracks {
            self.subscribe_if_wanted(sid, &track);
        }
    }

    /// Subscribes everybody who wants it to a track.
    pub(super) fn subscribe_all_to(&mut self, track: &TrackSid) {
        let participants: Vec<_> = self.participants.keys().cloned().collect();
        for sid in participants {
            self.subscribe_if_wanted(&sid, track);
        }
    }

    fn subscribe_if_wanted(&mut self, sid: &ParticipantSid, track_sid: &TrackSid) {
        let Some(participant) = self.participants.get(sid) else { return };
        let Some(track) = self.tracks.get(track_sid) else { return };
        let publisher = &self.participants[&track.publisher];
        if track.publisher == *sid
            || !participant.wants(track_sid)
            || !publisher.shows(track_sid, participant)
        {
            return;
        }
        let track = self.tracks.get_mut(track_sid).expect("it was there above");
        if !track.subscribers.insert(sid.clone()) {
            return;
        }
        let (publisher, stream) = (track.publisher.clone(), track.info.stream.clone());
        let first = !std::mem::replace(&mut track.subscribed_told, true);
        self.command(Command::Subscribe {
            participant: sid.clone(),
            track: track_sid.clone(),
            publisher: publisher.clone(),
            stream,
        });
        if first {
            let track_sid = track_sid.to_string();
            self.send(&publisher, Message::TrackSubscribed(proto::TrackSubscribed { track_sid }));
        }
    }

    fn unsubscribe(&mut self, sid: &ParticipantSid, track_sid: &TrackSid) {
        let Some(track) = self.tracks.get_mut(track_sid) else { return };
        if track.subscribers.remove(sid) {
            let (participant, track) = (sid.clone(), track_sid.clone());
            self.command(Command::Unsubscribe { participant, track });
        }
    }

    /// Subscribes and unsubscribes a participant after its permissions changed.
    pub(super) fn review_subscriptions(&mut self, sid: &ParticipantSid) {
        let tracks: Vec<_> = self.tracks.keys().cloned().collect();
        for track in tracks {
            if self.participants.get(sid).is_some_and(|participant| participant.wants(&track)) {
                self.subscribe_if_wanted(sid, &track);
            } else {
                self.unsubscribe(sid, &track);
            }
        }
    }

    /// The media plane closes the connection by itself: only our side is put right.
    pub(super) fn unsubscribe_from_all(&mut self, sid: &ParticipantSid) {
        for track in self.tracks.values_mut() {
            track.subscribers.remove(sid);
        }
    }

    /// A track is gone: nobody has wishes for it any more.
    pub(super) fn forget_track(&mut self, track: &TrackSid) {
        for participant in self.participants.values_mut() {
            participant.wishes.remove(track);
        }
    }

    pub(super) fn update_subscription(
        &mut self,
        sid: &ParticipantSid,
        request: proto::UpdateSubscription,
    ) {
        let of_participants = request.participant_tracks.into_iter().flat_map(|of| of.track_sids);
        let tracks = request.track_sids.into_iter().chain(of_participants);
        let tracks: Vec<_> = tracks.take(ENTRIES_MAX).map(TrackSid::from).collect();
        for track in tracks {
            if !self.tracks.contains_key(&track) {
                if request.subscribe {
                    self.subscription_failed(
                        sid,
                        &track,
                        proto::SubscriptionError::SeTrackNotfound,
                    );
                }
                continue;
            }
            let Some(participant) = self.participants.get_mut(sid) else { return };
            participant.wishes.insert(track.clone(), request.subscribe);
            if request.subscribe {
                self.subscribe_if_wanted(sid, &track);
            } else {
                self.unsubscribe(sid, &track);
            }
        }
    }

    pub(super) fn subscription_failed(
        &mut self,
        sid: &ParticipantSid,
        track: &TrackSid,
        error: proto::SubscriptionError,
    ) {
        let response =
            proto::SubscriptionResponse { track_sid: track.to_string(), err: error.into() };
        self.send(sid, Message::SubscriptionResponse(response));
    }

    pub(super) fn track_settings(
        &mut self,
        sid: &ParticipantSid,
        asked: &proto::UpdateTrackSettings,
    ) {
        // A client that names a size leaves the quality at its zero, LOW.
        let quality = match wire::quality(asked.quality) {
            Some(quality) if asked.width == 0 && asked.height == 0 && !asked.disabled => quality,
            _ => Quality::High,
        };
        let settings = TrackSettings {
            disabled: asked.disabled,
            quality,
            width: asked.width,
            height: asked.height,
            fps: asked.fps,
        };
        for track in asked.track_sids.iter().take(ENTRIES_MAX) {
            let track = TrackSid::new(track.as_str());
            if self.tracks.get(&track).is_some_and(|known| known.subscribers.contains(sid)) {
                let participant = sid.clone();
                self.command(Command::Settings { participant, track, settings });
            }
        }
    }

    /// Who may see a participant's tracks. Every browser says "everybody" on each connect. A student
    /// who could choose would have a private line to another one.
    pub(super) fn set_audience(
        &mut self,
        sid: &ParticipantSid,
        asked: proto::SubscriptionPermission,
    ) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        if !asked.all_participants && !participant.role().leads() {
            self.refused(sid, Rule::Audience);
            return;
        }
        let mut permissions = asked.track_permissions;
        permissions.truncate(ENTRIES_MAX);
        let audience = (!asked.all_participants).then_some(permissions);
        if participant.audience == audience {
            return;
        }
        participant.audience = audience;
        let own = self.tracks.iter().filter(|(_, track)| track.publisher == *sid);
        let own: Vec<_> = own.map(|(track, _)| track.clone()).collect();
        for track in own {
            self.review_audience(sid, &track);
        }
    }

    fn review_audience(&mut self, publisher: &ParticipantSid, track: &TrackSid) {
        let others: Vec<_> =
            self.participants.keys().filter(|sid| *sid != publisher).cloned().collect();
        for sid in others {
            let allowed = self.participants[publisher].shows(track, &self.participants[&sid]);
            let had = self.tracks[track].subscribers.contains(&sid);
            if allowed {
                self.subscribe_if_wanted(&sid, track);
            } else {
                self.unsubscribe(&sid, track);
            }
            if had != allowed {
                let update = proto::SubscriptionPermissionUpdate {
                    participant_sid: publisher.to_string(),
                    track_sid: track.to_string(),
                    allowed,
                };
                self.send(&sid, Message::SubscriptionPermissionUpdate(update));
            }
        }
    }
}

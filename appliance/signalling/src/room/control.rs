//! What the lesson wants.

use belfry_media_api::{Command, Source};
use belfry_model::{Identity, ParticipantSid, Timestamp, TrackSid};
use livekit_protocol as proto;
use livekit_protocol::data_packet::Value;
use livekit_protocol::signal_response::Message;

use super::Room;
use super::frames::merge;
use super::types::{LeaveReason, Permissions, RoomControl};

impl Room {
    /// Carries out a wish of the lesson.
    pub fn control(&mut self, control: RoomControl, now: Timestamp) {
        match control {
            RoomControl::Mute { identity, source } => self.mute_source(&identity, source),
            RoomControl::SetPermissions { identity, permissions } => {
                self.set_permissions(&identity, &permissions, now);
            }
            RoomControl::SetRole { identity, role } => {
                self.change_grants(&identity, now, |grants| {
                    grants.role = role;
                    grants.can_update_own_metadata = role.leads();
                });
            }
            RoomControl::SetAttributes { identity, attributes } => {
                self.change_grants(&identity, now, |grants| {
                    merge(&mut grants.attributes, attributes.iter());
                });
            }
            RoomControl::Remove { identity } => {
                if let Some(sid) = self.by_identity(&identity) {
                    self.leave(&sid, LeaveReason::Removed, now);
                }
            }
            RoomControl::End => {
                self.ended = true;
                self.everybody_leaves(LeaveReason::RoomEnded, now);
                self.command(Command::CloseRoom { room: self.config.sid.clone() });
            }
            RoomControl::Restarting => {
                self.ended = true;
                self.everybody_leaves(LeaveReason::ServerShutdown, now);
            }
            RoomControl::MediaRestarted => self.everybody_leaves(LeaveReason::MediaFailure, now),
            RoomControl::Chat { from, text, at, to } => {
                self.send_chat(&from, text.reveal(), at, to.as_deref());
            }
            RoomControl::SendData { topic, payload, to } => {
                let topic = Some(topic);
                let user = proto::UserPacket { payload, topic, ..Default::default() };
                self.send_value(None, Value::User(user), to.as_deref());
            }
            RoomControl::SetRoomMetadata { metadata } => {
                self.metadata = metadata;
                self.tell_of_room();
            }
            RoomControl::Spotlight { identities } => {
                self.spotlight = identities;
                self.tell_spotlight();
            }
            RoomControl::SetRecording { on } => {
                self.recording = on;
                self.tell_of_room();
            }
        }
    }

    /// Tells the media plane, which knows connections, when the connections in the spotlight change.
    pub(super) fn tell_spotlight(&mut self) {
        let there = self.spotlight.iter().filter_map(|identity| self.identities.get(identity));
        let participants: Vec<_> = there.cloned().collect();
        if participants != self.spotlight_told {
            self.spotlight_told.clone_from(&participants);
            self.command(Command::Spotlight { room: self.config.sid.clone(), participants });
        }
    }

    fn tell_of_room(&mut self) {
        let room = Some(self.room_info());
        self.broadcast(Message::RoomUpdate(proto::RoomUpdate { room }), |_| true);
    }

    pub(super) fn everybody_leaves(&mut self, reason: LeaveReason, now: Timestamp) {
        let everybody: Vec<_> = self.participants.keys().cloned().collect();
        // All are told before anybody is told of the others' leaving.
        for sid in &everybody {
            self.send(sid, reason.message());
            if let Some(socket) = self.participants.get_mut(sid).and_then(|p| p.socket.take()) {
                self.forget_socket(socket);
            }
        }
        for sid in everybody {
            self.leave(&sid, reason, now);
        }
    }

    fn mute_source(&mut self, identity: &Identity, source: Source) {
        let Some(sid) = self.by_identity(identity) else { return };
        for (track, _) in self.tracks_of(&sid).into_iter().filter(|(_, of)| *of == source) {
            self.server_mute(&track);
        }
        self.mute_pending(&sid, |of| of == source);
    }

    fn tracks_of(&self, sid: &ParticipantSid) -> Vec<(TrackSid, Source)> {
        let own = self.tracks.iter().filter(|(_, track)| track.publisher == *sid);
        own.map(|(track, known)| (track.clone(), known.source)).collect()
    }

    fn set_permissions(&mut self, identity: &Identity, permissions: &Permissions, now: Timestamp) {
        let Some(sid) = self.by_identity(identity) else { return };
        if self.participants[&sid].grants.permissions == *permissions {
            return;
        }
        self.change_grants(identity, now, |grants| grants.permissions = permissions.clone());
        let locked = |source| !permissions.allows(source);
        for (track, source) in self.tracks_of(&sid).into_iter().filter(|(_, of)| locked(*of)) {
            if !may_stay(source) {
                self.server_unpublish(&track);
            } else if !self.tracks[&track].info.muted {
                self.server_mute(&track);
            }
        }
        let participant = self.participants.get_mut(&sid).expect("its identity is here");
        let waiting = std::mem::take(&mut participant.pending);
        let (gone, kept): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|pending| locked(pending.source) && !may_stay(pending.source));
        participant.pending = kept;
        self.mute_pending(&sid, locked);
        for pending in gone {
            let gone = proto::TrackUnpublishedResponse { track_sid: pending.info.sid };
            self.send(&sid, Message::TrackUnpublished(gone));
        }
        self.review_subscriptions(&sid);
    }

    /// Changes what a participant is granted: the others see it, itself gets a token that says so.
    fn change_grants(
        &mut self,
        identity: &Identity,
        now: Timestamp,
        change: impl FnOnce(&mut crate::token::Grants),
    ) {
        let Some(sid) = self.by_identity(identity) else { return };
        let participant = self.participants.get_mut(&sid).expect("its identity is here");
        change(&mut participant.grants);
        self.tell_of(&sid);
        self.refresh(&sid, now);
    }
}

/// A microphone and a camera that are locked stay published and muted, so that unlocking needs no
/// new negotiation.
fn may_stay(source: Source) -> bool {
    matches!(source, Source::Microphone | Source::Camera)
}

//! Joining, resuming, leaving.

use belfry_media_api::{Command, ConnectionQuality};
use belfry_model::{ParticipantSid, Timestamp, limits};
use livekit_protocol as proto;
use livekit_protocol::leave_request::Action;
use livekit_protocol::participant_info::State;
use livekit_protocol::signal_response::Message;

use super::participant::{
    Bucket, DATA_BURST_MAX, DATA_PER_SECOND_MAX, FRAMES_BURST_MAX, FRAMES_PER_SECOND_MAX,
    Participant,
};
use super::types::{Effect, IceAsked, Join, JoinRefusal, LeaveReason, Notice, SocketId};
use super::{Departed, Room, info};
use crate::host::Host;
use crate::token::Grants;
use crate::wire;

/// Characters of a SID after its prefix, of 32 symbols: 70 bits.
const SID_CHARS: usize = 14;
const SID_ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
/// Capabilities that are mirrored to the others.
const CAPABILITIES_MAX: usize = 8;

impl LeaveReason {
    fn on_wire(self) -> (proto::DisconnectReason, Action) {
        use proto::DisconnectReason as Reason;
        match self {
            Self::ClientInitiated => (Reason::ClientInitiated, Action::Disconnect),
            Self::DuplicateIdentity => (Reason::DuplicateIdentity, Action::Disconnect),
            Self::ServerShutdown => (Reason::ServerShutdown, Action::Reconnect),
            Self::Removed => (Reason::ParticipantRemoved, Action::Disconnect),
            Self::RoomEnded => (Reason::RoomDeleted, Action::Disconnect),
            Self::StateMismatch => (Reason::StateMismatch, Action::Reconnect),
            Self::SignalClosed => (Reason::SignalClose, Action::Reconnect),
            Self::MediaFailure => (Reason::MediaFailure, Action::Reconnect),
        }
    }

    pub(super) fn message(self) -> Message {
        let (reason, action) = self.on_wire();
        Message::Leave(proto::LeaveRequest {
            // For clients before protocol 13, which do not know actions.
            can_reconnect: action != Action::Disconnect,
            reason: reason.into(),
            action: action.into(),
            regions: None,
        })
    }
}

impl Room {
    /// Whether somebody of these grants may come in now. Asked before the upgrade, so that a
    /// refusal is an HTTP status.
    pub fn check(&self, grants: &Grants) -> Result<(), JoinRefusal> {
        if grants.room != self.config.name {
            return Err(JoinRefusal::OtherRoom);
        }
        if self.ended {
            return Err(JoinRefusal::Ended);
        }
        let there = self.holds(&grants.identity);
        if !there && self.participants.len() >= limits::ROOM_PARTICIPANTS_MAX {
            return Err(JoinRefusal::Full);
        }
        Ok(())
    }

    /// A socket has come up. Whatever has to be said is said on it, also a refusal.
    pub fn join(&mut self, join: Join, now: Timestamp) -> Result<ParticipantSid, JoinRefusal> {
        if let Err(refusal) = self.check(&join.grants) {
            let reason = match refusal {
                JoinRefusal::Ended => LeaveReason::RoomEnded,
                JoinRefusal::OtherRoom | JoinRefusal::Full => LeaveReason::Removed,
            };
            self.turn_away(join.socket, reason);
            return Err(refusal);
        }
        if join.query.reconnect {
            return Ok(self.resume(&join, now));
        }
        // The newer connection wins. The others are told of one participant that changed.
        if let Some(old) = self.by_identity(&join.grants.identity) {
            self.leave(&old, LeaveReason::DuplicateIdentity, now);
        }
        let sid = ParticipantSid::new(self.fresh_sid("PA_"));
        let host = join.query.host.clone();
        let participant = arrival(sid.clone(), join, now);
        self.sockets.insert(participant.socket.expect("it has just come"), sid.clone());
        self.identities.insert(participant.identity.clone(), sid.clone());
        let identity = participant.identity.clone();
        self.participants.insert(sid.clone(), participant);
        self.welcome(&sid, host.as_ref(), now);
        self.command(Command::OpenParticipant {
            room: self.config.sid.clone(),
            participant: sid.clone(),
        });
        self.tell_others_of_arrival(&sid);
        self.subscribe_to_all(&sid);
        self.tell_spotlight();
        self.notice(Notice::Joined { identity, participant: sid.clone() });
        Ok(sid)
    }

    fn welcome(&mut self, sid: &ParticipantSid, host: Option<&Host>, now: Timestamp) {
        let participant = &self.participants[sid];
        let others = self.participants.values();
        let others = others.filter(|other| other.sid != *sid && !other.hidden());
        let join = proto::JoinResponse {
            room: Some(self.room_info()),
            participant: Some(self.info(participant, true)),
            other_participants: others.map(|other| self.info(other, false)).collect(),
            server_version: crate::COMPAT_VERSION.to_owned(),
            ice_servers: self.ice_servers(IceAsked { participant: sid, host, now }),
            // The subscriber connection is always there: data comes on it.
            subscriber_primary: true,
            ping_interval: self.config.ping_interval_s.into(),
            ping_timeout: self.config.ping_timeout_s.into(),
            server_info: Some(self.server_info()),
            enabled_publish_codecs: self
                .config
                .publish_mimes
                .iter()
                .map(|mime| proto::Codec { mime: mime.clone(), fmtp_line: String::new() })
                .collect(),
            ..Default::default()
        };
        self.send(sid, Message::Join(join));
    }

    fn tell_others_of_arrival(&mut self, sid: &ParticipantSid) {
        let participant = &self.participants[sid];
        if participant.hidden() {
            return;
        }
        let message = info::update(vec![self.info(participant, false)]);
        self.broadcast(message, |other| other.sid != *sid);
    }

    /// A new socket for a participant that should be here.
    fn resume(&mut self, join: &Join, now: Timestamp) -> ParticipantSid {
        let sid = join.query.sid.clone().unwrap_or_else(|| ParticipantSid::new(""));
        let known = self.participants.get_mut(&sid);
        let Some(participant) =
            known.filter(|participant| participant.identity == join.grants.identity)
        else {
            self.turn_away(join.socket, LeaveReason::StateMismatch);
            return sid;
        };
        let old = participant.socket.replace(join.socket);
        let away_since = participant.disconnected_at.take();
        participant.heard_at = now;
        participant.replay_due = true;
        let last_message_seq = participant.last_sequence;
        let identity = participant.identity.clone();
        if let Some(old) = old {
            self.forget_socket(old);
        }
        self.sockets.insert(join.socket, sid.clone());
        let asked = IceAsked { participant: &sid, host: join.query.host.as_ref(), now };
        let reconnect = proto::ReconnectResponse {
            ice_servers: self.ice_servers(asked),
            client_configuration: None,
            server_info: Some(self.server_info()),
            last_message_seq,
        };
        self.send(&sid, Message::Reconnect(reconnect));
        self.catch_up(&sid, away_since.unwrap_or(now));
        self.renew_subscriber(&sid);
        self.notice(Notice::Resumed { identity, participant: sid.clone() });
        sid
    }

    /// Everything that may have changed while a participant's socket was gone.
    fn catch_up(&mut self, sid: &ParticipantSid, since: Timestamp) {
        let seen = self.participants.values();
        let mut participants: Vec<_> = seen
            .filter(|other| other.sid == *sid || !other.hidden())
            .map(|other| self.info(other, other.sid == *sid))
            .collect();
        let left = self.departed.iter().filter(|departed| departed.at >= since);
        // Somebody who left and is back is not gone.
        let gone = left.filter(|departed| !self.holds(&departed.info.identity.as_str().into()));
        participants.extend(gone.map(|departed| departed.info.clone()));
        self.send(sid, info::update(participants));
        let room = Some(self.room_info());
        self.send(sid, Message::RoomUpdate(proto::RoomUpdate { room }));
        let muted = self.tracks.iter();
        let muted = muted.filter(|(_, track)| track.publisher == *sid && track.info.muted);
        let muted: Vec<_> = muted.map(|(track, _)| track.to_string()).collect();
        for track in muted {
            self.send(sid, Message::Mute(proto::MuteTrackRequest { sid: track, muted: true }));
        }
    }

    /// The client may have missed the last offer, and its address may be another one.
    fn renew_subscriber(&mut self, sid: &ParticipantSid) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        if let Some(offer) = &participant.offer {
            let again = Message::Offer(offer.description.clone());
            participant.restart_after_answer = true;
            self.send(sid, again);
        } else {
            self.command(Command::RestartSubscriber { participant: sid.clone() });
        }
    }

    /// A socket is gone without a word.
    pub fn socket_closed(&mut self, socket: SocketId, now: Timestamp) {
        let Some(sid) = self.sockets.remove(&socket) else { return };
        let participant = self.participants.get_mut(&sid).expect("a socket has its participant");
        participant.socket = None;
        participant.disconnected_at = Some(now);
        let identity = participant.identity.clone();
        self.notice(Notice::Disconnected { identity, participant: sid });
    }

    /// Says why, and forgets a socket that has no participant.
    fn turn_away(&mut self, socket: SocketId, reason: LeaveReason) {
        self.effects.push_back(Effect::Send { socket, frame: wire::response(reason.message()) });
        self.effects.push_back(Effect::Close { socket });
    }

    pub(super) fn forget_socket(&mut self, socket: SocketId) {
        self.sockets.remove(&socket);
        self.effects.push_back(Effect::Close { socket });
    }

    /// Ends a participant's connection, wherever it is.
    pub(super) fn leave(&mut self, sid: &ParticipantSid, reason: LeaveReason, now: Timestamp) {
        let Some(participant) = self.participants.get(sid) else { return };
        let identity = participant.identity.clone();
        let replaced = reason == LeaveReason::DuplicateIdentity;
        if reason != LeaveReason::ClientInitiated {
            self.send(sid, reason.message());
        }
        self.unsubscribe_from_all(sid);
        self.drop_tracks(sid);
        self.command(Command::CloseParticipant { participant: sid.clone() });
        let participant = self.participants.remove(sid).expect("it was there above");
        self.identities.remove(&identity);
        if let Some(socket) = participant.socket {
            self.forget_socket(socket);
        }
        if replaced {
            return;
        }
        self.tell_of_departure(&participant, reason, now);
        self.notice(Notice::Left { identity, participant: sid.clone(), reason });
    }

    fn tell_of_departure(&mut self, gone: &Participant, reason: LeaveReason, now: Timestamp) {
        if gone.hidden() {
            return;
        }
        let info = proto::ParticipantInfo {
            state: State::Disconnected.into(),
            version: gone.version + 1,
            disconnect_reason: reason.on_wire().0.into(),
            tracks: Vec::new(),
            ..self.info(gone, false)
        };
        self.broadcast(info::update(vec![info.clone()]), |_| true);
        self.departed.push(Departed { info, at: now });
    }

    pub(super) fn fresh_sid(&mut self, prefix: &str) -> String {
        let mut bytes = [0; SID_CHARS];
        self.config.random.fill(&mut bytes);
        let symbols = bytes.iter().map(|byte| char::from(SID_ALPHABET[usize::from(byte % 32)]));
        prefix.chars().chain(symbols).collect()
    }
}

fn arrival(sid: ParticipantSid, join: Join, now: Timestamp) -> Participant {
    let Join { socket, mut grants, query } = join;
    let own_metadata = grants.can_update_own_metadata && grants.role.leads();
    if own_metadata {
        for (key, value) in query.attributes {
            grants.attributes.entry(key).or_insert(value);
        }
    }
    // Nobody is told that somebody reads compressed text: the lesson has to read chat, too.
    let compressed = proto::client_info::Capability::CapCompressionDeflateRaw;
    let capabilities = query
        .capabilities
        .iter()
        .filter_map(|name| proto::client_info::Capability::from_str_name(name))
        .filter(|capability| *capability != compressed)
        .map(i32::from);
    Participant {
        sid,
        identity: grants.identity.clone(),
        grants,
        protocol: query.protocol,
        client_protocol: query.client_protocol,
        capabilities: capabilities.take(CAPABILITIES_MAX).collect(),
        auto_subscribe: query.auto_subscribe,
        socket: Some(socket),
        disconnected_at: None,
        joined_at: now,
        heard_at: now,
        refreshed_at: now,
        state: State::Joining,
        is_publisher: false,
        version: 1,
        lost_at: None,
        pending: Vec::new(),
        loose: Vec::new(),
        wishes: std::collections::BTreeMap::new(),
        audience: None,
        offer: None,
        restart_after_answer: false,
        last_sequence: 0,
        replay_due: false,
        frames: Bucket::new(FRAMES_PER_SECOND_MAX, FRAMES_BURST_MAX, now),
        frames_refused: 0,
        data: Bucket::new(DATA_PER_SECOND_MAX, DATA_BURST_MAX, now),
        streams: std::collections::BTreeMap::new(),
        quality: ConnectionQuality::Excellent,
        quality_changed: false,
    }
}

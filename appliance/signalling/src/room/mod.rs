//! The signalling side of one live lesson.
//!
//! **Invariant:** a participant is in `identities` exactly while it is in `participants`; a socket
//! is in `sockets` exactly while it is its participant's.
//! **Invariant:** whoever is told of a track has been told of its participant before, and is told
//! before the media plane is asked to forward it: browsers drop tracks of participants that they
//! do not know.

mod control;
mod data;
mod frames;
mod info;
mod join;
mod media;
mod participant;
mod publish;
mod replay;
mod subscribe;
mod tick;
mod types;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use belfry_media_api::Command;
use belfry_model::{Identity, ParticipantSid, RoomSid, Timestamp, TrackSid};
use livekit_protocol as proto;
use livekit_protocol::signal_response::Message;

use self::participant::{Participant, Track};
pub use self::types::{
    ChatTo, Effect, IceAsked, IceServer, IceServers, Join, JoinRefusal, LeaveReason, Notice,
    Permissions, Random, RoomConfig, RoomControl, SocketId, SourceKey, SpeakerLevel,
};
use crate::policy::Rule;
use crate::wire;

/// One live lesson's signalling.
#[derive(Debug)]
pub struct Room {
    config: RoomConfig,
    created_at: Timestamp,
    metadata: String,
    recording: bool,
    ended: bool,
    participants: BTreeMap<ParticipantSid, Participant>,
    identities: BTreeMap<Identity, ParticipantSid>,
    sockets: BTreeMap<SocketId, ParticipantSid>,
    /// Tracks with a media section; others wait in [`Participant::pending`].
    tracks: BTreeMap<TrackSid, Track>,
    replay: replay::Replay,
    /// Who is shown large to all, and whom the media plane was told of as such.
    spotlight: Vec<Identity>,
    spotlight_told: Vec<ParticipantSid>,
    /// Who left lately, for those who were away meanwhile.
    departed: Vec<Departed>,
    /// When connection qualities are told next.
    quality_due: Timestamp,
    effects: VecDeque<Effect>,
}

#[derive(Debug)]
struct Departed {
    info: proto::ParticipantInfo,
    at: Timestamp,
}

impl Room {
    /// An empty room. Panics if `config` has a ping time of 0: such a room would break its clients.
    pub fn new(config: RoomConfig, now: Timestamp) -> Self {
        assert!(config.ping_interval_s > 0 && config.ping_timeout_s > 0, "native clients panic");
        Self {
            config,
            created_at: now,
            metadata: String::new(),
            recording: false,
            ended: false,
            participants: BTreeMap::new(),
            identities: BTreeMap::new(),
            sockets: BTreeMap::new(),
            tracks: BTreeMap::new(),
            replay: replay::Replay::default(),
            spotlight: Vec::new(),
            spotlight_told: Vec::new(),
            departed: Vec::new(),
            quality_due: now.plus_ms(tick::QUALITY_EVERY_MS),
            effects: VecDeque::new(),
        }
    }

    pub fn sid(&self) -> &RoomSid {
        &self.config.sid
    }

    /// The next thing to do. Drain it after every call.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Participants now, those that are kept for a resume included.
    pub fn participant_count(&self) -> usize {
        self.participants.len()
    }

    /// Whether a participant of this identity is here.
    pub fn holds(&self, identity: &Identity) -> bool {
        self.identities.contains_key(identity)
    }

    fn command(&mut self, command: Command) {
        self.effects.push_back(Effect::Media(command));
    }

    fn notice(&mut self, notice: Notice) {
        self.effects.push_back(Effect::Notice(notice));
    }

    fn refused(&mut self, sid: &ParticipantSid, rule: Rule) {
        if let Some(participant) = self.participants.get(sid) {
            let identity = participant.identity.clone();
            self.notice(Notice::Refused { identity, rule });
        }
    }

    /// Sends to a participant, if its socket is there.
    fn send(&mut self, sid: &ParticipantSid, message: Message) {
        if let Some(socket) = self.participants.get(sid).and_then(|participant| participant.socket)
        {
            self.effects.push_back(Effect::Send { socket, frame: wire::response(message) });
        }
    }

    /// Sends to everybody of whom `to` holds, encoded once.
    fn broadcast(&mut self, message: Message, to: impl Fn(&Participant) -> bool) {
        let frame = wire::response(message);
        let sockets = self.participants.values().filter(|participant| to(participant));
        let sends: Vec<_> = sockets.filter_map(|participant| participant.socket).collect();
        self.effects
            .extend(sends.into_iter().map(|socket| Effect::Send { socket, frame: frame.clone() }));
    }

    fn by_identity(&self, identity: &Identity) -> Option<ParticipantSid> {
        self.identities.get(identity).cloned()
    }
}

//! What the sessions report of the participants' ways to this machine.

use std::net::IpAddr;

use belfry_media_api::{Downlink, Path, PeerRole};
use belfry_model::{Identity, LessonId, ParticipantSid, Pii, Timestamp};

/// News of one participant's way to this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkReport {
    pub lesson: LessonId,
    pub identity: Identity,
    /// Its connection; another one when it came back by a full rejoin.
    pub sid: ParticipantSid,
    pub at: Timestamp,
    pub event: LinkEvent,
}

#[derive(Clone, Debug, PartialEq)]
pub enum LinkEvent {
    /// As the media plane tells it: on each change, and now and then besides.
    Downlink(Downlink),
    /// The way that one of its two connections takes now.
    Path { role: PeerRole, path: Path, address: Pii<IpAddr> },
    /// Its signalling socket broke; it is kept for a resume.
    Broken,
    /// It is back on a new socket.
    Resumed,
    /// It is not a participant any more.
    Left,
}

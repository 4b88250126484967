//! What the media plane tells the control plane.

use std::net::SocketAddr;
use std::time::Duration;

use belfry_model::{ParticipantSid, RoomSid, TrackSid};
use serde::{Deserialize, Serialize};

use crate::{DataKind, MediaKind, PeerRole};

/// How often the state of a way down is told when nothing changes.
pub const DOWNLINK_INTERVAL: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The sockets are open; the first event after `Configure`.
    Ready {
        listening: Vec<SocketAddr>,
    },
    /// The sockets could not be opened; the process ends. A sentence for the person at the console.
    Unusable {
        sentence: String,
    },
    PublisherAnswer {
        participant: ParticipantSid,
        offer_id: u32,
        sdp: String,
        /// All media sections on which the client sends, in the order of the description.
        sections: Vec<Section>,
    },
    /// The description could not be taken; the connection stays as it was.
    OfferRefused {
        participant: ParticipantSid,
        role: PeerRole,
        offer_id: u32,
        reason: String,
    },
    SubscriberOffer {
        participant: ParticipantSid,
        offer_id: u32,
        sdp: String,
        mids: Vec<(String, TrackSid)>,
    },
    Connection {
        participant: ParticipantSid,
        role: PeerRole,
        state: ConnectionState,
    },
    /// A data message of a participant, raw.
    Data {
        participant: ParticipantSid,
        kind: DataKind,
        bytes: Vec<u8>,
    },
    /// The track's first media arrived; `mime` as in `video/VP8`.
    TrackStarted {
        track: TrackSid,
        mime: String,
    },
    /// Changes only; `level` 0 with `active` false when somebody falls silent.
    Speakers {
        room: RoomSid,
        changed: Vec<Speaker>,
    },
    /// Changes only.
    Quality {
        participant: ParticipantSid,
        quality: ConnectionQuality,
        loss_percent: u8,
        rtt_ms: u32,
    },
    /// What the way down to a participant carries: when `carried`, `cause` or `path` change, and
    /// every `DOWNLINK_INTERVAL` besides.
    Downlink {
        participant: ParticipantSid,
        downlink: Downlink,
    },
    /// The way that a connection's media takes now; told when it changes.
    Path {
        participant: ParticipantSid,
        role: PeerRole,
        path: Path,
        /// The client's own address as this machine sees it.
        address: belfry_model::Pii<std::net::IpAddr>,
    },
    /// Which qualities of a track anybody wants now, LOW MEDIUM HIGH (dynacast).
    Wanted {
        track: TrackSid,
        qualities: [bool; 3],
    },
    /// The sfu paused or resumed a subscription by itself, for want of bandwidth.
    Paused {
        participant: ParticipantSid,
        track: TrackSid,
        paused: bool,
    },
    SubscriptionFailed {
        participant: ParticipantSid,
        track: TrackSid,
        error: SubscriptionError,
    },
    /// The participant cannot be served any more.
    Ended {
        participant: ParticipantSid,
        end: End,
    },
    /// The room's media failed inside; all its participants are gone from the media plane.
    RoomFailed {
        room: RoomSid,
    },
    /// Once a second from each shard; also the shard's heartbeat.
    Counters {
        shard: u8,
        counters: Counters,
    },
}

/// What an event is about; the media plane knows sids only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    Room(RoomSid),
    Participant(ParticipantSid),
    Track(TrackSid),
}

impl Event {
    /// `None`: the event is about the media plane itself.
    pub fn subject(&self) -> Option<Subject> {
        match self {
            Self::PublisherAnswer { participant, .. }
            | Self::OfferRefused { participant, .. }
            | Self::SubscriberOffer { participant, .. }
            | Self::Connection { participant, .. }
            | Self::Data { participant, .. }
            | Self::Quality { participant, .. }
            | Self::Paused { participant, .. }
            | Self::Downlink { participant, .. }
            | Self::Path { participant, .. }
            | Self::SubscriptionFailed { participant, .. }
            | Self::Ended { participant, .. } => Some(Subject::Participant(participant.clone())),
            Self::TrackStarted { track, .. } | Self::Wanted { track, .. } => {
                Some(Subject::Track(track.clone()))
            }
            Self::Speakers { room, .. } | Self::RoomFailed { room } => {
                Some(Subject::Room(room.clone()))
            }
            Self::Ready { .. } | Self::Unusable { .. } | Self::Counters { .. } => None,
        }
    }
}

/// A media section of the publisher connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    pub mid: String,
    pub kind: MediaKind,
    /// The second token of the msid: the client's name of the track. Firefox's says nothing.
    pub track_label: Option<String>,
    /// First codec of the answer, as in `video/VP8`.
    pub mime: String,
    pub rids: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ConnectionState {
    /// ICE and DTLS are up.
    Connected,
    /// Consent expired (RFC 7675); the client may come back by an ICE restart.
    Lost,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Speaker {
    pub participant: ParticipantSid,
    /// 0 to 1.
    pub level: f32,
    pub active: bool,
}

/// How much of the lesson still fits through the way down to a participant, from all to least. Each
/// step leaves out what matters less than what stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Carried {
    /// All that was asked for, as sharp as it was asked for.
    All,
    /// All that was asked for, some of it less sharp.
    Softer,
    /// Some tiles have no picture.
    FewerPictures,
    /// Of all pictures only the shared screen or the teacher's camera is left.
    TeacherPicture,
    /// No picture at all; everybody is heard.
    Voices,
    /// The teacher is heard, and nobody else.
    TeacherVoice,
}

/// What keeps a path from carrying more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Cause {
    None,
    /// Packets are lost while queues are short: Wi-Fi, as a rule.
    Loss,
    /// Queues grow: the path is slower than what is wanted.
    Bandwidth,
}

/// The state of the way down to a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Downlink {
    pub carried: Carried,
    pub cause: Cause,
    /// Bits per second that the path is estimated to carry, and that were sent in the last second.
    pub estimate_bps: u64,
    pub sent_bps: u64,
    pub loss_percent: u8,
    pub rtt_ms: u32,
}

/// How media comes through to this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Path {
    Udp,
    IceTcp,
    TurnUdp,
    TurnTcp,
    TurnTls,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ConnectionQuality {
    Poor,
    Good,
    Excellent,
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SubscriptionError {
    /// The subscriber can decode none of the track's codecs.
    Codec,
    TrackNotFound,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum End {
    /// Too much reliable data waits for it.
    TooSlow,
    /// DTLS failed or ended the association.
    Dtls,
}

/// Requests that the relay refused, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayRefused {
    /// Messages that are no requests.
    pub malformed: u64,
    /// Requests without credentials that were not even answered.
    pub throttled: u64,
    /// Requests whose credentials are wrong, expired or of somebody who left.
    pub unauthorized: u64,
    /// Requests for a peer that is not our media.
    pub forbidden: u64,
    /// Requests beyond a quota.
    pub over_quota: u64,
}

/// Totals since the start of a shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    pub rooms: u32,
    pub participants: u32,
    pub packets_in: u64,
    pub packets_out: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Datagrams that no parser or no connection accepted, or that were too many.
    pub refused: u64,
    /// Streams (ICE-TCP, TURN) that were too many, said what they may not, or showed in time no
    /// reason to be here; and data on others that was for nobody. Told by the first shard alone, as
    /// is `relay`.
    pub streams_refused: u64,
    pub relay: RelayRefused,
    pub retransmitted: u64,
    /// Packets that the socket did not take.
    pub send_failed: u64,
    /// Rooms that ended by a panic.
    pub rooms_failed: u32,
}

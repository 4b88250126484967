//! What the media plane tells the control plane.

use std::net::SocketAddr;

use belfry_model::{ParticipantSid, RoomSid, TrackSid};
use serde::{Deserialize, Serialize};

use crate::{DataKind, MediaKind, PeerRole};

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

/// Totals since the start of a shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    pub rooms: u32,
    pub participants: u32,
    pub packets_in: u64,
    pub packets_out: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Datagrams that no parser or no connection accepted.
    pub refused: u64,
    pub retransmitted: u64,
    /// Packets that the socket did not take.
    pub send_failed: u64,
    /// Rooms that ended by a panic.
    pub rooms_failed: u32,
}

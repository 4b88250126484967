//! What the control plane tells the media plane.

use std::net::IpAddr;

use belfry_model::{ParticipantSid, RoomSid, TrackSid};
use serde::{Deserialize, Serialize};

use crate::DataKind;

/// First thing on a new link; everything else is refused before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configure {
    /// Addresses to listen on for UDP; port 0 takes a free one (tests).
    pub listen: Vec<std::net::SocketAddr>,
    /// Further addresses where plain STUN is answered, and which go into no candidate. libwebrtc
    /// takes every datagram from the address of its STUN server as that server's answer, and never
    /// shows it to a connection: a STUN server on the address of the media would cut off all media.
    pub stun: Vec<std::net::SocketAddr>,
    /// Addresses put into candidates; empty: those of `listen` that are not unspecified, and for an
    /// unspecified one every address of the machine's interfaces (loopback included).
    pub advertise: Vec<IpAddr>,
    /// Shard threads; 0 means one less than the cores, at least 1, at most 4.
    pub shards: u8,
    /// Addresses to listen on for ICE over TCP (RFC 6544, passive); empty: none is offered.
    pub ice_tcp: Vec<std::net::SocketAddr>,
    /// `None`: nothing is relayed.
    pub relay: Option<Relay>,
}

/// The TURN relay (RFC 8656), which reaches the media of this machine and nothing else. Streams that
/// came in by TLS are handed over by the control process on a socket of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relay {
    /// Addresses to listen on for TURN over TCP; TURN over UDP is answered where the media is.
    pub tcp: Vec<std::net::SocketAddr>,
    pub realm: String,
    /// The shared secret of time-limited credentials: user name `expiry:participant sid`, with the
    /// expiry in seconds since 1970, password `base64(HMAC-SHA1(secret, user name))`.
    pub secret: belfry_model::Pii<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    Configure(Configure),
    /// Adds a participant to a room (which comes into being with its first). Opens its subscriber
    /// connection at once: a `SubscriberOffer` with the data channels follows.
    OpenParticipant {
        room: RoomSid,
        participant: ParticipantSid,
    },
    CloseParticipant {
        participant: ParticipantSid,
    },
    CloseRoom {
        room: RoomSid,
    },
    /// The client's offer for its publisher connection, first or later (ICE restart included).
    /// Answered by `PublisherAnswer` or `OfferRefused`.
    PublisherOffer {
        participant: ParticipantSid,
        offer_id: u32,
        sdp: String,
        /// Clients send the codec that the answer names first.
        preferences: Vec<Preference>,
    },
    /// Binds a media section of the publisher connection to a track. Nothing of a section is
    /// forwarded before.
    Publish {
        participant: ParticipantSid,
        publication: Publication,
    },
    Unpublish {
        track: TrackSid,
    },
    /// Stops (or resumes) forwarding a track at once, whatever its publisher sends.
    Mute {
        track: TrackSid,
        muted: bool,
    },
    /// Forwards a track to a participant: a `SubscriberOffer` follows. `stream` is the lip-sync
    /// group that the client sees: the msid is `<publisher sid>|<stream> <track sid>`.
    Subscribe {
        participant: ParticipantSid,
        track: TrackSid,
        publisher: ParticipantSid,
        stream: String,
    },
    Unsubscribe {
        participant: ParticipantSid,
        track: TrackSid,
    },
    Settings {
        participant: ParticipantSid,
        track: TrackSid,
        settings: TrackSettings,
    },
    /// Who is shown large to all: their cameras come before other tiles. Replaces what was said before.
    Spotlight {
        room: RoomSid,
        participants: Vec<ParticipantSid>,
    },
    /// The client's answer; `offer_id` 0 means the latest offer.
    SubscriberAnswer {
        participant: ParticipantSid,
        offer_id: u32,
        sdp: String,
    },
    /// New ICE credentials for the subscriber connection, by a fresh `SubscriberOffer`.
    RestartSubscriber {
        participant: ParticipantSid,
    },
    /// One data message to several participants. To those whose channel is not open yet, reliable
    /// ones are held (up to a limit) and lossy ones dropped.
    SendData {
        to: Vec<ParticipantSid>,
        kind: DataKind,
        bytes: Vec<u8>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MediaKind {
    Audio,
    Video,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Source {
    Camera,
    Microphone,
    ScreenShare,
    ScreenShareAudio,
    Unknown,
}

/// Spatial quality of a layer, and the most that a subscriber asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Quality {
    Low = 0,
    Medium = 1,
    High = 2,
}

/// One spatial layer as its publisher announced it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    pub quality: Quality,
    /// Pixels.
    pub width: u32,
    pub height: u32,
    pub bitrate_bps: u32,
}

/// The codec in which a track is to be sent, by the name that its section of the offer gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preference {
    pub track_label: String,
    /// As in `audio/red` or `video/VP9`.
    pub mime: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    pub track: TrackSid,
    /// The media section, as named in `PublisherAnswer.sections`.
    pub mid: String,
    pub source: Source,
    /// Sorted by quality; the RIDs `q`, `h`, `f` stand for them in this order. Empty for audio.
    pub layers: Vec<Layer>,
    pub muted: bool,
    /// Allocated first when there is not enough for all (the teacher's tracks).
    pub lead: bool,
}

/// What a subscriber wants of one track (tile size, visibility).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackSettings {
    pub disabled: bool,
    pub quality: Quality,
    /// Pixels of the tile; 0: unknown, `quality` decides.
    pub width: u32,
    pub height: u32,
    /// Frames per second at most; 0: no limit.
    pub fps: u32,
}

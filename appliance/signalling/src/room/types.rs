//! What goes into a [`Room`](super::Room) and what comes out of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use belfry_media_api::{Command, ConnectionQuality, Downlink, Path, PeerRole, Source};
use belfry_model::{Identity, LessonRole, ParticipantSid, Pii, RoomSid, Timestamp, TrackSid};

use crate::host::Host;
use crate::query::Query;
use crate::token::{Grants, Signer};

/// What participants may publish with. A client whose choice is not among them takes the first.
const PUBLISH_MIMES: [&str; 6] =
    ["audio/opus", "audio/red", "video/VP8", "video/H264", "video/VP9", "video/AV1"];
/// How often clients ping.
const PING_INTERVAL_S: u16 = 3;
/// After how long a silence clients take their socket for dead and come back on a new one. Three
/// pings, and longer than TCP is silent after an outage of four seconds (its third retransmission
/// comes after seven), which needs no new socket.
const PING_TIMEOUT_S: u16 = 9;

/// One signalling WebSocket, numbered by whoever owns the sockets; never used twice in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u64);

/// Where the room takes random bytes from (SIDs).
pub struct Random(Fill);

type Fill = Box<dyn FnMut(&mut [u8]) + Send>;

impl Random {
    pub fn new(fill: impl FnMut(&mut [u8]) + Send + 'static) -> Self {
        Self(Box::new(fill))
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        (self.0)(bytes);
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}

/// An ICE server as clients are given it.
#[derive(Clone, PartialEq, Eq)]
pub struct IceServer {
    /// `stun:`, `turn:` and `turns:` URLs of this appliance.
    pub urls: Vec<String>,
    pub username: String,
    pub credential: String,
}

impl fmt::Debug for IceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceServer").field("urls", &self.urls).finish_non_exhaustive()
    }
}

/// Who asks for ICE servers.
#[derive(Clone, Copy, Debug)]
pub struct IceAsked<'a> {
    pub participant: &'a ParticipantSid,
    /// By what the client came: there it reaches this appliance.
    pub host: Option<&'a Host>,
    pub now: Timestamp,
}

/// What participants are given as ICE servers. Never empty: a client that is given none may ask a
/// foreign STUN server.
#[derive(Clone)]
pub struct IceServers {
    for_all: Vec<IceServer>,
    for_one: ForOne,
}

type ForOne = Arc<dyn Fn(IceAsked<'_>) -> Vec<IceServer> + Send + Sync>;

impl IceServers {
    /// The servers that need no credentials. Panics if there is none.
    pub fn new(for_all: Vec<IceServer>) -> Self {
        assert!(!for_all.is_empty(), "clients without ICE servers ask foreign ones");
        Self { for_all, for_one: Arc::new(|_| Vec::new()) }
    }

    /// Servers of one participant instead of those for all, if there are any: with credentials, and
    /// by the host by which it came. They are made for each join and each resume. A client keeps them
    /// for as long as its socket lasts, so they hold for as long as a lesson may.
    #[must_use]
    pub fn with_credentials(
        self,
        for_one: impl Fn(IceAsked<'_>) -> Vec<IceServer> + Send + Sync + 'static,
    ) -> Self {
        Self { for_one: Arc::new(for_one), ..self }
    }

    /// Those of one participant now.
    pub fn of(&self, asked: IceAsked<'_>) -> Vec<IceServer> {
        let servers = (self.for_one)(asked);
        if servers.is_empty() { self.for_all.clone() } else { servers }
    }
}

impl fmt::Debug for IceServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceServers").field("for_all", &self.for_all).finish_non_exhaustive()
    }
}

/// Everything a room is made with.
#[derive(Debug)]
pub struct RoomConfig {
    pub sid: RoomSid,
    /// The name on the wire: the lesson's id as text.
    pub name: String,
    pub ice: IceServers,
    /// Signs the tokens that connected participants are refreshed with.
    pub signer: Signer,
    pub random: Random,
    /// Names this process in `server_info`.
    pub node: String,
    /// MIME types that participants may publish with, preferred first.
    pub publish_mimes: Vec<String>,
    /// Topics on which students may send data to the whole room. Chat is not among them: it is
    /// handed to the lesson.
    pub student_topics: BTreeSet<String>,
    /// How often clients ping, and after how long a silence they give up. Seconds, never 0: native
    /// clients panic.
    pub ping_interval_s: u16,
    pub ping_timeout_s: u16,
}

impl RoomConfig {
    /// A room with the appliance's usual values.
    pub fn new(
        sid: RoomSid,
        name: String,
        ice: IceServers,
        signer: Signer,
        random: Random,
    ) -> Self {
        Self {
            sid,
            name,
            ice,
            signer,
            random,
            node: "belfry".to_owned(),
            publish_mimes: PUBLISH_MIMES.map(str::to_owned).to_vec(),
            student_topics: BTreeSet::new(),
            ping_interval_s: PING_INTERVAL_S,
            ping_timeout_s: PING_TIMEOUT_S,
        }
    }
}

/// A socket that was upgraded and wants to be a participant.
#[derive(Clone, Debug)]
pub struct Join {
    pub socket: SocketId,
    pub grants: Grants,
    pub query: Query,
}

/// Why nobody of these grants can be let in now. Decide it before the upgrade, with
/// [`Room::check`](super::Room::check).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinRefusal {
    #[error("the token is for another room")]
    OtherRoom,
    #[error("the room is full")]
    Full,
    #[error("the room has ended")]
    Ended,
}

/// What the owner of the room has to do, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// One binary frame.
    Send {
        socket: SocketId,
        frame: Vec<u8>,
    },
    /// Close normally, after what was sent before. The room has forgotten the socket already.
    Close {
        socket: SocketId,
    },
    Media(Command),
    Notice(Notice),
}

/// What the lesson is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// A signalling socket is there; media is not yet.
    Joined {
        identity: Identity,
        participant: ParticipantSid,
    },
    /// Media is connected.
    Active {
        identity: Identity,
        participant: ParticipantSid,
    },
    /// The socket is gone; the participant is kept for a resume.
    Disconnected {
        identity: Identity,
        participant: ParticipantSid,
    },
    /// The same participant with a new socket.
    Resumed {
        identity: Identity,
        participant: ParticipantSid,
    },
    /// Not a participant any more. Not told when a newer connection of the same identity took over.
    Left {
        identity: Identity,
        participant: ParticipantSid,
        reason: LeaveReason,
    },
    TrackPublished {
        identity: Identity,
        track: TrackSid,
        source: Source,
        muted: bool,
    },
    TrackUnpublished {
        identity: Identity,
        track: TrackSid,
        source: Source,
    },
    TrackMuted {
        identity: Identity,
        track: TrackSid,
        source: Source,
        muted: bool,
    },
    /// Changes only.
    Speakers {
        changed: Vec<SpeakerLevel>,
    },
    Quality {
        identity: Identity,
        quality: ConnectionQuality,
        loss_percent: u8,
        rtt_ms: u32,
    },
    /// What the way down to a participant carries.
    Downlink {
        identity: Identity,
        participant: ParticipantSid,
        downlink: Downlink,
    },
    /// The way that one of its connections takes now.
    Path {
        identity: Identity,
        participant: ParticipantSid,
        role: PeerRole,
        path: Path,
        address: Pii<IpAddr>,
    },
    /// A chat message of an SDK participant. Nobody has received it: the lesson decides.
    Chat {
        identity: Identity,
        text: Pii<String>,
        to: ChatTo,
    },
    /// Somebody tried what the rules forbid; nothing was passed on.
    Refused {
        identity: Identity,
        rule: crate::policy::Rule,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub struct SpeakerLevel {
    pub identity: Identity,
    /// 0 to 1.
    pub level: f32,
    pub active: bool,
}

/// To whom a chat message was written. There is no way to one student.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChatTo {
    Everyone,
    Leads,
}

/// Why somebody left. Told to clients as the protocol's `DisconnectReason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaveReason {
    /// The client said so.
    ClientInitiated,
    /// A newer connection of the same identity.
    DuplicateIdentity,
    /// The appliance stops.
    ServerShutdown,
    /// A lead, or the lesson's rules.
    Removed,
    /// The lesson ended.
    RoomEnded,
    /// A resume of something that is not there.
    StateMismatch,
    /// The signalling socket was gone for too long.
    SignalClosed,
    /// Media never came, or failed.
    MediaFailure,
}

/// What a participant may publish and send, within what its role allows at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// Sources it may publish. Empty: none.
    pub sources: BTreeSet<SourceKey>,
    pub subscribe: bool,
    pub data: bool,
}

/// A [`Source`] that sorts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceKey {
    Camera,
    Microphone,
    ScreenShare,
    ScreenShareAudio,
}

/// What the lesson wants of the room. An identity that is not there is not an error: nothing happens.
#[derive(Clone, Debug, PartialEq)]
pub enum RoomControl {
    /// Mutes all tracks of a source now. The participant may unmute itself while its permissions
    /// hold the source.
    Mute { identity: Identity, source: Source },
    /// Replaces the permissions. Microphone and camera tracks that are not allowed any more are
    /// muted and cannot be unmuted; others are unpublished.
    SetPermissions { identity: Identity, permissions: Permissions },
    /// A co-teacher was made or unmade.
    SetRole { identity: Identity, role: LessonRole },
    /// An empty value removes the attribute. Only the lesson writes attributes of students.
    SetAttributes { identity: Identity, attributes: BTreeMap<String, String> },
    /// Ends the participant's connection; it does not come back by itself.
    Remove { identity: Identity },
    /// Ends the lesson for all.
    End,
    /// The control process stops: clients come back by themselves.
    Restarting,
    /// The media process is new: clients rejoin by themselves.
    MediaRestarted,
    /// A chat message of the lesson, as SDK participants read it (`lk.chat`). `to`: `None` is
    /// everyone; the sender's own connection gets nothing.
    Chat { from: Identity, text: Pii<String>, at: Timestamp, to: Option<Vec<Identity>> },
    /// A reliable message of the server on a topic.
    SendData { topic: String, payload: Vec<u8>, to: Option<Vec<Identity>> },
    /// Shown by clients with `room_update`.
    SetRoomMetadata { metadata: String },
    /// Who is shown large to all. Replaces what was said before; those who are not here yet count
    /// from when they come.
    Spotlight { identities: Vec<Identity> },
    /// The recording mark of clients.
    SetRecording { on: bool },
}

impl SourceKey {
    pub const ALL: [Self; 4] =
        [Self::Camera, Self::Microphone, Self::ScreenShare, Self::ScreenShareAudio];

    /// The name in `canPublishSources`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Camera => "camera",
            Self::Microphone => "microphone",
            Self::ScreenShare => "screen_share",
            Self::ScreenShareAudio => "screen_share_audio",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.as_str().eq_ignore_ascii_case(name))
    }

    /// `None` for [`Source::Unknown`]: a track is given a known source when it is added.
    pub fn of(source: Source) -> Option<Self> {
        match source {
            Source::Camera => Some(Self::Camera),
            Source::Microphone => Some(Self::Microphone),
            Source::ScreenShare => Some(Self::ScreenShare),
            Source::ScreenShareAudio => Some(Self::ScreenShareAudio),
            Source::Unknown => None,
        }
    }
}

impl From<SourceKey> for Source {
    fn from(key: SourceKey) -> Self {
        match key {
            SourceKey::Camera => Self::Camera,
            SourceKey::Microphone => Self::Microphone,
            SourceKey::ScreenShare => Self::ScreenShare,
            SourceKey::ScreenShareAudio => Self::ScreenShareAudio,
        }
    }
}

impl Permissions {
    /// Everything that a participant can be permitted.
    pub fn all() -> Self {
        Self { sources: SourceKey::ALL.into_iter().collect(), subscribe: true, data: true }
    }

    pub fn allows(&self, source: Source) -> bool {
        SourceKey::of(source).is_some_and(|key| self.sources.contains(&key))
    }
}

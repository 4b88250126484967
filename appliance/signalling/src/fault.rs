//! Test-only: a server that misbehaves as the client's own suite asks for, by an attribute of the
//! token (`lk.mock`). Compiled only with the feature `faults`, which no release has.
//!
//! Each socket has a room of its own, so what is not misbehaviour is the real thing. The suite's
//! v1 cases differ in the envelope of the query only; [`v1_reconnects`] opens it.

// inside: what is read here comes from the suite that this test-only module serves.

use std::io::Read as _;

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use belfry_model::{Outside, Timestamp};
use flate2::read::GzDecoder;
use livekit_protocol as proto;
use livekit_protocol::signal_response::Message;
use livekit_protocol::wrapped_join_request::Compression;
use prost::Message as _;
use serde::Deserialize;

use crate::query::Query;
use crate::room::{Effect, IceServer, IceServers, Join, Random, Room, RoomConfig, SocketId};
use crate::token::{Grants, Signer};
use crate::wire;

/// The attribute that chooses the mode.
pub const ATTRIBUTE: &str = "lk.mock";
/// The suite waits for a ping timeout, so it is short.
const PING_INTERVAL_S: u16 = 1;
const PING_TIMEOUT_S: u16 = 3;
/// A join request, inflated.
const JOIN_REQUEST_BYTES_MAX: u64 = 1024 * 1024;

/// How to misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    Happy,
    NoPong,
    CloseWhenConnected,
    DropWhenConnected,
    CloseBeforeJoin,
    LeaveWhenConnected,
    LeaveFirstMessage,
    NoFirstMessage,
    RoomNotFound,
    ValidateServiceNotFound,
    #[serde(rename = "validate_500")]
    Validate500,
}

/// The value of [`ATTRIBUTE`].
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    pub signal: Mode,
    #[serde(default)]
    pub leave_action: i32,
}

impl Fault {
    /// What a token asks for; without the attribute nothing goes wrong.
    pub fn of(grants: &Grants) -> Self {
        let asked = grants.attributes.get(ATTRIBUTE);
        asked
            .and_then(|json| serde_json::from_str(json).ok())
            .unwrap_or(Self { signal: Mode::Happy, leave_action: 0 })
    }

    /// The status and body with which a request is refused instead of upgraded or validated.
    pub fn refusal(self) -> Option<(u16, &'static str)> {
        match self.signal {
            Mode::RoomNotFound => Some((404, "requested room does not exist")),
            Mode::ValidateServiceNotFound => Some((404, "not found")),
            Mode::Validate500 => Some((500, "internal error")),
            _ => None,
        }
    }

    fn leave(self) -> Vec<u8> {
        wire::response(Message::Leave(proto::LeaveRequest {
            reason: proto::DisconnectReason::ServerShutdown.into(),
            action: self.leave_action,
            ..Default::default()
        }))
    }
}

/// One thing that the socket does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Send(Vec<u8>),
    /// A close frame with this code.
    Close(u16),
    /// The end of the connection without a close frame.
    Drop,
}

/// One misbehaving socket.
#[derive(Debug)]
pub struct Script {
    fault: Fault,
    room: Room,
}

impl Script {
    /// The socket, and what it does first.
    pub fn open(
        signer: &Signer,
        grants: &Grants,
        reconnect: bool,
        now: Timestamp,
    ) -> (Self, Vec<Step>) {
        let fault = Fault::of(grants);
        let stun = IceServer {
            urls: vec!["stun:127.0.0.1:3478".to_owned()],
            username: String::new(),
            credential: String::new(),
        };
        let random = Random::new(|bytes| bytes.fill(7));
        let name = grants.room.clone();
        let config = RoomConfig {
            ping_interval_s: PING_INTERVAL_S,
            ping_timeout_s: PING_TIMEOUT_S,
            ..RoomConfig::new(
                "RM_fault".into(),
                name,
                IceServers::new(vec![stun]),
                signer.clone(),
                random,
            )
        };
        let mut script = Self { fault, room: Room::new(config, now) };
        let greeting = script.greet(grants, reconnect, now);
        let mut steps = Vec::new();
        match fault.signal {
            Mode::CloseBeforeJoin => return (script, vec![Step::Close(1011)]),
            Mode::LeaveFirstMessage => {
                return (script, vec![Step::Send(fault.leave()), Step::Close(1000)]);
            }
            Mode::NoFirstMessage => return (script, steps),
            _ => steps.extend(greeting),
        }
        match fault.signal {
            Mode::CloseWhenConnected => steps.push(Step::Close(1011)),
            Mode::DropWhenConnected => steps.push(Step::Drop),
            Mode::LeaveWhenConnected => steps.push(Step::Send(fault.leave())),
            _ => {}
        }
        (script, steps)
    }

    /// What the socket does about a frame of the client.
    pub fn frame(&mut self, bytes: &[u8], now: Timestamp) -> Vec<Step> {
        if self.fault.signal == Mode::NoPong {
            return Vec::new();
        }
        self.room.frame(SocketId(1), Outside::new(bytes), now);
        self.steps()
    }

    fn greet(&mut self, grants: &Grants, reconnect: bool, now: Timestamp) -> Vec<Step> {
        let join = |socket, query| Join { socket, grants: grants.clone(), query };
        if !reconnect {
            self.room.join(join(SocketId(1), Query::default()), now).expect("the room is its own");
            return self.steps();
        }
        // The suite resumes sessions that never were: there is one now.
        let joined = self.room.join(join(SocketId(0), Query::default()), now);
        let sid = Some(joined.expect("the room is its own"));
        self.steps();
        let query = Query { reconnect, sid, ..Query::default() };
        self.room.join(join(SocketId(1), query), now).expect("it has just joined");
        self.steps()
    }

    fn steps(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        while let Some(effect) = self.room.poll_effect() {
            match effect {
                Effect::Send { socket: SocketId(1), frame } => steps.push(Step::Send(frame)),
                Effect::Close { socket: SocketId(1) } => steps.push(Step::Close(1000)),
                _ => {}
            }
        }
        steps
    }
}

/// Whether the `join_request` of a v1 query asks for a resume.
pub fn v1_reconnects(query: &str) -> bool {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("join_request="));
    value.and_then(v1_join_request).is_some_and(|request| request.reconnect)
}

fn v1_join_request(value: &str) -> Option<proto::JoinRequest> {
    let value = value.replace("%3D", "=");
    let bytes = URL_SAFE.decode(&value).or_else(|_| URL_SAFE_NO_PAD.decode(&value)).ok()?;
    let wrapped = proto::WrappedJoinRequest::decode(bytes.as_slice()).ok()?;
    let bytes = if wrapped.compression() == Compression::Gzip {
        let mut inflated = Vec::new();
        let reader = GzDecoder::new(wrapped.join_request.as_slice());
        reader.take(JOIN_REQUEST_BYTES_MAX).read_to_end(&mut inflated).ok()?;
        inflated
    } else {
        wrapped.join_request
    };
    proto::JoinRequest::decode(bytes.as_slice()).ok()
}

#[cfg(test)]
mod tests {
    use belfry_model::{LessonRole, Outside, Timestamp};
    use livekit_protocol::signal_response::Message;

    use super::{ATTRIBUTE, Script, Step};
    use crate::client;
    use crate::token::{Grants, Signer};

    fn open(mode: &str, reconnect: bool) -> (Script, Vec<Step>) {
        let mut grants = Grants::new("p1".into(), "", "e2e-room", LessonRole::Student);
        let mode = format!(r#"{{"signal":"{mode}","leaveAction":2}}"#);
        grants.attributes.insert(ATTRIBUTE.to_owned(), mode);
        Script::open(&Signer::new("devkey", b"secret"), &grants, reconnect, Timestamp(0))
    }

    fn first(steps: &[Step]) -> Message {
        let Some(Step::Send(frame)) = steps.first() else { panic!("{steps:?}") };
        let response = client::RESPONSES.parse(Outside::new(frame)).expect("own frame");
        response.message.expect("a known message")
    }

    #[test]
    fn each_mode_opens_as_the_suite_expects() {
        let (_, steps) = open("happy", false);
        assert!(matches!(first(&steps), Message::Join(join) if join.ping_timeout == 3));
        let (_, steps) = open("happy", true);
        assert!(matches!(first(&steps), Message::Reconnect(_)));
        let (_, steps) = open("leave_first_message", false);
        assert!(matches!(first(&steps), Message::Leave(leave) if leave.action == 2));
        let (_, steps) = open("close_before_join", false);
        assert_eq!(steps, [Step::Close(1011)]);
        let (_, steps) = open("no_first_message", false);
        assert!(steps.is_empty());
        let (_, steps) = open("drop_when_connected", false);
        assert_eq!(steps.last(), Some(&Step::Drop));
    }

    #[test]
    fn a_ping_is_answered_unless_the_mode_says_no() {
        let ping = client::request(livekit_protocol::signal_request::Message::Ping(1));
        let (mut script, _) = open("happy", false);
        assert_eq!(script.frame(&ping, Timestamp(1)).len(), 1);
        let (mut script, _) = open("no_pong", false);
        assert!(script.frame(&ping, Timestamp(1)).is_empty());
    }
}

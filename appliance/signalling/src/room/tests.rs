//! A room with clients that speak the wire format.

mod data;
mod declared;
mod lesson;
mod replay;
mod session;
mod tracks;

use std::collections::BTreeMap;

use belfry_media_api::{Command, ConnectionState, Event, MediaKind, PeerRole, Section, Source};
use belfry_model::{Identity, LessonRole, Outside, ParticipantSid, Timestamp, TrackSid};
use livekit_protocol as proto;
use livekit_protocol::signal_request::Message as Asked;
use livekit_protocol::signal_response::Message;

use super::{
    Effect, IceServer, IceServers, Join, Notice, Random, Room, RoomConfig, RoomControl, SocketId,
};
use crate::client;
use crate::host::Host;
use crate::query::Query;
use crate::token::{Grants, Signer};

/// A room, its time, and what came out of it since it was read last.
struct Stage {
    room: Room,
    now: Timestamp,
    sockets: u64,
    sent: BTreeMap<SocketId, Vec<Message>>,
    closed: Vec<SocketId>,
    commands: Vec<Command>,
    notices: Vec<Notice>,
}

/// One connection of the stage.
#[derive(Clone)]
struct Client {
    socket: SocketId,
    sid: ParticipantSid,
    identity: Identity,
}

fn signer() -> Signer {
    Signer::new("belfry", b"a secret of the tests")
}

fn grants(identity: &str, role: LessonRole) -> Grants {
    Grants::new(identity.into(), "Somebody", "12", role)
}

impl Stage {
    fn new() -> Self {
        let mut next = 0_u8;
        let random = Random::new(move |bytes| {
            for byte in bytes {
                next = next.wrapping_mul(5).wrapping_add(7);
                *byte = next >> 3;
            }
            next = next.wrapping_add(1);
        });
        let server = |url: &str, username, credential| IceServer {
            urls: vec![url.to_owned()],
            username,
            credential,
        };
        let stun = server("stun:belfry.test:3478", String::new(), String::new());
        let ice = IceServers::new(vec![stun]).with_credentials(move |asked| {
            let url = match asked.host {
                Some(Host::Name(name)) => format!("turn:{name}:3479"),
                _ => "turn:belfry.test:3479".to_owned(),
            };
            let user = format!("{}:{}", asked.now.0, asked.participant);
            vec![
                server("stun:belfry.test:3478", String::new(), String::new()),
                server(&url, user, "secret".to_owned()),
            ]
        });
        let mut config = RoomConfig::new("RM_test".into(), "12".to_owned(), ice, signer(), random);
        config.student_topics.insert("reaction".to_owned());
        let now = Timestamp(1_800_000_000_000);
        Self {
            room: Room::new(config, now),
            now,
            sockets: 0,
            sent: BTreeMap::new(),
            closed: Vec::new(),
            commands: Vec::new(),
            notices: Vec::new(),
        }
    }

    fn drain(&mut self) {
        while let Some(effect) = self.room.poll_effect() {
            match effect {
                Effect::Send { socket, frame } => {
                    let frame = client::RESPONSES.parse(Outside::new(&frame)).expect("own frame");
                    let message = frame.message.expect("a known message");
                    self.sent.entry(socket).or_default().push(message);
                }
                Effect::Close { socket } => self.closed.push(socket),
                Effect::Media(command) => self.commands.push(command),
                Effect::Notice(notice) => self.notices.push(notice),
            }
        }
    }

    /// Forgets what came out so far.
    fn clear(&mut self) {
        self.sent.clear();
        self.closed.clear();
        self.commands.clear();
        self.notices.clear();
    }

    fn socket(&mut self) -> SocketId {
        self.sockets += 1;
        SocketId(self.sockets)
    }

    fn join_with(&mut self, grants: Grants, query: Query) -> Client {
        let socket = self.socket();
        let identity = grants.identity.clone();
        let sid = self.room.join(Join { socket, grants, query }, self.now).expect("may join");
        self.drain();
        Client { socket, sid, identity }
    }

    fn join(&mut self, identity: &str, role: LessonRole) -> Client {
        self.join_with(grants(identity, role), Query::default())
    }

    /// Joins with media connected.
    fn arrive(&mut self, identity: &str, role: LessonRole) -> Client {
        let client = self.join(identity, role);
        self.event(Event::Connection {
            participant: client.sid.clone(),
            role: PeerRole::Subscriber,
            state: ConnectionState::Connected,
        });
        client
    }

    fn resume(&mut self, client: &Client) -> Client {
        let query = Query { reconnect: true, sid: Some(client.sid.clone()), ..Query::default() };
        self.join_with(grants(client.identity.as_str(), LessonRole::Student), query)
    }

    fn ask(&mut self, client: &Client, asked: Asked) {
        self.room.frame(client.socket, Outside::new(&client::request(asked)), self.now);
        self.drain();
    }

    fn event(&mut self, event: Event) {
        self.room.media_event(event, self.now);
        self.drain();
    }

    fn control(&mut self, control: RoomControl) {
        self.room.control(control, self.now);
        self.drain();
    }

    /// Lets time pass, stopping at every deadline.
    fn pass_ms(&mut self, ms: i64) {
        let end = self.now.plus_ms(ms);
        for _ in 0..1000 {
            match self.room.deadline().filter(|at| *at <= end) {
                Some(at) => self.now = self.now.max(at),
                None => break,
            }
            self.room.tick(self.now);
            self.drain();
        }
        self.now = end;
        self.room.tick(end);
        self.drain();
        assert!(self.room.deadline().is_none_or(|at| at > end), "a tick does all that is due");
    }

    /// What a client was sent, taken away.
    fn take(&mut self, client: &Client) -> Vec<Message> {
        self.sent.remove(&client.socket).unwrap_or_default()
    }

    /// Publishes a track, add_track first, under one name.
    fn publish(&mut self, client: &Client, source: proto::TrackSource) -> TrackSid {
        let cid = format!("cid-{}-{}", client.sid, source.as_str_name());
        self.ask(client, Asked::AddTrack(add_track(&cid, source)));
        let section = section(&cid, source);
        let mid = section.mid.clone();
        let mut sections: Vec<_> = self.sections_of(client);
        sections.push(section);
        self.event(Event::PublisherAnswer {
            participant: client.sid.clone(),
            offer_id: 1,
            sdp: "v=0".to_owned(),
            sections,
        });
        let tracks = self.room.tracks.iter();
        let track = tracks
            .filter(|(_, track)| track.publisher == client.sid)
            .find(|(_, track)| track.mid == mid);
        track.expect("the section was matched").0.clone()
    }

    fn sections_of(&self, client: &Client) -> Vec<Section> {
        let own = self.room.tracks.values().filter(|track| track.publisher == client.sid);
        own.map(|track| Section {
            mid: track.mid.clone(),
            kind: track.kind(),
            track_label: track.label.clone(),
            mime: track.info.mime_type.clone(),
            rids: Vec::new(),
        })
        .collect()
    }
}

fn add_track(cid: &str, source: proto::TrackSource) -> proto::AddTrackRequest {
    use proto::TrackSource::{Camera, ScreenShare};
    let video = matches!(source, Camera | ScreenShare);
    let kind = if video { proto::TrackType::Video } else { proto::TrackType::Audio };
    proto::AddTrackRequest {
        cid: cid.to_owned(),
        r#type: kind.into(),
        source: source.into(),
        ..Default::default()
    }
}

fn section(label: &str, source: proto::TrackSource) -> Section {
    use proto::TrackSource::{Camera, ScreenShare};
    let video = matches!(source, Camera | ScreenShare);
    Section {
        mid: format!("mid-{label}"),
        kind: if video { MediaKind::Video } else { MediaKind::Audio },
        track_label: Some(label.to_owned()),
        mime: if video { "video/VP8" } else { "audio/opus" }.to_owned(),
        rids: Vec::new(),
    }
}

fn updates(messages: &[Message]) -> Vec<proto::ParticipantInfo> {
    let updates = messages.iter().filter_map(|message| match message {
        Message::Update(update) => Some(update.participants.clone()),
        _ => None,
    });
    updates.flatten().collect()
}

fn leave_of(messages: &[Message]) -> Option<(i32, i32)> {
    messages.iter().find_map(|message| match message {
        Message::Leave(leave) => Some((leave.reason, leave.action)),
        _ => None,
    })
}

fn refusals(messages: &[Message]) -> Vec<i32> {
    let responses = messages.iter().filter_map(|message| match message {
        Message::RequestResponse(response) => Some(response.reason),
        _ => None,
    });
    responses.collect()
}

const MIC: proto::TrackSource = proto::TrackSource::Microphone;
const CAM: proto::TrackSource = proto::TrackSource::Camera;
const SCREEN: proto::TrackSource = proto::TrackSource::ScreenShare;
const SOURCE_MIC: Source = Source::Microphone;

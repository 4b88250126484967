//! A shard and its clients on a network in memory: time is a number, loss is a seed.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::expect_used, reason = "a test fails by it")]

mod client;
pub(crate) mod recording;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use belfry_media_api::{
    Command, DataKind, Downlink, Event, Layer, PeerRole, Publication, Quality, Source,
    TrackSettings,
};
use belfry_model::{ParticipantSid, RoomSid, TrackSid};
use belfry_sfu::outbox::Outbox;
use belfry_sfu::{Certificate, Sfu, SfuConfig};

pub(crate) use client::{Client, Got};
use recording::Player;
use str0m::format::Codec;

static CERTIFICATE: LazyLock<Arc<Certificate>> =
    LazyLock::new(|| Arc::new(Certificate::generate().expect("aws-lc makes P-256 keys")));

pub(crate) const SERVER: ([u8; 4], u16) = ([10, 0, 0, 1], 3478);
const STEP: Duration = Duration::from_millis(5);
const DELAY: Duration = Duration::from_millis(10);

struct Datagram {
    at: Instant,
    source: SocketAddr,
    target: SocketAddr,
    bytes: Vec<u8>,
}

pub(crate) struct World {
    pub(crate) sfu: Sfu,
    pub(crate) now: Instant,
    pub(crate) clients: Vec<Client>,
    pub(crate) events: Vec<Event>,
    network: VecDeque<Datagram>,
    outbox: Outbox,
    /// Percent of media packets that the network drops, towards the server and from it.
    pub(crate) loss: (u64, u64),
    seed: u64,
    /// What the network carries to a client, in bits per second, and what is left of it now.
    pub(crate) narrow: Option<(usize, u64)>,
    left: usize,
    /// Nothing goes to or comes from this client.
    pub(crate) cut: Option<usize>,
    /// Answers are kept back while this is set.
    pub(crate) hold_answers: bool,
    pub(crate) largest_outbox: usize,
}

impl World {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        let certificate = Arc::clone(&CERTIFICATE);
        let config = SfuConfig {
            shard: 3,
            candidates: vec![SERVER.into()],
            tcp_candidates: Vec::new(),
            certificate,
        };
        Self {
            sfu: Sfu::new(config, now),
            now,
            clients: Vec::new(),
            events: Vec::new(),
            network: VecDeque::new(),
            outbox: Outbox::default(),
            loss: (0, 0),
            seed: 7,
            narrow: None,
            left: 0,
            cut: None,
            hold_answers: false,
            largest_outbox: 0,
        }
    }

    /// A room with so many connected participants, the first of which publishes.
    pub(crate) fn with_clients(count: usize) -> Self {
        Self::with_codec(count, Codec::Vp8)
    }

    /// The same, with cameras of another codec.
    pub(crate) fn with_codec(count: usize, codec: Codec) -> Self {
        Self::of(codec, &vec![false; count])
    }

    /// The same, and some have audio with redundancy.
    pub(crate) fn of(codec: Codec, red: &[bool]) -> Self {
        let mut world = Self::new();
        for (index, red) in red.iter().enumerate() {
            world.join(index, codec, *red);
        }
        world.until("all are connected", |world| {
            world.clients.iter().all(|client| client.subscriber.is_connected())
        });
        world
    }

    pub(crate) fn join(&mut self, index: usize, codec: Codec, red: bool) {
        let participant = sid(index);
        self.clients.push(Client::new(index, codec, red, self.now));
        self.command(Command::OpenParticipant { room: RoomSid::new("RM_1"), participant });
    }

    pub(crate) fn command(&mut self, command: Command) {
        self.sfu.command(command, self.now, &mut self.outbox);
        self.settle();
    }

    /// Publishes a camera in three layers as `TR_0` (or a number per publisher).
    pub(crate) fn publish_camera(&mut self, index: usize) -> TrackSid {
        let offer = self.clients[index].offer_camera();
        self.offer(index, offer);
        self.publish(index, "camera", Source::Camera, layers())
    }

    /// Publishes a camera that plays a recording in one stream, with so many spatial layers.
    pub(crate) fn publish_recording(
        &mut self,
        index: usize,
        player: Player,
        spatial: usize,
    ) -> TrackSid {
        self.clients[index].player = Some(player);
        let offer = self.clients[index].offer_stream();
        self.offer(index, offer);
        self.publish(index, "camera", Source::Camera, layers().split_off(3 - spatial))
    }

    pub(crate) fn publish_microphone(&mut self, index: usize) -> TrackSid {
        let offer = self.clients[index].offer_microphone();
        self.offer(index, offer);
        self.publish(index, "microphone", Source::Microphone, Vec::new())
    }

    pub(crate) fn offer(&mut self, index: usize, sdp: String) {
        let participant = sid(index);
        self.command(Command::PublisherOffer {
            participant,
            offer_id: 1,
            sdp,
            preferences: Vec::new(),
        });
    }

    fn publish(
        &mut self,
        index: usize,
        label: &str,
        source: Source,
        layers: Vec<Layer>,
    ) -> TrackSid {
        let mid = self
            .events
            .iter()
            .rev()
            .find_map(|event| match event {
                Event::PublisherAnswer { participant, sections, .. }
                    if *participant == sid(index) =>
                {
                    let section = |section: &&belfry_media_api::Section| {
                        section.track_label.as_deref() == Some(label)
                    };
                    sections.iter().find(section).map(|section| section.mid.clone())
                }
                _ => None,
            })
            .expect("the answer names the section");
        let track = TrackSid::new(format!("TR_{label}_{index}"));
        let publication =
            Publication { track: track.clone(), mid, source, layers, muted: false, lead: false };
        self.command(Command::Publish { participant: sid(index), publication });
        track
    }

    pub(crate) fn subscribe(&mut self, index: usize, publisher: usize, track: &TrackSid) {
        self.command(Command::Subscribe {
            participant: sid(index),
            track: track.clone(),
            publisher: sid(publisher),
            stream: "camera".to_owned(),
        });
    }

    pub(crate) fn settings(
        &mut self,
        index: usize,
        track: &TrackSid,
        quality: Quality,
        disabled: bool,
    ) {
        let settings = TrackSettings { disabled, quality, width: 0, height: 0, fps: 0 };
        self.set(index, track, settings);
    }

    pub(crate) fn set(&mut self, index: usize, track: &TrackSid, settings: TrackSettings) {
        let (participant, track) = (sid(index), track.clone());
        self.command(Command::Settings { participant, track, settings });
    }

    pub(crate) fn send_data(&mut self, to: &[usize], bytes: &[u8]) {
        let to = to.iter().map(|index| sid(*index)).collect();
        self.command(Command::SendData { to, kind: DataKind::Reliable, bytes: bytes.to_vec() });
    }

    /// Lets time pass until `done`, for ten seconds at most.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        for _ in 0..2_000 {
            if done(self) {
                return;
            }
            self.step();
        }
        panic!("in vain: {what}; {:?}", self.events);
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step();
        }
    }

    fn random(&mut self) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.seed >> 33
    }

    fn step(&mut self) {
        self.now += STEP;
        if let Some((_, rate_bps)) = self.narrow {
            let step = rate_bps as usize / 8 * STEP.as_millis() as usize / 1_000;
            // A queue of 50 ms.
            self.left = (self.left + step).min(step * 10);
        }
        while self.network.front().is_some_and(|datagram| datagram.at <= self.now) {
            let Some(mut datagram) = self.network.pop_front() else { break };
            if datagram.target == SocketAddr::from(SERVER) {
                let (source, now) = (datagram.source, self.now);
                self.sfu.receive(0, source, &mut datagram.bytes, now, &mut self.outbox);
            } else {
                for client in &mut self.clients {
                    client.receive(&datagram.bytes, datagram.target, self.now);
                }
            }
        }
        if self.sfu.deadline().is_some_and(|at| at <= self.now) {
            self.sfu.timeout(self.now, &mut self.outbox);
        }
        for client in &mut self.clients {
            client.step(self.now);
        }
        self.settle();
    }

    /// Carries what everybody wants to send and say.
    fn settle(&mut self) {
        self.largest_outbox = self.largest_outbox.max(self.outbox.len());
        let outbox = std::mem::take(&mut self.outbox);
        for (to, bytes) in outbox.iter() {
            self.send(SERVER.into(), to.remote(), bytes.to_vec(), self.loss.1);
        }
        for index in 0..self.clients.len() {
            let sent = std::mem::take(&mut self.clients[index].sent);
            for (source, bytes) in sent {
                self.send(source, SERVER.into(), bytes, self.loss.0);
            }
        }
        while let Some(event) = self.sfu.poll_event() {
            self.hear(&event);
            self.events.push(event);
        }
    }

    fn send(&mut self, source: SocketAddr, target: SocketAddr, bytes: Vec<u8>, loss: u64) {
        let cut = self.cut.map(|client| SocketAddr::from(([10, 0, 1, client as u8], 0)).ip());
        if cut.is_some_and(|cut| source.ip() == cut || target.ip() == cut) {
            return;
        }
        let media = bytes.first().is_some_and(|first| (128..192).contains(first));
        if media && self.random() % 100 < loss {
            return;
        }
        let narrow =
            self.narrow.map(|(client, _)| SocketAddr::from(([10, 0, 1, client as u8], 4_001)));
        if media && narrow == Some(target) {
            if self.left < bytes.len() {
                return;
            }
            self.left -= bytes.len();
        }
        self.network.push_back(Datagram { at: self.now + DELAY, source, target, bytes });
    }

    fn hear(&mut self, event: &Event) {
        match event {
            Event::SubscriberOffer { participant, offer_id, sdp, mids } => {
                let client = self.client(participant);
                client.mids.clone_from(mids);
                client.offers.push((*offer_id, sdp.clone()));
                if !self.hold_answers {
                    self.answer(participant.clone());
                }
            }
            Event::PublisherAnswer { participant, sdp, .. } => {
                self.client(participant).answered(sdp);
            }
            _ => {}
        }
    }

    fn client(&mut self, participant: &ParticipantSid) -> &mut Client {
        self.clients.iter_mut().find(|client| client.sid == *participant).expect("a client of ours")
    }

    /// Answers the latest offer.
    pub(crate) fn answer(&mut self, participant: ParticipantSid) {
        let (offer_id, sdp) = self.client(&participant).answer();
        self.sfu.command(
            Command::SubscriberAnswer { participant, offer_id, sdp },
            self.now,
            &mut self.outbox,
        );
    }

    pub(crate) fn offers(&self, index: usize) -> Vec<(u32, Vec<TrackSid>)> {
        let of = |event: &Event| match event {
            Event::SubscriberOffer { participant, offer_id, mids, .. }
                if *participant == sid(index) =>
            {
                Some((*offer_id, mids.iter().map(|(_, track)| track.clone()).collect()))
            }
            _ => None,
        };
        self.events.iter().filter_map(of).collect()
    }

    /// What was told of the way down to a client.
    pub(crate) fn downlinks(&self, index: usize) -> Vec<Downlink> {
        let of = |event: &Event| match event {
            Event::Downlink { participant, downlink } if *participant == sid(index) => {
                Some(*downlink)
            }
            _ => None,
        };
        self.events.iter().filter_map(of).collect()
    }

    pub(crate) fn is_connected(&self, index: usize, role: PeerRole) -> bool {
        let state = belfry_media_api::ConnectionState::Connected;
        self.events.contains(&Event::Connection { participant: sid(index), role, state })
    }
}

fn layers() -> Vec<Layer> {
    [(Quality::Low, 320, 180), (Quality::Medium, 640, 360), (Quality::High, 1280, 720)]
        .map(|(quality, width, height)| Layer { quality, width, height, bitrate_bps: 0 })
        .to_vec()
}

pub(crate) fn sid(index: usize) -> ParticipantSid {
    ParticipantSid::new(format!("PA_{index}"))
}

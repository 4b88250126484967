//! A connection against str0m, a WebRTC stack that shares no code with ours.

use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use belfry_media_api::{DataKind, End, PeerRole};
use bytes::Bytes;
use str0m::{
    Candidate, Event, IceCreds, Input, Output, Rtc, RtcConfig, RtcError,
    channel::{ChannelConfig, ChannelId, Reliability},
    config::Fingerprint,
    media::MediaKind,
    net::{Protocol, Receive},
    rtp::RtpWrite,
};

use super::{Connection, ConnectionConfig, Happened, Received, Refused, Setup, State, Unsent};
use crate::{
    dtls::Certificate,
    outbox::{Destination, Outbox},
    sctp::{HELD_BYTES_MAX, LABEL_LOSSY, LABEL_RELIABLE},
};

static CERTIFICATE: LazyLock<Arc<Certificate>> =
    LazyLock::new(|| Arc::new(Certificate::generate().expect("aws-lc makes P-256 keys")));

const SERVER: ([u8; 4], u16) = ([10, 0, 0, 2], 3478);
const CLIENT: ([u8; 4], u16) = ([10, 0, 0, 1], 4000);
const CLIENT_LATER: ([u8; 4], u16) = ([10, 9, 9, 9], 4001);
const SSRC: u32 = 77;

struct World {
    server: Connection,
    client: Rtc,
    now: Instant,
    outbox: Outbox,
    /// What the client's network does with its packets.
    cut: bool,
    client_events: Vec<Event>,
    server_events: Vec<Happened>,
    rtp: Vec<Vec<u8>>,
    rtcp_count: usize,
    refused: Vec<Refused>,
    last_media: Option<(Destination, Vec<u8>)>,
    sent_to: Vec<SocketAddr>,
    client_error: Option<RtcError>,
}

impl World {
    fn new(role: PeerRole) -> Self {
        Self::with_setup(role, Setup::Active)
    }

    fn with_setup(role: PeerRole, setup: Setup) -> Self {
        let now = Instant::now();
        let certificate = Arc::clone(&CERTIFICATE);
        let mut server =
            Connection::new(ConnectionConfig { shard: 0, key: 1, role, certificate }, now);
        let mut client = RtcConfig::new().set_rtp_mode(true).build(now);
        let host = Candidate::host(SocketAddr::from(CLIENT), "udp").expect("a candidate");
        client.add_local_candidate(host);
        let remote = Candidate::host(SocketAddr::from(SERVER), "udp").expect("a candidate");
        client.add_remote_candidate(remote);
        let mut direct = client.direct_api();
        direct.set_remote_fingerprint(Fingerprint {
            hash_func: "sha-256".to_owned(),
            bytes: CERTIFICATE.digest().to_vec(),
        });
        direct.set_remote_ice_credentials(IceCreds {
            ufrag: server.ufrag().to_owned(),
            pass: server.pwd().to_owned(),
        });
        direct.set_ice_controlling(true);
        direct.start_dtls(setup == Setup::Active).expect("dtls starts");
        direct.start_sctp(setup == Setup::Active);
        let creds = direct.local_ice_credentials();
        let fingerprint = direct.local_dtls_fingerprint().bytes.clone();
        let fingerprint = fingerprint.try_into().expect("SHA-256");
        server.set_remote(&creds.ufrag, &creds.pass, fingerprint, setup);
        Self {
            server,
            client,
            now,
            outbox: Outbox::default(),
            cut: false,
            client_events: Vec::new(),
            server_events: Vec::new(),
            rtp: Vec::new(),
            rtcp_count: 0,
            refused: Vec::new(),
            last_media: None,
            sent_to: Vec::new(),
            client_error: None,
        }
    }

    /// Everything that can happen without time passing; then time passes.
    fn step(&mut self) {
        self.drain_client();
        if self.server.deadline().is_some_and(|at| at <= self.now) {
            self.server.timeout(self.now, &mut self.outbox);
        }
        while let Some(happened) = self.server.poll() {
            self.server_events.push(happened);
        }
        let outbox = std::mem::take(&mut self.outbox);
        for (to, datagram) in outbox.iter() {
            self.sent_to.push(to.remote());
            let receive = Receive::new(Protocol::Udp, SERVER.into(), to.remote(), datagram);
            if let (false, Ok(receive)) = (self.cut, receive) {
                self.feed_client(Input::Receive(self.now, receive));
                self.drain_client();
            }
        }
        self.now += Duration::from_millis(5);
        self.feed_client(Input::Timeout(self.now));
    }

    fn feed_client(&mut self, input: Input<'_>) {
        if self.client_error.is_none() {
            self.client_error = self.client.handle_input(input).err();
        }
    }

    fn drain_client(&mut self) {
        while self.client_error.is_none() {
            match self.client.poll_output() {
                Ok(Output::Timeout(_)) => break,
                Ok(Output::Event(event)) => self.client_events.push(event),
                Ok(Output::Transmit(transmit)) => {
                    let from = Destination::udp(0, transmit.source);
                    if !self.cut {
                        self.deliver(from, &mut transmit.contents.to_vec());
                    }
                }
                Err(error) => self.client_error = Some(error),
            }
        }
    }

    fn deliver(&mut self, from: Destination, datagram: &mut [u8]) -> Received {
        let copy = datagram.to_vec();
        let received = self.server.receive(from, datagram, self.now, &mut self.outbox);
        match received {
            Received::Rtp { len } => {
                self.rtp.push(datagram[..len].to_vec());
                self.last_media = Some((from, copy));
            }
            Received::Rtcp { .. } => self.rtcp_count += 1,
            Received::Refused(refused) => self.refused.push(refused),
            Received::Nothing | Received::Checked { .. } => {}
        }
        received
    }

    /// Steps until `done`, at most 60 simulated seconds.
    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        for _ in 0..12_000 {
            if done(self) {
                return;
            }
            self.step();
        }
        panic!(
            "never: {what}; server {:?}, refused {:?}, client {:?}",
            self.server.state(),
            self.refused,
            self.client_error
        );
    }

    fn connect(&mut self) {
        self.until("both ends connected", |world| {
            world.server.state() == State::Connected
                && world.client_saw(|e| matches!(e, Event::Connected))
        });
    }

    fn client_saw(&self, is: impl Fn(&Event) -> bool) -> bool {
        self.client_events.iter().any(is)
    }

    fn channel(&self, label: &str) -> Option<ChannelId> {
        self.client_events.iter().find_map(|event| match event {
            Event::ChannelOpen(id, name) if name == label => Some(*id),
            _ => None,
        })
    }

    fn client_data(&self) -> Vec<Vec<u8>> {
        let data = self.client_events.iter().filter_map(|event| match event {
            Event::ChannelData(data) => Some(data.data.clone()),
            _ => None,
        });
        data.collect()
    }

    fn server_data(&self) -> Vec<(DataKind, Vec<u8>)> {
        let data = self.server_events.iter().filter_map(|happened| match happened {
            Happened::Data { kind, bytes } => Some((*kind, bytes.clone())),
            _ => None,
        });
        data.collect()
    }

    fn declare_audio(&mut self) {
        let mid = "0".into();
        let mut direct = self.client.direct_api();
        direct.declare_media(mid, MediaKind::Audio);
        direct.declare_stream_tx(SSRC.into(), None, mid, None);
        direct.expect_stream_rx((SSRC + 1).into(), None, mid, None);
    }

    fn client_writes_rtp(&mut self, sequence: u64, payload: &[u8]) {
        let now = self.now;
        let mut direct = self.client.direct_api();
        let stream = direct.stream_tx(&SSRC.into()).expect("declared");
        let write = RtpWrite::new(111.into(), sequence.into(), 960, now, payload);
        stream.write_rtp(write);
    }
}

fn rtp_packet(sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 111];
    packet.extend(sequence.to_be_bytes());
    packet.extend([0, 0, 3, 0xc0]);
    packet.extend((SSRC + 1).to_be_bytes());
    packet.extend(payload);
    packet
}

#[test]
fn media_flows_both_ways() {
    let mut world = World::new(PeerRole::Publisher);
    world.declare_audio();
    world.connect();
    world.client_writes_rtp(1, b"from the client");
    world.until("rtp at the server", |world| !world.rtp.is_empty());
    assert!(world.rtp[0].ends_with(b"from the client"));

    let packet = rtp_packet(9, b"from the server");
    let World { server, outbox, .. } = &mut world;
    server
        .send_rtp(packet.len(), outbox, |place| place.copy_from_slice(&packet))
        .expect("connected");
    world.until("rtp at the client", |world| {
        world.client_saw(
            |event| matches!(event, Event::RtpPacket(rtp) if *rtp.payload == *b"from the server"),
        )
    });
    world.until("reports of the client", |world| world.rtcp_count > 0);
}

#[test]
fn the_server_can_be_the_dtls_client() {
    let mut world = World::with_setup(PeerRole::Subscriber, Setup::Passive);
    world.connect();
    world.until("our channels", |world| {
        world.channel(LABEL_RELIABLE).is_some() && world.channel(LABEL_LOSSY).is_some()
    });
}

#[test]
fn a_replayed_packet_is_refused() {
    let mut world = World::new(PeerRole::Publisher);
    world.declare_audio();
    world.connect();
    world.client_writes_rtp(1, b"once");
    world.until("rtp at the server", |world| !world.rtp.is_empty());
    let (from, mut again) = world.last_media.take().expect("kept");
    assert_eq!(world.deliver(from, &mut again), Received::Refused(Refused::Replayed));
}

#[test]
fn a_stranger_and_garbage_reach_no_parser_and_end_nothing() {
    let mut world = World::new(PeerRole::Publisher);
    world.declare_audio();
    world.connect();
    world.client_writes_rtp(1, b"once");
    world.until("rtp at the server", |world| !world.rtp.is_empty());
    let (from, media) = world.last_media.take().expect("kept");
    let stranger = Destination::udp(0, SocketAddr::from(([6, 6, 6, 6], 666)));
    assert_eq!(world.deliver(stranger, &mut media.clone()), Received::Refused(Refused::Unknown));
    for first in 0..=255_u8 {
        for len in [1_usize, 2, 12, 13, 25, 60, 200] {
            let mut garbage = vec![first; len];
            world.deliver(from, &mut garbage);
        }
    }
    assert_eq!(world.server.state(), State::Connected);
    world.client_writes_rtp(2, b"still there");
    world.until("more rtp", |world| world.rtp.len() == 2);
}

#[test]
fn another_certificate_than_described_is_not_accepted() {
    let mut world = World::new(PeerRole::Publisher);
    let certificate = Arc::clone(&CERTIFICATE);
    let config = ConnectionConfig { shard: 0, key: 1, role: PeerRole::Publisher, certificate };
    let creds = world.client.direct_api().local_ice_credentials();
    world.server = Connection::new(config, world.now);
    world.server.set_remote(&creds.ufrag, &creds.pass, [0x5a; 32], Setup::Active);
    world.client.direct_api().set_remote_ice_credentials(IceCreds {
        ufrag: world.server.ufrag().to_owned(),
        pass: world.server.pwd().to_owned(),
    });
    world.until("the server gives up", |world| {
        world.server_events.contains(&Happened::Ended(End::Dtls))
    });
    assert!(!world.server_events.contains(&Happened::Connected));
    assert!(world.server.srtp.is_none());
    world.step();
    assert!(world.client_error.is_some(), "the client was told by an alert");
}

#[test]
fn a_hello_that_comes_before_the_answer_is_held() {
    let mut world = World::new(PeerRole::Subscriber);
    let certificate = Arc::clone(&CERTIFICATE);
    let config = ConnectionConfig { shard: 0, key: 1, role: PeerRole::Subscriber, certificate };
    let mut server = Connection::new(config, world.now);
    std::mem::swap(&mut world.server, &mut server);
    let mut direct = world.client.direct_api();
    direct.set_remote_ice_credentials(IceCreds {
        ufrag: world.server.ufrag().to_owned(),
        pass: world.server.pwd().to_owned(),
    });
    let creds = direct.local_ice_credentials();
    let fingerprint = direct.local_dtls_fingerprint().bytes.clone();
    (0..60).for_each(|_| world.step());
    assert_eq!(world.server.state(), State::New);
    let fingerprint = fingerprint.try_into().expect("SHA-256");
    world.server.set_remote(&creds.ufrag, &creds.pass, fingerprint, Setup::Active);
    let begun = world.now;
    world.connect();
    assert!(world.now - begun < Duration::from_millis(200), "no retransmission was needed");
}

#[test]
fn the_client_opens_channels_and_the_one_for_tracks_is_ignored() {
    let mut world = World::new(PeerRole::Publisher);
    let mut direct = world.client.direct_api();
    let lossy = Reliability::MaxRetransmits { retransmits: 0 };
    let mut open = |label: &str, ordered, reliability| {
        direct.create_data_channel(ChannelConfig {
            label: label.to_owned(),
            ordered,
            reliability,
            ..Default::default()
        })
    };
    let reliable = open(LABEL_RELIABLE, true, Reliability::Reliable);
    let lossy_id = open(LABEL_LOSSY, false, lossy);
    let tracks = open("_data_track", false, lossy);
    world.connect();
    world.until("three channels", |world| {
        let opened = |e: &&Event| matches!(e, Event::ChannelOpen(..));
        world.client_events.iter().filter(opened).count() == 3
    });
    for (id, text) in [(tracks, "ignored"), (lossy_id, "lossy"), (reliable, "reliable")] {
        let mut channel = world.client.channel(id).expect("open");
        assert!(channel.write(true, text.as_bytes()).expect("room"));
    }
    world.until("two messages", |world| world.server_data().len() == 2);
    (0..100).for_each(|_| world.step());
    let mut got = world.server_data();
    got.sort_by(|a, b| a.1.cmp(&b.1));
    assert_eq!(
        got,
        [(DataKind::Lossy, b"lossy".to_vec()), (DataKind::Reliable, b"reliable".to_vec())]
    );
    // v1 clients read on their own channels.
    let World { server, outbox, now, .. } = &mut world;
    let text = Bytes::from_static(b"back");
    server.send_data(DataKind::Reliable, &text, *now, outbox).expect("open");
    world.until("the answer", |world| world.client_data() == [b"back".to_vec()]);
}

#[test]
fn reliable_data_is_held_until_the_channel_is_open_and_comes_in_order() {
    let mut world = World::new(PeerRole::Subscriber);
    let World { server, outbox, now, .. } = &mut world;
    for count in 0..3_u8 {
        let bytes = Bytes::from(vec![count; 64_000]);
        assert_eq!(server.send_data(DataKind::Reliable, &bytes, *now, outbox), Ok(()));
        assert_eq!(server.send_data(DataKind::Lossy, &bytes, *now, outbox), Err(Unsent::Dropped));
    }
    world.connect();
    world.until("the held messages", |world| world.client_data().len() == 3);
    let expected: Vec<_> = (0..3_u8).map(|count| vec![count; 64_000]).collect();
    assert!(world.client_data() == expected);
}

#[test]
fn a_receiver_that_never_opens_its_channel_is_too_slow() {
    let mut world = World::new(PeerRole::Subscriber);
    let World { server, outbox, now, .. } = &mut world;
    let bytes = Bytes::from(vec![0; 64_000]);
    let fitting = HELD_BYTES_MAX / bytes.len();
    for _ in 0..fitting {
        assert_eq!(server.send_data(DataKind::Reliable, &bytes, *now, outbox), Ok(()));
    }
    let sent = server.send_data(DataKind::Reliable, &bytes, *now, outbox);
    assert_eq!(sent, Err(Unsent::Overflow));
    assert_eq!(server.poll(), Some(Happened::Ended(End::TooSlow)));
}

#[test]
fn a_receiver_that_vanishes_loses_lossy_data_first_and_then_is_too_slow() {
    let mut world = World::new(PeerRole::Subscriber);
    world.connect();
    world.until("our channels", |world| {
        world.channel(LABEL_RELIABLE).is_some() && world.channel(LABEL_LOSSY).is_some()
    });
    (0..20).for_each(|_| world.step());
    world.cut = true;
    let bytes = Bytes::from(vec![0; 32_000]);
    let mut results = Vec::new();
    for _ in 0..100 {
        let World { server, outbox, now, .. } = &mut world;
        results.push(server.send_data(DataKind::Lossy, &bytes, *now, outbox));
        world.step();
    }
    assert!(results.contains(&Err(Unsent::Dropped)));
    assert_eq!(world.server.state(), State::Connected);
    world.until("the end", |world| {
        let World { server, outbox, now, .. } = world;
        server.send_data(DataKind::Reliable, &bytes, *now, outbox) == Err(Unsent::Overflow)
    });
    assert_eq!(world.server.state(), State::Ended);
}

#[test]
fn consent_expires_and_an_ice_restart_brings_the_connection_back() {
    let mut world = World::new(PeerRole::Publisher);
    world.declare_audio();
    world.connect();
    world.cut = true;
    world.until("consent is gone", |world| world.server_events.contains(&Happened::Lost));
    let packet = rtp_packet(1, b"x");
    let World { server, outbox, .. } = &mut world;
    let sent = server.send_rtp(packet.len(), outbox, |place| place.copy_from_slice(&packet));
    assert_eq!(sent, Err(Unsent::NotConnected));
    assert!(world.outbox.is_empty());

    let old = world.server.ufrag().to_owned();
    let creds = IceCreds::new();
    let mut direct = world.client.direct_api();
    direct.set_local_ice_credentials(creds.clone());
    let fingerprint = direct.local_dtls_fingerprint().bytes.clone();
    let fingerprint = fingerprint.try_into().expect("SHA-256");
    world.server.set_remote(&creds.ufrag, &creds.pass, fingerprint, Setup::Active);
    assert_ne!(world.server.ufrag(), old, "the answer joins the restart");
    world.client.direct_api().set_remote_ice_credentials(IceCreds {
        ufrag: world.server.ufrag().to_owned(),
        pass: world.server.pwd().to_owned(),
    });
    // str0m gave its pairs up; it comes back from another address.
    let later = Candidate::host(SocketAddr::from(CLIENT_LATER), "udp").expect("a candidate");
    world.client.add_local_candidate(later);
    world.cut = false;
    world.server_events.clear();
    world.until("it is back", |world| world.server_events.contains(&Happened::Connected));
    world.client_writes_rtp(1, b"after the restart");
    world.until("rtp under the same keys", |world| !world.rtp.is_empty());
}

#[test]
fn media_follows_the_client_to_another_network() {
    let mut world = World::new(PeerRole::Publisher);
    world.declare_audio();
    world.connect();
    let later = Candidate::host(SocketAddr::from(CLIENT_LATER), "udp").expect("a candidate");
    world.client.add_local_candidate(later);
    let first = Candidate::host(SocketAddr::from(CLIENT), "udp").expect("a candidate");
    world.client.direct_api().invalidate_candidate(&first);
    world.until("the new path is selected", |world| {
        world.server.ice.selected() == Some(Destination::udp(0, CLIENT_LATER.into()))
    });
    world.client_writes_rtp(1, b"from elsewhere");
    world.until("rtp from there", |world| !world.rtp.is_empty());
    world.sent_to.clear();
    let packet = rtp_packet(1, b"x");
    let World { server, outbox, .. } = &mut world;
    server
        .send_rtp(packet.len(), outbox, |place| place.copy_from_slice(&packet))
        .expect("connected");
    world.step();
    assert!(world.sent_to.contains(&CLIENT_LATER.into()));
    assert!(!world.sent_to.contains(&CLIENT.into()));
}

/// The client's packet `sequence` as it leaves its network, where it is held back.
fn held_back(world: &mut World, sequence: u64) -> Vec<u8> {
    world.client_writes_rtp(sequence, b"behind a nat");
    let mut media = None;
    for _ in 0..20 {
        while let Ok(Output::Transmit(transmit)) = world.client.poll_output() {
            if matches!(transmit.contents.first(), Some(128..=191)) && transmit.contents[1] == 111 {
                media = Some(transmit.contents.to_vec());
            }
        }
        world.now += Duration::from_millis(5);
        world.feed_client(Input::Timeout(world.now));
    }
    media.expect("the client sent it")
}

#[test]
fn a_silent_client_is_followed_to_another_port_of_its_nat_by_what_only_it_can_send() {
    let mut world = World::new(PeerRole::Publisher);
    world.declare_audio();
    world.connect();
    world.client_writes_rtp(1, b"before");
    world.until("rtp", |world| !world.rtp.is_empty());
    let [old, new] =
        [CLIENT.1, CLIENT.1 + 1].map(|port| Destination::udp(0, (CLIENT.0, port).into()));
    let elsewhere = Destination::udp(0, CLIENT_LATER.into());
    let packet = held_back(&mut world, 2);
    let at = |after_ms| world.now + Duration::from_millis(after_ms);
    let (soon, later) = (world.server.heard + Duration::from_millis(499), at(1_000));
    let mut forged = packet.clone();
    *forged.last_mut().expect("it has bytes") ^= 1;
    let (_, replayed) = world.last_media.clone().expect("media came");
    let server = &mut world.server;
    assert_eq!(server.follow(new, &packet, soon), None, "it is not silent");
    assert_eq!(server.follow(elsewhere, &packet, later), None, "another address needs a check");
    assert_eq!(server.follow(new, &forged, later), None, "forged");
    assert_eq!(server.follow(new, &replayed, later), None, "replayed");
    assert_eq!(server.follow(new, &packet, later), Some(old));
    assert_eq!((server.ice.selected(), server.ice.knows(old)), (Some(new), false));
    assert_eq!(server.follow(old, &packet, later), None, "used up, and it is heard again");
}

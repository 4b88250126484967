//! A lesson over loopback: two participants made with str0m, and our media plane between them, on
//! one shard and on three, over sockets, streams and the relay.
#![allow(clippy::unwrap_used, reason = "a test; the lint's exception covers only #[test] bodies")]

mod wire;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use belfry_media_api::{
    Command, Configure, ConnectionState, DataKind, Event, Layer, Path, PeerRole, Publication,
    Quality, Relay, Source,
};
use belfry_model::{ParticipantSid, Pii, RoomSid, TrackSid};
use belfry_transport::{Transport, TransportError};
use str0m::{
    Candidate, Event as ClientEvent, Input, Output, Rtc, RtcConfig,
    change::{SdpAnswer, SdpOffer},
    channel::ChannelId,
    format::PayloadParams,
    media::{Direction, MediaKind, MediaTime, Mid},
    net::{Protocol, Receive, TcpType},
};
use wire::{Kind, Place, Wire};

const PATIENCE: Duration = Duration::from_secs(20);

/// One peer connection of a client, with a way of its own.
struct Peer {
    rtc: Rtc,
    wire: Wire,
    protocol: Protocol,
    address: SocketAddr,
    wake_at: Instant,
    events: Vec<ClientEvent>,
}

impl Peer {
    fn new(kind: Kind, wire: Wire) -> Self {
        let address = wire.address;
        let now = Instant::now();
        let mut rtc = RtcConfig::new().build(now);
        let (protocol, candidate) = match kind {
            Kind::Direct => (Protocol::Udp, Candidate::host(address, "udp")),
            Kind::IceTcp => {
                let active = Candidate::builder().tcp().host(address).tcptype(TcpType::Active);
                (Protocol::Tcp, active.build())
            }
            Kind::TurnUdp | Kind::TurnTcp | Kind::TurnTls => {
                (Protocol::Udp, Candidate::relayed(address, address, "udp"))
            }
        };
        rtc.add_local_candidate(candidate.unwrap());
        Self { rtc, wire, protocol, address, wake_at: now, events: Vec::new() }
    }

    fn drive(&mut self) {
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Transmit(transmit) => {
                    self.wire.send(&transmit.contents, transmit.destination);
                    continue;
                }
                Output::Event(event) => {
                    self.events.push(event);
                    continue;
                }
                Output::Timeout(at) => self.wake_at = at,
            }
            let now = Instant::now();
            if let Some((contents, source)) = self.wire.receive() {
                let receive = Receive::new(self.protocol, source, self.address, &contents);
                if let Ok(receive) = receive {
                    self.rtc.handle_input(Input::Receive(now, receive)).unwrap();
                }
            } else if self.wake_at <= now {
                self.rtc.handle_input(Input::Timeout(now)).unwrap();
            } else {
                return;
            }
        }
    }

    fn channel(&self, label: &str) -> Option<ChannelId> {
        self.events.iter().find_map(|event| match event {
            ClientEvent::ChannelOpen(id, name) if name == label => Some(*id),
            _ => None,
        })
    }

    fn media_count(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, ClientEvent::MediaData(_))).count()
    }
}

struct Lesson {
    transport: Transport,
    kind: Kind,
    place: Place,
    told: Receiver<Event>,
    events: Vec<Event>,
    peers: Vec<Peer>,
    /// Which peer answers the subscriber offers of whom.
    subscribers: Vec<(ParticipantSid, usize)>,
}

impl Lesson {
    fn new(shards: u8, kind: Kind) -> Self {
        let (tell, told) = channel();
        let (handed, name) = wire::handed();
        let loopback = || "127.0.0.1:0".parse().unwrap();
        // The relay reaches no loopback; what it does reach never comes to a network.
        let outside = [192, 0, 2, 1].into();
        let configure = Configure {
            listen: vec![loopback()],
            shards,
            ice_tcp: vec![loopback()],
            advertise: if kind == Kind::Direct { Vec::new() } else { vec![outside] },
            relay: Some(Relay {
                tcp: vec![loopback()],
                realm: wire::REALM.to_owned(),
                secret: Pii::new(wire::SECRET.to_vec()),
            }),
            ..Configure::default()
        };
        let transport = Transport::start(&configure, Some(handed), move |event| {
            // The test may be over.
            let _over = tell.send(event);
        })
        .unwrap();
        let media = transport.listening()[0];
        let [ice_tcp, turn_tcp] = *transport.streams_listening() else { panic!("two listen") };
        let candidate = if kind == Kind::IceTcp { ice_tcp.port() } else { media.port() };
        let candidate = SocketAddr::new(outside, candidate);
        let place = Place { media, ice_tcp, turn_tcp, handed: name, candidate };
        let (events, peers, subscribers) = (Vec::new(), Vec::new(), Vec::new());
        Self { transport, kind, place, told, events, peers, subscribers }
    }

    fn add_peer(&mut self, sid: &ParticipantSid) -> usize {
        let wire = Wire::open(self.kind, &self.place, sid);
        self.peers.push(Peer::new(self.kind, wire));
        self.peers.len() - 1
    }

    fn command(&self, command: Command) {
        self.transport.command(command).unwrap();
    }

    fn join(&mut self, room: &str, sid: &ParticipantSid) {
        self.command(Command::OpenParticipant {
            room: RoomSid::new(room),
            participant: sid.clone(),
        });
        let index = self.add_peer(sid);
        self.subscribers.push((sid.clone(), index));
    }

    fn subscriber(&mut self, sid: &ParticipantSid) -> &mut Peer {
        let (_, index) = self.subscribers.iter().find(|(other, _)| other == sid).unwrap();
        &mut self.peers[*index]
    }

    /// Drives all until `found` finds something.
    fn until<T>(&mut self, what: &str, mut found: impl FnMut(&mut Self) -> Option<T>) -> T {
        let give_up = Instant::now() + PATIENCE;
        while Instant::now() < give_up {
            self.peers.iter_mut().for_each(Peer::drive);
            if let Ok(event) = self.told.recv_timeout(Duration::from_millis(2)) {
                self.take(event);
            }
            if let Some(found) = found(self) {
                return found;
            }
        }
        panic!("never: {what}; events {:#?}", self.events);
    }

    fn take(&mut self, event: Event) {
        if let Event::SubscriberOffer { participant, offer_id, sdp, .. } = &event {
            let offer = SdpOffer::from_sdp_string(sdp).unwrap();
            let peer = self.subscriber(participant);
            let answer = peer.rtc.sdp_api().accept_offer(offer).unwrap();
            self.command(Command::SubscriberAnswer {
                participant: participant.clone(),
                offer_id: *offer_id,
                sdp: answer.to_sdp_string(),
            });
        }
        if !matches!(event, Event::Counters { .. }) {
            self.events.push(event);
        }
    }

    /// Connects a publisher with a data channel and one track; returns its peer and the track's mid.
    fn publish(&mut self, sid: &ParticipantSid, track: &TrackSid, kind: MediaKind) -> (usize, Mid) {
        let index = self.add_peer(sid);
        let peer = &mut self.peers[index];
        let mut api = peer.rtc.sdp_api();
        api.add_channel("_reliable".to_owned());
        let mid = api.add_media(kind, Direction::SendOnly, None, None, None);
        let (offer, pending) = api.apply().unwrap();
        self.command(Command::PublisherOffer {
            participant: sid.clone(),
            offer_id: 1,
            sdp: offer.to_sdp_string(),
            preferences: Vec::new(),
        });
        let answer = self.until("an answer", |lesson| {
            lesson.events.iter().find_map(|event| match event {
                Event::PublisherAnswer { participant, sdp, .. } if participant == sid => {
                    Some(sdp.clone())
                }
                _ => None,
            })
        });
        let answer = SdpAnswer::from_sdp_string(&answer).unwrap();
        self.peers[index].rtc.sdp_api().accept_answer(pending, answer).unwrap();
        let layer = Layer { quality: Quality::High, width: 640, height: 360, bitrate_bps: 400_000 };
        let video = kind == MediaKind::Video;
        self.command(Command::Publish {
            participant: sid.clone(),
            publication: Publication {
                track: track.clone(),
                mid: mid.to_string(),
                source: if video { Source::Camera } else { Source::Microphone },
                layers: if video { vec![layer] } else { Vec::new() },
                muted: false,
                lead: false,
            },
        });
        (index, mid)
    }

    fn wait_connected(&mut self, sid: &ParticipantSid, wanted: PeerRole) {
        self.until("connected", |lesson| {
            lesson.events.iter().find_map(|event| match event {
                Event::Connection { participant, role, state: ConnectionState::Connected }
                    if participant == sid && *role == wanted =>
                {
                    Some(())
                }
                _ => None,
            })
        });
    }

    fn write_audio(&mut self, index: usize, mid: Mid, count: u64) {
        let Some(writer) = self.peers[index].rtc.writer(mid) else { return };
        let Some(pt) = writer.payload_params().next().map(PayloadParams::pt) else { return };
        let time = MediaTime::new(count * 960, str0m::media::Frequency::FORTY_EIGHT_KHZ);
        // Not connected yet: the next one will do.
        let _early = writer.write(pt, Instant::now(), time, vec![0xab; 80]);
    }
}

fn lesson_over(shards: u8, kind: Kind, path: Path) {
    let mut lesson = Lesson::new(shards, kind);
    let (teacher, pupil) = (ParticipantSid::new("PA_teacher"), ParticipantSid::new("PA_pupil"));
    let track = TrackSid::new("TR_AMvoice");
    lesson.join("RM_1", &teacher);
    lesson.join("RM_1", &pupil);
    let (voice, mid) = lesson.publish(&teacher, &track, MediaKind::Audio);
    lesson.command(Command::Subscribe {
        participant: pupil.clone(),
        track: track.clone(),
        publisher: teacher.clone(),
        stream: "camera".to_owned(),
    });
    lesson.wait_connected(&teacher, PeerRole::Publisher);
    lesson.wait_connected(&pupil, PeerRole::Subscriber);

    let mut count = 0;
    let mut next = Instant::now();
    lesson.until("the pupil hears the teacher", |lesson| {
        if Instant::now() >= next {
            next += Duration::from_millis(20);
            count += 1;
            lesson.write_audio(voice, mid, count);
        }
        (lesson.subscriber(&pupil).media_count() >= 10).then_some(())
    });

    let channel =
        lesson.until("the teacher's channel", |lesson| lesson.peers[voice].channel("_reliable"));
    lesson.peers[voice].rtc.channel(channel).unwrap().write(true, b"good morning").unwrap();
    let bytes = lesson.until("data of the teacher", |lesson| {
        lesson.events.iter().find_map(|event| match event {
            Event::Data { participant, kind: DataKind::Reliable, bytes }
                if *participant == teacher =>
            {
                Some(bytes.clone())
            }
            _ => None,
        })
    });
    lesson.command(Command::SendData { to: vec![pupil.clone()], kind: DataKind::Reliable, bytes });
    lesson.until("data at the pupil", |lesson| {
        lesson.subscriber(&pupil).events.iter().find_map(|event| match event {
            ClientEvent::ChannelData(data) if data.data == b"good morning" => Some(()),
            _ => None,
        })
    });
    let paths = lesson.events.iter().filter_map(|event| match event {
        Event::Path { path, .. } => Some(*path),
        _ => None,
    });
    assert!(paths.clone().all(|told| told == path) && paths.count() >= 2, "{:?}", lesson.events);
    let beats = lesson.transport.heartbeats();
    assert_eq!(beats.len(), usize::from(shards) + 1, "one is that of the streams");
    assert!(beats.iter().any(|beats| *beats > 0));
}

#[test]
fn a_lesson_on_one_shard() {
    lesson_over(1, Kind::Direct, Path::Udp);
}

/// With three sockets on one port most datagrams come in on a shard that does not have the room.
#[test]
fn a_lesson_on_three_shards() {
    lesson_over(3, Kind::Direct, Path::Udp);
}

#[test]
fn a_lesson_over_plain_tcp() {
    lesson_over(2, Kind::IceTcp, Path::IceTcp);
}

#[test]
fn a_lesson_through_the_relay_over_tcp() {
    lesson_over(2, Kind::TurnTcp, Path::TurnTcp);
}

/// Data come and go by indications here, by channels elsewhere.
#[test]
fn a_lesson_through_the_relay_over_streams_that_were_taken_out_of_tls() {
    lesson_over(1, Kind::TurnTls, Path::TurnTls);
}

#[test]
fn a_lesson_through_the_relay_over_udp() {
    lesson_over(3, Kind::TurnUdp, Path::TurnUdp);
}

#[test]
fn the_relay_reaches_neither_this_machine_nor_its_network() {
    let mut lesson = Lesson::new(1, Kind::TurnTcp);
    let sid = ParticipantSid::new("PA_1");
    lesson.join("RM_1", &sid);
    let mut wire = Wire::open(Kind::TurnTcp, &lesson.place, &sid);
    for other in ["127.0.0.1:22", "10.0.0.1:80", "192.168.1.1:443", "192.0.2.2:3478"] {
        assert_eq!(wire.ask_for_peer(other.parse().unwrap()), Some(403), "{other}");
    }
    assert_eq!(wire.ask_for_peer(lesson.place.candidate), None);
}

/// Waits for the other end to close.
fn is_closed(mut stream: TcpStream) -> bool {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut rest = [0; 64];
    // A reset says it, too; only a stream that stays open does not.
    match stream.read(&mut rest) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

#[test]
fn a_stream_that_says_what_it_may_not_is_closed() {
    let lesson = Lesson::new(1, Kind::TurnTcp);
    let Place { ice_tcp, turn_tcp, .. } = lesson.place;
    let stranger: &[u8] =
        &[0, 20, 0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3];
    for (to, bytes) in [
        (turn_tcp, &b"GET / HTTP/1.1\r\n"[..]),
        (turn_tcp, &[0x40, 0x01, 0xff, 0xff]),
        (ice_tcp, &[0xff, 0xff]),
        (ice_tcp, b"\0\x01x"),
        (ice_tcp, stranger),
    ] {
        let mut stream = TcpStream::connect(to).unwrap();
        stream.write_all(bytes).unwrap();
        assert!(is_closed(stream), "{bytes:?}");
    }
}

/// Resident memory of this process in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_flood_of_requests_to_the_relay_by_udp_leaves_memory_flat() {
    const FLOOD: usize = 200_000;
    const GROWTH_MAX_KIB: u64 = 16 * 1024;
    let lesson = Lesson::new(1, Kind::TurnUdp);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(lesson.place.media).unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut request = vec![0, 3, 0, 8, 0x21, 0x12, 0xa4, 0x42];
    request.extend([7; 12]);
    request.extend([0, 0x19, 0, 4, 17, 0, 0, 0]);
    let (mut before, mut answered) = (0, 0);
    for number in 0..FLOOD {
        if number == FLOOD / 20 {
            before = resident_kib();
        }
        // A full socket is what a flood makes.
        let _lost = socket.send(&request);
        let mut buffer = [0; 512];
        answered += usize::from(socket.recv(&mut buffer).is_ok());
    }
    let grown = resident_kib().saturating_sub(before);
    assert!(answered > 0 && grown < GROWTH_MAX_KIB, "{grown} KiB more, {answered} answers");
}

#[test]
fn a_taken_port_is_said_in_one_sentence() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for shards in [1, 2] {
        let configure = Configure { listen: vec![address], shards, ..Configure::default() };
        let error = Transport::start(&configure, None, |_event| {}).unwrap_err();
        assert!(matches!(error, TransportError::PortTaken { .. }));
        assert_eq!(
            error.to_string(),
            format!(
                "UDP port {} of 127.0.0.1 is already in use; another program, or another Belfry, has it",
                address.port()
            )
        );
    }
}

#[test]
fn a_plain_stun_request_is_answered_from_the_address_that_was_asked() {
    let configure =
        Configure { listen: vec!["0.0.0.0:0".parse().unwrap()], shards: 1, ..Configure::default() };
    let transport = Transport::start(&configure, None, |_event| {}).unwrap();
    let port = transport.listening()[0].port();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    request.extend([7; 12]);
    // Loopback has a whole network; by itself the kernel would answer from 127.0.0.1.
    let asked = SocketAddr::from(([127, 0, 0, 2], port));
    socket.send_to(&request, asked).unwrap();
    let mut buffer = [0; 100];
    let (len, source) = socket.recv_from(&mut buffer).unwrap();
    assert_eq!(source, asked);
    assert_eq!((buffer[..2].to_vec(), buffer[8..20].to_vec()), (vec![1, 1], vec![7; 12]));
    assert!(len > 20);
}

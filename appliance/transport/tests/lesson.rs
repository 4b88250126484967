//! A lesson over loopback sockets: two participants made with str0m, and our media plane between
//! them, on one shard and on three.
#![allow(clippy::unwrap_used, reason = "a test; the lint's exception covers only #[test] bodies")]

use std::{
    net::{SocketAddr, UdpSocket},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use belfry_media_api::{
    Command, Configure, ConnectionState, DataKind, Event, Layer, PeerRole, Publication, Quality,
    Source,
};
use belfry_model::{ParticipantSid, RoomSid, TrackSid};
use belfry_transport::{Transport, TransportError};
use str0m::{
    Candidate, Event as ClientEvent, Input, Output, Rtc, RtcConfig,
    change::{SdpAnswer, SdpOffer},
    channel::ChannelId,
    format::PayloadParams,
    media::{Direction, MediaKind, MediaTime, Mid},
    net::{Protocol, Receive},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// One peer connection of a client, with a socket of its own.
struct Peer {
    rtc: Rtc,
    socket: UdpSocket,
    address: SocketAddr,
    wake_at: Instant,
    events: Vec<ClientEvent>,
}

impl Peer {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let address = socket.local_addr().unwrap();
        let now = Instant::now();
        let mut rtc = RtcConfig::new().build(now);
        rtc.add_local_candidate(Candidate::host(address, "udp").unwrap());
        Self { rtc, socket, address, wake_at: now, events: Vec::new() }
    }

    fn drive(&mut self) {
        let mut buffer = [0; 2_000];
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Transmit(transmit) => {
                    // A full socket loses packets, as a network does.
                    let _lost = self.socket.send_to(&transmit.contents, transmit.destination);
                    continue;
                }
                Output::Event(event) => {
                    self.events.push(event);
                    continue;
                }
                Output::Timeout(at) => self.wake_at = at,
            }
            let now = Instant::now();
            if let Ok((len, source)) = self.socket.recv_from(&mut buffer) {
                let contents = &buffer[..len];
                let receive = Receive::new(Protocol::Udp, source, self.address, contents);
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
    told: Receiver<Event>,
    events: Vec<Event>,
    peers: Vec<Peer>,
    /// Which peer answers the subscriber offers of whom.
    subscribers: Vec<(ParticipantSid, usize)>,
}

impl Lesson {
    fn new(shards: u8) -> Self {
        let (tell, told) = channel();
        let configure = Configure {
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            shards,
            ..Configure::default()
        };
        let transport = Transport::start(&configure, None, move |event| {
            // The test may be over.
            let _over = tell.send(event);
        })
        .unwrap();
        Self { transport, told, events: Vec::new(), peers: Vec::new(), subscribers: Vec::new() }
    }

    fn command(&self, command: Command) {
        self.transport.command(command).unwrap();
    }

    fn join(&mut self, room: &str, sid: &ParticipantSid) {
        self.peers.push(Peer::new());
        self.subscribers.push((sid.clone(), self.peers.len() - 1));
        self.command(Command::OpenParticipant {
            room: RoomSid::new(room),
            participant: sid.clone(),
        });
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
        let mut peer = Peer::new();
        let mut api = peer.rtc.sdp_api();
        api.add_channel("_reliable".to_owned());
        let mid = api.add_media(kind, Direction::SendOnly, None, None, None);
        let (offer, pending) = api.apply().unwrap();
        let index = self.peers.len();
        self.peers.push(peer);
        self.command(Command::PublisherOffer {
            participant: sid.clone(),
            offer_id: 1,
            sdp: offer.to_sdp_string(),
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

fn lesson_over(shards: u8) {
    let mut lesson = Lesson::new(shards);
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
    let beats = lesson.transport.heartbeats();
    assert_eq!(beats.len(), usize::from(shards));
    assert!(beats.iter().any(|beats| *beats > 0));
}

#[test]
fn a_lesson_on_one_shard() {
    lesson_over(1);
}

/// With three sockets on one port most datagrams come in on a shard that does not have the room.
#[test]
fn a_lesson_on_three_shards() {
    lesson_over(3);
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

//! The ways in which a client's datagrams may come: by a socket, or by a stream or the relay.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream},
    },
};

use belfry_model::{Outside, ParticipantSid};
use belfry_relay::{CHANNELS, FRAMES, SENDS, channel_header, data_indication, padding};
use belfry_transport::handed_header;
use stun::{
    agent::TransactionId,
    attributes::{
        ATTR_CHANNEL_NUMBER, ATTR_ERROR_CODE, ATTR_NONCE, ATTR_REALM, ATTR_REQUESTED_TRANSPORT,
        ATTR_USERNAME, ATTR_XOR_PEER_ADDRESS, ATTR_XOR_RELAYED_ADDRESS, AttrType,
    },
    integrity::MessageIntegrity,
    message::{
        CLASS_REQUEST, METHOD_ALLOCATE, METHOD_CHANNEL_BIND, METHOD_CREATE_PERMISSION, Message,
        MessageType, Method, Setter,
    },
    textattrs::TextAttribute,
    xoraddr::XorMappedAddress,
};

pub(crate) const REALM: &str = "belfry";
pub(crate) const SECRET: &[u8] = b"the secret of a test";
/// When credentials expire: far away, and yet in the first half of 32 bits, whose difference from now is how coturn compares.
const EXPIRES: u64 = 0x7FFF_FFFF;
const CHANNEL: u16 = 0x4001;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Direct,
    IceTcp,
    TurnUdp,
    TurnTcp,
    /// What the control process has taken out of TLS.
    TurnTls,
}

/// Where the transport is reached.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) media: SocketAddr,
    pub(crate) ice_tcp: SocketAddr,
    pub(crate) turn_tcp: SocketAddr,
    pub(crate) handed: String,
    /// The media's address as candidates have it.
    pub(crate) candidate: SocketAddr,
}

/// A socket of the kind that streams are handed over on, and its name.
pub(crate) fn handed() -> (UnixListener, String) {
    let name = format!("belfry-test-{:032x}", rand::random::<u128>());
    let listener = UnixListener::bind_addr(&UnixAddress::from_abstract_name(&name).unwrap());
    let listener = listener.unwrap();
    listener.set_nonblocking(true).unwrap();
    (listener, name)
}

enum Link {
    Udp(UdpSocket, SocketAddr),
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Link {
    fn send(&mut self, bytes: &[u8]) {
        // What is full loses datagrams, as a network does; a stream of a test is never full.
        let _lost = match self {
            Self::Udp(socket, to) => socket.send_to(bytes, *to).map(drop),
            Self::Tcp(stream) => stream.write_all(bytes),
            Self::Unix(stream) => stream.write_all(bytes),
        };
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let read = match self {
            Self::Udp(socket, _) => socket.recv(buffer),
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        };
        read.ok()
    }

    fn set_blocking(&self, blocking: bool) {
        match self {
            Self::Udp(socket, _) => socket.set_nonblocking(!blocking),
            Self::Tcp(stream) => stream.set_nonblocking(!blocking),
            Self::Unix(stream) => stream.set_nonblocking(!blocking),
        }
        .unwrap();
    }
}

/// One client's way.
pub(crate) struct Wire {
    kind: Kind,
    link: Link,
    read: Vec<u8>,
    candidate: SocketAddr,
    /// The address that the media sees.
    pub(crate) address: SocketAddr,
    nonce: String,
    username: String,
    password: String,
}

impl Wire {
    pub(crate) fn direct() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let unused = ([127, 0, 0, 1], 9).into();
        Self::new(Kind::Direct, Link::Udp(socket, unused), address, unused)
    }

    fn new(kind: Kind, link: Link, address: SocketAddr, candidate: SocketAddr) -> Self {
        let none = String::new;
        let (nonce, username, password) = (none(), none(), none());
        let read = Vec::new();
        let wire = Self { kind, link, read, candidate, address, nonce, username, password };
        wire.link.set_blocking(false);
        wire
    }

    /// Opens a way of this kind, which ends at the relay with an allocation of `participant`.
    pub(crate) fn open(kind: Kind, place: &Place, participant: &ParticipantSid) -> Self {
        let tcp = |to: SocketAddr| {
            let stream = TcpStream::connect(to).unwrap();
            stream.set_nodelay(true).unwrap();
            let address = stream.local_addr().unwrap();
            (Link::Tcp(stream), address)
        };
        let (link, address) = match kind {
            Kind::Direct => return Self::direct(),
            Kind::IceTcp => tcp(place.ice_tcp),
            Kind::TurnTcp => tcp(place.turn_tcp),
            Kind::TurnUdp => {
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                let address = socket.local_addr().unwrap();
                socket.connect(place.media).unwrap();
                (Link::Udp(socket, place.media), address)
            }
            Kind::TurnTls => {
                let name = UnixAddress::from_abstract_name(&place.handed).unwrap();
                let mut stream = UnixStream::connect_addr(&name).unwrap();
                let client = SocketAddr::from(([198, 51, 100, 7], rand::random()));
                stream.write_all(&handed_header(client)).unwrap();
                (Link::Unix(stream), client)
            }
        };
        let mut wire = Self::new(kind, link, address, place.candidate);
        if kind != Kind::IceTcp {
            let made = belfry_relay::issue(SECRET, participant, EXPIRES);
            (wire.username, wire.password) = (made.username, made.password);
            wire.allocate();
        }
        wire
    }

    fn allocate(&mut self) {
        let transport = [(ATTR_REQUESTED_TRANSPORT, vec![17, 0, 0, 0])];
        let challenge = self.ask(&unsigned(METHOD_ALLOCATE, &transport, &[]));
        self.nonce = TextAttribute::get_from_as(&challenge, ATTR_NONCE).unwrap().text;
        let made = self.ask(&self.signed(METHOD_ALLOCATE, &transport, &[]));
        let mut relayed = XorMappedAddress::default();
        relayed.get_from_as(&made, ATTR_XOR_RELAYED_ADDRESS).unwrap();
        self.address = SocketAddr::new(relayed.ip, relayed.port);
        let peer = [self.candidate];
        let permitted = self.ask(&self.signed(METHOD_CREATE_PERMISSION, &[], &peer));
        assert!(!permitted.contains(ATTR_ERROR_CODE));
        // The way through TLS shows that indications do as well as a channel.
        if self.kind != Kind::TurnTls {
            let [high, low] = CHANNEL.to_be_bytes();
            let channel = [(ATTR_CHANNEL_NUMBER, vec![high, low, 0, 0])];
            let bound = self.ask(&self.signed(METHOD_CHANNEL_BIND, &channel, &peer));
            assert!(!bound.contains(ATTR_ERROR_CODE));
        }
    }

    /// Asks for permission to send to somebody; the code of the refusal.
    pub(crate) fn ask_for_peer(&mut self, peer: SocketAddr) -> Option<u16> {
        let answer = self.ask(&self.signed(METHOD_CREATE_PERMISSION, &[], &[peer]));
        let code = answer.get(ATTR_ERROR_CODE).ok()?;
        Some(u16::from(code[2]) * 100 + u16::from(code[3]))
    }

    /// Sends a request and waits for its answer; only while there is no media.
    fn ask(&mut self, request: &Message) -> Message {
        self.link.set_blocking(true);
        self.link.send(&request.raw);
        let answer = loop {
            let mut buffer = [0; 2_048];
            let count = self.link.receive(&mut buffer).unwrap();
            assert!(count > 0, "the stream was closed");
            self.read.extend_from_slice(&buffer[..count]);
            if let Some(frame) = FRAMES.parse(Outside::new(&self.read)).unwrap() {
                break self.read.drain(..frame.taken).collect();
            }
        };
        self.link.set_blocking(false);
        let mut message = Message { raw: answer, ..Message::default() };
        message.decode().unwrap();
        message
    }

    fn signed(
        &self,
        method: Method,
        attributes: &[(AttrType, Vec<u8>)],
        peers: &[SocketAddr],
    ) -> Message {
        let mut message = unsigned(method, attributes, peers);
        let text = |attr, text: &str| TextAttribute::new(attr, text.to_owned());
        let (username, password) = (self.username.clone(), self.password.clone());
        let setters: [Box<dyn Setter>; 4] = [
            Box::new(text(ATTR_USERNAME, &username)),
            Box::new(text(ATTR_REALM, REALM)),
            Box::new(text(ATTR_NONCE, &self.nonce)),
            Box::new(MessageIntegrity::new_long_term_integrity(username, REALM.into(), password)),
        ];
        for setter in setters {
            setter.add_to(&mut message).unwrap();
        }
        message
    }

    pub(crate) fn send(&mut self, datagram: &[u8], to: SocketAddr) {
        let mut message = Vec::new();
        match self.kind {
            Kind::Direct => {
                if let Link::Udp(socket, _) = &self.link {
                    // A full socket loses packets, as a network does.
                    let _lost = socket.send_to(datagram, to);
                }
                return;
            }
            Kind::IceTcp => {
                message.extend_from_slice(&(datagram.len() as u16).to_be_bytes());
                message.extend_from_slice(datagram);
            }
            Kind::TurnTls => {
                data_indication(&mut message, to, rand::random(), datagram);
                message[1] = 0x16;
            }
            Kind::TurnUdp | Kind::TurnTcp => {
                assert_eq!(to, self.candidate);
                message.extend_from_slice(&channel_header(CHANNEL, datagram.len()));
                message.extend_from_slice(datagram);
                message.resize(message.len() + padding(datagram.len()), 0);
            }
        }
        self.link.send(&message);
    }

    /// The next datagram and who sent it.
    pub(crate) fn receive(&mut self) -> Option<(Vec<u8>, SocketAddr)> {
        let mut buffer = [0; 2_048];
        if let (Kind::Direct, Link::Udp(socket, _)) = (self.kind, &self.link) {
            let (count, source) = socket.recv_from(&mut buffer).ok()?;
            return Some((buffer[..count].to_vec(), source));
        }
        loop {
            if let Some(datagram) = self.take() {
                return Some((datagram, self.candidate));
            }
            let count = self.link.receive(&mut buffer).filter(|count| *count > 0)?;
            self.read.extend_from_slice(&buffer[..count]);
            // A datagram is not padded.
            if matches!(self.link, Link::Udp(..)) {
                self.read.resize(self.read.len() + padding(count), 0);
            }
        }
    }

    fn take(&mut self) -> Option<Vec<u8>> {
        if self.kind == Kind::IceTcp {
            let length = usize::from(u16::from_be_bytes(*self.read.first_chunk()?));
            let datagram = self.read.get(2..2 + length)?.to_vec();
            self.read.drain(..2 + length);
            return Some(datagram);
        }
        let frame = FRAMES.parse(Outside::new(&self.read)).unwrap()?;
        let mut message: Vec<u8> = self.read.drain(..frame.taken).take(frame.length).collect();
        if belfry_relay::is_channel_data(&message) {
            let (channel, data) = CHANNELS.parse(Outside::new(&message)).unwrap();
            assert_eq!(channel, CHANNEL);
            return Some(message[data].to_vec());
        }
        assert_eq!(message[1], 0x17, "a Data indication");
        message[1] = 0x16;
        let data = SENDS.parse(Outside::new(&message)).unwrap();
        assert_eq!(data.peer, self.candidate);
        Some(message[data.data].to_vec())
    }
}

fn unsigned(method: Method, attributes: &[(AttrType, Vec<u8>)], peers: &[SocketAddr]) -> Message {
    let mut message = Message::new();
    let setters: [Box<dyn Setter>; 2] =
        [Box::new(TransactionId::new()), Box::new(MessageType::new(method, CLASS_REQUEST))];
    message.build(&setters).unwrap();
    for (attribute, value) in attributes {
        message.add(*attribute, value);
    }
    for peer in peers {
        let peer = XorMappedAddress { ip: peer.ip(), port: peer.port() };
        peer.add_to_as(&mut message, ATTR_XOR_PEER_ADDRESS).unwrap();
    }
    message
}

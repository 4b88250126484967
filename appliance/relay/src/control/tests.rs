use std::net::SocketAddr;
use std::time::{Duration, Instant};

use belfry_media_api::Path;
use belfry_model::{Outside, ParticipantSid, Pii};
use stun::agent::TransactionId;
use stun::attributes::{
    ATTR_CHANNEL_NUMBER, ATTR_DONT_FRAGMENT, ATTR_ERROR_CODE, ATTR_LIFETIME, ATTR_NONCE,
    ATTR_REALM, ATTR_REQUESTED_ADDRESS_FAMILY, ATTR_REQUESTED_TRANSPORT, ATTR_USERNAME,
    ATTR_XOR_PEER_ADDRESS, ATTR_XOR_RELAYED_ADDRESS, AttrType,
};
use stun::integrity::MessageIntegrity;
use stun::message::{
    CLASS_REQUEST, METHOD_ALLOCATE, METHOD_CHANNEL_BIND, METHOD_CREATE_PERMISSION, METHOD_REFRESH,
    Message, MessageType, Method, Setter,
};
use stun::textattrs::TextAttribute;
use stun::xoraddr::XorMappedAddress;

use super::{Answer, Client, Config, Control, Now, PARTICIPANT_ALLOCATIONS_MAX, Relayed};
use crate::credentials::{Credentials, issue};

const SECRET: &[u8] = b"a secret of this test";
const REALM: &str = "belfry";
const START: u64 = 1_700_000_000;

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// The relay with one participant, and a client of it.
struct World {
    control: Control,
    start: Instant,
    now: Now,
    client: Client,
    credentials: Credentials,
    nonce: String,
}

impl World {
    fn new() -> Self {
        Self::with_peers(&["127.0.0.1:3478", "192.0.2.1:3478", "[2001:db8::1]:3478"])
    }

    fn with_peers(peers: &[&str]) -> Self {
        let config = Config {
            realm: REALM.to_owned(),
            secret: Pii::new(SECRET.to_vec()),
            peers: peers.iter().map(|peer| address(peer)).collect(),
        };
        let start = Instant::now();
        let mut control = Control::new(config, start);
        let participant = ParticipantSid::new("PA_1");
        control.open_participant(participant.clone());
        Self {
            control,
            start,
            now: Now { instant: start, unix_seconds: START },
            client: client(1),
            credentials: issue(SECRET, &participant, START + 600),
            nonce: String::new(),
        }
    }

    fn pass(&mut self, by: Duration) {
        self.now.instant += by;
        self.now.unix_seconds += by.as_secs();
        self.control.sweep(self.now.instant);
        assert!(self.now.instant > self.start);
    }

    async fn send(&mut self, message: &Message) -> Answer {
        self.control.take(self.client, Outside::new(&message.raw), self.now).await
    }

    /// Signs a request with the last nonce that was given.
    fn signed(&self, method: Method, attributes: &[(AttrType, Vec<u8>)]) -> Message {
        let mut message = unsigned(method, attributes);
        let Credentials { username, password } = self.credentials.clone();
        let text = |attr, text: &str| TextAttribute::new(attr, text.to_owned());
        let setters: [Box<dyn Setter>; 4] = [
            Box::new(text(ATTR_USERNAME, &username)),
            Box::new(text(ATTR_REALM, REALM)),
            Box::new(text(ATTR_NONCE, &self.nonce)),
            Box::new(MessageIntegrity::new_long_term_integrity(
                username,
                REALM.to_owned(),
                password,
            )),
        ];
        for setter in setters {
            setter.add_to(&mut message).expect("fits");
        }
        message
    }

    /// Sends a signed request and returns the code of its answer, 0 for success.
    async fn ask(&mut self, method: Method, attributes: &[(AttrType, Vec<u8>)]) -> u16 {
        let message = self.signed(method, attributes);
        code(&self.send(&message).await)
    }

    /// As a client does: first without credentials, then with the nonce that comes back.
    async fn allocate(&mut self, more: &[(AttrType, Vec<u8>)]) -> Answer {
        let attributes = [&[transport()][..], more].concat();
        let first = self.send(&unsigned(METHOD_ALLOCATE, &attributes)).await;
        assert_eq!(code(&first), 401);
        let challenge = decode(&first);
        self.nonce = TextAttribute::get_from_as(&challenge, ATTR_NONCE).expect("a nonce").text;
        let message = self.signed(METHOD_ALLOCATE, &attributes);
        self.send(&message).await
    }

    async fn expect_allocation(&mut self) -> std::sync::Arc<crate::Allocation> {
        match self.allocate(&[]).await.relayed {
            Some(Relayed::Made(allocation)) => allocation,
            other => panic!("no allocation but {other:?}"),
        }
    }
}

fn client(port: u16) -> Client {
    let remote = ([198, 51, 100, 7], port).into();
    Client { path: Path::TurnTcp, socket: 0, local: None, remote }
}

fn transport() -> (AttrType, Vec<u8>) {
    (ATTR_REQUESTED_TRANSPORT, vec![17, 0, 0, 0])
}

fn unsigned(method: Method, attributes: &[(AttrType, Vec<u8>)]) -> Message {
    let mut message = Message::new();
    let setters: [Box<dyn Setter>; 2] =
        [Box::new(TransactionId::new()), Box::new(MessageType::new(method, CLASS_REQUEST))];
    message.build(&setters).expect("fits");
    for (attribute, value) in attributes {
        if *attribute == ATTR_XOR_PEER_ADDRESS {
            let peer = address(std::str::from_utf8(value).expect("text"));
            let peer = XorMappedAddress { ip: peer.ip(), port: peer.port() };
            peer.add_to_as(&mut message, ATTR_XOR_PEER_ADDRESS).expect("fits");
        } else {
            message.add(*attribute, value);
        }
    }
    message
}

fn peer(text: &str) -> (AttrType, Vec<u8>) {
    (ATTR_XOR_PEER_ADDRESS, text.as_bytes().to_vec())
}

fn channel(number: u16) -> (AttrType, Vec<u8>) {
    let [high, low] = number.to_be_bytes();
    (ATTR_CHANNEL_NUMBER, vec![high, low, 0, 0])
}

fn decode(answer: &Answer) -> Message {
    let raw = answer.bytes.clone().expect("an answer");
    let mut message = Message { raw, ..Message::default() };
    message.decode().expect("STUN");
    message
}

fn code(answer: &Answer) -> u16 {
    let Ok(value) = decode(answer).get(ATTR_ERROR_CODE) else { return 0 };
    u16::from(value[2]) * 100 + u16::from(value[3])
}

fn reason(answer: &Answer) -> String {
    let value = decode(answer).get(ATTR_ERROR_CODE).expect("an error");
    String::from_utf8_lossy(&value[4..]).into_owned()
}

#[tokio::test]
async fn a_client_with_credentials_gets_a_virtual_address_and_reaches_our_media() {
    let mut world = World::new();
    let answer = world.allocate(&[]).await;
    let mut relayed = XorMappedAddress::default();
    relayed.get_from_as(&decode(&answer), ATTR_XOR_RELAYED_ADDRESS).expect("an address");
    assert_eq!(relayed.ip, address("192.0.2.1:0").ip());
    assert!(relayed.port >= 49_152);
    let Some(Relayed::Made(allocation)) = answer.relayed else { panic!("no allocation") };
    assert_eq!(world.ask(METHOD_CREATE_PERMISSION, &[peer("192.0.2.1:3478")]).await, 0);
    assert_eq!(allocation.permitted(address("192.0.2.1:3478")), Some(0));
    let bind = [channel(0x4001), peer("192.0.2.1:3478")];
    assert_eq!(world.ask(METHOD_CHANNEL_BIND, &bind).await, 0);
    assert_eq!((allocation.peer_of(0x4001), allocation.channel_of(0)), (Some(0), Some(0x4001)));
    assert_eq!(world.ask(METHOD_REFRESH, &[(ATTR_LIFETIME, vec![0; 4])]).await, 0);
    assert!(allocation.is_closed());
    assert_eq!(world.control.counts().allocations, 0);
    assert_eq!(world.ask(METHOD_REFRESH, &[]).await, 437);
}

#[tokio::test]
async fn no_other_address_is_a_peer() {
    let mut world = World::new();
    let allocation = world.expect_allocation().await;
    for other in
        ["127.0.0.1:3478", "192.168.1.10:3478", "10.0.0.1:80", "192.0.2.2:3478", "0.0.0.0:0"]
    {
        assert_eq!(world.ask(METHOD_CREATE_PERMISSION, &[peer(other)]).await, 403, "{other}");
        let both = [peer("192.0.2.1:3478"), peer(other)];
        assert_eq!(world.ask(METHOD_CREATE_PERMISSION, &both).await, 403, "{other} hidden");
        let bind = [channel(0x4001), peer(other)];
        assert_eq!(world.ask(METHOD_CHANNEL_BIND, &bind).await, 403, "{other}");
    }
    let bind = [channel(0x4001), peer("192.0.2.1:22")];
    assert_eq!(world.ask(METHOD_CHANNEL_BIND, &bind).await, 403, "another port of ours");
    assert_eq!(world.control.counts().refused.forbidden, 16);
    assert_eq!(allocation.peer_of(0x4001), None);
    assert_eq!(allocation.permitted(address("192.0.2.1:3478")), None);
}

#[tokio::test]
async fn credentials_that_are_wrong_expired_or_of_somebody_who_left_are_refused_with_the_reason() {
    let mut world = World::new();
    let good = world.credentials.clone();
    let gone = ParticipantSid::new("PA_gone");
    let cases = [
        (Credentials { password: "guessed".into(), ..good.clone() }, "does not match"),
        (issue(SECRET, &ParticipantSid::new("PA_1"), START), "have expired"),
        (issue(SECRET, &gone, START + 600), "not in a lesson"),
        (issue(b"other", &ParticipantSid::new("PA_1"), START + 600), "does not match"),
        (Credentials { username: "nobody".into(), ..good }, "not one of ours"),
    ];
    let count = cases.len() as u64;
    for (credentials, sentence) in cases {
        world.credentials = credentials;
        let answer = world.allocate(&[]).await;
        assert_eq!(code(&answer), 401);
        assert!(reason(&answer).contains(sentence), "{}", reason(&answer));
    }
    assert_eq!(world.control.counts().refused.unauthorized, count);
    assert_eq!(world.control.counts().allocations, 0);
}

#[tokio::test]
async fn a_participant_who_leaves_takes_the_allocations_along() {
    let mut world = World::new();
    let allocation = world.expect_allocation().await;
    world.control.close_participant(&ParticipantSid::new("PA_1")).await;
    assert!(allocation.is_closed());
    assert_eq!(world.ask(METHOD_REFRESH, &[]).await, 401);
}

#[tokio::test]
async fn a_participant_has_so_many_allocations_and_no_more() {
    let mut world = World::new();
    for port in 1..=PARTICIPANT_ALLOCATIONS_MAX {
        world.client = client(port as u16);
        world.expect_allocation().await;
    }
    world.client = client(999);
    assert_eq!(code(&world.allocate(&[]).await), 486);
    assert_eq!(world.control.counts().refused.over_quota, 1);
    world.control.close_client(&client(1)).await;
    assert_eq!(code(&world.allocate(&[]).await), 0);
}

#[tokio::test]
async fn a_lost_answer_is_given_again_and_a_second_allocate_is_a_mismatch() {
    let mut world = World::new();
    world.allocate(&[]).await;
    let message = world.signed(METHOD_ALLOCATE, &[transport()]);
    assert_eq!(code(&world.send(&message).await), 437);
    world.client = client(2);
    let first = world.send(&unsigned(METHOD_ALLOCATE, &[transport()])).await;
    world.nonce = TextAttribute::get_from_as(&decode(&first), ATTR_NONCE).expect("a nonce").text;
    let message = world.signed(METHOD_ALLOCATE, &[transport()]);
    let (once, again) = (world.send(&message).await, world.send(&message).await);
    assert_eq!(code(&once), 0);
    assert_eq!(once.bytes, again.bytes);
    assert_eq!(world.control.counts().allocations, 2);
}

#[tokio::test]
async fn families_are_given_as_asked_for_and_as_there_are() {
    let family = |number: u8| [(ATTR_REQUESTED_ADDRESS_FAMILY, vec![number, 0, 0, 0])];
    let ipv6 = World::new().allocate(&family(2)).await;
    let Some(Relayed::Made(allocation)) = ipv6.relayed else { panic!("no allocation") };
    assert_eq!(allocation.relayed.ip(), address("[2001:db8::1]:0").ip());
    let mut only_ipv6 = World::with_peers(&["[2001:db8::1]:3478"]);
    let allocation = only_ipv6.expect_allocation().await;
    assert!(allocation.relayed.is_ipv6(), "there is no other");
    assert_eq!(code(&World::with_peers(&["192.0.2.1:1"]).allocate(&family(2)).await), 440);
    let mut lonely = World::with_peers(&["127.0.0.1:3478"]);
    assert_eq!(code(&lonely.allocate(&[]).await), 440, "loopback is nobody's peer");
}

#[tokio::test]
async fn permissions_and_channels_run_out() {
    let mut world = World::new();
    let allocation = world.expect_allocation().await;
    let bind = [channel(0x4001), peer("192.0.2.1:3478")];
    assert_eq!(world.ask(METHOD_CHANNEL_BIND, &bind).await, 0);
    world.pass(Duration::from_secs(299));
    assert_eq!(allocation.permitted(address("192.0.2.1:3478")), Some(0));
    world.pass(Duration::from_secs(2));
    assert_eq!(allocation.permitted(address("192.0.2.1:3478")), None);
    assert_eq!(allocation.peer_of(0x4001), Some(0));
    world.pass(Duration::from_mins(5));
    assert_eq!(allocation.peer_of(0x4001), None);
}

#[tokio::test]
async fn what_is_not_understood_is_said() {
    let mut world = World::new();
    assert_eq!(code(&world.allocate(&[(ATTR_DONT_FRAGMENT, Vec::new())]).await), 420);
    let other_transport = (ATTR_REQUESTED_TRANSPORT, vec![6, 0, 0, 0]);
    assert_eq!(world.ask(METHOD_ALLOCATE, &[other_transport]).await, 442);
    assert_eq!(world.ask(METHOD_ALLOCATE, &[]).await, 400);
    world.nonce = "stale".to_owned();
    assert_eq!(world.ask(METHOD_ALLOCATE, &[transport()]).await, 438);
    world.expect_allocation().await;
    let bind = [channel(0x5000), peer("192.0.2.1:3478")];
    assert_eq!(world.ask(METHOD_CHANNEL_BIND, &bind).await, 400);
}

/// Resident memory of this process in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("a line");
    line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
}

#[tokio::test]
async fn a_flood_of_requests_without_credentials_costs_no_memory() {
    const FLOOD: u32 = 200_000;
    const GROWTH_MAX_KIB: u64 = 4_096;
    let mut world = World::new();
    let request = unsigned(METHOD_ALLOCATE, &[transport()]);
    let mut answered = 0;
    let mut before = 0;
    for number in 0..FLOOD {
        if number == 1_000 {
            before = resident_kib();
        }
        // From everywhere, as a forger would have it.
        let [_, a, b, c] = number.wrapping_mul(2_654_435_761).to_be_bytes();
        world.client.remote = ([11, a, b, c], number as u16).into();
        answered += u32::from(world.send(&request).await.bytes.is_some());
    }
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < GROWTH_MAX_KIB, "{grown} KiB more for {answered} answers");
    assert!(answered > 1_000);
    assert_eq!(world.control.counts().allocations, 0);
}

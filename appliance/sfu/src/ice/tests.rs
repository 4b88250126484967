use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use belfry_model::outside::Target;
use rtc_shared::error::Result;
use rtc_stun::{
    attributes::{
        ATTR_ERROR_CODE, ATTR_ICE_CONTROLLED, ATTR_MESSAGE_INTEGRITY, ATTR_USE_CANDIDATE,
        ATTR_USERNAME, AttrType,
    },
    fingerprint::FINGERPRINT,
    integrity::MessageIntegrity,
    message::{
        BINDING_ERROR, BINDING_REQUEST, BINDING_SUCCESS, Getter, Message, Setter, TransactionId,
    },
    xoraddr::XorMappedAddress,
};

use super::{BINDINGS, CONSENT, Checked, Ice, PATHS_MAX, Route, answer_binding, route};
use crate::{
    connection::Refused,
    crypto,
    outbox::{Destination, Outbox},
};

const ROUTE: Route = Route { shard: 3, key: 0xdead_beef };

struct Attribute(AttrType, Vec<u8>);

impl Setter for Attribute {
    fn add_to(&self, message: &mut Message) -> Result<()> {
        message.add(self.0, &self.1);
        Ok(())
    }
}

fn path(port: u16) -> Destination {
    Destination::udp(0, SocketAddr::from(([10, 0, 0, 1], port)))
}

fn request(username: &str, pwd: &str, extra: &[(AttrType, &[u8])]) -> Vec<u8> {
    let mut setters: Vec<Box<dyn Setter>> = vec![
        Box::new(BINDING_REQUEST),
        Box::new(TransactionId([7; 12])),
        Box::new(Attribute(ATTR_USERNAME, username.into())),
    ];
    for (kind, value) in extra {
        setters.push(Box::new(Attribute(*kind, value.to_vec())));
    }
    let integrity = MessageIntegrity::new_short_term_integrity_with_provider(
        pwd.to_owned(),
        crypto::primitives(),
    );
    setters.push(Box::new(integrity));
    setters.push(Box::new(FINGERPRINT));
    let mut message = Message::new();
    message.build(&setters).expect("the attributes fit");
    message.raw
}

fn check(ice: &Ice, extra: &[(AttrType, &[u8])]) -> Vec<u8> {
    request(&format!("{}:client", ice.ufrag()), ice.pwd(), extra)
}

fn answer(outbox: &Outbox) -> Message {
    let mut message = Message::new();
    let (_, bytes) = outbox.get(outbox.len() - 1).expect("an answer was written");
    message.unmarshal_binary(bytes).expect("the answer is STUN");
    message
}

fn error_code(message: &Message) -> u16 {
    let value = message.get(ATTR_ERROR_CODE).expect("an error has a code");
    u16::from(value[2]) * 100 + u16::from(value[3])
}

const NOMINATE: (AttrType, &[u8]) = (ATTR_USE_CANDIDATE, &[]);

#[test]
fn a_check_is_answered_with_the_mapped_address_and_our_integrity() {
    let (mut ice, now, mut outbox) = (Ice::new(ROUTE), Instant::now(), Outbox::default());
    let taken = ice.receive(path(1), &check(&ice, &[]), now, &mut outbox);
    assert_eq!(taken, Checked::Taken { forget: None });
    let mut message = answer(&outbox);
    assert_eq!(message.typ, BINDING_SUCCESS);
    assert_eq!(message.transaction_id.0, [7; 12]);
    let mut mapped = XorMappedAddress::default();
    mapped.get_from(&message).expect("a success has the address");
    assert_eq!((mapped.ip, mapped.port), ([10, 0, 0, 1].into(), 1));
    MessageIntegrity::check(&mut message, ice.pwd().as_bytes(), crypto::primitives())
        .expect("signed with our password");
    FINGERPRINT.check(&message).expect("with a fingerprint");
}

#[test]
fn a_check_is_answered_over_either_family_of_addresses() {
    let (mut ice, now) = (Ice::new(ROUTE), Instant::now());
    // IPv6, and IPv4 as a dual-stack socket shows it.
    for (source, seen) in
        [("[2001:db8::7]:4000", "[2001:db8::7]:4000"), ("[::ffff:10.0.0.9]:4001", "10.0.0.9:4001")]
    {
        let mut outbox = Outbox::default();
        let from = Destination::udp(0, source.parse().expect("an address"));
        let nominating = check(&ice, &[NOMINATE]);
        assert_eq!(
            ice.receive(from, &nominating, now, &mut outbox),
            Checked::Taken { forget: None }
        );
        assert_eq!(ice.selected(), Some(from), "a client may change the family");
        let mut mapped = XorMappedAddress::default();
        mapped.get_from(&answer(&outbox)).expect("a success has the address");
        assert_eq!(std::net::SocketAddr::new(mapped.ip, mapped.port).to_string(), seen);
    }
}

#[test]
fn the_ufrag_leads_back_to_shard_and_connection() {
    let ice = Ice::new(ROUTE);
    assert_eq!(route(&check(&ice, &[])), Some(ROUTE));
    assert_eq!(route(&request("someone:else", "pwd", &[])), None);
}

#[test]
fn nomination_is_followed_also_later_and_a_plain_check_does_not_move_it() {
    let (mut ice, now, mut outbox) = (Ice::new(ROUTE), Instant::now(), Outbox::default());
    let plain = check(&ice, &[]);
    let nominating = check(&ice, &[NOMINATE]);
    ice.receive(path(1), &plain, now, &mut outbox);
    assert_eq!(ice.selected(), Some(path(1)), "the handshake needs a path");
    ice.receive(path(2), &plain, now, &mut outbox);
    assert_eq!(ice.selected(), Some(path(1)));
    ice.receive(path(2), &nominating, now, &mut outbox);
    assert_eq!(ice.selected(), Some(path(2)));
    ice.receive(path(1), &nominating, now, &mut outbox);
    assert_eq!(ice.selected(), Some(path(1)));
    // The client left path 1 and nominates nothing any more.
    let later = now + Duration::from_secs(10);
    ice.receive(path(2), &plain, later, &mut outbox);
    assert_eq!(ice.selected(), Some(path(2)));
    assert_eq!(ice.consent_until(), Some(later + CONSENT));
}

#[test]
fn nothing_is_learnt_from_a_check_with_another_password() {
    let (mut ice, now, mut outbox) = (Ice::new(ROUTE), Instant::now(), Outbox::default());
    let forged = request(&format!("{}:client", ice.ufrag()), "guess", &[NOMINATE]);
    let refused = Checked::Refused(Refused::Authentication);
    assert_eq!(ice.receive(path(1), &forged, now, &mut outbox), refused);
    assert_eq!(error_code(&answer(&outbox)), 401);
    assert!(!ice.knows(path(1)) && ice.selected().is_none() && ice.consent_until().is_none());
}

#[test]
fn what_follows_the_integrity_is_not_believed() {
    let (mut ice, now, mut outbox) = (Ice::new(ROUTE), Instant::now(), Outbox::default());
    ice.receive(path(1), &check(&ice, &[]), now, &mut outbox);
    let mut message = Message::new();
    let mut honest = check(&ice, &[]);
    honest.truncate(honest.len() - 8);
    let length = (honest.len() - 20) as u16;
    honest[2..4].copy_from_slice(&length.to_be_bytes());
    message.unmarshal_binary(&honest).expect("still STUN");
    message.add(ATTR_USE_CANDIDATE, &[]);
    ice.receive(path(2), &message.raw, now, &mut outbox);
    assert!(ice.knows(path(2)), "the check itself is authentic");
    assert_eq!(ice.selected(), Some(path(1)), "the nomination was not");
}

#[test]
fn a_client_that_thinks_we_control_is_told_to_switch() {
    let (mut ice, now, mut outbox) = (Ice::new(ROUTE), Instant::now(), Outbox::default());
    let confused = check(&ice, &[(ATTR_ICE_CONTROLLED, &[0; 8])]);
    ice.receive(path(1), &confused, now, &mut outbox);
    let message = answer(&outbox);
    assert_eq!((message.typ, error_code(&message)), (BINDING_ERROR, 487));
    assert!(message.contains(ATTR_MESSAGE_INTEGRITY));
    assert!(!ice.knows(path(1)));
}

#[test]
fn an_attribute_that_must_be_understood_and_is_not_gets_420() {
    let (mut ice, now, mut outbox) = (Ice::new(ROUTE), Instant::now(), Outbox::default());
    let strange = check(&ice, &[(AttrType(0x7f00), &[1])]);
    ice.receive(path(1), &strange, now, &mut outbox);
    assert_eq!(error_code(&answer(&outbox)), 420);
    let optional = check(&ice, &[(AttrType(0xc057), &[0, 0, 0, 1])]);
    let taken = ice.receive(path(1), &optional, now, &mut outbox);
    assert_eq!(taken, Checked::Taken { forget: None });
}

#[test]
fn old_credentials_are_taken_during_a_restart_until_the_new_ones_are_used() {
    let (mut ice, now, mut outbox) = (Ice::new(ROUTE), Instant::now(), Outbox::default());
    let old = check(&ice, &[NOMINATE]);
    ice.receive(path(1), &old, now, &mut outbox);
    ice.restart();
    assert_eq!(ice.receive(path(1), &old, now, &mut outbox), Checked::Taken { forget: None });
    assert_eq!(ice.selected(), Some(path(1)), "media goes on during the restart");
    let new = check(&ice, &[NOMINATE]);
    assert_eq!(ice.receive(path(2), &new, now, &mut outbox), Checked::Taken { forget: None });
    assert_eq!(ice.selected(), Some(path(2)));
    let refused = Checked::Refused(Refused::Authentication);
    assert_eq!(ice.receive(path(1), &old, now, &mut outbox), refused);
}

#[test]
fn paths_are_bounded_and_the_selected_one_stays() {
    let (mut ice, mut now, mut outbox) = (Ice::new(ROUTE), Instant::now(), Outbox::default());
    ice.receive(path(0), &check(&ice, &[NOMINATE]), now, &mut outbox);
    for port in 1..PATHS_MAX as u16 {
        now += Duration::from_millis(1);
        ice.receive(path(port), &check(&ice, &[]), now, &mut outbox);
    }
    let taken = ice.receive(path(99), &check(&ice, &[]), now, &mut outbox);
    assert_eq!(taken, Checked::Taken { forget: Some(path(1)) });
    assert!(ice.knows(path(0)) && !ice.knows(path(1)));
}

#[test]
fn a_request_without_credentials_is_answered_as_a_stun_server_does() {
    let mut outbox = Outbox::default();
    assert!(answer_binding(path(9), BINDINGS.seed(), &mut outbox));
    let mut mapped = XorMappedAddress::default();
    mapped.get_from(&answer(&outbox)).expect("a success has the address");
    assert_eq!(mapped.port, 9);
    assert!(!answer_binding(path(9), &request("a:b", "c", &[]), &mut outbox));
    assert!(!answer_binding(path(9), &[0; 20], &mut outbox));
    assert_eq!(outbox.len(), 1);
}

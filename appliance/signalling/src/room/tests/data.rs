//! Data packets through a room: the same table as the policy's, on the wire.

use belfry_media_api::{Command, DataKind, Event};
use belfry_model::{LessonRole, ParticipantSid, Pii};
use livekit_protocol as proto;
use livekit_protocol::data_packet::Value;
use livekit_protocol::data_stream::header::ContentHeader;
use livekit_protocol::data_stream::{Chunk, Header, TextHeader, Trailer};

use super::super::{ChatTo, Notice};
use super::{Client, Stage};
use crate::client;
use crate::policy::Rule;

/// A teacher, two students.
pub(super) fn class() -> (Stage, [Client; 3]) {
    let mut stage = Stage::new();
    let clients = [
        stage.arrive("p1", LessonRole::Teacher),
        stage.arrive("p2", LessonRole::Student),
        stage.arrive("p3", LessonRole::Student),
    ];
    stage.clear();
    (stage, clients)
}

fn say(stage: &mut Stage, client: &Client, to: &[&str], value: Value) {
    let packet = proto::DataPacket {
        participant_identity: "p1".to_owned(),
        destination_identities: to.iter().map(|to| (*to).to_owned()).collect(),
        value: Some(value),
        ..Default::default()
    };
    say_packet(stage, client, DataKind::Reliable, &packet);
}

pub(super) fn say_packet(
    stage: &mut Stage,
    client: &Client,
    kind: DataKind,
    packet: &proto::DataPacket,
) {
    let (participant, bytes) = (client.sid.clone(), client::data_packet(packet));
    stage.event(Event::Data { participant, kind, bytes });
}

pub(super) fn user(topic: &str) -> Value {
    let (topic, payload) = (Some(topic.to_owned()), b"x".to_vec());
    Value::User(proto::UserPacket { topic, payload, ..Default::default() })
}

fn header(topic: &str) -> Value {
    Value::StreamHeader(Header {
        stream_id: "s1".to_owned(),
        topic: topic.to_owned(),
        content_header: Some(ContentHeader::TextHeader(TextHeader::default())),
        ..Default::default()
    })
}

fn chunk(content: &str) -> Value {
    let (stream_id, content) = ("s1".to_owned(), content.as_bytes().to_vec());
    Value::StreamChunk(Chunk { stream_id, content, ..Default::default() })
}

fn trailer() -> Value {
    Value::StreamTrailer(Trailer { stream_id: "s1".to_owned(), ..Default::default() })
}

/// Who was sent something, and whom it was from.
pub(super) fn delivered(stage: &mut Stage) -> Vec<(Vec<ParticipantSid>, String)> {
    let sent =
        std::mem::take(&mut stage.commands).into_iter().filter_map(|command| match command {
            Command::SendData { to, bytes, .. } => {
                let packet = client::read_data_packet(&bytes).expect("own packet");
                assert!(packet.destination_identities.is_empty());
                Some((to, packet.participant_identity))
            }
            _ => None,
        });
    sent.collect()
}

pub(super) fn rules(stage: &mut Stage) -> Vec<Rule> {
    let refused =
        std::mem::take(&mut stage.notices).into_iter().filter_map(|notice| match notice {
            Notice::Refused { rule, .. } => Some(rule),
            _ => None,
        });
    refused.collect()
}

#[test]
fn a_packet_is_from_whom_we_know_it_to_be() {
    let (mut stage, [teacher, first, second]) = class();
    say(&mut stage, &first, &["p1"], user("any"));
    assert_eq!(delivered(&mut stage), [(vec![teacher.sid.clone()], "p2".to_owned())]);
    say(&mut stage, &teacher, &[], user("any"));
    let (to, from) = delivered(&mut stage).remove(0);
    assert_eq!(from, "p1");
    assert_eq!(to.len(), 2);
    assert!(!to.contains(&teacher.sid), "never back to its sender");
    say(&mut stage, &teacher, &["p3"], user("any"));
    assert_eq!(delivered(&mut stage), [(vec![second.sid], "p1".to_owned())]);
}

#[test]
fn no_kind_of_packet_carries_a_private_word_between_students() {
    let rpc = || Value::RpcRequest(proto::RpcRequest { id: "1".to_owned(), ..Default::default() });
    let chat = || {
        Value::ChatMessage(proto::ChatMessage { message: "psst".to_owned(), ..Default::default() })
    };
    let values: Vec<(Value, Rule)> = vec![
        (user("reaction"), Rule::PrivateToStudent),
        (rpc(), Rule::PrivateToStudent),
        (Value::RpcAck(proto::RpcAck::default()), Rule::PrivateToStudent),
        (Value::RpcResponse(proto::RpcResponse::default()), Rule::PrivateToStudent),
        (chat(), Rule::PrivateToStudent),
        (header("lk.chat"), Rule::PrivateToStudent),
        (header("notes"), Rule::PrivateToStudent),
        (chunk("psst"), Rule::UnknownStream),
        (trailer(), Rule::UnknownStream),
        (Value::EncryptedPacket(proto::EncryptedPacket::default()), Rule::Encrypted),
        (Value::SipDtmf(proto::SipDtmf::default()), Rule::UnknownKind),
        (Value::Transcription(proto::Transcription::default()), Rule::UnknownKind),
    ];
    for to in [&["p3"][..], &["p1", "p3"], &["p3", "nobody"], &["nobody"]] {
        for (value, rule) in &values {
            let (mut stage, [_, first, _]) = class();
            say(&mut stage, &first, to, value.clone());
            assert!(delivered(&mut stage).is_empty(), "{value:?} to {to:?}");
            assert_eq!(rules(&mut stage), [*rule], "{value:?} to {to:?}");
        }
    }
}

#[test]
#[allow(deprecated, reason = "old ways to name a receiver are ways round the rule")]
fn the_deprecated_destinations_are_no_way_round_the_rule() {
    let (mut stage, [_, first, second]) = class();
    let by_sid =
        proto::UserPacket { destination_sids: vec![second.sid.to_string()], ..Default::default() };
    let by_identity =
        proto::UserPacket { destination_identities: vec!["p3".to_owned()], ..Default::default() };
    for mut packet in [by_sid, by_identity] {
        packet.topic = Some("reaction".to_owned());
        say(&mut stage, &first, &[], Value::User(packet));
        assert!(delivered(&mut stage).is_empty());
        assert_eq!(rules(&mut stage), [Rule::PrivateToStudent]);
    }
}

#[test]
fn a_chunk_goes_where_its_header_went_wherever_it_wants_to_go() {
    let (mut stage, [teacher, first, _]) = class();
    say(&mut stage, &first, &["p1"], header("notes"));
    say(&mut stage, &first, &["p3"], chunk("psst"));
    say(&mut stage, &first, &["p3"], trailer());
    let delivered = delivered(&mut stage);
    assert_eq!(delivered.len(), 3);
    assert!(delivered.iter().all(|(to, _)| *to == [teacher.sid.clone()]));
}

#[test]
fn chat_is_passed_to_the_lesson_and_to_nobody_else() {
    let (mut stage, [_, first, _]) = class();
    for to in [&[][..], &["p1"]] {
        say(&mut stage, &first, to, header("lk.chat"));
        say(&mut stage, &first, &[], chunk("good "));
        say(&mut stage, &first, &[], chunk("morning"));
        say(&mut stage, &first, &[], trailer());
        let expect = Notice::Chat {
            identity: "p2".into(),
            text: Pii::new("good morning".to_owned()),
            to: if to.is_empty() { ChatTo::Everyone } else { ChatTo::Leads },
        };
        assert_eq!(std::mem::take(&mut stage.notices), [expect]);
        assert!(delivered(&mut stage).is_empty());
    }
    let message = proto::ChatMessage { message: "hi".to_owned(), ..Default::default() };
    say(&mut stage, &first, &[], Value::ChatMessage(message));
    assert!(matches!(&stage.notices[..], [Notice::Chat { to: ChatTo::Everyone, .. }]));
    assert!(delivered(&mut stage).is_empty());
}

#[test]
fn a_chat_message_has_its_length_and_no_more() {
    let (mut stage, [_, first, _]) = class();
    let long = "x".repeat(belfry_model::limits::CHAT_CHARS_MAX + 1);
    let message = proto::ChatMessage { message: long.clone(), ..Default::default() };
    say(&mut stage, &first, &[], Value::ChatMessage(message));
    assert_eq!(rules(&mut stage), [Rule::TooLong]);
    say(&mut stage, &first, &[], header("lk.chat"));
    for _ in 0..5 {
        say(&mut stage, &first, &[], chunk(&long));
    }
    assert_eq!(rules(&mut stage), [Rule::TooLong, Rule::UnknownStream]);
}

#[test]
fn a_participant_without_the_permission_sends_nothing() {
    let mut stage = Stage::new();
    let mut mute = super::grants("p1", LessonRole::Teacher);
    mute.permissions.data = false;
    let teacher = stage.join_with(mute, crate::query::Query::default());
    stage.arrive("p2", LessonRole::Student);
    stage.clear();
    say(&mut stage, &teacher, &[], user("any"));
    assert!(delivered(&mut stage).is_empty());
    assert_eq!(rules(&mut stage), [Rule::NotPermitted]);
}

#[test]
fn a_reliable_packet_is_taken_once_and_keeps_its_number() {
    let (mut stage, [teacher, ..]) = class();
    let mut packet =
        proto::DataPacket { value: Some(user("any")), sequence: 5, ..Default::default() };
    let mut numbers = Vec::new();
    for sequence in [5, 5, 4, 6] {
        packet.sequence = sequence;
        say_packet(&mut stage, &teacher, DataKind::Reliable, &packet);
    }
    for command in &stage.commands {
        let Command::SendData { bytes, .. } = command else { panic!("{command:?}") };
        numbers.push(client::read_data_packet(bytes).expect("own packet").sequence);
    }
    assert_eq!(numbers, [5, 6]);
}

#[test]
fn open_streams_are_counted() {
    let (mut stage, [teacher, ..]) = class();
    for number in 0..17 {
        let header = Header {
            stream_id: format!("s{number}"),
            content_header: Some(ContentHeader::TextHeader(TextHeader::default())),
            ..Default::default()
        };
        say(&mut stage, &teacher, &[], Value::StreamHeader(header));
    }
    assert_eq!(rules(&mut stage), [Rule::TooMany]);
    assert_eq!(delivered(&mut stage).len(), 16);
}

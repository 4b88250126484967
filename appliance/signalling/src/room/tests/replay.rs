//! Reliable data after a resume.

use belfry_media_api::{Command, DataKind};
use belfry_model::LessonRole;
use livekit_protocol as proto;
use livekit_protocol::signal_request::Message as Asked;

use super::data::{class, say_packet, user};
use super::{Client, Stage, grants};
use crate::client;
use crate::query::Query;

fn numbered(stage: &mut Stage, from: &Client, sequences: std::ops::RangeInclusive<u32>) {
    for sequence in sequences {
        let packet =
            proto::DataPacket { sequence, value: Some(user("reaction")), ..Default::default() };
        say_packet(stage, from, DataKind::Reliable, &packet);
    }
}

/// Breaks a client's socket and brings it back.
fn away(stage: &mut Stage, client: &Client) -> Client {
    stage.room.socket_closed(client.socket, stage.now);
    stage.pass_ms(2_000);
    let back = stage.resume(client);
    stage.clear();
    back
}

fn sync(stage: &mut Stage, client: &Client, has: &[(&Client, u32)]) {
    let states = has.iter().map(|(publisher, last_seq)| proto::DataChannelReceiveState {
        publisher_sid: publisher.sid.to_string(),
        last_seq: *last_seq,
    });
    let datachannel_receive_states = states.collect();
    stage.ask(
        client,
        Asked::SyncState(proto::SyncState { datachannel_receive_states, ..Default::default() }),
    );
}

/// From whom and with which number a client was sent messages, taken away.
fn replayed(stage: &mut Stage, to: &Client) -> Vec<(String, u32)> {
    let sent =
        std::mem::take(&mut stage.commands).into_iter().filter_map(|command| match command {
            Command::SendData { to: reached, kind: DataKind::Reliable, bytes } => {
                assert_eq!(reached, std::slice::from_ref(&to.sid), "to nobody else");
                let packet = client::read_data_packet(&bytes).expect("own packet");
                Some((packet.participant_identity, packet.sequence))
            }
            _ => None,
        });
    sent.collect()
}

fn of(identity: &str, sequences: std::ops::RangeInclusive<u32>) -> Vec<(String, u32)> {
    sequences.map(|sequence| (identity.to_owned(), sequence)).collect()
}

#[test]
fn a_resumed_client_is_sent_what_it_lacks_of_each_publisher_once_and_in_order() {
    let (mut stage, [teacher, first, second]) = class();
    numbered(&mut stage, &teacher, 1..=4);
    numbered(&mut stage, &second, 1..=2);
    numbered(&mut stage, &first, 1..=3);
    let back = away(&mut stage, &first);
    sync(&mut stage, &back, &[(&teacher, 2)]);
    let expect = [of("p1", 3..=4), of("p3", 1..=2)].concat();
    assert_eq!(replayed(&mut stage, &back), expect, "nothing of its own");
    sync(&mut stage, &back, &[(&teacher, 2)]);
    assert_eq!(replayed(&mut stage, &back), [], "a client that asks again has resumed only once");
}

#[test]
fn what_was_for_others_or_before_ones_time_is_not_replayed() {
    let (mut stage, [teacher, first, second]) = class();
    let private = proto::DataPacket {
        sequence: 1,
        destination_identities: vec!["p3".to_owned()],
        value: Some(user("any")),
        ..Default::default()
    };
    say_packet(&mut stage, &teacher, DataKind::Reliable, &private);
    stage.pass_ms(1);
    let late = stage.arrive("p4", LessonRole::Student);
    numbered(&mut stage, &first, 1..=1);
    let lossy = proto::DataPacket { sequence: 2, value: Some(user("any")), ..Default::default() };
    say_packet(&mut stage, &teacher, DataKind::Lossy, &lossy);
    for client in [&first, &late] {
        let back = away(&mut stage, client);
        sync(&mut stage, &back, &[(&teacher, 0)]);
        let own = client.sid == first.sid;
        let expect = if own { Vec::new() } else { of("p2", 1..=1) };
        assert_eq!(replayed(&mut stage, &back), expect);
    }
    let back = away(&mut stage, &second);
    sync(&mut stage, &back, &[(&first, 1)]);
    assert_eq!(replayed(&mut stage, &back), of("p1", 1..=1), "it was for this one");
}

#[test]
fn what_a_client_may_have_forgotten_to_have_is_not_replayed() {
    let (mut stage, [teacher, first, second]) = class();
    numbered(&mut stage, &teacher, 1..=1);
    stage.pass_ms(26_000);
    numbered(&mut stage, &teacher, 2..=2);
    let back = away(&mut stage, &first);
    sync(&mut stage, &back, &[(&second, 9)]);
    assert_eq!(replayed(&mut stage, &back), of("p1", 2..=2));
    // An old client that never numbered anything would show it all twice.
    // A newer one that has received nothing yet would not.
    for (protocol, sequence, expect) in [(16, 3, Vec::new()), (17, 4, of("p1", 4..=4))] {
        let query = Query { protocol, ..Query::default() };
        let identity = format!("p{protocol}");
        let client = stage.join_with(grants(&identity, LessonRole::Student), query);
        numbered(&mut stage, &teacher, sequence..=sequence);
        let back = away(&mut stage, &client);
        sync(&mut stage, &back, &[]);
        assert_eq!(replayed(&mut stage, &back), expect);
    }
}

#[test]
fn a_room_keeps_no_more_than_its_limit_for_replays() {
    let (mut stage, [teacher, first, _]) = class();
    let value = |sequence| proto::DataPacket {
        sequence,
        value: Some(proto::data_packet::Value::User(proto::UserPacket {
            payload: vec![7; 60_000],
            ..Default::default()
        })),
        ..Default::default()
    };
    for sequence in 1..=40 {
        say_packet(&mut stage, &teacher, DataKind::Reliable, &value(sequence));
    }
    let back = away(&mut stage, &first);
    sync(&mut stage, &back, &[(&teacher, 1)]);
    // 1 MiB holds 17 messages of 60 kB.
    assert_eq!(replayed(&mut stage, &back), of("p1", 24..=40));
}

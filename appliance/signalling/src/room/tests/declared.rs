//! What messages declare, held to by a room.

use belfry_media_api::DataKind;
use belfry_model::outside::Target as _;
use belfry_model::{LessonRole, Outside};
use livekit_protocol as proto;
use livekit_protocol::data_packet::Value;
use livekit_protocol::request_response::Reason;
use livekit_protocol::signal_request::Message as Asked;

use super::super::Permissions;
use super::data::{class, delivered, rules, say_packet};
use super::{Stage, add_track, grants, refusals};
use crate::policy::Rule;
use crate::query::Query;
use crate::wire;

#[test]
fn a_request_is_refused_to_whom_its_declaration_does_not_name() {
    let mut stage = Stage::new();
    let mut nothing = grants("p2", LessonRole::Student);
    nothing.permissions = Permissions { sources: [].into(), subscribe: false, data: false };
    let student = stage.join_with(nothing, Query::default());
    let rows = [
        (Asked::AddTrack(add_track("a", proto::TrackSource::Camera)), Rule::NotPermitted, true),
        (Asked::Subscription(proto::UpdateSubscription::default()), Rule::NotPermitted, false),
        (Asked::TrackSetting(proto::UpdateTrackSettings::default()), Rule::NotPermitted, false),
        (
            Asked::UpdateMetadata(proto::UpdateParticipantMetadata::default()),
            Rule::OwnMetadata,
            true,
        ),
        (Asked::Simulate(proto::SimulateScenario::default()), Rule::NotOffered, false),
        (
            Asked::PublishDataTrackRequest(proto::PublishDataTrackRequest::default()),
            Rule::DataTrack,
            true,
        ),
        (
            Asked::UnpublishDataTrackRequest(proto::UnpublishDataTrackRequest::default()),
            Rule::DataTrack,
            true,
        ),
        (
            Asked::UpdateDataSubscription(proto::UpdateDataSubscription::default()),
            Rule::DataTrack,
            false,
        ),
        (
            Asked::StoreDataBlobRequest(proto::StoreDataBlobRequest::default()),
            Rule::NotOffered,
            false,
        ),
        (Asked::GetDataBlobRequest(proto::GetDataBlobRequest::default()), Rule::NotOffered, false),
    ];
    for (asked, rule, answered) in rows {
        stage.clear();
        stage.ask(&student, asked.clone());
        assert_eq!(rules(&mut stage), [rule], "{asked:?}");
        assert!(stage.commands.is_empty(), "{asked:?}");
        let answers = refusals(&stage.take(&student));
        let expect: &[i32] = if answered { &[Reason::NotAllowed as i32] } else { &[] };
        assert_eq!(answers, expect, "{asked:?}");
    }
    // What needs no grant is served.
    stage.clear();
    stage.ask(&student, Asked::Ping(1));
    assert_eq!(stage.take(&student).len(), 1);
    assert!(rules(&mut stage).is_empty());
}

#[test]
fn kinds_that_are_not_declared_are_refused_and_counted() {
    let (mut stage, [teacher, ..]) = class();
    let counted = wire::REQUESTS.refused_count();
    // Field 99 of a later version, and a request without any.
    for bytes in [&[0x9a, 0x06, 0][..], &[]] {
        stage.room.frame(teacher.socket, Outside::new(bytes), stage.now);
        stage.drain();
        assert_eq!(rules(&mut stage), [Rule::Undeclared]);
    }
    assert!(wire::REQUESTS.refused_count() >= counted + 2);

    let participant = teacher.sid.clone();
    let (kind, bytes) = (DataKind::Reliable, vec![0x9a, 0x06, 1, b'x']);
    stage.event(belfry_media_api::Event::Data { participant, kind, bytes });
    assert_eq!(rules(&mut stage), [Rule::Undeclared]);
    assert!(delivered(&mut stage).is_empty());
}

#[test]
fn a_clients_own_figures_go_to_nobody_and_are_no_offence() {
    let (mut stage, [_, student, _]) = class();
    let value = Some(Value::Metrics(proto::MetricsBatch::default()));
    let packet = proto::DataPacket { value, ..Default::default() };
    say_packet(&mut stage, &student, DataKind::Lossy, &packet);
    assert!(delivered(&mut stage).is_empty() && rules(&mut stage).is_empty());
}

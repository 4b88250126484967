//! The lesson's wishes.

use belfry_media_api::{Command, Event, Speaker};
use belfry_model::{LessonRole, Pii};
use livekit_protocol as proto;
use livekit_protocol::data_packet::Value;
use livekit_protocol::leave_request::Action;
use livekit_protocol::request_response::Reason;
use livekit_protocol::signal_request::Message as Asked;
use livekit_protocol::signal_response::Message;

use super::super::{LeaveReason, Notice, Permissions, RoomControl, SourceKey};
use super::{MIC, SCREEN, SOURCE_MIC, Stage, leave_of, refusals, updates};
use crate::client;
use crate::policy::Rule;
use crate::query::Query;

fn without(sources: &[SourceKey]) -> Permissions {
    let mut permissions = Permissions::all();
    permissions.sources.retain(|source| !sources.contains(source));
    permissions
}

fn mutes(messages: &[Message]) -> Vec<bool> {
    let mutes = messages.iter().filter_map(|message| match message {
        Message::Mute(mute) => Some(mute.muted),
        _ => None,
    });
    mutes.collect()
}

#[test]
fn a_server_mute_stops_media_first_and_its_echo_changes_nothing() {
    let mut stage = Stage::new();
    let teacher = stage.arrive("p1", LessonRole::Teacher);
    let student = stage.arrive("p2", LessonRole::Student);
    let track = stage.publish(&student, MIC);
    stage.clear();
    stage.control(RoomControl::Mute { identity: "p2".into(), source: SOURCE_MIC });
    assert_eq!(stage.commands, [Command::Mute { track: track.clone(), muted: true }]);
    assert_eq!(mutes(&stage.take(&student)), [true]);
    assert!(updates(&stage.take(&teacher))[0].tracks[0].muted);
    stage.clear();
    let mute = |muted| Asked::Mute(proto::MuteTrackRequest { sid: track.to_string(), muted });
    stage.ask(&student, mute(true));
    assert!(stage.commands.is_empty() && stage.take(&teacher).is_empty());
    stage.ask(&student, mute(false));
    assert_eq!(stage.commands, [Command::Mute { track: track.clone(), muted: false }]);
}

#[test]
fn a_locked_microphone_is_muted_and_cannot_be_unmuted_until_it_is_unlocked() {
    let mut stage = Stage::new();
    let student = stage.arrive("p2", LessonRole::Student);
    let track = stage.publish(&student, MIC);
    stage.clear();
    let identity = student.identity.clone();
    let permissions = without(&[SourceKey::Microphone]);
    // A lock of the lesson is both.
    stage.control(RoomControl::Mute { identity: identity.clone(), source: SOURCE_MIC });
    stage.control(RoomControl::SetPermissions { identity: identity.clone(), permissions });
    let messages = stage.take(&student);
    assert_eq!(mutes(&messages), [true], "told once");
    assert!(messages.iter().any(|message| matches!(message, Message::RefreshToken(_))));
    let permission = updates(&messages).last().and_then(|told| told.permission.clone());
    assert!(!permission.expect("set").can_publish_sources.contains(&MIC.into()));
    stage.clear();
    let unmute = Asked::Mute(proto::MuteTrackRequest { sid: track.to_string(), muted: false });
    stage.ask(&student, unmute.clone());
    assert!(stage.commands.is_empty());
    assert_eq!(mutes(&stage.take(&student)), [true], "the client is put right");
    assert_eq!(stage.notices, [Notice::Refused { identity: identity.clone(), rule: Rule::Locked }]);
    stage.control(RoomControl::SetPermissions { identity, permissions: Permissions::all() });
    stage.clear();
    stage.ask(&student, unmute);
    assert_eq!(stage.commands, [Command::Mute { track, muted: false }]);
}

#[test]
fn a_screen_share_that_is_not_allowed_any_more_ends() {
    let mut stage = Stage::new();
    let student = stage.arrive("p2", LessonRole::Student);
    let track = stage.publish(&student, SCREEN);
    stage.clear();
    stage.control(RoomControl::SetPermissions {
        identity: "p2".into(),
        permissions: without(&[SourceKey::ScreenShare, SourceKey::ScreenShareAudio]),
    });
    assert!(stage.commands.contains(&Command::Unpublish { track: track.clone() }));
    assert!(stage.take(&student).iter().any(
        |message| matches!(message, Message::TrackUnpublished(gone) if gone.track_sid == track.as_str())
    ));
    stage.ask(&student, Asked::AddTrack(super::add_track("again", SCREEN)));
    assert_eq!(refusals(&stage.take(&student)), [i32::from(Reason::NotAllowed)]);
}

#[test]
fn a_track_that_waits_for_its_section_is_locked_too() {
    let mut stage = Stage::new();
    let student = stage.arrive("p2", LessonRole::Student);
    stage.ask(&student, Asked::AddTrack(super::add_track("mic", MIC)));
    stage.control(RoomControl::SetPermissions {
        identity: "p2".into(),
        permissions: without(&[SourceKey::Microphone]),
    });
    let said = stage.take(&student);
    assert_eq!(mutes(&said), [true], "at once");
    let sid = said.iter().find_map(|message| match message {
        Message::TrackPublished(published) => published.track.clone().map(|track| track.sid),
        _ => None,
    });
    let unmute = proto::MuteTrackRequest { sid: sid.expect("it was added"), muted: false };
    stage.ask(&student, Asked::Mute(unmute));
    assert_eq!(mutes(&stage.take(&student)), [true], "not before the section either");
    stage.event(Event::PublisherAnswer {
        participant: student.sid.clone(),
        offer_id: 1,
        sdp: "v=0".to_owned(),
        sections: vec![super::section("mic", MIC)],
    });
    let muted = stage.commands.iter().find_map(|command| match command {
        Command::Publish { publication, .. } => Some(publication.muted),
        _ => None,
    });
    assert_eq!(muted, Some(true));
    assert_eq!(mutes(&stage.take(&student)), [true], "again: it may know the track only now");
}

#[test]
fn a_removed_participant_is_told_so_and_does_not_come_back_by_itself() {
    let mut stage = Stage::new();
    let teacher = stage.arrive("p1", LessonRole::Teacher);
    let student = stage.arrive("p2", LessonRole::Student);
    stage.clear();
    stage.control(RoomControl::Remove { identity: "p2".into() });
    let removed = i32::from(proto::DisconnectReason::ParticipantRemoved);
    assert_eq!(leave_of(&stage.take(&student)), Some((removed, Action::Disconnect.into())));
    assert_eq!(stage.closed, [student.socket]);
    let told = updates(&stage.take(&teacher));
    assert_eq!(told[0].disconnect_reason(), proto::DisconnectReason::ParticipantRemoved);
    assert!(stage.commands.contains(&Command::CloseParticipant { participant: student.sid }));
}

#[test]
fn new_media_brings_everybody_back_and_the_end_nobody() {
    for (control, reason, action) in [
        (RoomControl::MediaRestarted, proto::DisconnectReason::MediaFailure, Action::Reconnect),
        (RoomControl::Restarting, proto::DisconnectReason::ServerShutdown, Action::Reconnect),
        (RoomControl::End, proto::DisconnectReason::RoomDeleted, Action::Disconnect),
    ] {
        let mut stage = Stage::new();
        let clients =
            [stage.arrive("p1", LessonRole::Teacher), stage.arrive("p2", LessonRole::Student)];
        stage.clear();
        stage.control(control);
        for client in &clients {
            let messages = stage.take(client);
            assert_eq!(messages.len(), 1, "nothing but the leave");
            assert_eq!(leave_of(&messages), Some((reason.into(), action.into())));
        }
        assert_eq!(stage.closed.len(), 2);
        assert_eq!(stage.room.participant_count(), 0);
        let left = stage.notices.iter().filter(|n| matches!(n, Notice::Left { .. })).count();
        assert_eq!(left, 2);
    }
}

#[test]
fn speakers_are_told_to_those_who_hear_them() {
    let mut stage = Stage::new();
    let teacher = stage.arrive("p1", LessonRole::Teacher);
    let student = stage.arrive("p2", LessonRole::Student);
    let deaf = Query { auto_subscribe: false, ..Query::default() };
    let deaf = stage.join_with(super::grants("p3", LessonRole::Student), deaf);
    stage.publish(&student, MIC);
    stage.clear();
    let speaker = Speaker { participant: student.sid.clone(), level: 0.3, active: true };
    stage.event(Event::Speakers { room: "RM_test".into(), changed: vec![speaker] });
    for client in [&teacher, &student] {
        let messages = stage.take(client);
        let Message::SpeakersChanged(changed) = &messages[0] else { panic!("{messages:?}") };
        assert_eq!(changed.speakers[0].sid, student.sid.as_str());
        assert!((changed.speakers[0].level - 0.375).abs() < f32::EPSILON, "steps of an eighth");
    }
    assert!(stage.take(&deaf).is_empty());
}

#[test]
fn only_leads_with_the_grant_change_what_is_said_about_them() {
    let mut stage = Stage::new();
    let teacher = stage.arrive("p1", LessonRole::Teacher);
    let mut bold = super::grants("p2", LessonRole::Student);
    bold.can_update_own_metadata = true;
    let student = stage.join_with(bold, Query::default());
    stage.clear();
    let asked = |attribute: &str| {
        Asked::UpdateMetadata(proto::UpdateParticipantMetadata {
            name: "Headmaster".to_owned(),
            attributes: [
                ("note".to_owned(), attribute.to_owned()),
                (crate::token::ROLE_ATTRIBUTE.to_owned(), "teacher".to_owned()),
            ]
            .into(),
            request_id: 9,
            ..Default::default()
        })
    };
    stage.ask(&student, asked("psst"));
    assert_eq!(refusals(&stage.take(&student)), [i32::from(Reason::NotAllowed)]);
    assert!(stage.take(&teacher).is_empty());
    stage.ask(&teacher, asked("hello"));
    assert_eq!(refusals(&stage.take(&teacher)), [i32::from(Reason::Ok)]);
    let told = updates(&stage.take(&student));
    assert_eq!(told[0].attributes["note"], "hello");
    assert_eq!(told[0].name, "Somebody", "names are the accounts'");
    stage.ask(&teacher, asked(""));
    assert!(!updates(&stage.take(&student))[0].attributes.contains_key("note"));
    stage.ask(&teacher, asked(&"x".repeat(5_000)));
    assert_eq!(
        refusals(&stage.take(&teacher)),
        [i32::from(Reason::Ok), i32::from(Reason::LimitExceeded)]
    );
}

#[test]
fn an_ok_is_not_said_to_clients_that_do_not_know_it() {
    let mut stage = Stage::new();
    let old = Query { protocol: 13, ..Query::default() };
    let teacher = stage.join_with(super::grants("p1", LessonRole::Teacher), old);
    stage.clear();
    stage.ask(
        &teacher,
        Asked::UpdateMetadata(proto::UpdateParticipantMetadata {
            metadata: "x".to_owned(),
            request_id: 1,
            ..Default::default()
        }),
    );
    assert!(refusals(&stage.take(&teacher)).is_empty());
}

#[test]
fn chat_of_the_lesson_reaches_native_clients_as_a_text_stream() {
    let mut stage = Stage::new();
    let teacher = stage.arrive("p1", LessonRole::Teacher);
    stage.arrive("p2", LessonRole::Student);
    stage.clear();
    stage.control(RoomControl::Chat {
        from: "p2".into(),
        text: Pii::new("good morning".to_owned()),
        at: stage.now,
        to: None,
    });
    let mut text = Vec::new();
    let mut kinds = Vec::new();
    for command in &stage.commands {
        let Command::SendData { to, bytes, .. } = command else { panic!("{command:?}") };
        assert_eq!(*to, std::slice::from_ref(&teacher.sid), "not back to who wrote it");
        let packet = client::read_data_packet(bytes).expect("own packet");
        assert_eq!(packet.participant_identity, "p2");
        match packet.value.expect("set") {
            Value::StreamHeader(header) => {
                assert_eq!(header.topic, "lk.chat");
                kinds.push("header");
            }
            Value::StreamChunk(chunk) => {
                text.extend(chunk.content);
                kinds.push("chunk");
            }
            Value::StreamTrailer(_) => kinds.push("trailer"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(kinds, ["header", "chunk", "trailer"]);
    assert_eq!(text, b"good morning");
}

#[test]
fn a_description_that_the_media_plane_refuses_starts_that_client_anew() {
    let mut stage = Stage::new();
    let student = stage.arrive("p2", LessonRole::Student);
    stage.clear();
    stage.event(Event::OfferRefused {
        participant: student.sid.clone(),
        role: belfry_media_api::PeerRole::Publisher,
        offer_id: 1,
        reason: "no media".to_owned(),
    });
    assert!(leave_of(&stage.take(&student)).is_some());
    assert!(stage.notices.contains(&Notice::Left {
        identity: "p2".into(),
        participant: student.sid,
        reason: LeaveReason::MediaFailure
    }));
}

#[test]
fn the_media_plane_knows_the_connections_in_the_spotlight_as_they_come() {
    let mut stage = Stage::new();
    let teacher = stage.arrive("p1", LessonRole::Teacher);
    let told = |stage: &mut Stage| -> Vec<Vec<belfry_model::ParticipantSid>> {
        let commands = std::mem::take(&mut stage.commands).into_iter();
        let told = commands.filter_map(|command| match command {
            Command::Spotlight { participants, .. } => Some(participants),
            _ => None,
        });
        told.collect()
    };
    let spotlight = |who: &[&str]| RoomControl::Spotlight {
        identities: who.iter().map(|who| (*who).into()).collect(),
    };
    stage.control(spotlight(&["p2"]));
    assert!(told(&mut stage).is_empty(), "nobody of them is there");
    let student = stage.arrive("p2", LessonRole::Student);
    assert_eq!(told(&mut stage), [vec![student.sid]]);
    stage.control(spotlight(&["p2"]));
    assert!(told(&mut stage).is_empty(), "nothing new");
    // A full rejoin is another connection.
    let again = stage.arrive("p2", LessonRole::Student);
    assert_eq!(told(&mut stage), [vec![again.sid]]);
    stage.control(spotlight(&["p1"]));
    assert_eq!(told(&mut stage), [vec![teacher.sid]]);
    // A new media plane hears it when they have come back.
    stage.control(RoomControl::MediaRestarted);
    told(&mut stage);
    let teacher = stage.arrive("p1", LessonRole::Teacher);
    assert_eq!(told(&mut stage), [vec![teacher.sid]]);
    stage.control(spotlight(&[]));
    assert_eq!(told(&mut stage), [vec![]]);
}

#[test]
fn what_the_media_plane_tells_of_a_way_reaches_the_lesson_with_its_identity() {
    use belfry_media_api::{Carried, Cause, Downlink, Path, PeerRole};
    let mut stage = Stage::new();
    let student = stage.arrive("p2", LessonRole::Student);
    stage.clear();
    let downlink = Downlink {
        carried: Carried::Voices,
        cause: Cause::Bandwidth,
        estimate_bps: 90_000,
        sent_bps: 80_000,
        loss_percent: 3,
        rtt_ms: 200,
    };
    let address = belfry_model::Pii::new(std::net::Ipv4Addr::LOCALHOST.into());
    let (role, path) = (PeerRole::Subscriber, Path::IceTcp);
    for participant in [student.sid.clone(), "PA_other".into()] {
        stage.event(Event::Downlink { participant: participant.clone(), downlink });
        stage.event(Event::Path { participant, role, path, address: address.clone() });
    }
    let (identity, participant) = (student.identity.clone(), student.sid.clone());
    assert_eq!(
        stage.notices,
        [
            Notice::Downlink {
                identity: identity.clone(),
                participant: participant.clone(),
                downlink
            },
            Notice::Path { identity, participant, role, path, address },
        ]
    );
    assert!(stage.take(&student).is_empty(), "the signalling protocol has no word for it");
}

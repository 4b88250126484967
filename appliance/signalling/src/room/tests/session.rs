//! Joining, resuming, leaving.

use belfry_media_api::{Command, ConnectionQuality, DataKind, Event};
use belfry_model::{LessonRole, Outside, limits};
use livekit_protocol as proto;
use livekit_protocol::leave_request::Action;
use livekit_protocol::participant_info::State;
use livekit_protocol::signal_request::Message as Asked;
use livekit_protocol::signal_response::Message;
use proptest::{collection, prelude::*};

use super::super::{JoinRefusal, LeaveReason, Notice, RoomControl};
use super::{MIC, Stage, grants, leave_of, signer, updates};
use crate::host::Host;
use crate::query::Query;
use crate::token;

fn join_of(messages: &[Message]) -> &proto::JoinResponse {
    match messages.first() {
        Some(Message::Join(join)) => join,
        other => panic!("the first message is {other:?}"),
    }
}

#[test]
fn the_first_message_holds_all_that_clients_insist_on() {
    let mut stage = Stage::new();
    let teacher = stage.join("p1", LessonRole::Teacher);
    let messages = stage.take(&teacher);
    let join = join_of(&messages);
    let server = join.server_info.as_ref().expect("set");
    assert!(!server.version.is_empty(), "browsers refuse an empty version");
    assert_eq!(server.protocol, 17, "18 would lose all data");
    assert_eq!(server.edition(), proto::server_info::Edition::Standard);
    assert!(join.ping_interval > 0 && join.ping_timeout > 0, "native clients panic on 0");
    assert!(!join.ice_servers[0].urls.is_empty(), "Android would ask Google");
    assert!(join.subscriber_primary);
    let own = join.participant.as_ref().expect("set");
    let permission = own.permission.as_ref().expect("browsers publish only with it");
    assert!(permission.can_publish && permission.can_subscribe && permission.can_publish_data);
    assert!(own.sid.starts_with("PA_"));
    assert_eq!(join.room.as_ref().expect("set").sid, "RM_test");
    assert!(!join.enabled_publish_codecs.is_empty());
    assert!(matches!(&stage.commands[..], [Command::OpenParticipant { .. }]));
}

#[test]
fn others_are_told_of_an_arrival_and_the_arrival_of_the_others() {
    let mut stage = Stage::new();
    let first = stage.join("p1", LessonRole::Teacher);
    stage.clear();
    let second = stage.join("p2", LessonRole::Student);
    let told = updates(&stage.take(&first));
    assert_eq!((told[0].sid.as_str(), told[0].identity.as_str()), (second.sid.as_str(), "p2"));
    let messages = stage.take(&second);
    assert_eq!(join_of(&messages).other_participants[0].identity, "p1");
}

#[test]
fn a_participant_is_active_when_its_media_is() {
    let mut stage = Stage::new();
    let first = stage.arrive("p1", LessonRole::Teacher);
    assert!(
        stage
            .notices
            .contains(&Notice::Active { identity: "p1".into(), participant: first.sid.clone() })
    );
    assert_eq!(updates(&stage.take(&first)).last().expect("told").state(), State::Active);
}

#[test]
fn a_hidden_participant_is_nobody_to_the_others() {
    let mut stage = Stage::new();
    let first = stage.join("p1", LessonRole::Teacher);
    let mut hidden = grants("rec", LessonRole::Student);
    hidden.hidden = true;
    stage.clear();
    let hidden = stage.join_with(hidden, Query::default());
    assert!(stage.take(&first).is_empty());
    stage.clear();
    let second = stage.join("p2", LessonRole::Student);
    let messages = stage.take(&second);
    assert_eq!(join_of(&messages).other_participants.len(), 1);
    stage.ask(&hidden, Asked::Leave(proto::LeaveRequest::default()));
    assert!(stage.take(&first).iter().all(|message| {
        updates(std::slice::from_ref(message)).iter().all(|info| info.identity == "p2")
    }));
}

#[test]
fn a_second_connection_of_an_identity_takes_over_and_nobody_is_told_of_a_leave() {
    let mut stage = Stage::new();
    let other = stage.join("p1", LessonRole::Teacher);
    let old = stage.join("p2", LessonRole::Student);
    stage.clear();
    let new = stage.join("p2", LessonRole::Student);
    let reason = i32::from(proto::DisconnectReason::DuplicateIdentity);
    assert_eq!(leave_of(&stage.take(&old)), Some((reason, Action::Disconnect.into())));
    assert_eq!(stage.closed, [old.socket]);
    let told = updates(&stage.take(&other));
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].sid, new.sid.as_str());
    assert!(!stage.notices.iter().any(|notice| matches!(notice, Notice::Left { .. })));
}

#[test]
fn pings_of_both_kinds_are_answered() {
    let mut stage = Stage::new();
    let client = stage.join("p1", LessonRole::Teacher);
    stage.clear();
    stage.ask(&client, Asked::Ping(5));
    stage.ask(&client, Asked::PingReq(proto::Ping { timestamp: 77, rtt: 3 }));
    let messages = stage.take(&client);
    assert!(matches!(messages[0], Message::Pong(_)));
    assert!(matches!(&messages[1], Message::PongResp(pong) if pong.last_ping_timestamp == 77));
}

#[test]
fn a_resumed_socket_hears_reconnect_first_and_then_all_participants() {
    let mut stage = Stage::new();
    let teacher = stage.arrive("p1", LessonRole::Teacher);
    let student = stage.arrive("p2", LessonRole::Student);
    let third = stage.arrive("p3", LessonRole::Student);
    stage.room.socket_closed(student.socket, stage.now);
    stage.ask(&third, Asked::Leave(proto::LeaveRequest::default()));
    stage.pass_ms(3_000);
    stage.clear();
    let back = stage.resume(&student);
    let messages = stage.take(&back);
    let Message::Reconnect(reconnect) = &messages[0] else { panic!("{:?}", messages[0]) };
    assert!(!reconnect.ice_servers.is_empty());
    assert!(reconnect.server_info.is_some());
    let told = updates(&messages);
    let state_of =
        |sid: &str| told.iter().find(|info| info.sid == sid).map(proto::ParticipantInfo::state);
    assert_eq!(state_of(teacher.sid.as_str()), Some(State::Active));
    assert_eq!(state_of(student.sid.as_str()), Some(State::Active), "itself included");
    assert_eq!(state_of(third.sid.as_str()), Some(State::Disconnected));
    assert_eq!(stage.commands, [Command::RestartSubscriber { participant: student.sid.clone() }]);
    assert!(stage.take(&teacher).is_empty(), "nobody else notices");
}

#[test]
fn each_connection_is_given_servers_with_credentials_of_its_own_at_its_join_and_at_each_resume() {
    let mut stage = Stage::new();
    let named =
        |servers: &[proto::IceServer]| servers.last().expect("never empty").username.clone();
    let first = stage.join("p1", LessonRole::Teacher);
    let second = stage.join("p2", LessonRole::Student);
    for client in [&first, &second] {
        let messages = stage.take(client);
        let join = join_of(&messages);
        assert_eq!(join.ice_servers.len(), 2);
        assert_eq!(named(&join.ice_servers), format!("{}:{}", stage.now.0, client.sid));
    }
    stage.room.socket_closed(second.socket, stage.now);
    stage.pass_ms(1_000);
    let back = stage.resume(&second);
    let messages = stage.take(&back);
    let Message::Reconnect(reconnect) = &messages[0] else { panic!("{:?}", messages[0]) };
    assert_eq!(named(&reconnect.ice_servers), format!("{}:{}", stage.now.0, second.sid));
}

#[test]
fn servers_are_named_by_the_host_by_which_the_client_came_and_later_by_which_it_comes_back() {
    let mut stage = Stage::new();
    let by = |name: &str| Some(Host::Name(name.to_owned()));
    let url = |servers: &[proto::IceServer]| servers.last().expect("never empty").urls.clone();
    let query = Query { host: by("class.test"), ..Query::default() };
    let client = stage.join_with(grants("p1", LessonRole::Teacher), query);
    assert_eq!(url(&join_of(&stage.take(&client)).ice_servers), ["turn:class.test:3479"]);
    stage.room.socket_closed(client.socket, stage.now);
    let (sid, host) = (Some(client.sid.clone()), by("school.test"));
    let query = Query { reconnect: true, sid, host, ..Query::default() };
    let back = stage.join_with(grants("p1", LessonRole::Teacher), query);
    let messages = stage.take(&back);
    let Message::Reconnect(reconnect) = &messages[0] else { panic!("{:?}", messages[0]) };
    assert_eq!(url(&reconnect.ice_servers), ["turn:school.test:3479"]);
}

#[test]
fn an_offer_that_the_broken_socket_swallowed_is_sent_again_and_ice_restarted_after_its_answer() {
    let mut stage = Stage::new();
    let student = stage.arrive("p2", LessonRole::Student);
    stage.event(Event::SubscriberOffer {
        participant: student.sid.clone(),
        offer_id: 4,
        sdp: "v=0".to_owned(),
        mids: vec![("0".to_owned(), "TR_1".into())],
    });
    stage.room.socket_closed(student.socket, stage.now);
    stage.clear();
    let back = stage.resume(&student);
    let messages = stage.take(&back);
    let offer = messages.iter().find_map(|message| match message {
        Message::Offer(offer) => Some(offer),
        _ => None,
    });
    let offer = offer.expect("sent again");
    assert_eq!((offer.id, offer.mid_to_track_id["0"].as_str()), (4, "TR_1"));
    assert!(stage.commands.is_empty());
    // Native clients answer 0, the latest.
    stage.ask(
        &back,
        Asked::Answer(proto::SessionDescription { sdp: "v=0".to_owned(), ..Default::default() }),
    );
    assert!(matches!(
        &stage.commands[..],
        [Command::SubscriberAnswer { offer_id: 0, .. }, Command::RestartSubscriber { .. }]
    ));
}

#[test]
fn a_resume_of_what_is_not_there_or_of_somebody_else_starts_anew() {
    let mut stage = Stage::new();
    let mismatch =
        (i32::from(proto::DisconnectReason::StateMismatch), i32::from(Action::Reconnect));
    let stranger = super::Client {
        socket: super::SocketId(0),
        sid: "PA_unknown".into(),
        identity: "p2".into(),
    };
    let socket = stage.resume(&stranger);
    assert_eq!(leave_of(&stage.take(&socket)), Some(mismatch));
    let victim = stage.join("p1", LessonRole::Teacher);
    let thief = super::Client { identity: "p2".into(), ..victim.clone() };
    let socket = stage.resume(&thief);
    assert_eq!(leave_of(&stage.take(&socket)), Some(mismatch));
    assert!(stage.closed.contains(&socket.socket));
    assert!(!stage.closed.contains(&victim.socket));
}

#[test]
fn a_stale_cid_in_the_sync_state_is_fine_and_an_unknown_track_is_not() {
    let mut stage = Stage::new();
    let student = stage.arrive("p2", LessonRole::Student);
    let track = stage.publish(&student, MIC);
    stage.room.socket_closed(student.socket, stage.now);
    let back = stage.resume(&student);
    stage.clear();
    let sync = |sid: &str| {
        let track = Some(proto::TrackInfo { sid: sid.to_owned(), ..Default::default() });
        let published = proto::TrackPublishedResponse { cid: "stale".to_owned(), track };
        Asked::SyncState(proto::SyncState { publish_tracks: vec![published], ..Default::default() })
    };
    stage.ask(&back, sync(track.as_str()));
    assert_eq!(leave_of(&stage.take(&back)), None);
    stage.ask(&back, sync("TR_unknown"));
    assert!(leave_of(&stage.take(&back)).is_some());
}

#[test]
fn a_lost_participant_is_kept_for_its_time_and_then_gone_for_all() {
    let mut stage = Stage::new();
    let teacher = stage.arrive("p1", LessonRole::Teacher);
    let student = stage.arrive("p2", LessonRole::Student);
    stage.room.socket_closed(student.socket, stage.now);
    stage.clear();
    stage.pass_ms(limits::PARTICIPANT_RESUME_MS - 1);
    assert!(updates(&stage.take(&teacher)).is_empty());
    stage.pass_ms(1);
    let told = updates(&stage.take(&teacher));
    assert_eq!((told[0].state(), told[0].identity.as_str()), (State::Disconnected, "p2"));
    assert_eq!(told[0].disconnect_reason(), proto::DisconnectReason::SignalClose);
    assert!(stage.notices.contains(&Notice::Left {
        identity: "p2".into(),
        participant: student.sid,
        reason: LeaveReason::SignalClosed
    }));
}

#[test]
fn a_silent_socket_is_given_up_and_media_that_never_comes_ends_a_connection() {
    let mut stage = Stage::new();
    let student = stage.arrive("p2", LessonRole::Student);
    let other = stage.join("p3", LessonRole::Student);
    stage.pass_ms(60_000);
    let (reason, action) = leave_of(&stage.take(&other)).expect("no media");
    assert_eq!(reason, i32::from(proto::DisconnectReason::MediaFailure));
    assert_eq!(action, i32::from(Action::Reconnect));
    stage.pass_ms(20_000);
    assert!(stage.closed.contains(&student.socket));
}

#[test]
fn tokens_are_refreshed_before_they_end_and_after_every_change_of_grants() {
    let mut stage = Stage::new();
    let student = stage.arrive("p2", LessonRole::Student);
    let refreshed = |messages: Vec<Message>| {
        let tokens = messages.into_iter().filter_map(|message| match message {
            Message::RefreshToken(token) => Some(token),
            _ => None,
        });
        tokens.collect::<Vec<_>>()
    };
    for _ in 0..6 {
        stage.pass_ms(50_000);
        stage.ask(&student, Asked::Ping(1));
    }
    let tokens = refreshed(stage.take(&student));
    assert_eq!(tokens.len(), 1);
    stage.control(RoomControl::SetRole { identity: "p2".into(), role: LessonRole::CoTeacher });
    let tokens = refreshed(stage.take(&student));
    let grants = token::verify(&signer(), Outside::new(tokens[0].as_bytes()), stage.now);
    assert_eq!(grants.expect("our own").role, LessonRole::CoTeacher);
}

#[test]
fn versions_of_a_participant_only_grow() {
    let mut stage = Stage::new();
    let teacher = stage.arrive("p1", LessonRole::Teacher);
    let student = stage.arrive("p2", LessonRole::Student);
    let track = stage.publish(&student, MIC);
    let mute = |muted| Asked::Mute(proto::MuteTrackRequest { sid: track.to_string(), muted });
    stage.ask(&student, mute(true));
    stage.ask(&student, mute(false));
    stage.ask(&student, Asked::Leave(proto::LeaveRequest::default()));
    let versions: Vec<_> = updates(&stage.take(&teacher))
        .into_iter()
        .filter(|info| info.identity == "p2")
        .map(|info| info.version)
        .collect();
    assert!(versions.len() >= 5);
    assert!(versions.windows(2).all(|pair| pair[0] < pair[1]), "{versions:?}");
}

#[test]
fn a_full_room_and_a_foreign_token_are_refused_before_the_upgrade() {
    let mut stage = Stage::new();
    for number in 0..limits::ROOM_PARTICIPANTS_MAX {
        stage.join(&format!("p{number}"), LessonRole::Student);
    }
    let room = &stage.room;
    assert_eq!(room.check(&grants("new", LessonRole::Teacher)), Err(JoinRefusal::Full));
    assert_eq!(room.check(&grants("p5", LessonRole::Student)), Ok(()), "it takes its own place");
    let mut foreign = grants("p5", LessonRole::Student);
    foreign.room = "13".to_owned();
    assert_eq!(room.check(&foreign), Err(JoinRefusal::OtherRoom));
}

#[test]
fn malformed_and_unknown_frames_disturb_nobody() {
    let mut stage = Stage::new();
    let client = stage.join("p1", LessonRole::Teacher);
    stage.clear();
    for bytes in [&[0xff_u8, 0xff][..], &[], &[0x0a, 0x05, 1]] {
        stage.room.frame(client.socket, Outside::new(bytes), stage.now);
    }
    // Field 99 of a later version.
    stage.room.frame(client.socket, Outside::new(&[0x9a, 0x06, 0]), stage.now);
    stage.drain();
    assert!(stage.closed.is_empty());
    stage.ask(&client, Asked::Ping(1));
    assert_eq!(stage.take(&client).len(), 1);
}

#[test]
fn a_flood_of_frames_is_first_ignored_and_then_ended() {
    let mut stage = Stage::new();
    let client = stage.join("p1", LessonRole::Teacher);
    stage.clear();
    for _ in 0..2_000 {
        stage.ask(&client, Asked::Ping(1));
    }
    let pongs = stage.take(&client);
    assert_eq!(pongs.len(), 601, "the burst and the leave");
    assert_eq!(stage.closed, [client.socket]);
}

#[test]
fn the_local_quality_is_never_lost() {
    let mut stage = Stage::new();
    let teacher = stage.arrive("p1", LessonRole::Teacher);
    let student = stage.arrive("p2", LessonRole::Student);
    stage.publish(&student, MIC);
    stage.clear();
    stage.event(Event::Quality {
        participant: student.sid.clone(),
        quality: ConnectionQuality::Lost,
        loss_percent: 60,
        rtt_ms: 900,
    });
    stage.pass_ms(5_000);
    let quality = |messages: Vec<Message>| {
        messages.into_iter().find_map(|message| match message {
            Message::ConnectionQuality(update) => Some(update.updates[0].quality()),
            _ => None,
        })
    };
    assert_eq!(quality(stage.take(&student)), Some(proto::ConnectionQuality::Poor));
    assert_eq!(quality(stage.take(&teacher)), Some(proto::ConnectionQuality::Lost));
}

proptest! {
    #[test]
    fn no_bytes_of_one_client_disturb_another(
        frames in collection::vec(collection::vec(any::<u8>(), 0..60), 0..20),
        packets in collection::vec(collection::vec(any::<u8>(), 0..60), 0..20),
    ) {
        let mut stage = Stage::new();
        let honest = stage.arrive("p1", LessonRole::Teacher);
        let hostile = stage.arrive("p2", LessonRole::Student);
        stage.publish(&hostile, MIC);
        for frame in &frames {
            stage.room.frame(hostile.socket, Outside::new(frame), stage.now);
        }
        for bytes in packets {
            let (participant, kind) = (hostile.sid.clone(), DataKind::Lossy);
            stage.event(Event::Data { participant, kind, bytes });
        }
        stage.pass_ms(30_000);
        stage.clear();
        stage.ask(&honest, Asked::Ping(1));
        prop_assert_eq!(stage.take(&honest).len(), 1);
        prop_assert!(stage.closed.is_empty());
    }
}

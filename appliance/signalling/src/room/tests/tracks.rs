//! Publishing and subscribing.

use belfry_media_api::{Command, Event, Quality, Section, TrackSettings};
use belfry_model::{LessonRole, TrackSid};
use livekit_protocol as proto;
use livekit_protocol::request_response::Reason;
use livekit_protocol::signal_request::Message as Asked;
use livekit_protocol::signal_response::Message;

use super::super::{Effect, Notice};
use super::{CAM, Client, MIC, SCREEN, Stage, add_track, refusals, section, updates};
use crate::query::Query;

fn answer(stage: &mut Stage, client: &Client, sections: Vec<Section>) {
    stage.event(Event::PublisherAnswer {
        participant: client.sid.clone(),
        offer_id: 3,
        sdp: "v=0".to_owned(),
        sections,
    });
}

fn published(stage: &Stage) -> Vec<(String, TrackSid)> {
    let published = stage.commands.iter().filter_map(|command| match command {
        Command::Publish { publication, .. } => {
            Some((publication.mid.clone(), publication.track.clone()))
        }
        _ => None,
    });
    published.collect()
}

#[test]
fn a_track_is_published_whether_its_request_or_its_section_comes_first() {
    for request_first in [true, false] {
        let mut stage = Stage::new();
        let client = stage.arrive("p1", LessonRole::Teacher);
        stage.clear();
        if request_first {
            stage.ask(&client, Asked::AddTrack(add_track("cam", CAM)));
            answer(&mut stage, &client, vec![section("cam", CAM)]);
        } else {
            answer(&mut stage, &client, vec![section("cam", CAM)]);
            stage.ask(&client, Asked::AddTrack(add_track("cam", CAM)));
        }
        let published = published(&stage);
        assert_eq!(published.len(), 1);
        assert_eq!(published[0].0, "mid-cam");
        assert!(published[0].1.as_str().starts_with("TR_VC"));
        let messages = stage.take(&client);
        let reply = messages.iter().find_map(|message| match message {
            Message::TrackPublished(reply) => Some(reply),
            _ => None,
        });
        let reply = reply.expect("sent at once");
        assert_eq!(reply.cid, "cam");
        assert_eq!(reply.track.as_ref().expect("set").codecs[0].cid, "cam");
        let answer = messages.iter().find_map(|message| match message {
            Message::Answer(answer) => Some(answer.id),
            _ => None,
        });
        assert_eq!(answer, Some(3), "the answer carries its offer's number");
    }
}

#[test]
fn firefox_tracks_are_matched_by_order_and_kind() {
    let mut stage = Stage::new();
    let client = stage.arrive("p1", LessonRole::Teacher);
    stage.clear();
    stage.ask(&client, Asked::AddTrack(add_track("{cam}", CAM)));
    stage.ask(&client, Asked::AddTrack(add_track("{mic}", MIC)));
    stage.ask(&client, Asked::AddTrack(add_track("{screen}", SCREEN)));
    let sections = vec![section("{1}", MIC), section("{2}", CAM), section("{3}", SCREEN)];
    answer(&mut stage, &client, sections);
    let by_mid: Vec<_> = published(&stage)
        .into_iter()
        .map(|(mid, sid)| (mid, sid.as_str()[..5].to_owned()))
        .collect();
    for pair in [("mid-{1}", "TR_AM"), ("mid-{2}", "TR_VC"), ("mid-{3}", "TR_VS")] {
        assert!(by_mid.contains(&(pair.0.to_owned(), pair.1.to_owned())), "{by_mid:?}");
    }
    let own = updates(&stage.take(&client));
    let codec = &own.last().expect("told").tracks[0].codecs[0];
    assert!(codec.sdp_cid.starts_with('{') && codec.sdp_cid != codec.cid);
}

#[test]
fn a_request_does_not_take_the_section_of_another_that_is_on_its_way() {
    let mut stage = Stage::new();
    let client = stage.arrive("p1", LessonRole::Teacher);
    stage.clear();
    stage.ask(&client, Asked::AddTrack(add_track("cam", CAM)));
    answer(&mut stage, &client, vec![section("screen", SCREEN)]);
    assert!(published(&stage).is_empty());
    stage.ask(&client, Asked::AddTrack(add_track("screen", SCREEN)));
    answer(&mut stage, &client, vec![section("screen", SCREEN), section("cam", CAM)]);
    let mids: Vec<_> = published(&stage).into_iter().map(|(mid, _)| mid).collect();
    assert_eq!(mids, ["mid-screen", "mid-cam"]);
}

#[test]
fn a_replaced_tracks_foreign_name_is_taken_after_a_second() {
    let mut stage = Stage::new();
    let client = stage.arrive("p1", LessonRole::Teacher);
    stage.clear();
    stage.ask(&client, Asked::AddTrack(add_track("new", CAM)));
    answer(&mut stage, &client, vec![section("old", CAM)]);
    assert!(published(&stage).is_empty());
    stage.pass_ms(1_000);
    assert_eq!(published(&stage).len(), 1);
}

#[test]
fn layers_are_sorted_by_quality_whatever_their_order() {
    let mut stage = Stage::new();
    let client = stage.arrive("p1", LessonRole::Teacher);
    stage.clear();
    let layer = |quality: proto::VideoQuality, width| proto::VideoLayer {
        quality: quality.into(),
        width,
        height: 1,
        ..Default::default()
    };
    let mut request = add_track("cam", CAM);
    request.layers =
        vec![layer(proto::VideoQuality::Medium, 640), layer(proto::VideoQuality::Low, 320)];
    stage.ask(&client, Asked::AddTrack(request));
    let mut simulcast = section("cam", CAM);
    simulcast.rids = vec!["q".to_owned(), "h".to_owned()];
    answer(&mut stage, &client, vec![simulcast]);
    let publication = stage.commands.iter().find_map(|command| match command {
        Command::Publish { publication, .. } => Some(publication),
        _ => None,
    });
    let widths: Vec<_> = publication
        .expect("published")
        .layers
        .iter()
        .map(|layer| (layer.quality, layer.width))
        .collect();
    assert_eq!(widths, [(Quality::Low, 320), (Quality::Medium, 640)]);
    let own = updates(&stage.take(&client));
    let rids: Vec<_> = own.last().expect("told").tracks[0].codecs[0]
        .layers
        .iter()
        .map(|layer| layer.rid.as_str())
        .collect();
    assert_eq!(rids, ["q", "h"]);
}

#[test]
fn the_update_with_a_track_goes_out_before_the_media_plane_may_offer_it() {
    let mut stage = Stage::new();
    let teacher = stage.arrive("p1", LessonRole::Teacher);
    let student = stage.arrive("p2", LessonRole::Student);
    let asked = Asked::AddTrack(add_track("mic", MIC));
    stage.room.frame(
        student.socket,
        belfry_model::Outside::new(&crate::client::request(asked)),
        stage.now,
    );
    stage.room.media_event(
        Event::PublisherAnswer {
            participant: student.sid.clone(),
            offer_id: 1,
            sdp: "v=0".to_owned(),
            sections: vec![section("mic", MIC)],
        },
        stage.now,
    );
    let mut told = false;
    let mut subscribed = false;
    while let Some(effect) = stage.room.poll_effect() {
        match effect {
            Effect::Send { socket, .. } if socket == teacher.socket => told = true,
            Effect::Media(Command::Subscribe { participant, stream, .. }) => {
                assert!(told && participant == teacher.sid);
                assert_eq!(stream, "camera", "microphone and camera are one lip-sync group");
                subscribed = true;
            }
            _ => {}
        }
    }
    assert!(subscribed);
}

#[test]
fn a_late_joiner_is_subscribed_to_what_is_there() {
    let mut stage = Stage::new();
    let teacher = stage.arrive("p1", LessonRole::Teacher);
    let track = stage.publish(&teacher, CAM);
    stage.clear();
    let student = stage.join("p2", LessonRole::Student);
    let subscribed = Command::Subscribe {
        participant: student.sid.clone(),
        track: track.clone(),
        publisher: teacher.sid.clone(),
        stream: "camera".to_owned(),
    };
    assert_eq!(stage.commands[1], subscribed);
    let manual = Query { auto_subscribe: false, ..Query::default() };
    stage.clear();
    let manual = stage.join_with(super::grants("p3", LessonRole::Student), manual);
    assert_eq!(stage.commands.len(), 1, "opened only");
    let wish = |subscribe| {
        Asked::Subscription(proto::UpdateSubscription {
            track_sids: vec![track.to_string()],
            subscribe,
            ..Default::default()
        })
    };
    stage.clear();
    stage.ask(&manual, wish(true));
    stage.ask(&manual, wish(true));
    stage.ask(&manual, wish(false));
    assert!(matches!(
        &stage.commands[..],
        [Command::Subscribe { .. }, Command::Unsubscribe { .. }]
    ));
}

#[test]
fn a_subscription_to_an_unknown_track_is_answered() {
    let mut stage = Stage::new();
    let student = stage.arrive("p2", LessonRole::Student);
    stage.clear();
    stage.ask(
        &student,
        Asked::Subscription(proto::UpdateSubscription {
            track_sids: vec!["TR_none".to_owned()],
            subscribe: true,
            ..Default::default()
        }),
    );
    assert!(matches!(
        &stage.take(&student)[..],
        [Message::SubscriptionResponse(response)]
            if response.err() == proto::SubscriptionError::SeTrackNotfound
    ));
}

#[test]
fn the_publisher_hears_once_that_somebody_subscribed() {
    let mut stage = Stage::new();
    let teacher = stage.arrive("p1", LessonRole::Teacher);
    stage.publish(&teacher, CAM);
    stage.clear();
    stage.arrive("p2", LessonRole::Student);
    stage.arrive("p3", LessonRole::Student);
    let told = stage.take(&teacher);
    let count = told.iter().filter(|m| matches!(m, Message::TrackSubscribed(_))).count();
    assert_eq!(count, 1);
}

#[test]
fn a_size_decides_and_otherwise_the_quality() {
    let mut stage = Stage::new();
    let teacher = stage.arrive("p1", LessonRole::Teacher);
    let track = stage.publish(&teacher, CAM);
    let student = stage.arrive("p2", LessonRole::Student);
    stage.clear();
    let mut asked = proto::UpdateTrackSettings {
        track_sids: vec![track.to_string(), "TR_unknown".to_owned()],
        width: 320,
        height: 180,
        ..Default::default()
    };
    stage.ask(&student, Asked::TrackSetting(asked.clone()));
    (asked.width, asked.height, asked.quality) = (0, 0, 1);
    stage.ask(&student, Asked::TrackSetting(asked));
    let settings: Vec<TrackSettings> = stage
        .commands
        .iter()
        .map(|command| match command {
            Command::Settings { settings, .. } => *settings,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!((settings[0].quality, settings[0].width), (Quality::High, 320));
    assert_eq!((settings[1].quality, settings[1].width), (Quality::Medium, 0));
    assert_eq!(settings.len(), 2, "the unknown track is left out");
}

#[test]
fn dynacast_raises_at_once_and_lowers_after_five_seconds() {
    let mut stage = Stage::new();
    let teacher = stage.arrive("p1", LessonRole::Teacher);
    let track = stage.publish(&teacher, CAM);
    stage.clear();
    let wanted = |qualities| Event::Wanted { track: track.clone(), qualities };
    let told = |stage: &mut Stage| -> Vec<Vec<bool>> {
        let messages = stage.take(&teacher);
        let updates = messages.into_iter().filter_map(|message| match message {
            Message::SubscribedQualityUpdate(update) => Some(update),
            _ => None,
        });
        updates
            .map(|update| {
                assert_eq!(update.subscribed_codecs[0].codec, "vp8");
                update.subscribed_codecs[0].qualities.iter().map(|one| one.enabled).collect()
            })
            .collect()
    };
    stage.event(wanted([true, false, false]));
    stage.pass_ms(4_999);
    assert!(told(&mut stage).is_empty());
    stage.pass_ms(1);
    assert_eq!(told(&mut stage), [[true, false, false]], "all qualities are listed");
    stage.event(wanted([false, true, false]));
    assert_eq!(told(&mut stage), [[true, true, false]]);
    stage.pass_ms(5_000);
    assert_eq!(told(&mut stage), [[false, true, false]]);
    stage.event(wanted([false, false, false]));
    stage.event(wanted([false, true, false]));
    stage.pass_ms(10_000);
    assert!(told(&mut stage).is_empty(), "back before its time");
}

#[test]
fn a_client_is_asked_for_no_second_codec_of_a_track() {
    let mut stage = Stage::new();
    let teacher = stage.arrive("p1", LessonRole::Teacher);
    let codec = |codec: &str, cid: &str| proto::SimulcastCodec {
        codec: codec.to_owned(),
        cid: cid.to_owned(),
        ..Default::default()
    };
    let mut asked = add_track("a", CAM);
    asked.simulcast_codecs = vec![codec("VP9", "a"), codec("vp8", "")];
    stage.ask(&teacher, Asked::AddTrack(asked));
    // What is sent in the end is another codec than what was asked for.
    answer(&mut stage, &teacher, vec![section("a", CAM)]);
    let track = published(&stage).remove(0).1;
    stage.event(Event::TrackStarted { track: track.clone(), mime: "video/VP8".to_owned() });
    stage.clear();
    stage.event(Event::Wanted { track: track.clone(), qualities: [true, false, false] });
    stage.pass_ms(5_000);
    let messages = stage.take(&teacher);
    let codecs: Vec<_> = messages
        .iter()
        .filter_map(|message| match message {
            Message::SubscribedQualityUpdate(update) => Some(&update.subscribed_codecs),
            _ => None,
        })
        .flatten()
        .map(|codec| codec.codec.as_str())
        .collect();
    // A name that the client does not send under would make it publish the backup.
    assert_eq!(codecs, ["vp9"]);
    // One that publishes it all the same is told that there is none.
    let mut backup = add_track("b", CAM);
    backup.sid = track.to_string();
    backup.simulcast_codecs = vec![codec("vp8", "b")];
    stage.ask(&teacher, Asked::AddTrack(backup));
    assert_eq!(refusals(&stage.take(&teacher)), [i32::from(Reason::UnsupportedType)]);
    assert!(published(&stage).is_empty());
}

#[test]
fn a_section_that_is_gone_ends_its_track() {
    let mut stage = Stage::new();
    let teacher = stage.arrive("p1", LessonRole::Teacher);
    let student = stage.arrive("p2", LessonRole::Student);
    let track = stage.publish(&student, MIC);
    stage.clear();
    answer(&mut stage, &student, Vec::new());
    assert!(stage.commands.contains(&Command::Unpublish { track }));
    assert!(updates(&stage.take(&teacher)).last().expect("told").tracks.is_empty());
    assert!(stage.notices.iter().any(|notice| matches!(notice, Notice::TrackUnpublished { .. })));
}

#[test]
fn what_may_not_be_published_is_refused_and_said_so() {
    let mut stage = Stage::new();
    let mut only_audio = super::grants("p2", LessonRole::Student);
    only_audio.permissions.sources = [super::super::SourceKey::Microphone].into();
    let student = stage.join_with(only_audio, Query::default());
    stage.clear();
    let mut encrypted = add_track("a", MIC);
    encrypted.encryption = proto::encryption::Type::Gcm.into();
    let mut disguised = add_track("b", CAM);
    disguised.source = MIC.into();
    let mut nameless = add_track("c", CAM);
    nameless.source = 0;
    for request in [encrypted, disguised, nameless, add_track("d", SCREEN)] {
        stage.ask(&student, Asked::AddTrack(request));
        assert_eq!(refusals(&stage.take(&student)), [i32::from(Reason::NotAllowed)]);
    }
    let mut backup = add_track("e", MIC);
    backup.sid = "TR_x".to_owned();
    stage.ask(&student, Asked::AddTrack(backup));
    assert_eq!(refusals(&stage.take(&student)), [i32::from(Reason::UnsupportedType)]);
    for number in 0..9 {
        stage.ask(&student, Asked::AddTrack(add_track(&format!("t{number}"), MIC)));
    }
    assert_eq!(refusals(&stage.take(&student)), [i32::from(Reason::LimitExceeded)]);
}

#[test]
fn data_tracks_are_refused_so_that_callers_do_not_hang() {
    let mut stage = Stage::new();
    let client = stage.join("p1", LessonRole::Teacher);
    stage.clear();
    stage.ask(
        &client,
        Asked::PublishDataTrackRequest(proto::PublishDataTrackRequest {
            pub_handle: 1,
            name: "x".to_owned(),
            ..Default::default()
        }),
    );
    assert_eq!(refusals(&stage.take(&client)), [i32::from(Reason::NotAllowed)]);
}

#[test]
fn a_students_words_do_not_travel_as_names_of_tracks() {
    let mut stage = Stage::new();
    let teacher = stage.arrive("p1", LessonRole::Teacher);
    let student = stage.arrive("p2", LessonRole::Student);
    stage.clear();
    let mut request = add_track("see you at the gate", MIC);
    request.name = "see you at the gate".to_owned();
    request.stream = "see you at the gate".to_owned();
    stage.ask(&student, Asked::AddTrack(request));
    answer(&mut stage, &student, vec![section("see you at the gate", MIC)]);
    let told = updates(&stage.take(&teacher));
    let track = &told.last().expect("told").tracks[0];
    assert!(track.name.is_empty() && track.codecs[0].cid.is_empty());
    assert_eq!(track.stream, "camera");
}

#[test]
fn a_student_cannot_choose_who_hears_it_and_a_teacher_can() {
    let mut stage = Stage::new();
    let teacher = stage.arrive("p1", LessonRole::Teacher);
    let first = stage.arrive("p2", LessonRole::Student);
    let second = stage.arrive("p3", LessonRole::Student);
    stage.publish(&first, MIC);
    stage.publish(&teacher, MIC);
    stage.clear();
    let only = |identity: &str| {
        Asked::SubscriptionPermission(proto::SubscriptionPermission {
            all_participants: false,
            track_permissions: vec![proto::TrackPermission {
                participant_identity: identity.to_owned(),
                all_tracks: true,
                ..Default::default()
            }],
        })
    };
    stage.ask(&first, only("p3"));
    assert!(stage.commands.is_empty());
    stage.ask(&teacher, only("p3"));
    assert!(matches!(
        &stage.commands[..],
        [Command::Unsubscribe { participant, .. }] if *participant == first.sid
    ));
    assert!(stage.take(&second).is_empty());
    // What every browser says on each connect.
    stage.clear();
    stage.ask(
        &second,
        Asked::SubscriptionPermission(proto::SubscriptionPermission {
            all_participants: true,
            track_permissions: Vec::new(),
        }),
    );
    assert!(stage.commands.is_empty() && stage.notices.is_empty());
}

#[test]
fn each_offer_goes_on_with_what_its_tracks_are_to_be_sent_in() {
    let mut stage = Stage::new();
    let client = stage.arrive("p1", LessonRole::Teacher);
    let offered = |stage: &mut Stage| {
        stage.clear();
        let offer = proto::SessionDescription { sdp: "v=0".to_owned(), ..Default::default() };
        stage.ask(&client, Asked::Offer(offer));
        let preferences = stage.commands.iter().find_map(|command| match command {
            Command::PublisherOffer { preferences, .. } => Some(preferences.clone()),
            _ => None,
        });
        let mut named: Vec<_> = preferences
            .expect("the offer goes on")
            .into_iter()
            .map(|one| (one.track_label, one.mime))
            .collect();
        named.sort();
        named
    };
    let pair = |label: &str, mime: &str| (label.to_owned(), mime.to_owned());
    assert!(offered(&mut stage).is_empty());
    stage.ask(&client, Asked::AddTrack(add_track("mic", MIC)));
    let plain = proto::AddTrackRequest { disable_red: true, ..add_track("music", MIC) };
    stage.ask(&client, Asked::AddTrack(plain));
    let codec = proto::SimulcastCodec { codec: "VP9".to_owned(), ..Default::default() };
    let film = proto::AddTrackRequest { simulcast_codecs: vec![codec], ..add_track("cam", CAM) };
    stage.ask(&client, Asked::AddTrack(film));
    stage.ask(&client, Asked::AddTrack(add_track("screen", SCREEN)));
    let all = [pair("cam", "video/vp9"), pair("mic", "audio/red"), pair("music", "audio/opus")];
    assert_eq!(offered(&mut stage), all);
    // Another codec is sent after all: what is agreed stays.
    answer(&mut stage, &client, vec![section("mic", MIC), section("cam", CAM)]);
    for (_, track) in published(&stage) {
        stage.event(Event::TrackStarted { track, mime: "audio/opus".to_owned() });
    }
    assert_eq!(offered(&mut stage), all);
}

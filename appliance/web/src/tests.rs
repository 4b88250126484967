use belfry_classroom::{
    Carried, Cause, ChatMode, ChatTo, Command, LayoutMode, Link, MessageId, Source, View,
};
use belfry_model::{Outside, Pii};
use belfry_session::{Outgoing, Resume};
use serde_json::json;

use crate::wire::{ClientFrame, FRAMES, NEW_LESSONS, outgoing};
use crate::{PARSERS, routes};

fn frame(text: &str) -> Option<ClientFrame> {
    FRAMES.parse(Outside::new(text.as_bytes())).ok()
}

fn command(text: &str) -> Option<Command> {
    match frame(&format!(r#"{{"type":"command","id":1,"command":{text}}}"#))? {
        ClientFrame::Command { command, .. } => Some(command),
        ClientFrame::Unknown { .. } | ClientFrame::Hello { .. } | ClientFrame::Ping => None,
    }
}

#[test]
fn every_parser_accepts_its_seed() {
    for parser in PARSERS {
        assert!(parser.feed(parser.seed()), "{}", parser.name());
    }
}

#[test]
fn the_frames_of_the_protocol_are_read() {
    assert_eq!(
        frame(r#"{"type":"hello","resume":null}"#),
        Some(ClientFrame::Hello { resume: None })
    );
    let resume = Some(Resume { epoch: "e-1".into(), seq: 17 });
    assert_eq!(
        frame(r#"{"type":"hello","resume":{"epoch":"e-1","seq":17}}"#),
        Some(ClientFrame::Hello { resume })
    );
    assert_eq!(frame(r#"{"type":"ping"}"#), Some(ClientFrame::Ping));
    assert_eq!(frame(r#"{"type":"dance"}"#), None);
    let long = "x".repeat(65);
    assert_eq!(
        frame(&format!(r#"{{"type":"hello","resume":{{"epoch":"{long}","seq":1}}}}"#)),
        None
    );
}

#[test]
fn each_command_of_the_protocol_is_read() {
    let who = || "p2".into();
    let table = [
        (r#"{"kind":"raise_hand"}"#, Command::RaiseHand),
        (r#"{"kind":"lower_hand"}"#, Command::LowerHand),
        (r#"{"kind":"lower_hand_of","identity":"p2"}"#, Command::LowerHandOf { identity: who() }),
        (r#"{"kind":"lower_all_hands"}"#, Command::LowerAllHands),
        (
            r#"{"kind":"chat","text":"hi","to":"teachers"}"#,
            Command::Chat { text: Pii::new("hi".into()), to: ChatTo::Teachers },
        ),
        (
            r#"{"kind":"delete_message","message":"7"}"#,
            Command::DeleteMessage { message: MessageId(7) },
        ),
        (r#"{"kind":"admit","identity":"p2"}"#, Command::Admit { identity: who() }),
        (
            r#"{"kind":"refuse","identity":"p2","reason":"r"}"#,
            Command::Refuse { identity: who(), reason: Pii::new("r".into()) },
        ),
        (r#"{"kind":"admit_all"}"#, Command::AdmitAll),
        (
            r#"{"kind":"mute","identity":"p2","source":"screen_share"}"#,
            Command::Mute { identity: who(), source: Source::ScreenShare },
        ),
        (r#"{"kind":"mute_all"}"#, Command::MuteAll),
        (r#"{"kind":"ask_unmute","identity":"p2"}"#, Command::AskUnmute { identity: who() }),
        (
            r#"{"kind":"lock","what":"cameras","on":true}"#,
            Command::Lock { what: Source::Camera, on: true },
        ),
        (
            r#"{"kind":"chat_mode","mode":"teacher_only"}"#,
            Command::ChatMode { mode: ChatMode::TeacherOnly },
        ),
        (
            r#"{"kind":"remove","identity":"p2","reason":"r","block":true}"#,
            Command::Remove { identity: who(), reason: Pii::new("r".into()), block: true },
        ),
        (r#"{"kind":"unblock","identity":"p2"}"#, Command::Unblock { identity: who() }),
        (
            r#"{"kind":"layout","mode":"spotlight","spotlight":"p2"}"#,
            Command::Layout { mode: LayoutMode::Spotlight, spotlight: Some(who()) },
        ),
        (
            r#"{"kind":"follow","on":true,"view":{"mode":"gallery","spotlight":null,"page":2}}"#,
            Command::Follow {
                on: true,
                view: Some(View { mode: LayoutMode::Gallery, spotlight: None, page: 2 }),
            },
        ),
        (
            r#"{"kind":"make_co_teacher","identity":"p2"}"#,
            Command::MakeCoTeacher { identity: who() },
        ),
        (r#"{"kind":"end_co_teacher","identity":"p2"}"#, Command::EndCoTeacher { identity: who() }),
        (r#"{"kind":"leave"}"#, Command::Leave),
        (r#"{"kind":"end"}"#, Command::End),
    ];
    for (text, expect) in table {
        assert_eq!(command(text), Some(expect), "{text}");
    }
}

#[test]
fn words_that_the_protocol_does_not_have_are_refused_by_their_number() {
    for text in [
        r#"{"kind":"chat","text":"hi","to":"p2"}"#,
        r#"{"kind":"lock","what":"microphone","on":true}"#,
        r#"{"kind":"mute","identity":"","source":"camera"}"#,
        r#"{"kind":"delete_message","message":"x"}"#,
        r#"{"kind":"unmute","identity":"p2"}"#,
    ] {
        let framed = format!(r#"{{"type":"command","id":9,"command":{text}}}"#);
        assert_eq!(frame(&framed), Some(ClientFrame::Unknown { id: 9 }), "{text}");
    }
}

#[test]
fn a_new_lesson_needs_a_name_of_one_line() {
    let name =
        |text: &str| NEW_LESSONS.parse(Outside::new(text.as_bytes())).ok().map(|new| new.name);
    assert_eq!(name(r#"{"name":"  Parents'\n evening "}"#).as_deref(), Some("Parents' evening"));
    assert_eq!(name(r#"{"name":"  "}"#), None);
    assert_eq!(name(&format!(r#"{{"name":"{}"}}"#, "x".repeat(65))), None);
}

#[test]
fn answers_are_as_the_protocol_says() {
    let said = |message: &Outgoing| outgoing(message, |_| None);
    assert_eq!(said(&Outgoing::Done { id: 7 }), json!({ "type": "done", "id": 7 }));
    let refusal = belfry_classroom::Refusal::ChatOff;
    assert_eq!(
        said(&Outgoing::Refused { id: 7, refusal }),
        json!({ "type": "refused", "id": 7, "code": "chat_off", "text": refusal.to_string() })
    );
    let link = Link { carried: Carried::Voices, cause: Cause::Bandwidth, loss_percent: 3 };
    let own = json!(
        { "type": "link", "carried": "voices", "cause": "bandwidth", "loss_percent": 3 }
    );
    assert_eq!(said(&Outgoing::Link { other: None, link }), own);
    let mut others = own;
    others["identity"] = json!("p2");
    assert_eq!(said(&Outgoing::Link { other: Some("p2".into()), link }), others);
    assert_eq!(said(&Outgoing::Resumed { seq: 3 }), json!({ "type": "resumed", "seq": 3 }));
}

#[test]
fn every_route_is_declared_once() {
    let table = routes().table();
    for (at, route) in table.iter().enumerate() {
        let same = |other: &belfry_http::Declaration| {
            other.path == route.path && other.method == route.method
        };
        assert!(!table[at + 1..].iter().any(same), "{}", route.path);
    }
}

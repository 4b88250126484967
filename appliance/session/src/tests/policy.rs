//! What the district sets for lessons, held to by live ones.

use belfry_classroom::{Command, LayoutMode, Refusal, Standing};
use belfry_model::{LessonId, LessonRole, PersonId, Pii, SchoolId};
use belfry_settings::{ChatDefault, LessonPolicy, VideoCodec};
use belfry_signalling::token;
use belfry_store::{Band, NewLesson};

use super::{Appliance, chat};
use crate::{OpenError, Outgoing, SignalRefusal, now};

impl Appliance {
    fn set(&self, change: impl FnOnce(&mut LessonPolicy)) {
        self.policy.send_modify(|policy| change(std::sync::Arc::make_mut(policy)));
    }

    /// Another lesson of the school, of this band.
    async fn start(&mut self, band: Band) -> LessonId {
        let new = NewLesson {
            school: SchoolId(1),
            class: None,
            name: "another".into(),
            band,
            started_by: PersonId(1),
            // Unique however soon the next one starts: by the lesson before it, not by the clock.
            guest_code: Pii::new(format!("code after {}", self.lesson)),
        };
        self.lesson = self.store.start_lesson(new, now()).await.unwrap().0.id;
        self.lesson
    }
}

#[tokio::test]
async fn a_guest_link_is_shown_and_opens_only_while_the_district_allows_it() {
    let it = Appliance::new().await;
    let mut teacher = it.open("p1", Standing::Teacher).await;
    assert!(teacher.welcome().await.guest_code.is_some());
    let mut inside = it.open("g1", Standing::Guest).await;
    teacher.command(Command::Admit { identity: "g1".into() }).await.unwrap();
    it.set(|policy| policy.guest_links = false);
    assert!(teacher.welcome().await.guest_code.is_none(), "told at once");
    let refused = it.try_open("g2", Standing::Guest, None).await;
    assert!(matches!(refused, Err(OpenError::Refused(Refusal::GuestLinksOff))));
    // Who is in stays in, also over a new socket.
    inside.command(chat("still here")).await.unwrap();
    it.open("g1", Standing::Guest).await;
}

#[tokio::test]
async fn a_lesson_begins_as_the_district_has_set_it() {
    let mut it = Appliance::new().await;
    it.set(|policy| {
        policy.waiting_room = true;
        policy.chat = ChatDefault::Off;
        policy.video_codec = VideoCodec::Vp9;
    });
    it.start(Band::Grades6To12).await;
    let mut teacher = it.open("p1", Standing::Teacher).await;
    let welcome = teacher.welcome().await;
    assert_eq!(welcome.video_codec, Some(VideoCodec::Vp9));
    assert_eq!(welcome.state.locks.chat, belfry_classroom::ChatMode::Off);
    let mut student = it.open("p2", Standing::Rostered).await;
    assert!(!student.welcome().await.admitted, "students of the class wait, too");

    it.set(|policy| (policy.waiting_room, policy.chat) = (false, ChatDefault::On));
    for (k5_focus, mode) in [(true, LayoutMode::Focus), (false, LayoutMode::Gallery)] {
        it.set(|policy| policy.k5_focus = k5_focus);
        it.start(Band::K5).await;
        let mut teacher = it.open("p1", Standing::Teacher).await;
        let state = teacher.welcome().await.state;
        assert_eq!(state.layout.mode, mode);
        assert_eq!(state.locks.chat, belfry_classroom::ChatMode::TeacherOnly, "however set");
        let mut student = it.open("p2", Standing::Rostered).await;
        assert!(student.welcome().await.admitted);
    }
}

#[tokio::test]
async fn lessons_and_people_above_the_districts_numbers_are_refused() {
    let mut it = Appliance::new().await;
    let _teacher = it.open("p1", Standing::Teacher).await;
    it.set(|policy| (policy.lessons_max, policy.participants_max) = (1, 2));
    let _student = it.open("p2", Standing::Rostered).await;
    let refused = it.try_open("p3", Standing::Rostered, None).await;
    assert!(matches!(refused, Err(OpenError::Refused(Refusal::Full))));
    assert!(!it.sessions.has_place().await);
    let first = it.lesson;
    it.start(Band::K5).await;
    let refused = it.try_open("p1", Standing::Teacher, None).await;
    assert!(matches!(refused, Err(OpenError::TooManyLessons)));
    it.sessions.end(first).await;
    it.ended.recv().await;
    it.open("p1", Standing::Teacher).await;
}

#[tokio::test]
async fn whether_media_would_be_let_in_is_said_as_it_would_be() {
    let it = Appliance::new().await;
    let _teacher = it.open("p1", Standing::Teacher).await;
    let _guest = it.open("gx", Standing::Guest).await;
    let check = async |who: &str, room: &str| {
        let grants = token::Grants::new(who.into(), "", room, LessonRole::Teacher);
        it.sessions.check_signal(&grants).await
    };
    let room = it.lesson.to_string();
    assert_eq!(check("p1", &room).await, Ok(()));
    assert_eq!(check("gx", &room).await, Err(SignalRefusal::NotAdmitted));
    assert_eq!(check("p1", "99").await, Err(SignalRefusal::NoLesson));
}

#[tokio::test]
async fn a_link_is_told_to_its_participant_and_the_teacher_and_again_to_who_comes_anew() {
    use belfry_classroom::Carried;
    use belfry_media_api as media;
    let mut it = Appliance::new().await;
    let mut teacher = it.open("p1", Standing::Teacher).await;
    let mut student = it.open("p2", Standing::Rostered).await;
    let _signal = it.open_signal("p2").await.unwrap();
    let sid = loop {
        if let media::Command::OpenParticipant { participant, .. } =
            it.commands.recv().await.unwrap()
        {
            break participant;
        }
    };
    let downlink = media::Downlink {
        carried: media::Carried::Voices,
        cause: media::Cause::Loss,
        estimate_bps: 100_000,
        sent_bps: 90_000,
        loss_percent: 12,
        rtt_ms: 90,
    };
    let participant = sid.clone();
    it.sessions.media_event(media::Event::Downlink { participant, downlink }).await;
    let told = |message: &Outgoing| match message {
        Outgoing::Link { other, link } => Some((other.clone(), link.carried, link.loss_percent)),
        _ => None,
    };
    assert_eq!(student.until(told).await, (None, Carried::Voices, 12));
    let of_student = (Some("p2".into()), Carried::Voices, 12);
    assert_eq!(teacher.until(told).await, of_student);
    let report = it.links.recv().await.unwrap();
    assert_eq!((report.lesson, report.identity.as_str(), report.sid), (it.lesson, "p2", sid));
    assert_eq!(report.event, crate::LinkEvent::Downlink(downlink));

    let mut teacher = it.open("p1", Standing::Teacher).await;
    teacher.welcome().await;
    assert_eq!(teacher.until(told).await, of_student);
}

#[tokio::test]
async fn the_media_plane_is_told_who_is_in_the_spotlight() {
    use belfry_media_api as media;
    let mut it = Appliance::new().await;
    let mut teacher = it.open("p1", Standing::Teacher).await;
    let _student = it.open("p2", Standing::Rostered).await;
    let _signal = it.open_signal("p2").await.unwrap();
    let spotlight = Some("p2".into());
    teacher.command(Command::Layout { mode: LayoutMode::Spotlight, spotlight }).await.unwrap();
    let mut opened = None;
    loop {
        match it.commands.recv().await.unwrap() {
            media::Command::OpenParticipant { participant, .. } => opened = Some(participant),
            media::Command::Spotlight { participants, .. } => {
                assert_eq!(participants, [opened.unwrap()]);
                break;
            }
            _ => {}
        }
    }
}

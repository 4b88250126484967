//! Lessons that fail inside, and lessons that end.

use belfry_classroom::{Command, Phase, Source, Standing};
use belfry_media_api as media;

use super::{Appliance, PATIENCE, chat};
use crate::hub::Input;
use crate::{OpenError, SignalOut};

impl Appliance {
    /// Makes the lesson's hub fail.
    async fn fail(&self) {
        let hub = self.sessions.hub(self.lesson).await.unwrap();
        let _ = hub.send(Input::Fail).await;
        hub.closed().await;
    }
}

#[tokio::test]
async fn a_lesson_that_fails_inside_comes_back_by_itself_as_it_was() {
    let mut it = Appliance::new().await;
    let mut teacher = it.open("p1", Standing::Teacher).await;
    let mut student = it.open("p2", Standing::Rostered).await;
    teacher.command(Command::Lock { what: Source::Camera, on: true }).await.unwrap();
    teacher.command(chat("kept")).await.unwrap();
    let mut signal = it.open_signal("p2").await.unwrap();
    // The second change waits for its turn to be written.
    let written = async {
        loop {
            let kept = it.store.kept_lesson(it.lesson).await.unwrap().unwrap();
            let snapshot = kept.snapshot.unwrap_or_default();
            if kept.chat.len() == 1 && snapshot.contains(r#""locked":["camera"#) {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, written).await.unwrap();
    it.fail().await;

    // Sockets are closed without a farewell, which sends their clients back.
    while student.next().await.is_some() {}
    while !matches!(signal.next().await, None | Some(SignalOut::Close)) {}
    let back = async {
        while it.sessions.summary(it.lesson).await.is_none_or(|live| live.phase != Phase::Open) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, back).await.expect("nobody has come, and it is there");
    let mut closed = false;
    while let Ok(command) = it.commands.try_recv() {
        closed |= matches!(command, media::Command::CloseRoom { .. });
    }
    assert!(closed, "the old room is gone from the media plane");
    let mut student = it.open("p2", Standing::Rostered).await;
    let welcome = student.welcome().await;
    assert!(welcome.admitted && welcome.state.locks.cameras);
    assert_eq!(welcome.state.chat[0].text.reveal(), "kept");
    assert!(it.ended.try_recv().is_err());
}

#[tokio::test]
async fn a_lesson_that_fails_again_and_again_waits_for_somebody_to_come() {
    let it = Appliance::new().await;
    for _ in 0..=super::super::sessions::FAILURES_MAX {
        it.fail().await;
    }
    let away = async {
        while it.sessions.summary(it.lesson).await.is_some() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, away).await.unwrap();
    it.open("p1", Standing::Teacher).await;
}

#[tokio::test]
async fn whoever_asked_for_it_is_told_when_a_lesson_has_ended() {
    let mut it = Appliance::new().await;
    let teacher = it.open("p1", Standing::Teacher).await;
    teacher.socket.command(1, Command::End).await;
    let told = tokio::time::timeout(PATIENCE, it.ended.recv()).await.unwrap();
    assert_eq!(told, Some(it.lesson));
    assert!(it.store.kept_lesson(it.lesson).await.unwrap().is_none(), "and it is written");
    let again = it.try_open("p1", Standing::Teacher, None).await;
    assert!(matches!(again, Err(OpenError::NoLesson)));
    // A stop of the process is no end.
    let it = Appliance::new().await;
    it.open("p1", Standing::Teacher).await;
    let mut ended = it.ended;
    it.sessions.stop().await;
    assert!(ended.try_recv().is_err());
}

mod policy;
mod rescue;

use std::sync::Arc;
use std::time::Duration;

use belfry_audit::EventKind;
use belfry_classroom::{
    Arrival, ChatTo, Command, LayoutMode, Notice, Phase, Refusal, Source, Standing, State, declared,
};
use belfry_ledger::Ledger;
use belfry_media_api as media;
use belfry_model::{Identity, LessonId, LessonRole, Outside, PersonId, Pii, Role};
use belfry_settings::{LessonPolicy, VideoCodec};
use belfry_signalling::query::Query;
use belfry_signalling::{IceServer, IceServers, Signer, token};
use belfry_store::{Band, LessonChanges, NewClass, NewLesson, NewPerson, Store};
use tokio::sync::{mpsc, watch};

use crate::{
    ClassEvent, ClassSocket, Config, Farewell, LinkReport, OpenError, Outgoing, Resume, Sessions,
    SignalOut, SignalRefusal, now,
};

/// Longer than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// An appliance without its sockets: a real database, a real record, no media process.
struct Appliance {
    dir: tempfile::TempDir,
    store: Store,
    ledger: Ledger,
    sessions: Sessions,
    commands: mpsc::Receiver<media::Command>,
    policy: watch::Sender<Arc<LessonPolicy>>,
    links: mpsc::Receiver<LinkReport>,
    ended: mpsc::Receiver<LessonId>,
    lesson: LessonId,
}

/// The other ends of what the sessions are made with.
struct Ends {
    commands: mpsc::Receiver<media::Command>,
    policy: watch::Sender<Arc<LessonPolicy>>,
    links: mpsc::Receiver<LinkReport>,
    ended: mpsc::Receiver<LessonId>,
}

fn sessions(store: &Store, ledger: &Ledger) -> (Sessions, Ends) {
    let (sender, commands) = mpsc::channel(1_024);
    let policy = LessonPolicy { guest_links: true, ..LessonPolicy::default() };
    let (policy, followed) = watch::channel(Arc::new(policy));
    let (links_sender, links) = mpsc::channel(16);
    let (ended_sender, ended) = mpsc::channel(16);
    let stun = IceServer {
        urls: vec!["stun:127.0.0.1:3478".into()],
        username: String::new(),
        credential: String::new(),
    };
    let signer = Signer::new("test", b"secret");
    let ice = IceServers::new(vec![stun]);
    let config = Config {
        policy: followed,
        links: Some(links_sender),
        ended: Some(ended_sender),
        ..Config::new(store.clone(), ledger.clone(), signer, ice, sender)
    };
    (Sessions::new(config), Ends { commands, policy, links, ended })
}

impl Appliance {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("belfry.db")).unwrap();
        let ledger = Ledger::open(&dir.path().join("audit.db")).unwrap();
        let district = store.create_district("D".into(), now()).await.unwrap();
        let school = store.create_school(district, "S".into(), now()).await.unwrap();
        let teacher = NewPerson {
            school,
            username: Pii::new("lee".into()),
            name: Pii::new("Lee".into()),
            role: Role::Teacher,
            password_hash: "x".into(),
            must_change: false,
            disabled: false,
        };
        let started_by = store.create_person(teacher, now()).await.unwrap();
        assert_eq!(started_by, PersonId(1));
        let class = NewClass { school, name: "4b".into(), band: Band::Grades6To12 };
        let class = store.create_class(class, now()).await.unwrap();
        let new = NewLesson {
            school,
            class: Some(class),
            name: "4b".into(),
            band: Band::Grades6To12,
            started_by,
            guest_code: Pii::new("code".into()),
        };
        let (lesson, _) = store.start_lesson(new, now()).await.unwrap();
        let (sessions, Ends { commands, policy, links, ended }) = sessions(&store, &ledger);
        let lesson = lesson.id;
        Self { dir, store, ledger, sessions, commands, policy, links, ended, lesson }
    }

    async fn try_open(
        &self,
        who: &str,
        standing: Standing,
        resume: Option<Resume>,
    ) -> Result<Seat, OpenError> {
        let name = Pii::new(format!("Name of {who}"));
        let arrival = Arrival { identity: who.into(), name, standing };
        let socket = self.sessions.open_class(self.lesson, arrival, resume).await?;
        Ok(Seat { socket, identity: who.into() })
    }

    async fn open(&self, who: &str, standing: Standing) -> Seat {
        self.try_open(who, standing, None).await.unwrap()
    }

    async fn open_signal(&self, who: &str) -> Result<crate::SignalSocket, SignalRefusal> {
        let room = self.lesson.to_string();
        let grants =
            token::Grants::new(who.into(), "as the token says", &room, LessonRole::Teacher);
        self.sessions.open_signal(grants, Query::default()).await
    }

    /// The kinds in the record, oldest first.
    async fn recorded(&self) -> Vec<EventKind> {
        let (ledger, lesson) = (self.ledger.clone(), self.lesson);
        // What was enqueued before is on the disk when this is.
        let detail =
            belfry_audit::Detail::GuestLinkCreated { lesson: belfry_audit::Lesson(lesson.0) };
        let scope = belfry_audit::Scope::district(1);
        let actor = belfry_audit::Actor::Appliance;
        ledger.append(belfry_audit::Event { at_ms: 0, scope, actor, detail }).await.unwrap();
        let page = tokio::task::spawn_blocking(move || ledger.page_blocking(None, 500, None));
        let entries = page.await.unwrap().unwrap().entries;
        entries.iter().rev().filter_map(|entry| entry.kind).collect()
    }
}

struct Seat {
    socket: ClassSocket,
    identity: Identity,
}

struct Welcome {
    epoch: String,
    seq: u64,
    token: Option<Pii<String>>,
    video_codec: Option<VideoCodec>,
    state: State,
    admitted: bool,
    guest_code: Option<Pii<String>>,
}

impl Seat {
    async fn next(&mut self) -> Option<Outgoing> {
        tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("something is said")
    }

    /// The first message that `pick` takes; those before it are passed over.
    async fn until<T>(&mut self, mut pick: impl FnMut(&Outgoing) -> Option<T>) -> T {
        loop {
            let message = self.next().await.expect("the socket is open");
            if let Some(picked) = pick(&message) {
                return picked;
            }
        }
    }

    async fn welcome(&mut self) -> Welcome {
        self.until(|message| match message.clone() {
            Outgoing::Welcome { epoch, seq, you, media, state, guest_code, .. } => Some(Welcome {
                epoch,
                seq,
                video_codec: media.as_ref().map(|media| media.video_codec),
                token: media.map(|media| media.token),
                state: *state,
                admitted: you.admitted,
                guest_code,
            }),
            _ => None,
        })
        .await
    }

    async fn notice<T>(&mut self, mut pick: impl FnMut(&Notice) -> Option<T>) -> T {
        self.until(|message| match message {
            Outgoing::Event { event, .. } => match &**event {
                ClassEvent::Notice(notice) => pick(notice),
                _ => None,
            },
            _ => None,
        })
        .await
    }

    async fn command(&mut self, command: Command) -> Result<(), Refusal> {
        self.socket.command(9, command).await;
        self.until(|message| match message {
            Outgoing::Done { id: 9 } => Some(Ok(())),
            Outgoing::Refused { id: 9, refusal } => Some(Err(*refusal)),
            _ => None,
        })
        .await
    }

    async fn farewell(&mut self) -> Farewell {
        self.until(|message| match message {
            Outgoing::Bye(farewell) => Some(farewell.clone()),
            _ => None,
        })
        .await
    }
}

fn chat(text: &str) -> Command {
    Command::Chat { text: Pii::new(text.into()), to: ChatTo::Everyone }
}

#[tokio::test]
async fn a_student_waits_for_the_teacher_and_is_then_given_everything_with_a_token() {
    let it = Appliance::new().await;
    let mut student = it.open("p2", Standing::Rostered).await;
    let waiting = student.welcome().await;
    assert!(!waiting.admitted && waiting.token.is_none() && waiting.guest_code.is_none());

    let mut teacher = it.open("p1", Standing::Teacher).await;
    let first = teacher.welcome().await;
    assert_eq!(first.state.lesson.phase, Phase::Open);
    assert_eq!(first.guest_code.unwrap().reveal(), "code");

    student
        .until(|message| match message {
            Outgoing::Event { event, .. } => {
                matches!(&**event, ClassEvent::Admitted { you, .. } if you.admitted).then_some(())
            }
            _ => None,
        })
        .await;
    let welcome = student.welcome().await;
    assert_eq!(welcome.state.participants.len(), 2);
    let token = welcome.token.unwrap();
    let signer = Signer::new("test", b"secret");
    let grants = token::verify(&signer, Outside::new(token.reveal().as_bytes()), now()).unwrap();
    assert_eq!((grants.identity, grants.role), ("p2".into(), LessonRole::Student));
    assert_eq!(grants.room, it.lesson.to_string());
    assert_eq!(it.sessions.summary(it.lesson).await.unwrap().phase, Phase::Open);
}

#[tokio::test]
async fn a_lost_socket_resumes_with_what_it_missed_and_an_old_place_gets_everything() {
    let it = Appliance::new().await;
    let mut teacher = it.open("p1", Standing::Teacher).await;
    let mut student = it.open("p2", Standing::Rostered).await;
    let Welcome { epoch, seq, .. } = student.welcome().await;
    drop(student);
    for text in ["one", "two"] {
        teacher.command(chat(text)).await.unwrap();
    }
    let place = Resume { epoch: epoch.clone(), seq };
    let mut student = it.try_open("p2", Standing::Rostered, Some(place)).await.unwrap();
    assert!(matches!(student.next().await, Some(Outgoing::Resumed { seq: at }) if at == seq));
    let mut last = seq;
    let mut texts = Vec::new();
    while texts.len() < 2 {
        let Some(Outgoing::Event { seq, event }) = student.next().await else {
            panic!("only events follow a resume");
        };
        assert_eq!(seq, last + 1);
        last = seq;
        if let ClassEvent::Notice(Notice::Chat(message)) = &*event {
            texts.push(message.text.reveal().clone());
        }
    }
    assert_eq!(texts, ["one", "two"]);

    for stale in [Resume { epoch: "other".into(), seq }, Resume { epoch, seq: last + 100 }] {
        let mut again = it.try_open("p2", Standing::Rostered, Some(stale)).await.unwrap();
        let welcome = again.welcome().await;
        assert_eq!(welcome.state.chat.len(), 2);
    }
}

#[tokio::test]
async fn a_second_window_takes_over_from_the_first() {
    let it = Appliance::new().await;
    let mut first = it.open("p1", Standing::Teacher).await;
    let mut second = it.open("p1", Standing::Teacher).await;
    assert_eq!(first.farewell().await, Farewell::Elsewhere);
    assert!(first.next().await.is_none());
    drop(first);
    second.command(Command::RaiseHand).await.unwrap();
    assert_eq!(it.sessions.summary(it.lesson).await.unwrap().phase, Phase::Open);
}

#[tokio::test]
async fn only_those_in_the_lesson_get_media_and_with_what_the_lesson_grants_now() {
    let mut it = Appliance::new().await;
    let mut teacher = it.open("p1", Standing::Teacher).await;
    let mut guest = it.open("gx", Standing::Guest).await;
    assert!(!guest.welcome().await.admitted);
    assert_eq!(it.open_signal("gx").await.unwrap_err(), SignalRefusal::NotAdmitted);
    teacher.command(Command::Admit { identity: "gx".into() }).await.unwrap();
    let mut signal = it.open_signal("gx").await.unwrap();
    assert!(matches!(signal.next().await, Some(SignalOut::Frame(_))), "the join response");
    let opened = tokio::time::timeout(PATIENCE, it.commands.recv()).await.unwrap().unwrap();
    assert!(matches!(opened, media::Command::OpenParticipant { .. }), "{opened:?}");

    let remove =
        Command::Remove { identity: "gx".into(), reason: Pii::new("r".into()), block: true };
    teacher.command(remove).await.unwrap();
    let mut closed = false;
    while let Some(out) = tokio::time::timeout(PATIENCE, signal.next()).await.unwrap() {
        closed |= matches!(out, SignalOut::Close);
    }
    assert!(closed);
    assert!(matches!(guest.farewell().await, Farewell::Lesson(_)));
    assert_eq!(it.open_signal("gx").await.unwrap_err(), SignalRefusal::NotAdmitted);
    let again = it.try_open("gx", Standing::Guest, None).await;
    assert!(matches!(again, Err(OpenError::Refused(Refusal::Blocked))));
}

#[tokio::test]
async fn a_lesson_survives_the_process() {
    let it = Appliance::new().await;
    let mut teacher = it.open("p1", Standing::Teacher).await;
    let mut student = it.open("p2", Standing::Rostered).await;
    student.command(Command::RaiseHand).await.unwrap();
    teacher.command(chat("kept")).await.unwrap();
    teacher.command(Command::Lock { what: Source::Camera, on: true }).await.unwrap();
    it.sessions.stop().await;
    assert_eq!(student.farewell().await, Farewell::Restarting);

    let (next, _ends) = sessions(&it.store, &it.ledger);
    assert_eq!(next.restore().await.unwrap(), 1);
    let it = Appliance { sessions: next, ..it };
    let mut student = it.open("p2", Standing::Rostered).await;
    let welcome = student.welcome().await;
    assert!(welcome.admitted && welcome.state.locks.cameras);
    assert_eq!(welcome.state.chat[0].text.reveal(), "kept");
    let own = welcome.state.participants.iter().find(|one| one.identity == student.identity);
    assert!(own.unwrap().hand.is_some());
    drop(it.dir);
}

#[tokio::test]
async fn an_ended_lesson_is_over_for_all_and_in_the_database() {
    let it = Appliance::new().await;
    let mut teacher = it.open("p1", Standing::Teacher).await;
    let mut student = it.open("p2", Standing::Rostered).await;
    teacher.socket.command(1, Command::End).await;
    assert!(matches!(student.farewell().await, Farewell::Lesson(_)));
    assert!(matches!(teacher.farewell().await, Farewell::Lesson(_)));
    it.sessions.stop().await;
    assert!(it.store.kept_lessons().await.unwrap().is_empty());
    let again = it.try_open("p1", Standing::Teacher, None).await;
    assert!(matches!(again, Err(OpenError::NoLesson)));
}

#[tokio::test]
async fn a_lesson_that_ended_in_the_database_is_not_revived() {
    let it = Appliance::new().await;
    let ended = LessonChanges { ended: true, ..LessonChanges::default() };
    it.store.keep_lesson(it.lesson, ended, now()).await.unwrap();
    let opened = it.try_open("p1", Standing::Teacher, None).await;
    assert!(matches!(opened, Err(OpenError::NoLesson)));
    assert_eq!(it.open_signal("p1").await.unwrap_err(), SignalRefusal::NoLesson);
}

#[tokio::test]
async fn each_command_records_what_it_declares() {
    let it = Appliance::new().await;
    let mut teacher = it.open("p1", Standing::Teacher).await;
    let mut seats = Vec::new();
    for who in ["p2", "p3", "p4"] {
        seats.push(it.open(who, Standing::Rostered).await);
    }
    for who in ["g1", "g2", "g3"] {
        seats.push(it.open(who, Standing::Guest).await);
    }
    teacher.command(chat("hello")).await.unwrap();
    let reason = || Pii::new("reason".to_owned());
    let (p2, p3): (Identity, Identity) = ("p2".into(), "p3".into());
    let commands = [
        Command::DeleteMessage { message: belfry_classroom::MessageId(1) },
        Command::Admit { identity: "g1".into() },
        Command::Refuse { identity: "g2".into(), reason: reason() },
        Command::AdmitAll,
        Command::Mute { identity: p2.clone(), source: Source::Microphone },
        Command::MuteAll,
        Command::AskUnmute { identity: p2.clone() },
        Command::Lock { what: Source::Camera, on: true },
        Command::ChatMode { mode: belfry_classroom::ChatMode::Off },
        Command::MakeCoTeacher { identity: p2.clone() },
        Command::EndCoTeacher { identity: p2 },
        Command::Layout { mode: LayoutMode::Focus, spotlight: None },
        Command::Follow { on: true, view: None },
        Command::Remove { identity: p3.clone(), reason: reason(), block: true },
        Command::Unblock { identity: p3 },
    ];
    for command in commands {
        let kind = declared(command.kind()).kind().expect("each of these is recorded");
        let count = |kinds: &[EventKind]| kinds.iter().filter(|found| **found == kind).count();
        let before = count(&it.recorded().await);
        teacher.command(command.clone()).await.unwrap();
        let after = count(&it.recorded().await);
        assert_eq!(after, before + 1, "{command:?}");
    }
    for command in [Command::Leave, Command::End] {
        let mut seat = it.open("p1", Standing::Teacher).await;
        seat.welcome().await;
        seat.socket.command(1, command.clone()).await;
        while seat.next().await.is_some() {}
        let kind = declared(command.kind()).kind().unwrap();
        assert!(it.recorded().await.contains(&kind), "{command:?}");
    }
}

#[tokio::test]
async fn a_media_socket_alone_keeps_somebody_in_the_lesson() {
    let it = Appliance::new().await;
    let mut teacher = it.open("p1", Standing::Teacher).await;
    let mut student = it.open("p2", Standing::Rostered).await;
    student.welcome().await;
    let signal = it.open_signal("p2").await.unwrap();
    drop(student);
    teacher.command(chat("so that what came before is over")).await.unwrap();
    assert_eq!(it.sessions.summary(it.lesson).await.unwrap().present_count, 2);
    drop(signal);
    let connected = teacher.notice(|notice| match notice {
        Notice::Participant(one) if one.identity == "p2".into() && !one.connected => Some(false),
        _ => None,
    });
    // The room keeps a media socket's participant for a resume before it says that it has left.
    assert!(tokio::time::timeout(Duration::from_millis(50), connected).await.is_err());
}

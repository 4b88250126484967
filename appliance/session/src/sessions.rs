//! The registry of live lessons.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use belfry_classroom::{
    Arrival, Band, ChatTo, Lesson, Message, MessageId, Phase, Profile, Refusal,
};
use belfry_ledger::Ledger;
use belfry_media_api::{Command, Event};
use belfry_model::{LessonId, RoomSid};
use belfry_settings::LessonPolicy;
use belfry_signalling::{
    IceServers, JoinRefusal, Random, RoomConfig, Signer, query::Query, token::Grants,
};
use belfry_store::{self as store, KeptLesson, Store};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::class::{ClassSocket, Resume};
use crate::clock;
use crate::hub::{Hub, INPUTS_MAX, Input};
use crate::links::LinkReport;
use crate::route::{Routes, Subject};
use crate::signal::{SignalRefusal, SignalSocket};

/// Lessons that are live at the same time.
const LESSONS_MAX: usize = 500;

/// What the sessions are made with.
#[derive(Debug)]
pub struct Config {
    pub store: Store,
    pub ledger: Ledger,
    /// Signs media tokens.
    pub signer: Signer,
    pub ice: IceServers,
    /// To the media process. Never waited for: when it is full, the media process is wedged, and
    /// its supervisor replaces it.
    pub commands: mpsc::Sender<Command>,
    /// What the district has set for lessons; followed while they run.
    pub policy: watch::Receiver<Arc<LessonPolicy>>,
    /// Where reports on the participants' ways to this machine go. Never waited for: when it is
    /// full, a report is lost.
    pub links: Option<mpsc::Sender<LinkReport>>,
    /// Told of each lesson that has ended and is written.
    pub ended: Option<mpsc::Sender<LessonId>>,
}

impl Config {
    /// With the policy of the default settings, and nobody who listens.
    pub fn new(
        store: Store,
        ledger: Ledger,
        signer: Signer,
        ice: IceServers,
        commands: mpsc::Sender<Command>,
    ) -> Self {
        // A receiver keeps the last value when its sender is gone.
        let (_, policy) = watch::channel(Arc::default());
        Self { store, ledger, signer, ice, commands, policy, links: None, ended: None }
    }
}

/// What a list of lessons shows of a live one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    pub phase: Phase,
    pub present_count: usize,
}

/// Why a class socket is not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("there is no such lesson now")]
    NoLesson,
    #[error("the lesson does not take this participant")]
    Refused(#[source] Refusal),
    #[error("more than {LESSONS_MAX} lessons are live")]
    TooManyLessons,
    #[error("the lesson could not be read")]
    Store(#[source] store::Error),
}

pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) ledger: Ledger,
    pub(crate) signer: Signer,
    ice: IceServers,
    commands: mpsc::Sender<Command>,
    pub(crate) policy: watch::Receiver<Arc<LessonPolicy>>,
    pub(crate) links: Option<mpsc::Sender<LinkReport>>,
    ended: Option<mpsc::Sender<LessonId>>,
    routes: Routes,
}

impl Shared {
    pub(crate) fn room_config(&self, lesson: LessonId) -> RoomConfig {
        let sid = RoomSid::new(format!("RM_{:016x}", rand::random::<u64>()));
        let random = Random::new(|bytes| rand::fill(bytes));
        let (ice, signer) = (self.ice.clone(), self.signer.clone());
        RoomConfig::new(sid, lesson.to_string(), ice, signer, random)
    }

    pub(crate) fn command(&self, lesson: LessonId, command: Command) {
        self.routes.learn(lesson, &command);
        if self.commands.try_send(command).is_err() {
            tracing::error!(%lesson, "the media process does not take commands");
        }
    }
}

/// All live lessons. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    shared: Arc<Shared>,
    /// Locked while a lesson is looked up in the database, so that it is not revived twice.
    live: Arc<Mutex<HashMap<LessonId, Live>>>,
}

struct Live {
    inputs: mpsc::Sender<Input>,
    summary: watch::Receiver<Summary>,
    task: JoinHandle<()>,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

impl Sessions {
    pub fn new(config: Config) -> Self {
        let Config { store, ledger, signer, ice, commands, policy, links, ended } = config;
        let routes = Routes::default();
        let shared = Shared { store, ledger, signer, ice, commands, policy, links, ended, routes };
        Self { shared: Arc::new(shared), live: Arc::default() }
    }

    /// Brings back the lessons that had not ended when the last process did.
    pub async fn restore(&self) -> Result<usize, store::Error> {
        let kept = self.shared.store.kept_lessons().await?;
        let count = kept.len();
        let mut live = self.live.lock().await;
        for kept in kept {
            self.revive(&mut live, kept);
        }
        Ok(count)
    }

    /// Brings a lesson to life before anybody has come, so that its timers run.
    pub async fn wake(&self, lesson: LessonId) -> Result<(), OpenError> {
        self.hub(lesson).await.map(drop)
    }

    /// What is live of a lesson; `None`: nothing is.
    pub async fn summary(&self, lesson: LessonId) -> Option<Summary> {
        let live = self.live.lock().await;
        live.get(&lesson).map(|live| *live.summary.borrow())
    }

    /// Lessons that are live, and participants present in them.
    pub async fn counts(&self) -> (usize, usize) {
        let live = self.live.lock().await;
        let present = live.values().map(|live| live.summary.borrow().present_count).sum();
        (live.len(), present)
    }

    /// Opens a class socket of somebody whose standing has been looked up.
    pub async fn open_class(
        &self,
        lesson: LessonId,
        arrival: Arrival,
        resume: Option<Resume>,
    ) -> Result<ClassSocket, OpenError> {
        let hub = self.hub(lesson).await?;
        let (answer, answered) = oneshot::channel();
        let input = Input::ClassOpened { arrival, resume, answer };
        hub.send(input).await.map_err(|_| OpenError::NoLesson)?;
        let opened = answered.await.map_err(|_| OpenError::NoLesson)?;
        opened.map_err(OpenError::Refused)
    }

    /// Opens a signalling socket with the grants of a token that has been verified. Asked before
    /// the upgrade, so that a refusal is an HTTP status.
    pub async fn open_signal(
        &self,
        grants: Grants,
        query: Query,
    ) -> Result<SignalSocket, SignalRefusal> {
        let number =
            grants.room.parse().map_err(|_| SignalRefusal::Room(JoinRefusal::OtherRoom))?;
        let hub = self.hub(LessonId(number)).await.map_err(|error| match error {
            OpenError::NoLesson | OpenError::Refused(_) => SignalRefusal::NoLesson,
            OpenError::TooManyLessons | OpenError::Store(_) => SignalRefusal::Unavailable,
        })?;
        let (answer, answered) = oneshot::channel();
        let Grants { identity, .. } = grants;
        let input = Input::SignalOpened { identity, query: Box::new(query), answer };
        hub.send(input).await.map_err(|_| SignalRefusal::NoLesson)?;
        answered.await.map_err(|_| SignalRefusal::NoLesson)?
    }

    /// An event of the media process, for the lesson that it is about. Events that come after
    /// their participant has gone are dropped.
    pub async fn media_event(&self, event: Event) {
        let Some(subject) = Subject::of(&event) else { return };
        let Some(lesson) = self.shared.routes.lesson(&subject) else { return };
        let hub = self.live.lock().await.get(&lesson).map(|live| live.inputs.clone());
        if let Some(hub) = hub {
            let _ = hub.send(Input::Media(event)).await;
        }
    }

    /// The media process is new: every client is told to come back.
    pub async fn media_restarted(&self) {
        self.tell_all(|| Input::MediaRestarted).await;
    }

    /// Ends a lesson for all, by the appliance. `false`: it is not live.
    pub async fn end(&self, lesson: LessonId) -> bool {
        let hub = self.live.lock().await.get(&lesson).map(|live| live.inputs.clone());
        match hub {
            Some(hub) => hub.send(Input::End).await.is_ok(),
            None => false,
        }
    }

    /// The process stops: tells every client to come back, and returns when every lesson's state
    /// is written.
    pub async fn stop(&self) {
        self.tell_all(|| Input::Stop).await;
        let tasks: Vec<_> = self.live.lock().await.drain().map(|(_, live)| live.task).collect();
        for task in tasks {
            let _ = task.await;
        }
    }

    async fn tell_all(&self, input: impl Fn() -> Input) {
        let live = self.live.lock().await;
        let hubs: Vec<_> = live.values().map(|live| live.inputs.clone()).collect();
        drop(live);
        for hub in hubs {
            let _ = hub.send(input()).await;
        }
    }

    /// The hub of a lesson, brought to life if it has not ended.
    async fn hub(&self, lesson: LessonId) -> Result<mpsc::Sender<Input>, OpenError> {
        let mut live = self.live.lock().await;
        if let Some(found) = live.get(&lesson).filter(|live| !live.inputs.is_closed()) {
            return Ok(found.inputs.clone());
        }
        live.retain(|_, live| !live.inputs.is_closed());
        if live.len() >= LESSONS_MAX {
            return Err(OpenError::TooManyLessons);
        }
        let kept = self.shared.store.kept_lesson(lesson).await.map_err(OpenError::Store)?;
        Ok(self.revive(&mut live, kept.ok_or(OpenError::NoLesson)?))
    }

    fn revive(&self, live: &mut HashMap<LessonId, Live>, kept: KeptLesson) -> mpsc::Sender<Input> {
        let (inputs, receiver) = mpsc::channel(INPUTS_MAX);
        let id = kept.lesson.id;
        let (of, lesson) = rules(kept);
        let summary = Summary { phase: lesson.phase(), present_count: lesson.present_count() };
        let (told, summary) = watch::channel(summary);
        let hub = Hub::new(Arc::clone(&self.shared), inputs.clone(), of, lesson, told);
        let sessions = self.clone();
        let task = tokio::spawn(async move {
            // A lesson that fails inside is one lesson's loss: it comes back from what was kept.
            if let Err(failed) = tokio::spawn(hub.run(receiver)).await {
                tracing::error!(lesson = %id, panicked = failed.is_panic(), "a lesson failed");
            }
            for room in sessions.shared.routes.forget(id) {
                sessions.shared.command(id, Command::CloseRoom { room });
            }
            let mut live = sessions.live.lock().await;
            if live.get(&id).is_some_and(|live| live.inputs.is_closed()) {
                live.remove(&id);
            }
        });
        live.insert(id, Live { inputs: inputs.clone(), summary, task });
        inputs
    }
}

/// The rules of a lesson as they were, or new ones for a lesson that nothing is kept of.
fn rules(kept: KeptLesson) -> (store::Lesson, Lesson) {
    let KeptLesson { lesson: of, snapshot, chat } = kept;
    let now = clock::now();
    let chat = chat.into_iter().filter_map(message);
    // inside: the snapshot is what a hub of this house wrote to `belfry.db`.
    let snapshot = snapshot.and_then(|text| {
        let read = serde_json::from_str(&text);
        read.inspect_err(
            |error| tracing::warn!(lesson = %of.id, %error, "a kept lesson is unreadable"),
        )
        .ok()
    });
    let restored = snapshot.and_then(|snapshot| Lesson::restore(snapshot, chat, now));
    let lesson = restored.unwrap_or_else(|| {
        let band = Band::parse(of.band.as_str()).expect("both crates have the same two bands");
        let profile = Profile { lesson: of.id, name: of.name.clone(), band, rostered_pass: true };
        Lesson::new(profile, of.created_at)
    });
    (of, lesson)
}

fn message(kept: store::ChatMessage) -> Option<Message> {
    Some(Message {
        id: MessageId(kept.number),
        from: kept.identity,
        name: kept.name,
        text: kept.text,
        at: kept.sent_at,
        to: ChatTo::parse(kept.sent_to)?,
    })
}

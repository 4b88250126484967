//! The registry of live lessons.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use belfry_classroom::{Arrival, Phase, Refusal};
use belfry_kept::Keeper;
use belfry_ledger::Ledger;
use belfry_media_api::{Command, Event};
use belfry_model::{LessonId, RoomSid, Timestamp};
use belfry_settings::LessonPolicy;
use belfry_signalling::{
    IceServers, JoinRefusal, Random, RoomConfig, Signer, query::Query, token::Grants,
};
use belfry_store::{self as store, KeptLesson, Store};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinHandle};

use crate::class::{ClassSocket, Resume};
use crate::clock;
use crate::hub::{Hub, INPUTS_MAX, Input};
use crate::links::LinkReport;
use crate::route::Routes;
use crate::signal::{SignalRefusal, SignalSocket};

/// How often a lesson that fails inside comes back by itself within [`FAILURES_WITHIN_MS`]; after that
/// it waits for somebody to come.
pub(crate) const FAILURES_MAX: usize = 5;
const FAILURES_WITHIN_MS: i64 = 60_000;

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
    #[error("as many lessons are live as the district allows")]
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
    /// When lessons failed inside.
    failures: std::sync::Mutex<Vec<(LessonId, Timestamp)>>,
}

impl Shared {
    pub(crate) fn policy(&self) -> Arc<LessonPolicy> {
        Arc::clone(&self.policy.borrow())
    }

    /// Counts a failure.
    fn may_come_back(&self, lesson: LessonId, now: Timestamp) -> bool {
        let lock = self.failures.lock();
        let mut failures = lock.unwrap_or_else(std::sync::PoisonError::into_inner);
        failures.retain(|(_, at)| now.since_ms(*at) < FAILURES_WITHIN_MS);
        failures.push((lesson, now));
        failures.iter().filter(|(failed, _)| *failed == lesson).count() <= FAILURES_MAX
    }

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
        let failures = std::sync::Mutex::default();
        let shared =
            Shared { store, ledger, signer, ice, commands, policy, links, ended, routes, failures };
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

    /// What the district has set for lessons.
    pub fn policy(&self) -> Arc<LessonPolicy> {
        self.shared.policy()
    }

    /// Whether one more lesson may begin now.
    pub async fn has_place(&self) -> bool {
        let mut live = self.live.lock().await;
        live.retain(|_, live| !live.inputs.is_closed());
        live.len() < self.policy().lessons_max
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
        let (identity, query) = (grants.identity.clone(), Box::new(query));
        self.ask(&grants, |answer| Input::SignalOpened { identity, query, answer }).await
    }

    /// Whether [`Sessions::open_signal`] would open a socket.
    pub async fn check_signal(&self, grants: &Grants) -> Result<(), SignalRefusal> {
        let identity = grants.identity.clone();
        self.ask(grants, |answer| Input::SignalAsked { identity, answer }).await
    }

    async fn ask<T>(
        &self,
        grants: &Grants,
        input: impl FnOnce(oneshot::Sender<Result<T, SignalRefusal>>) -> Input,
    ) -> Result<T, SignalRefusal> {
        let number =
            grants.room.parse().map_err(|_| SignalRefusal::Room(JoinRefusal::OtherRoom))?;
        let hub = self.hub(LessonId(number)).await.map_err(|error| match error {
            OpenError::NoLesson | OpenError::Refused(_) => SignalRefusal::NoLesson,
            OpenError::TooManyLessons | OpenError::Store(_) => SignalRefusal::Unavailable,
        })?;
        let (answer, answered) = oneshot::channel();
        hub.send(input(answer)).await.map_err(|_| SignalRefusal::NoLesson)?;
        answered.await.map_err(|_| SignalRefusal::NoLesson)?
    }

    /// An event of the media process, for the lesson that it is about. Events that come after
    /// their participant has gone are dropped.
    pub async fn media_event(&self, event: Event) {
        let Some(subject) = event.subject() else { return };
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
    pub(crate) async fn hub(&self, lesson: LessonId) -> Result<mpsc::Sender<Input>, OpenError> {
        let mut live = self.live.lock().await;
        if let Some(found) = live.get(&lesson).filter(|live| !live.inputs.is_closed()) {
            return Ok(found.inputs.clone());
        }
        live.retain(|_, live| !live.inputs.is_closed());
        if live.len() >= self.shared.policy().lessons_max {
            return Err(OpenError::TooManyLessons);
        }
        let kept = self.shared.store.kept_lesson(lesson).await.map_err(OpenError::Store)?;
        Ok(self.revive(&mut live, kept.ok_or(OpenError::NoLesson)?))
    }

    fn revive(&self, live: &mut HashMap<LessonId, Live>, kept: KeptLesson) -> mpsc::Sender<Input> {
        let (inputs, receiver) = mpsc::channel(INPUTS_MAX);
        let id = kept.lesson.id;
        let (of, lesson) = belfry_kept::open(kept, &self.shared.policy(), clock::now());
        let summary = Summary { phase: lesson.phase(), present_count: lesson.present_count() };
        let (told, summary) = watch::channel(summary);
        let (keeper, writing) = Keeper::start(self.shared.store.clone(), id, clock::now);
        let hub = Hub::new(Arc::clone(&self.shared), inputs.clone(), of, lesson, keeper, told);
        let sessions = self.clone();
        let task = tokio::spawn(async move {
            let outcome = tokio::spawn(hub.run(receiver)).await;
            let _ = writing.await;
            sessions.over(id, outcome).await;
        });
        live.insert(id, Live { inputs: inputs.clone(), summary, task });
        inputs
    }

    /// A hub is no more, and what it kept is written. One that failed inside is one lesson's loss:
    /// it comes back by itself from what was kept, and so do its clients, whose sockets are closed.
    async fn over(&self, id: LessonId, outcome: Result<bool, JoinError>) {
        for room in self.shared.routes.forget(id) {
            self.shared.command(id, Command::CloseRoom { room });
        }
        let mut live = self.live.lock().await;
        // Somebody may have brought it back already.
        if live.get(&id).is_some_and(|live| live.inputs.is_closed()) {
            live.remove(&id);
        }
        match outcome {
            Ok(ended) => {
                drop(live);
                if let (true, Some(told)) = (ended, &self.shared.ended) {
                    let _ = told.send(id).await;
                }
            }
            Err(failed) => {
                tracing::error!(lesson = %id, panicked = failed.is_panic(), "a lesson failed");
                if !live.contains_key(&id) && self.shared.may_come_back(id, clock::now()) {
                    match self.shared.store.kept_lesson(id).await {
                        Ok(kept) => drop(kept.map(|kept| self.revive(&mut live, kept))),
                        Err(error) => tracing::error!(lesson = %id, %error, "it stays away"),
                    }
                }
            }
        }
    }
}

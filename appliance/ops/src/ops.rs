//! The presences that go on, and the task that keeps those that are over.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use belfry_model::{DistrictId, Identity, LessonId, Pii, Timestamp};
use belfry_session::{LinkEvent, LinkReport, now};
use belfry_store::{KeptPresence, Store};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::live::LivePresence;
use crate::presence::{Key, Presence};
use crate::report::{Report, Why};
use crate::throttle::Throttle;

/// Presences that go on at a time.
const PRESENCES_MAX: usize = 5_000;
/// Presences that are over and wait for the database; more are dropped, and counted.
const WAITING_MAX: usize = 5_000;
/// Presences that are written at once.
const BATCH_MAX: usize = 200;
/// How often it is looked who is gone.
const SWEEP: Duration = Duration::from_secs(5);
/// How often old presences are deleted.
const FORGET: Duration = Duration::from_hours(1);
const DAY_MS: i64 = 86_400_000;

/// Where participants have to get through to, for advice to IT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// The addresses at which media is reached.
    pub addresses: Vec<IpAddr>,
    pub udp_port: u16,
}

/// What it is started with.
pub struct Config {
    pub store: Store,
    pub district: DistrictId,
    /// What the lessons say of the media plane.
    pub links: mpsc::Receiver<LinkReport>,
    /// Days after which a presence is deleted; asked each time.
    pub keep_days: Box<dyn Fn() -> u32 + Send + Sync>,
    pub reach: Reach,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("reach", &self.reach).finish_non_exhaustive()
    }
}

/// Why a report is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("this session reports too often")]
    TooOften,
    #[error("more than {PRESENCES_MAX} participants are followed")]
    Full,
}

#[derive(Debug, Default)]
struct State {
    presences: HashMap<Key, Presence>,
    throttle: Throttle<Identity>,
    waiting: Vec<KeptPresence>,
    dropped_count: u64,
}

struct Inner {
    store: Store,
    district: DistrictId,
    keep_days: Box<dyn Fn() -> u32 + Send + Sync>,
    reach: Reach,
    state: Mutex<State>,
    stop: Notify,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// What is known of connections. Cheap to clone.
#[derive(Clone)]
pub struct Ops(Arc<Inner>);

impl fmt::Debug for Ops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ops").field("reach", &self.0.reach).finish_non_exhaustive()
    }
}

impl Ops {
    /// Starts the task that listens, keeps and forgets. Within a runtime.
    pub fn start(config: Config) -> Self {
        let Config { store, district, links, keep_days, reach } = config;
        let ops = Self(Arc::new(Inner {
            store,
            district,
            keep_days,
            reach,
            state: Mutex::default(),
            stop: Notify::new(),
            task: Mutex::default(),
        }));
        let task = tokio::spawn(ops.clone().run(links));
        *ops.0.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        ops
    }

    /// Ends all presences and returns when they are written.
    pub async fn stop(&self) {
        self.0.stop.notify_one();
        let task = self.0.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            let _ = task.await;
        }
    }

    pub fn reach(&self) -> &Reach {
        &self.0.reach
    }

    /// Asked before a report is read: whether this session may report again.
    pub fn admit(&self, session: &Identity, now: Timestamp) -> Result<(), Refused> {
        let taken = self.state().throttle.take(session.clone(), now);
        taken.then_some(()).ok_or(Refused::TooOften)
    }

    /// Whether this participant is followed already, so that nobody has to be asked again whether
    /// it may be in that lesson.
    pub fn follows(&self, lesson: LessonId, identity: &Identity) -> bool {
        let key = Key { lesson, identity: identity.clone() };
        self.state().presences.contains_key(&key)
    }

    /// Takes the report of a participant who may be in that lesson.
    pub fn report(
        &self,
        identity: &Identity,
        address: &Pii<IpAddr>,
        report: Report,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let Report { lesson, device, samples } = report;
        let key = Key { lesson, identity: identity.clone() };
        let mut state = self.state();
        for sample in samples {
            let at = now.plus_ms(-i64::from(sample.ago_ms));
            let left = state.presences.get(&key).is_some_and(Presence::has_left);
            if left && sample.why == Why::Joined {
                state.end(&key);
            }
            state.presence(&key, at)?.client(at, sample, device, *address.reveal(), now);
        }
        Ok(())
    }

    /// Everybody who is followed now.
    pub fn live(&self, now: Timestamp) -> Vec<LivePresence> {
        self.state().presences.values().map(|presence| presence.live(now)).collect()
    }

    /// One participant, in the lessons where it is now.
    pub fn live_of(&self, identity: &Identity, now: Timestamp) -> Vec<LivePresence> {
        let state = self.state();
        let of = state.presences.iter().filter(|(key, _)| key.identity == *identity);
        of.map(|(_, presence)| presence.live(now)).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn link(&self, report: LinkReport) {
        let LinkReport { lesson, identity, at, event, .. } = report;
        let key = Key { lesson, identity };
        let mut state = self.state();
        // Only a path begins something: what comes after somebody has left does not.
        let begins = matches!(event, LinkEvent::Path { .. });
        if (begins || state.presences.contains_key(&key))
            && let Ok(presence) = state.presence(&key, at)
        {
            presence.media(at, &event);
        }
    }

    async fn run(self, mut links: mpsc::Receiver<LinkReport>) {
        let mut sweep = interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut forget = interval(FORGET);
        let mut listening = true;
        loop {
            tokio::select! {
                report = links.recv(), if listening => match report {
                    Some(report) => self.link(report),
                    None => listening = false,
                },
                _ = sweep.tick() => {
                    self.state().sweep(now());
                    self.keep().await;
                }
                _ = forget.tick() => self.forget().await,
                () = self.0.stop.notified() => break,
            }
        }
        while let Ok(report) = links.try_recv() {
            self.link(report);
        }
        self.state().end_all();
        self.keep().await;
    }

    /// Writes what waits; what the database does not take now waits for the next time.
    async fn keep(&self) {
        loop {
            let batch: Vec<_> = {
                let mut state = self.state();
                let count = state.waiting.len().min(BATCH_MAX);
                state.waiting.drain(..count).collect()
            };
            if batch.is_empty() {
                return;
            }
            match self.0.store.keep_presences(batch.clone()).await {
                Ok(_) => {}
                Err(error) if error.is_retry() => {
                    self.state().wait(batch);
                    return;
                }
                Err(error) => {
                    let count = batch.len();
                    tracing::error!(%error, count, "connections could not be kept");
                    return;
                }
            }
        }
    }

    async fn forget(&self) {
        let days = i64::from((self.0.keep_days)());
        let before = now().plus_ms(-days * DAY_MS);
        loop {
            match self.0.store.forget_presences(self.0.district, before).await {
                Ok(0) => return,
                Ok(count) => tracing::info!(count, "old connections were deleted"),
                Err(error) => {
                    tracing::warn!(%error, "old connections could not be deleted");
                    return;
                }
            }
        }
    }
}

impl State {
    /// The presence of a participant, begun if there is none.
    fn presence(&mut self, key: &Key, at: Timestamp) -> Result<&mut Presence, Refused> {
        let is_full = self.presences.len() >= PRESENCES_MAX;
        match self.presences.entry(key.clone()) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(_) if is_full => Err(Refused::Full),
            Entry::Vacant(place) => Ok(place.insert(Presence::new(key.clone(), at))),
        }
    }

    fn sweep(&mut self, now: Timestamp) {
        let over = self.presences.extract_if(|_, presence| presence.over_at() <= now);
        let over: Vec<_> = over.map(|(_, presence)| presence.finish()).collect();
        self.wait(over);
    }

    fn end(&mut self, key: &Key) {
        if let Some(presence) = self.presences.remove(key) {
            self.wait(vec![presence.finish()]);
        }
    }

    fn end_all(&mut self) {
        let all = self.presences.drain().map(|(_, presence)| presence.finish()).collect();
        self.wait(all);
    }

    fn wait(&mut self, presences: Vec<KeptPresence>) {
        let room = WAITING_MAX.saturating_sub(self.waiting.len());
        if presences.len() > room {
            self.dropped_count += (presences.len() - room) as u64;
            tracing::warn!(dropped = self.dropped_count, "connections were not kept");
        }
        self.waiting.extend(presences.into_iter().take(room));
    }
}

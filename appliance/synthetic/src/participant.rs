//! A participant over all its sessions.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::Error;
use crate::connection::{Happened, Shared};
use crate::count::{Counters, TrackStatistics};
use crate::session::{End, Session};
use crate::socket::Address;

/// Between two attempts to come back.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// Attempts in a row that fail before a participant gives up: the appliance may be restarting.
const RETRIES_MAX: u32 = 40;

/// Who joins what.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The appliance's origin, `https://` or `wss://`.
    pub url: String,
    /// PEM text of the one root certificate that is trusted.
    pub root_pem: Vec<u8>,
    /// A media token, which names the lesson.
    pub token: String,
    pub publish: Publish,
}

/// What a participant sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Publish {
    /// 50 Opus packets a second.
    pub audio: bool,
    pub video: Option<Video>,
}

/// A VP8 picture of 320 x 180, in frames that are all filled up to one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Video {
    pub frames_per_second: u32,
    pub bits_per_second: u32,
}

/// What a participant has seen so far, over all its sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Tracks of which packets came, of ended sessions too.
    pub tracks: Vec<TrackStatistics>,
    /// Packets that the `webrtc` crate handed to the application. What is missing to the sum of
    /// `received` was lost inside of the crate, not on the way.
    pub delivered: u64,
    /// Packets published.
    pub sent: u64,
    /// Sessions after the first one.
    pub reconnects: u32,
    /// Whether a session is live.
    pub connected: bool,
}

/// What a session and its participant share.
#[derive(Clone, Debug)]
pub(crate) struct Progress(Arc<Shares>);

#[derive(Debug)]
struct Shares {
    token: Mutex<String>,
    sessions: Mutex<Vec<Arc<Counters>>>,
    sent: Arc<AtomicU64>,
    reconnects: AtomicU32,
    connected: AtomicBool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Held for single assignments only, so a panic leaves the value whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Progress {
    fn new(token: String) -> Self {
        Self(Arc::new(Shares {
            token: Mutex::new(token),
            sessions: Mutex::default(),
            sent: Arc::default(),
            reconnects: AtomicU32::new(0),
            connected: AtomicBool::new(false),
        }))
    }

    /// The newest token.
    pub(crate) fn token(&self) -> String {
        locked(&self.0.token).clone()
    }

    pub(crate) fn keep_token(&self, token: String) {
        *locked(&self.0.token) = token;
    }

    pub(crate) fn sent(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.0.sent)
    }

    /// Counters of a new session.
    pub(crate) fn begin_session(&self, events: mpsc::Sender<Happened>) -> Shared {
        let counters = Arc::new(Counters::default());
        locked(&self.0.sessions).push(Arc::clone(&counters));
        Shared { counters, keyframe: Arc::default(), events }
    }

    fn statistics(&self) -> Statistics {
        let sessions = locked(&self.0.sessions);
        Statistics {
            tracks: sessions.iter().flat_map(|one| one.tracks()).collect(),
            delivered: sessions.iter().map(|one| one.delivered()).sum(),
            sent: self.0.sent.load(Ordering::Relaxed),
            reconnects: self.0.reconnects.load(Ordering::Relaxed),
            connected: self.0.connected.load(Ordering::Relaxed),
        }
    }
}

/// Someone in a lesson without a face. Leaves when dropped.
#[derive(Debug)]
pub struct Participant {
    progress: Progress,
    stop: mpsc::Sender<()>,
    task: JoinHandle<Result<(), Error>>,
}

impl Participant {
    /// Joins; later sessions follow by themselves when the appliance asks for them or is gone.
    pub async fn join(plan: Plan) -> Result<Self, Error> {
        let address = Address::new(&plan.url, &plan.root_pem)?;
        let progress = Progress::new(plan.token);
        let first = Session::join(&address, plan.publish, progress.clone()).await?;
        progress.0.connected.store(true, Ordering::Relaxed);
        let (stop, stopped) = mpsc::channel(1);
        let task = tokio::spawn(live(first, address, plan.publish, progress.clone(), stopped));
        Ok(Self { progress, stop, task })
    }

    pub fn statistics(&self) -> Statistics {
        self.progress.statistics()
    }

    /// Whether it has left, by its own will or not.
    pub fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    /// Leaves; says so if the participant had been thrown out before.
    pub async fn leave(self) -> Result<Statistics, Error> {
        let Self { progress, stop, task } = self;
        drop(stop);
        match task.await {
            Ok(ended) => ended.map(|()| progress.statistics()),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
}

/// Session after session.
async fn live(
    first: Session,
    address: Address,
    publish: Publish,
    progress: Progress,
    mut stopped: mpsc::Receiver<()>,
) -> Result<(), Error> {
    let mut session = first;
    loop {
        let end = session.run(&mut stopped).await;
        progress.0.connected.store(false, Ordering::Relaxed);
        match end {
            Ok(End::Left) => return Ok(()),
            Ok(End::Reconnect) => {}
            Err(error @ Error::Ended { .. }) => return Err(error),
            Err(error) => tracing::info!(%error, "a session failed; another one is tried"),
        }
        session = match again(&address, publish, &progress, &mut stopped).await? {
            Some(session) => session,
            None => return Ok(()),
        };
        progress.0.reconnects.fetch_add(1, Ordering::Relaxed);
        progress.0.connected.store(true, Ordering::Relaxed);
    }
}

/// A new session, or none if we are to leave meanwhile.
async fn again(
    address: &Address,
    publish: Publish,
    progress: &Progress,
    stopped: &mut mpsc::Receiver<()>,
) -> Result<Option<Session>, Error> {
    let mut attempt = 0;
    loop {
        tokio::select! {
            () = sleep(RETRY_PAUSE) => {}
            _ = stopped.recv() => return Ok(None),
        }
        attempt += 1;
        match Session::join(address, publish, progress.clone()).await {
            Ok(session) => return Ok(Some(session)),
            Err(error @ Error::Ended { .. }) => return Err(error),
            Err(error) if attempt >= RETRIES_MAX => return Err(error),
            Err(_) => {}
        }
    }
}

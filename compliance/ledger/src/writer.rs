//! The one thread that writes.
//!
//! A record that is damaged, cut, rolled back or forked is not written to: its file is evidence. Events
//! without anybody waiting are buffered and then counted; everything else is refused until a person has
//! decided.

use std::fmt;
use std::os::unix::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use belfry_audit::{Actor, Detail, Event, EventKind, Scope};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::Receipt;
use crate::disk::{self, Sealed, Tail};
use crate::error::{Error, OpenError};
use crate::keeper::{CHECKPOINT_ENTRIES, CHECKPOINT_EVERY, Keeper, PublishError};
use crate::opening::{Beside, Opening};
use crate::page::{self, Page, Search};
use crate::queue::{Answer, Origin, Queue, Waiting};
use crate::remote::Caller;
use crate::remote::wire::Told;
use crate::verify;

/// Between two attempts to open a record that cannot be written.
const REOPEN_EVERY: Duration = Duration::from_secs(1);

/// How long [`Ledger::append`] waits: what cannot be recorded by then does not happen.
pub const APPEND_WAIT: Duration = Duration::from_secs(2);

/// How long [`Ledger::record`] waits before it leaves the event to be written later.
pub const RECORD_WAIT: Duration = Duration::from_millis(250);

/// How long a thread of its own waits, for an entry or a checkpoint, on a disk that hangs.
pub const THREAD_WAIT: Duration = Duration::from_secs(10);

/// Who waits for a checkpoint.
type Asked = oneshot::Sender<Result<String, Error>>;

/// How the record does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Why the record cannot be written at present; an alarm as long as it is there.
    pub failing: Option<String>,
    /// Why the record is not what it was; disclosures are refused until a person has decided.
    pub damaged: Option<String>,
    /// Events that wait.
    pub buffered: u64,
    /// Events dropped and not yet recorded as a gap.
    pub dropped: u64,
    /// Entries in the record.
    pub entries: u64,
    /// Entries that the newest published checkpoint covers.
    pub published: u64,
}

/// The record. Cheap to clone; the last clone waits until everything is written.
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    path: PathBuf,
    /// Writes, or sends to the process that does; none for a record that is damaged.
    writing: Option<JoinHandle<()>>,
    verifying: Option<JoinHandle<()>>,
}

pub(crate) struct Shared {
    state: Mutex<State>,
    pub(crate) wake: Condvar,
    /// As `closing`, for the verification in the background.
    stop: AtomicBool,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) queue: Queue,
    pub(crate) closing: bool,
    pub(crate) failing: Option<String>,
    pub(crate) damaged: Option<String>,
    pub(crate) entries: u64,
    pub(crate) published: u64,
    pub(crate) asked: Vec<Asked>,
    /// A commit failed, and it is not known yet whether the file has it.
    unsettled: bool,
    #[cfg(test)]
    fault: Option<Fault>,
}

/// Where a test lets the next write fail.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing reaches the file.
    NotPersisted,
    /// The file has it, and yet an error is reported.
    Persisted,
    /// As the first two, and then the file cannot be opened this many times.
    NotPersistedThenDown(u32),
    PersistedThenDown(u32),
    /// The file cannot be opened this many times.
    Down(u32),
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

impl Ledger {
    /// Opens the record, makes it if there is none, and holds its tail against its hashes and against
    /// the last published checkpoint. The whole is verified in the background.
    ///
    /// A damaged record opens, too: see [`Health::damaged`].
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::open_with(path, Queue::default())
    }

    pub(crate) fn open_with(path: &Path, queue: Queue) -> Result<Self, OpenError> {
        let mut state = State { queue, ..State::default() };
        let opened = disk::open(path).and_then(|(mut connection, tail)| {
            Keeper::open(path, &mut connection, &tail).map(|keeper| (connection, tail, keeper))
        });
        let opened = match opened {
            Ok(opened) => {
                (state.entries, state.published) = (opened.1.seq, opened.2.published);
                Some(opened)
            }
            Err(error) if error.is_damage() => {
                tracing::error!(%error, "disclosures are refused until a person has decided");
                state.damaged = Some(error.to_string());
                None
            }
            Err(error) => return Err(error),
        };
        let shared = Arc::new(Shared::new(state));
        let (mut writing, mut verifying) = (None, None);
        if let Some((connection, tail, keeper)) = opened {
            let writer = Writer {
                shared: Arc::clone(&shared),
                path: path.to_owned(),
                open: Some(connection),
                subject_key: keeper.subject_key,
                keeper,
                checked_at: Instant::now(),
                tail,
                unresolved: None,
                backing_off: false,
            };
            writing = Some(spawn(path, "ledger", move || writer.run())?);
            let (shared, record) = (Arc::clone(&shared), path.to_owned());
            verifying = Some(spawn(path, "ledger-verify", move || shared.verify(&record))?);
        }
        Ok(Self { inner: Arc::new(Inner { shared, path: path.to_owned(), writing, verifying }) })
    }

    /// The record at `path` that another process writes (see [`crate::serve`]): what is recorded goes to
    /// it over `socket`; reading needs no more than to be allowed to read the file.
    ///
    /// Returns at once. While the process cannot be reached it is as with a record that cannot be
    /// written: [`Health::failing`] says so.
    pub fn connect(path: &Path, socket: SocketAddr) -> Result<Self, OpenError> {
        let shared = Arc::new(Shared::new(State::default()));
        let mut caller = Caller::new(Arc::clone(&shared), socket);
        caller.reach();
        let writing = Some(spawn(path, "ledger", move || caller.run())?);
        Ok(Self {
            inner: Arc::new(Inner { shared, path: path.to_owned(), writing, verifying: None }),
        })
    }

    /// Records an event; the receipt comes when it is on the disk. For what must not happen unrecorded:
    /// refused after [`APPEND_WAIT`].
    pub async fn append(&self, event: Event) -> Result<Receipt, Error> {
        let answered = self.send(event, Beside::Nothing)?;
        let answered = tokio::time::timeout(APPEND_WAIT, answered).await;
        answered.map_err(|_| Error::Late)?.map_err(|_| closed())?
    }

    /// [`Ledger::append`] with personal data beside the entry: `members` of a JSON object, to which the
    /// entry commits by a salted hash and which can be erased.
    pub async fn append_with(
        &self,
        event: Event,
        members: &[(&'static str, &str)],
    ) -> Result<Receipt, Error> {
        let answered = self.send(event, Beside::Opens(Opening::new(members)))?;
        let answered = tokio::time::timeout(APPEND_WAIT, answered).await;
        answered.map_err(|_| Error::Late)?.map_err(|_| closed())?
    }

    /// Records an event of the running of the appliance: waits [`RECORD_WAIT`] for the receipt, and
    /// goes on without one if the record cannot be written now; the event is kept and written later.
    pub async fn record(&self, event: Event) -> Option<Receipt> {
        let (answer, answered) = oneshot::channel();
        self.keep(event, Beside::Nothing, Some(answer));
        tokio::time::timeout(RECORD_WAIT, answered).await.ok()?.ok()?.ok()
    }

    /// [`Ledger::append`] for code that is not async: refused after [`THREAD_WAIT`]. Must not be called
    /// from a task.
    pub fn append_blocking(&self, event: Event) -> Result<Receipt, Error> {
        wait(self.send(event, Beside::Nothing)?)
    }

    /// [`Ledger::append_with`] for code that is not async. Must not be called from a task.
    pub fn append_with_blocking(
        &self,
        event: Event,
        members: &[(&'static str, &str)],
    ) -> Result<Receipt, Error> {
        let beside = Beside::Opens(Opening::new(members));
        wait(self.send(event, beside)?)
    }

    /// Erases the personal data beside these entries, which stay and stay provable; that it was done is
    /// recorded in the same transaction. Must not be called from a task.
    pub fn erase_blocking(
        &self,
        at_ms: i64,
        scope: Scope,
        actor: Actor,
        mut entries: Vec<u64>,
    ) -> Result<Receipt, Error> {
        entries.sort_unstable();
        let (Some(first), Some(last)) = (entries.first().copied(), entries.last().copied()) else {
            return Err(Error::Fatal { reason: "nothing was named to be erased".to_owned() });
        };
        let detail = Detail::OpeningsErased { count: entries.len() as u64, first, last };
        let event = Event { at_ms, scope, actor, detail };
        wait(self.send(event, Beside::Erases(entries))?)
    }

    /// The entries beside which personal data of somebody stands: by the number in the member `person`, and,
    /// where nobody knew whose it was, by the one in `user_name`. Reads the file, as
    /// [`Ledger::page_blocking`].
    pub fn openings_of_blocking(&self, person: i64, user_name: &str) -> Result<Vec<u64>, Error> {
        page::openings_of(&self.inner.path, person, user_name)
    }

    fn send(
        &self,
        event: Event,
        beside: Beside,
    ) -> Result<oneshot::Receiver<Result<Receipt, Error>>, Error> {
        self.send_from(event, beside, None)
    }

    /// As another process sent it.
    pub(crate) fn send_from(
        &self,
        event: Event,
        beside: Beside,
        origin: Option<Origin>,
    ) -> Result<oneshot::Receiver<Result<Receipt, Error>>, Error> {
        let (answer, answered) = oneshot::channel();
        let mut state = self.inner.shared.lock();
        state.refuse_if_damaged()?;
        state.queue.append(event, beside, origin, answer)?;
        drop(state);
        self.inner.shared.wake.notify_one();
        Ok(answered)
    }

    /// Records an event without waiting: never blocks, never fails. While the record cannot be
    /// written events are kept, up to a limit, after which they are counted and the count is
    /// recorded; [`Ledger::health`] raises the alarm.
    pub fn enqueue(&self, event: Event) {
        self.keep(event, Beside::Nothing, None);
    }

    /// [`Ledger::enqueue`] with personal data beside the entry, as [`Ledger::append_with`].
    pub fn enqueue_with(&self, event: Event, members: &[(&'static str, &str)]) {
        self.keep(event, Beside::Opens(Opening::new(members)), None);
    }

    fn keep(&self, event: Event, beside: Beside, answer: Option<Answer>) {
        let mut state = self.inner.shared.lock();
        let answer = answer.filter(|_| state.damaged.is_none());
        let first_dropped =
            state.queue.enqueue(event, beside, answer) && state.queue.dropped() == 1;
        drop(state);
        if first_dropped {
            tracing::error!("the record's buffer is full: events are counted instead of kept");
        }
        self.inner.shared.wake.notify_one();
    }

    /// Publishes a checkpoint of all that is recorded, and returns the newest signed note. `None` as
    /// long as nothing is recorded. Must not be called from a task.
    pub fn checkpoint_blocking(&self) -> Result<Option<String>, Error> {
        let (answer, answered) = oneshot::channel();
        let mut state = self.inner.shared.lock();
        state.refuse_if_damaged()?;
        if state.entries == 0 {
            return Ok(None);
        }
        state.asked.push(answer);
        drop(state);
        self.inner.shared.wake.notify_one();
        wait(answered).map(Some)
    }

    /// A page of entries before `before`, newest first. Reads the file: not for a task that must
    /// not block.
    pub fn page_blocking(
        &self,
        before: Option<u64>,
        count_max: u32,
        kind: Option<EventKind>,
    ) -> Result<Page, Error> {
        let kinds = kind.into_iter().collect();
        self.search_blocking(&Search { before, kinds, ..Search::default() }, count_max)
    }

    /// A page of the entries that are looked for, newest first. Reads the file, as
    /// [`Ledger::page_blocking`].
    pub fn search_blocking(&self, search: &Search, count_max: u32) -> Result<Page, Error> {
        page::read(&self.inner.path, search, count_max)
    }

    /// Where the record is.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    pub fn health(&self) -> Health {
        let state = self.inner.shared.lock();
        Health {
            failing: state.failing.clone(),
            damaged: state.damaged.clone(),
            buffered: state.queue.buffered() as u64,
            dropped: state.queue.dropped(),
            entries: state.entries,
            published: state.published,
        }
    }

    /// What another process is told.
    pub(crate) fn told(&self) -> Told {
        let state = self.inner.shared.lock();
        Told {
            failing: state.failing.clone(),
            damaged: state.damaged.clone(),
            entries: state.entries,
            published: state.published,
            unsettled: state.unsettled,
        }
    }

    #[cfg(test)]
    pub(crate) fn inject(&self, fault: Fault) {
        self.inner.shared.lock().fault = Some(fault);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let ended = |thread: Option<JoinHandle<()>>| {
            if thread.is_some_and(|thread| thread.join().is_err()) {
                tracing::error!("a thread of the record panicked");
            }
        };
        // The verification first: whoever closes the file last has to be able to write, so that the
        // write-ahead log is folded into it.
        self.shared.stop.store(true, Ordering::Relaxed);
        ended(self.verifying.take());
        self.shared.lock().closing = true;
        self.shared.wake.notify_one();
        ended(self.writing.take());
        let state = self.shared.lock();
        let lost = state.queue.buffered() as u64 + state.queue.dropped();
        if state.damaged.is_some() && lost > 0 {
            tracing::error!(lost, "the record is damaged: events were not written");
        }
    }
}

impl Shared {
    fn new(state: State) -> Self {
        let (wake, stop) = (Condvar::new(), AtomicBool::new(false));
        Self { state: Mutex::new(state), wake, stop }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock; if something did, the state is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// In the background, once: recomputes everything.
    fn verify(&self, path: &Path) {
        match verify::file(path, &[], || self.stop.load(Ordering::Relaxed)) {
            Ok(verified) => tracing::info!(entries = verified.entries, "the record is verified"),
            Err(verify::Unverified::Stopped) => {}
            Err(verify::Unverified::Unreadable(reason)) => {
                tracing::warn!(%reason, "the record could not be verified");
            }
            Err(verify::Unverified::Bad(finding)) => self.damaged(finding.to_string()),
        }
    }

    fn damaged(&self, reason: String) {
        tracing::error!(%reason, "disclosures are refused until a person has decided");
        self.lock().damaged.get_or_insert(reason);
        self.wake.notify_one();
    }
}

impl State {
    fn refuse_if_damaged(&self) -> Result<(), Error> {
        match &self.damaged {
            Some(reason) => Err(Error::Fatal { reason: reason.clone() }),
            None => Ok(()),
        }
    }
}

fn spawn(
    path: &Path,
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, OpenError> {
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    spawned.map_err(|source| OpenError::unreadable(path, source))
}

/// What comes within [`THREAD_WAIT`].
fn wait<T>(answered: oneshot::Receiver<Result<T, Error>>) -> Result<T, Error> {
    let mut answered = std::pin::pin!(answered);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let until = Instant::now() + THREAD_WAIT;
    loop {
        if let Poll::Ready(answer) = answered.as_mut().poll(&mut Context::from_waker(&waker)) {
            return answer.map_err(|_| closed())?;
        }
        let rest = until.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            return Err(Error::Late);
        }
        std::thread::park_timeout(rest);
    }
}

/// Wakes a thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

pub(crate) fn closed() -> Error {
    Error::Fatal { reason: "the record is closed".to_owned() }
}

struct Writer {
    shared: Arc<Shared>,
    path: PathBuf,
    /// `None` after a failure, until the file was opened anew.
    open: Option<Connection>,
    keeper: Keeper,
    subject_key: [u8; 32],
    /// When the last checkpoint was made, or looked for.
    checked_at: Instant,
    tail: Tail,
    /// A group whose commit failed: only the file knows whether it is in it.
    unresolved: Option<Unresolved>,
    /// The last write failed for a reason that will not go away at once.
    backing_off: bool,
}

struct Unresolved {
    group: Vec<Waiting>,
    sealed: Vec<Sealed>,
    after: Tail,
    error: Error,
}

impl Writer {
    fn run(mut self) {
        self.publish_if_grown(0);
        while let Some(group) = self.next_group() {
            if !group.is_empty() {
                self.write_group(group);
            }
            self.answer_asked();
            let due = self.checked_at.elapsed() >= CHECKPOINT_EVERY;
            self.publish_if_grown(if due { 0 } else { CHECKPOINT_ENTRIES - 1 });
        }
        self.publish_if_grown(0);
        if let Some(connection) = self.open.take()
            && let Err((_, error)) = connection.close()
        {
            tracing::warn!(%error, "the record did not close cleanly");
        }
    }

    /// Waits for work; an empty group while there is nothing to do or no way to do it; `None` at
    /// the end.
    fn next_group(&mut self) -> Option<Vec<Waiting>> {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        if self.open.is_none() || self.backing_off {
            if state.closing || state.damaged.is_some() {
                let lost = state.queue.buffered() as u64 + state.queue.dropped();
                tracing::error!(lost, "the record could not be written to the end");
                return None;
            }
            // Woken by new events we would hammer a file that cannot be written: wait it out.
            let going_on = |state: &mut State| !state.closing;
            drop(shared.wake.wait_timeout_while(state, REOPEN_EVERY, going_on));
            self.backing_off = false;
            if self.open.is_none() {
                self.reopen();
            }
            return Some(Vec::new());
        }
        let idle = |state: &mut State| {
            state.queue.is_empty()
                && state.asked.is_empty()
                && state.damaged.is_none()
                && !state.closing
        };
        let rest = CHECKPOINT_EVERY.saturating_sub(self.checked_at.elapsed());
        let (waited, _) = shared
            .wake
            .wait_timeout_while(state, rest, idle)
            .unwrap_or_else(PoisonError::into_inner);
        state = waited;
        if state.damaged.is_some() {
            drop(state);
            self.nobody_waits();
            return None;
        }
        let ended = state.closing && state.queue.is_empty();
        (!ended).then(|| state.queue.take_group())
    }

    /// Publishes a checkpoint if more than this many entries have come since the last.
    fn publish_if_grown(&mut self, by: u64) {
        if self.tail.seq.saturating_sub(self.keeper.published) <= by {
            // Nothing to publish: another minute, whatever the reason to look was.
            if by == 0 {
                self.checked_at = Instant::now();
            }
            return;
        }
        // A failure is tried again after a minute, not with the next entry.
        if by > 0 && self.open.is_none() {
            return;
        }
        if let Err(error) = self.publish() {
            tracing::warn!(%error, "no checkpoint could be published");
        }
    }

    fn publish(&mut self) -> Result<(), Error> {
        self.checked_at = Instant::now();
        let Some(connection) = &self.open else {
            return Err(Error::Retry {
                reason: "the record cannot be written just now".to_owned(),
            });
        };
        match self.keeper.publish(connection, &self.tail) {
            Ok(()) => {
                self.shared.lock().published = self.keeper.published;
                Ok(())
            }
            Err(error @ PublishError::Foreign) => {
                self.shared.damaged(error.to_string());
                Err(Error::Fatal { reason: error.to_string() })
            }
            Err(PublishError::Sqlite(source)) => {
                // As after a failed group: only the file itself knows.
                self.open = None;
                self.reopen();
                Err(Error::from_write(&source))
            }
            Err(PublishError::File(source)) => Err(Error::Retry { reason: source.to_string() }),
        }
    }

    fn answer_asked(&mut self) {
        let asked = std::mem::take(&mut self.shared.lock().asked);
        if asked.is_empty() {
            return;
        }
        let outcome = self.publish().map(|()| self.keeper.newest().unwrap_or_default());
        for answer in asked {
            let _ = answer.send(outcome.clone());
        }
    }

    fn write_group(&mut self, group: Vec<Waiting>) {
        let (sealed, after) = disk::seal(self.tail.clone(), &self.subject_key, group.iter());
        let connection = self.open.as_mut().expect("a group is taken only while open");
        match attempt(&self.shared, connection, &sealed, &after) {
            Ok(()) => {
                self.tail = after;
                let mut state = self.shared.lock();
                state.entries = self.tail.seq;
                if state.failing.take().is_some() {
                    tracing::info!("the record can be written again");
                }
                drop(state);
                answer(group, &sealed);
            }
            Err(source) => {
                let error = Error::from_write(&source);
                if error.is_fatal() {
                    self.fail(error.to_string());
                }
                // After a failed commit SQLite and the kernel may disagree about what is on the
                // disk. Only the file itself knows: open it anew and look at its tail.
                self.open = None;
                self.unresolved = Some(Unresolved { group, sealed, after, error });
                self.shared.lock().unsettled = true;
                self.reopen();
            }
        }
    }

    /// Opens the file anew and finds out what became of the group that failed.
    fn reopen(&mut self) {
        match open_again(&self.shared, &self.path) {
            Ok((connection, tail)) => {
                let after = self.unresolved.as_ref().map(|unresolved| &unresolved.after);
                if tail == self.tail || Some(&tail) == after {
                    self.open = Some(connection);
                    self.resolve(tail);
                } else {
                    // Not where we left it: restored, cut or rewritten by somebody else.
                    let (found, left) = (tail.seq, self.tail.seq);
                    self.shared.damaged(format!("the record ends at entry {found}, not at {left}"));
                    self.nobody_waits();
                }
            }
            Err(error) => {
                if error.is_damage() {
                    self.shared.damaged(error.to_string());
                }
                self.fail(error.to_string());
                self.nobody_waits();
            }
        }
    }

    fn resolve(&mut self, tail: Tail) {
        let persisted = tail != self.tail;
        self.tail = tail;
        let mut state = self.shared.lock();
        (state.entries, state.unsettled) = (self.tail.seq, false);
        drop(state);
        let Some(Unresolved { group, sealed, error, .. }) = self.unresolved.take() else { return };
        if persisted {
            self.shared.lock().failing = None;
            return answer(group, &sealed);
        }
        self.backing_off = error.is_fatal();
        let (kept, appends): (Vec<_>, Vec<_>) = group.into_iter().partition(|waiting| waiting.kept);
        self.shared.lock().queue.put_back(kept);
        for asked in appends.into_iter().filter_map(|waiting| waiting.answer) {
            let _ = asked.send(Err(error.clone()));
        }
    }

    /// While the file cannot be opened nobody is kept waiting for a receipt.
    fn nobody_waits(&mut self) {
        let mut state = self.shared.lock();
        let reason = state.damaged.clone().or_else(|| state.failing.clone()).unwrap_or_default();
        let asked = state.queue.take_answers();
        let checkpoints = std::mem::take(&mut state.asked);
        drop(state);
        for answer in asked {
            let _ = answer.send(Err(Error::Fatal { reason: reason.clone() }));
        }
        let unresolved = self.unresolved.iter_mut().flat_map(|unresolved| &mut unresolved.group);
        for answer in unresolved.filter_map(|waiting| waiting.answer.take()) {
            let _ = answer.send(Err(Error::Late));
        }
        for answer in checkpoints {
            let _ = answer.send(Err(Error::Fatal { reason: reason.clone() }));
        }
    }

    fn fail(&self, reason: String) {
        let mut state = self.shared.lock();
        if state.failing.as_ref() != Some(&reason) {
            tracing::error!(%reason, "the record cannot be written");
            state.failing = Some(reason);
        }
    }
}

fn answer(group: Vec<Waiting>, sealed: &[Sealed]) {
    for (waiting, entry) in group.into_iter().zip(sealed) {
        if let Some(asked) = waiting.answer {
            // Whoever asked may have gone away; the event is recorded all the same.
            let _ = asked.send(Ok(Receipt { seq: entry.seq, kind: entry.kind, leaf: entry.leaf }));
        }
    }
}

#[cfg(not(test))]
fn open_again(_: &Shared, path: &Path) -> Result<(Connection, Tail), OpenError> {
    disk::open_again(path)
}

#[cfg(not(test))]
fn attempt(
    _: &Shared,
    connection: &mut Connection,
    group: &[Sealed],
    after: &Tail,
) -> rusqlite::Result<()> {
    disk::write(connection, group, after)
}

/// With the fault that a test asked for.
#[cfg(test)]
fn attempt(
    shared: &Shared,
    connection: &mut Connection,
    group: &[Sealed],
    after: &Tail,
) -> rusqlite::Result<()> {
    let fault = {
        let mut state = shared.lock();
        let fault = state.fault.take();
        if let Some(Fault::NotPersistedThenDown(times) | Fault::PersistedThenDown(times)) = fault {
            state.fault = Some(Fault::Down(times));
        }
        fault
    };
    let failure = || {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC);
        Err(rusqlite::Error::SqliteFailure(code, None))
    };
    match fault {
        None => disk::write(connection, group, after),
        Some(Fault::NotPersisted | Fault::NotPersistedThenDown(_) | Fault::Down(_)) => failure(),
        Some(Fault::Persisted | Fault::PersistedThenDown(_)) => {
            disk::write(connection, group, after).and_then(|()| failure())
        }
    }
}

#[cfg(test)]
fn open_again(shared: &Shared, path: &Path) -> Result<(Connection, Tail), OpenError> {
    if shared.down() {
        return Err(OpenError::unreadable(path, "injected"));
    }
    disk::open_again(path)
}

#[cfg(test)]
impl Shared {
    /// Whether a test keeps the file from being opened; counts down.
    fn down(&self) -> bool {
        let mut state = self.lock();
        match state.fault {
            Some(Fault::Down(times)) => {
                state.fault = (times > 1).then_some(Fault::Down(times - 1));
                true
            }
            _ => false,
        }
    }
}

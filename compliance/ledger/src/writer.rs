//! The one thread that writes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use belfry_audit::{Event, EventKind};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::Receipt;
use crate::disk::{self, Sealed, Tail};
use crate::error::{Error, OpenError};
use crate::page::{self, Page, Search};
use crate::queue::{Queue, Waiting};

/// Between two attempts to open a record that cannot be written.
const REOPEN_EVERY: Duration = Duration::from_secs(1);

/// How the record does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Why the record cannot be written at present; an alarm as long as it is there.
    pub failing: Option<String>,
    /// Events that wait.
    pub buffered: u64,
    /// Events dropped and not yet recorded as a gap.
    pub dropped: u64,
    /// Entries in the record.
    pub entries: u64,
}

/// The record. Cheap to clone; the last clone waits until everything is written.
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    path: PathBuf,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    queue: Queue,
    closing: bool,
    failing: Option<String>,
    entries: u64,
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
    /// Opens the record, makes it if there is none, and checks its tail.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::open_with(path, Queue::default())
    }

    pub(crate) fn open_with(path: &Path, queue: Queue) -> Result<Self, OpenError> {
        let (connection, tail) = disk::open(path)?;
        let state = State { queue, entries: tail.seq, ..State::default() };
        let shared = Arc::new(Shared { state: Mutex::new(state), wake: Condvar::new() });
        let writer = Writer {
            shared: Arc::clone(&shared),
            path: path.to_owned(),
            open: Some(connection),
            tail,
            unresolved: None,
            backing_off: false,
        };
        let thread = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| OpenError::unreadable(path, source))?;
        Ok(Self { inner: Arc::new(Inner { shared, path: path.to_owned(), thread: Some(thread) }) })
    }

    /// Records an event; the receipt comes when it is on the disk.
    pub async fn append(&self, event: Event) -> Result<Receipt, Error> {
        self.send(event)?.await.map_err(|_| closed())?
    }

    /// [`Ledger::append`] for code that is not async. Must not be called from a task.
    pub fn append_blocking(&self, event: Event) -> Result<Receipt, Error> {
        self.send(event)?.blocking_recv().map_err(|_| closed())?
    }

    fn send(&self, event: Event) -> Result<oneshot::Receiver<Result<Receipt, Error>>, Error> {
        let (answer, answered) = oneshot::channel();
        let mut state = self.inner.shared.lock();
        state.queue.append(event, answer)?;
        drop(state);
        self.inner.shared.wake.notify_one();
        Ok(answered)
    }

    /// Records an event without waiting: never blocks, never fails. While the record cannot be
    /// written events are kept, up to a limit, after which they are counted and the count is
    /// recorded; [`Ledger::health`] raises the alarm.
    pub fn enqueue(&self, event: Event) {
        let mut state = self.inner.shared.lock();
        let first_dropped = state.queue.enqueue(event) && state.queue.dropped() == 1;
        drop(state);
        if first_dropped {
            tracing::error!("the record's buffer is full: events are counted instead of kept");
        }
        self.inner.shared.wake.notify_one();
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

    pub fn health(&self) -> Health {
        let state = self.inner.shared.lock();
        Health {
            failing: state.failing.clone(),
            buffered: state.queue.buffered() as u64,
            dropped: state.queue.dropped(),
            entries: state.entries,
        }
    }

    #[cfg(test)]
    pub(crate) fn inject(&self, fault: Fault) {
        self.inner.shared.lock().fault = Some(fault);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the record's writer panicked");
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock; if something did, the state is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed() -> Error {
    Error::Fatal { reason: "the record is closed".to_owned() }
}

struct Writer {
    shared: Arc<Shared>,
    path: PathBuf,
    /// `None` after a failure, until the file was opened anew.
    open: Option<Connection>,
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
        while let Some(group) = self.next_group() {
            if !group.is_empty() {
                self.write_group(group);
            }
        }
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
            if state.closing {
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
        while state.queue.is_empty() && !state.closing {
            state = shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let ended = state.closing && state.queue.is_empty();
        (!ended).then(|| state.queue.take_group())
    }

    fn write_group(&mut self, group: Vec<Waiting>) {
        let (sealed, after) = disk::seal(self.tail, group.iter().map(|waiting| &waiting.event));
        let connection = self.open.as_mut().expect("a group is taken only while open");
        match attempt(&self.shared, connection, &sealed) {
            Ok(()) => {
                self.tail = after;
                let mut state = self.shared.lock();
                state.entries = after.seq;
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
                self.reopen();
            }
        }
    }

    /// Opens the file anew and finds out what became of the group that failed.
    fn reopen(&mut self) {
        match open_again(&self.shared, &self.path) {
            Ok((connection, tail)) => {
                let after = self.unresolved.as_ref().map(|unresolved| unresolved.after);
                if tail == self.tail || Some(tail) == after {
                    self.open = Some(connection);
                    self.resolve(tail);
                } else {
                    // Not where we left it: restored, cut or rewritten by somebody else.
                    self.fail(format!("it ends at entry {}, not at {}", tail.seq, self.tail.seq));
                    self.nobody_waits();
                }
            }
            Err(error) => {
                self.fail(error.to_string());
                self.nobody_waits();
            }
        }
    }

    fn resolve(&mut self, tail: Tail) {
        let persisted = tail != self.tail;
        self.tail = tail;
        self.shared.lock().entries = tail.seq;
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
        let reason = state.failing.clone().unwrap_or_default();
        let mut asked = state.queue.take_answers();
        drop(state);
        if let Some(unresolved) = &mut self.unresolved {
            asked.extend(unresolved.group.iter_mut().filter_map(|waiting| waiting.answer.take()));
        }
        for answer in asked {
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
    disk::open(path)
}

#[cfg(not(test))]
fn attempt(_: &Shared, connection: &mut Connection, group: &[Sealed]) -> rusqlite::Result<()> {
    disk::write(connection, group)
}

/// With the fault that a test asked for.
#[cfg(test)]
fn attempt(shared: &Shared, connection: &mut Connection, group: &[Sealed]) -> rusqlite::Result<()> {
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
        None => disk::write(connection, group),
        Some(Fault::NotPersisted | Fault::NotPersistedThenDown(_) | Fault::Down(_)) => failure(),
        Some(Fault::Persisted | Fault::PersistedThenDown(_)) => {
            disk::write(connection, group).and_then(|()| failure())
        }
    }
}

#[cfg(test)]
fn open_again(shared: &Shared, path: &Path) -> Result<(Connection, Tail), OpenError> {
    if shared.down() {
        return Err(OpenError::unreadable(path, "injected"));
    }
    disk::open(path)
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

//! The one thread that writes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use belfry_audit::{Event, EventKind};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::disk::{self, Tail};
use crate::error::{Error, OpenError};
use crate::page::{self, Page};
use crate::queue::{Queue, Waiting};
use crate::Receipt;

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
    /// Nothing reaches the file, nor can it be opened, this many times.
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
        let writer =
            Writer { shared: Arc::clone(&shared), path: path.to_owned(), open: Some(connection), tail };
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
        if let Some(reason) = &state.failing {
            return Err(Error::Fatal { reason: reason.clone() });
        }
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
        page::read(&self.inner.path, before, count_max, kind)
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
}

impl Writer {
    fn run(mut self) {
        loop {
            let Some(group) = self.next_group() else { break };
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

    /// Waits for work; an empty group while the file cannot be opened; `None` at the end.
    fn next_group(&mut self) -> Option<Vec<Waiting>> {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        while state.queue.is_empty() && !state.closing && self.open.is_some() {
            state = shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if self.open.is_some() {
            let ended = state.closing && state.queue.is_empty();
            return (!ended).then(|| state.queue.take_group());
        }
        if state.closing {
            let lost = state.queue.buffered() as u64 + state.queue.dropped();
            tracing::error!(lost, "the record could not be written to the end");
            return None;
        }
        // Woken early by new events we would hammer a file that cannot be opened: wait it out.
        let closing = |state: &mut State| !state.closing;
        drop(shared.wake.wait_timeout_while(state, REOPEN_EVERY, closing));
        self.reopen();
        Some(Vec::new())
    }

    fn write_group(&mut self, group: Vec<Waiting>) {
        let (sealed, after) = disk::seal(self.tail, group.iter().map(|waiting| &waiting.event));
        let connection = self.open.as_mut().expect("a group is taken only while open");
        let written = attempt(&self.shared, connection, &sealed);
        let failed = match written {
            Ok(()) => None,
            Err(error) => {
                tracing::error!(%error, "a write to the record failed");
                // After a failed commit SQLite and the kernel may disagree about what is on the
                // disk. Only the file itself knows: open it anew and look at its tail.
                self.open = None;
                self.reopen();
                (self.tail != after || self.open.is_none()).then_some(error)
            }
        };
        match failed {
            None => {
                self.tail = after;
                self.shared.lock().entries = after.seq;
                for (waiting, entry) in group.into_iter().zip(sealed) {
                    if let Some(answer) = waiting.answer {
                        let receipt =
                            Receipt { seq: entry.seq, kind: entry.kind, leaf: entry.leaf };
                        // Whoever asked may have gone away; the event is recorded all the same.
                        let _ = answer.send(Ok(receipt));
                    }
                }
            }
            Some(error) => self.give_back(group, &error.to_string()),
        }
    }

    /// Nobody is kept waiting; what nobody waits for goes back to the front of the queue.
    fn give_back(&mut self, group: Vec<Waiting>, reason: &str) {
        let down = self.open.is_none();
        let (appends, kept): (Vec<_>, Vec<_>) =
            group.into_iter().partition(|waiting| waiting.answer.is_some());
        let mut state = self.shared.lock();
        state.queue.put_back(kept);
        let mut answers: Vec<_> = appends.into_iter().filter_map(|waiting| waiting.answer).collect();
        if down {
            answers.extend(state.queue.take_answers());
        }
        drop(state);
        for answer in answers {
            let reason = reason.to_owned();
            let _ = answer.send(Err(if down { Error::Fatal { reason } } else { Error::Retry { reason } }));
        }
    }

    /// Opens the file anew. A tail that is neither ours nor one group further is somebody else's.
    fn reopen(&mut self) {
        #[cfg(test)]
        if self.shared.down() {
            self.shared.lock().failing = Some("injected".to_owned());
            return;
        }
        match disk::open(&self.path) {
            Ok((connection, tail)) if tail.seq >= self.tail.seq => {
                self.open = Some(connection);
                self.tail = tail;
                let mut state = self.shared.lock();
                state.entries = tail.seq;
                if state.failing.take().is_some() {
                    tracing::info!("the record can be written again");
                }
            }
            Ok((_, tail)) => {
                self.fail(format!("entries {} to {} are gone", tail.seq + 1, self.tail.seq));
            }
            Err(error) => self.fail(error.to_string()),
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

#[cfg(not(test))]
fn attempt(_: &Shared, connection: &mut Connection, group: &[disk::Sealed]) -> rusqlite::Result<()> {
    disk::write(connection, group)
}

/// With the fault that a test asked for.
#[cfg(test)]
fn attempt(
    shared: &Shared,
    connection: &mut Connection,
    group: &[disk::Sealed],
) -> rusqlite::Result<()> {
    let fault = {
        let mut state = shared.lock();
        match state.fault {
            Some(Fault::Down(_)) => state.fault,
            _ => state.fault.take(),
        }
    };
    let failure = || {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC);
        Err(rusqlite::Error::SqliteFailure(code, None))
    };
    match fault {
        None => disk::write(connection, group),
        Some(Fault::NotPersisted | Fault::Down(_)) => failure(),
        Some(Fault::Persisted) => disk::write(connection, group).and_then(|()| failure()),
    }
}

#[cfg(test)]
impl Shared {
    /// Whether a test keeps the file from being opened; counts down.
    fn down(&self) -> bool {
        let mut state = self.lock();
        match state.fault {
            Some(Fault::Down(0)) => {
                state.fault = None;
                false
            }
            Some(Fault::Down(times)) => {
                state.fault = Some(Fault::Down(times - 1));
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

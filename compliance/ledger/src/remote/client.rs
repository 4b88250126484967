//! The side that has something to record: one thread, which sends groups and waits for their answers.

use std::io::{self, Write};
use std::os::unix::net::{SocketAddr, UnixStream};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::wire::{self, Answer, Reply, Request, Sent, Told, Written};
use crate::Receipt;
use crate::error::Error;
use crate::queue::Waiting;
use crate::schema::random;
use crate::writer::{Shared, State};

/// Between two attempts to reach the process.
const REACH_EVERY: Duration = Duration::from_millis(250);

/// While there is nothing to record it is asked this often how the record does.
const BEAT_EVERY: Duration = Duration::from_secs(5);

/// A line without an answer for this long is broken. Whoever waits for a receipt has long been refused.
const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// At the end this long is tried to have written what waits.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// What an administrator reads while there is no answer.
const UNREACHED: &str = "the process that writes the record does not answer";

pub(crate) struct Caller {
    shared: Arc<Shared>,
    socket: SocketAddr,
    line: Option<UnixStream>,
    /// Names this life of this process.
    client: u64,
    /// Entries sent so far.
    sent: u64,
    /// What was on its way when the line broke, or when the record's own disk failed.
    unsettled: Option<Unsettled>,
    /// Something that is kept was refused: it is sent again in a moment, not at once.
    backing_off: bool,
    closing_since: Option<Instant>,
}

struct Unsettled {
    first: u64,
    /// With their places in the group.
    entries: Vec<(usize, Waiting)>,
}

impl Caller {
    pub(crate) fn new(shared: Arc<Shared>, socket: SocketAddr) -> Self {
        let client = u64::from_ne_bytes(random());
        Self {
            shared,
            socket,
            line: None,
            client,
            sent: 0,
            unsettled: None,
            backing_off: false,
            closing_since: None,
        }
    }

    pub(crate) fn run(mut self) {
        while let Some(group) = self.next_group() {
            if !group.is_empty() {
                self.send(group);
            }
            self.answer_asked();
        }
    }

    /// Waits for work; an empty group while there is nothing to do or no way to do it; `None` at the end.
    fn next_group(&mut self) -> Option<Vec<Waiting>> {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        if self.line.is_none() || self.unsettled.is_some() || self.backing_off {
            let ending = self.closing_since.is_some();
            let going_on = |state: &mut State| !state.closing || ending;
            let waited = shared.wake.wait_timeout_while(state, REACH_EVERY, going_on);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            self.backing_off = false;
            let closing = state.closing;
            drop(state);
            self.reach();
            if closing
                && self.closing_since.get_or_insert_with(Instant::now).elapsed() >= CLOSE_WAIT
            {
                self.give_up();
                return None;
            }
            return Some(Vec::new());
        }
        let damaged = state.damaged.is_some();
        let idle = |state: &mut State| {
            (state.queue.is_empty() || damaged) && state.asked.is_empty() && !state.closing
        };
        let waited = shared.wake.wait_timeout_while(state, BEAT_EVERY, idle);
        let (waited, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        state = waited;
        if timeout.timed_out() || (damaged && !state.closing) {
            drop(state);
            self.beat();
            return Some(Vec::new());
        }
        let ended = state.closing && (state.queue.is_empty() || damaged);
        (!ended).then(|| state.queue.take_group())
    }

    /// Opens the line if it is broken, and finds out what became of what was on its way.
    pub(crate) fn reach(&mut self) {
        if let Err(error) = self.try_reach() {
            self.broken(&error);
        }
    }

    fn try_reach(&mut self) -> io::Result<()> {
        if self.line.is_none() {
            let line = UnixStream::connect_addr(&self.socket)?;
            line.set_read_timeout(Some(ANSWER_WAIT))?;
            line.set_write_timeout(Some(ANSWER_WAIT))?;
            self.line = Some(line);
        } else if self.unsettled.is_none() {
            return Ok(());
        }
        let told = self.ask(&Request::Hello { client: self.client })?;
        let Answer::Hello(written) = told.0 else { return Err(unasked()) };
        if !told.1 {
            self.settle(written.as_ref());
        }
        Ok(())
    }

    /// What was on its way is in the record, or goes back to what waits.
    fn settle(&mut self, written: Option<&Written>) {
        let Some(Unsettled { first, entries }) = self.unsettled.take() else { return };
        let written = written.filter(|written| written.first == first);
        let lost = entries.into_iter().filter(|(place, waiting)| {
            waiting.kept && !written.is_some_and(|written| written.holds(*place))
        });
        let lost = lost.map(|(_, waiting)| waiting).collect();
        self.shared.lock().queue.put_back(lost);
    }

    fn ask(&mut self, request: &Request) -> io::Result<(Answer, bool)> {
        self.exchange(&wire::packed(request).ok_or(io::ErrorKind::InvalidInput)?)
    }

    /// The answer, and whether the record's process itself waits to know what its disk has kept.
    fn exchange(&mut self, request: &[u8]) -> io::Result<(Answer, bool)> {
        let line = self.line.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        line.write_all(request)?;
        let Reply { answer, health } = wire::receive(line)?;
        Ok((answer, self.told(health)))
    }

    fn told(&self, told: Told) -> bool {
        let mut state = self.shared.lock();
        if told.failing.is_some() && state.failing != told.failing {
            tracing::error!(reason = told.failing, "the record cannot be written");
        }
        if told.damaged.is_some() && state.damaged != told.damaged {
            tracing::error!(
                reason = told.damaged,
                "disclosures are refused until a person decides"
            );
        }
        (state.failing, state.damaged) = (told.failing, told.damaged);
        (state.entries, state.published) = (told.entries, told.published);
        let refused = state.damaged.is_some();
        drop(state);
        if refused {
            self.nobody_waits();
        }
        told.unsettled
    }

    fn beat(&mut self) {
        if let Err(error) = self.ask(&Request::Beat) {
            self.broken(&error);
        }
    }

    fn send(&mut self, mut group: Vec<Waiting>) {
        let sent = |waiting: &Waiting| Sent {
            event: waiting.event.clone(),
            beside: waiting.beside.clone(),
        };
        let request =
            Request::Group { first: self.sent, entries: group.iter().map(sent).collect() };
        let Some(request) = wire::packed(&request) else {
            if group.len() > 1 {
                let rest = group.split_off(group.len() / 2);
                self.send(group);
                return self.later(rest);
            }
            let reason = "an event is too long to be recorded".to_owned();
            return answer(group.pop(), Err(Error::Fatal { reason }));
        };
        let first = self.sent;
        self.sent += group.len() as u64;
        match self.exchange(&request) {
            Ok((Answer::Group(results), _)) if results.len() == group.len() => {
                self.answered(first, group, results);
            }
            other => {
                self.unsettled = Some(unsettled(first, group.into_iter().enumerate()));
                self.broken(&other.err().unwrap_or_else(unasked));
            }
        }
    }

    /// After what goes before it; at once, if nothing of that is left.
    fn later(&mut self, rest: Vec<Waiting>) {
        if self.line.is_some() && self.unsettled.is_none() && !self.backing_off {
            return self.send(rest);
        }
        let (kept, appends): (Vec<_>, Vec<_>) = rest.into_iter().partition(|waiting| waiting.kept);
        self.shared.lock().queue.put_back(kept);
        for waiting in appends {
            answer(Some(waiting), Err(Error::Late));
        }
    }

    fn answered(
        &mut self,
        first: u64,
        group: Vec<Waiting>,
        results: Vec<Result<wire::Recorded, Error>>,
    ) {
        let (mut back, mut unknown) = (Vec::new(), Vec::new());
        for (place, (waiting, result)) in group.into_iter().zip(results).enumerate() {
            match result {
                Ok(recorded) => {
                    let kind = waiting.event.kind();
                    let receipt = Receipt { seq: recorded.seq, kind, leaf: recorded.leaf() };
                    answer(Some(waiting), Ok(receipt));
                }
                Err(Error::Late) if waiting.kept => unknown.push((place, waiting)),
                Err(_) if waiting.kept => {
                    self.backing_off = true;
                    back.push(waiting);
                }
                Err(refused) => answer(Some(waiting), Err(refused)),
            }
        }
        self.shared.lock().queue.put_back(back);
        self.unsettled = (!unknown.is_empty()).then(|| unsettled(first, unknown.into_iter()));
    }

    fn answer_asked(&mut self) {
        let asked = std::mem::take(&mut self.shared.lock().asked);
        if asked.is_empty() {
            return;
        }
        let made = match self.ask(&Request::Checkpoint) {
            Ok((Answer::Checkpoint(made), _)) => made,
            other => {
                self.broken(&other.err().unwrap_or_else(unasked));
                Err(Error::Retry { reason: UNREACHED.to_owned() })
            }
        };
        for answer in asked {
            let _ = answer.send(made.clone().map(Option::unwrap_or_default));
        }
    }

    /// There is no line: nobody is kept waiting for a receipt.
    fn broken(&mut self, error: &io::Error) {
        if self.line.take().is_some() || self.shared.lock().failing.is_none() {
            tracing::error!(%error, "{UNREACHED}");
        }
        self.shared.lock().failing = Some(UNREACHED.to_owned());
        self.nobody_waits();
    }

    fn nobody_waits(&self) {
        let mut state = self.shared.lock();
        let reason = state.damaged.clone().or_else(|| state.failing.clone()).unwrap_or_default();
        let (asked, checkpoints) = (state.queue.take_answers(), std::mem::take(&mut state.asked));
        drop(state);
        for answer in asked {
            let _ = answer.send(Err(Error::Fatal { reason: reason.clone() }));
        }
        for answer in checkpoints {
            let _ = answer.send(Err(Error::Fatal { reason: reason.clone() }));
        }
    }

    fn give_up(&mut self) {
        let waiting = self.unsettled.take().map_or(0, |unsettled| unsettled.entries.len());
        let state = self.shared.lock();
        let lost = (waiting + state.queue.buffered()) as u64 + state.queue.dropped();
        tracing::error!(lost, "the record could not be written to the end");
    }
}

/// Whoever waits is told that nobody knows; what is kept is asked about.
fn unsettled(first: u64, entries: impl Iterator<Item = (usize, Waiting)>) -> Unsettled {
    let told = |(place, mut waiting): (usize, Waiting)| {
        if let Some(asked) = waiting.answer.take() {
            let _ = asked.send(Err(Error::Late));
        }
        (place, waiting)
    };
    Unsettled { first, entries: entries.map(told).collect() }
}

fn answer(waiting: Option<Waiting>, result: Result<Receipt, Error>) {
    if let Some(asked) = waiting.and_then(|waiting| waiting.answer) {
        let _ = asked.send(result);
    }
}

fn unasked() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "an answer to something else")
}

//! What waits for the writer: appends, each with somebody waiting, and enqueued events.

use std::collections::VecDeque;

use belfry_audit::{Actor, Detail, Event, Scope};
use tokio::sync::oneshot;

use crate::Receipt;
use crate::error::Error;
use crate::opening::Beside;

/// Events that may wait without anybody waiting for them: ten minutes of the bell at 200 events a
/// second would be more than a disk that still works lets pile up.
pub(crate) const BUFFER_EVENTS_MAX: usize = 65_536;

/// Appends that may wait at a time.
pub(crate) const APPENDS_MAX: usize = 1_024;

/// Events of one commit.
pub(crate) const GROUP_EVENTS_MAX: usize = 512;

pub(crate) type Answer = oneshot::Sender<Result<Receipt, Error>>;

/// Where an event comes from that another process has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The user of that process (`SO_PEERCRED`).
    pub(crate) user: u32,
    /// Which of its lives, by a random number.
    pub(crate) client: u64,
    /// The group that it came in.
    pub(crate) group: u64,
    /// Its place in the group.
    pub(crate) place: usize,
}

/// An event on its way into the record.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) event: Event,
    /// Present as long as somebody waits for the receipt.
    pub(crate) answer: Option<Answer>,
    /// Kept until it is written, whether or not somebody waits.
    pub(crate) kept: bool,
    pub(crate) beside: Beside,
    /// `None`: of this process.
    pub(crate) origin: Option<Origin>,
}

impl Waiting {
    pub(crate) fn kept(event: Event, beside: Beside, answer: Option<Answer>) -> Self {
        Self { event, answer, kept: true, beside, origin: None }
    }
}

/// Events that were dropped since the last one was recorded.
#[derive(Clone, Copy, Debug)]
struct Gap {
    count: u64,
    first_at_ms: i64,
    last_at_ms: i64,
    district: i64,
}

/// In order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: VecDeque<Waiting>,
    appends: usize,
    gap: Option<Gap>,
    buffer_max: Option<usize>,
}

impl Queue {
    #[cfg(test)]
    pub(crate) fn with_buffer_max(buffer_max: usize) -> Self {
        Self { buffer_max: Some(buffer_max), ..Self::default() }
    }

    pub(crate) fn append(
        &mut self,
        event: Event,
        beside: Beside,
        origin: Option<Origin>,
        answer: Answer,
    ) -> Result<(), Error> {
        if self.appends >= APPENDS_MAX {
            return Err(Error::Retry { reason: "too many are waiting".to_owned() });
        }
        self.appends += 1;
        let answer = Some(answer);
        self.waiting.push_back(Waiting { event, answer, kept: false, beside, origin });
        Ok(())
    }

    /// `true` if the event was dropped and counted instead. `answer`: for whoever wants to know when it
    /// is written, and does not depend on it.
    pub(crate) fn enqueue(&mut self, event: Event, beside: Beside, answer: Option<Answer>) -> bool {
        let buffered = self.waiting.len() - self.appends;
        if buffered < self.buffer_max.unwrap_or(BUFFER_EVENTS_MAX) && self.gap.is_none() {
            self.waiting.push_back(Waiting::kept(event, beside, answer));
            return false;
        }
        // Once there is a gap, later events belong to it until it is recorded: it has one place.
        let gap = self.gap.get_or_insert(Gap {
            count: 0,
            first_at_ms: event.at_ms,
            last_at_ms: event.at_ms,
            district: event.scope.district,
        });
        gap.count += 1;
        gap.last_at_ms = event.at_ms;
        true
    }

    /// The next group; a gap follows the last of what was waiting when it began.
    pub(crate) fn take_group(&mut self) -> Vec<Waiting> {
        let count = self.waiting.len().min(GROUP_EVENTS_MAX);
        let mut group: Vec<_> = self.waiting.drain(..count).collect();
        self.appends -= group.iter().filter(|waiting| !waiting.kept).count();
        // Whoever gave up waiting has refused what it wanted to record.
        let given_up = |waiting: &Waiting| {
            !waiting.kept && waiting.answer.as_ref().is_none_or(Answer::is_closed)
        };
        group.retain(|waiting| !given_up(waiting));
        if self.waiting.is_empty()
            && let Some(gap) = self.gap.take()
        {
            group.push(Waiting::kept(gap.event(), Beside::Nothing, None));
        }
        group
    }

    /// Puts back what was not written and nobody waits for, in front.
    pub(crate) fn put_back(&mut self, group: Vec<Waiting>) {
        for waiting in group.into_iter().rev() {
            self.waiting.push_front(waiting);
        }
    }

    /// Takes the appends out: nobody is kept waiting while the record cannot be written.
    pub(crate) fn take_answers(&mut self) -> Vec<Answer> {
        self.appends = 0;
        let (appends, kept) =
            self.waiting.drain(..).partition::<VecDeque<_>, _>(|waiting| !waiting.kept);
        self.waiting = kept;
        for waiting in &mut self.waiting {
            waiting.answer = None;
        }
        appends.into_iter().filter_map(|waiting| waiting.answer).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.gap.is_none()
    }

    pub(crate) fn buffered(&self) -> usize {
        self.waiting.len() - self.appends
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.gap.map_or(0, |gap| gap.count)
    }
}

impl Gap {
    fn event(self) -> Event {
        Event {
            at_ms: self.last_at_ms,
            scope: Scope::district(self.district),
            actor: Actor::Appliance,
            detail: Detail::RecordGap {
                count: self.count,
                first_at_ms: self.first_at_ms,
                last_at_ms: self.last_at_ms,
            },
        }
    }
}

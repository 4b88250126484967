//! Keeps one worker running: replaces it when it dies, wedges or talks nonsense, within a budget.

use std::collections::VecDeque;
use std::error::Error;
use std::time::Duration;

use belfry_model::Outside;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::worker::{Reading, Writing};
use crate::{Patience, Spec, Worker, WorkerError};

/// How a vocabulary of commands and events becomes frames.
#[derive(Debug)]
pub struct Vocabulary<C, E> {
    pub encode: fn(&C) -> Vec<u8>,
    /// By a registered parser: a worker's words are outside bytes.
    pub decode: fn(Outside<'_>) -> Result<E, Box<dyn Error + Send + Sync>>,
}

/// How often a worker may be replaced. When it fails more often, somebody must look.
#[derive(Clone, Copy, Debug)]
pub struct Restarts {
    /// Within `window`.
    pub count_max: usize,
    pub window: Duration,
    /// Before the first replacement of a row; doubles up to `delay_max`.
    pub delay_min: Duration,
    pub delay_max: Duration,
}

impl Default for Restarts {
    /// The first replacement comes at once: a lesson waits for it.
    fn default() -> Self {
        Self {
            count_max: 10,
            window: Duration::from_mins(1),
            delay_min: Duration::from_millis(20),
            delay_max: Duration::from_secs(5),
        }
    }
}

/// What comes from a supervised worker.
#[derive(Debug)]
pub enum Report<E> {
    /// A child runs and has been given its greeting. What was sent to an earlier one is void.
    Started {
        process_id: Option<u32>,
    },
    Message(E),
    /// The child is gone; the next report is `Started` or `GaveUp`.
    Ended(End),
    /// The budget of replacements is used up, or a child cannot be started. The last report.
    GaveUp,
}

/// Why a child ended.
#[derive(Debug)]
pub enum End {
    /// By itself.
    Died { status: Option<std::process::ExitStatus> },
    /// It was silent, or did not take what was sent to it, for too long.
    Wedged,
    /// It broke the protocol.
    Nonsense(Box<dyn Error + Send + Sync>),
}

/// The worker is not going to take anything any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the worker is gone for good")]
pub struct Gone;

/// Commands to a supervised worker. When the last of them is dropped, the worker is stopped.
#[derive(Debug)]
pub struct Commands<C>(mpsc::Sender<C>);

impl<C> Clone for Commands<C> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<C> Commands<C> {
    /// Waits while the queue is full. A command that is sent while no child runs is dropped with
    /// the child that it was meant for.
    pub async fn send(&self, command: C) -> Result<(), Gone> {
        self.0.send(command).await.map_err(|_| Gone)
    }

    /// The worker is not coming back.
    pub fn is_gone(&self) -> bool {
        self.0.is_closed()
    }
}

/// Starts a worker and keeps it running until all [`Commands`] are dropped. Each new child is first
/// given `greeting`. `queue_max` bounds commands and reports each: when reports are not read, the
/// worker is not read either and comes to wait.
pub fn supervise<C, E>(
    spec: Spec,
    restarts: Restarts,
    vocabulary: Vocabulary<C, E>,
    greeting: C,
    queue_max: usize,
) -> (Commands<C>, mpsc::Receiver<Report<E>>)
where
    C: Send + Sync + 'static,
    E: Send + 'static,
{
    let (commands, queue) = mpsc::channel(queue_max);
    let (reports, received) = mpsc::channel(queue_max);
    let supervision = Supervision {
        spec,
        restarts,
        vocabulary,
        greeting,
        queue,
        reports,
        replaced: VecDeque::new(),
    };
    tokio::spawn(supervision.run());
    (Commands(commands), received)
}

struct Supervision<C, E> {
    spec: Spec,
    restarts: Restarts,
    vocabulary: Vocabulary<C, E>,
    greeting: C,
    queue: mpsc::Receiver<C>,
    reports: mpsc::Sender<Report<E>>,
    /// When children of the present window were replaced.
    replaced: VecDeque<Instant>,
}

/// Why the link to one child was given up.
enum Parted {
    /// Nobody sends or listens any more.
    Unwanted,
    Closed,
    Wedged,
    Nonsense(Box<dyn Error + Send + Sync>),
}

impl<C: Send + Sync, E: Send> Supervision<C, E> {
    async fn run(mut self) {
        let name = self.spec.name;
        loop {
            let mut worker = match Worker::start(&self.spec) {
                Ok(worker) => worker,
                Err(error) => {
                    tracing::error!(worker = name, %error, "cannot start");
                    break;
                }
            };
            // What is queued was meant for the child before, of whose state this one knows nothing.
            while self.queue.try_recv().is_ok() {}
            let process_id = worker.process_id();
            tracing::info!(worker = name, process_id, "worker started");
            if self.reports.send(Report::Started { process_id }).await.is_err() {
                worker.stop().await;
                return;
            }
            let end = match self.serve(&mut worker).await {
                Parted::Unwanted => {
                    let status = worker.stop().await;
                    tracing::info!(worker = name, ?status, "worker stopped");
                    return;
                }
                Parted::Closed => End::Died { status: worker.stop().await },
                Parted::Wedged => {
                    worker.kill().await;
                    End::Wedged
                }
                Parted::Nonsense(error) => {
                    worker.kill().await;
                    End::Nonsense(error)
                }
            };
            tracing::error!(worker = name, ?end, "worker ended");
            if self.reports.send(Report::Ended(end)).await.is_err() {
                return;
            }
            let Some(delay) = self.delay(Instant::now()) else {
                tracing::error!(worker = name, "worker failed too often and is given up");
                break;
            };
            tokio::time::sleep(delay).await;
        }
        self.reports.send(Report::GaveUp).await.ok();
    }

    /// Carries frames both ways, at the same time: a child that waits to be read must not keep us
    /// from reading it.
    async fn serve(&mut self, worker: &mut Worker) -> Parted {
        let silence_max = self.spec.silence_max;
        let (vocabulary, greeting) = (&self.vocabulary, &self.greeting);
        tokio::select! {
            parted = read(&mut worker.reading, vocabulary, &self.reports, silence_max) => parted,
            parted = write(
                &mut worker.writing, vocabulary, greeting, &mut self.queue, silence_max,
            ) => parted,
        }
    }

    /// How long to wait before the next child; `None`: the budget is used up.
    fn delay(&mut self, now: Instant) -> Option<Duration> {
        let Restarts { count_max, window, delay_min, delay_max } = self.restarts;
        while self.replaced.front().is_some_and(|at| now.duration_since(*at) > window) {
            self.replaced.pop_front();
        }
        if self.replaced.len() >= count_max {
            return None;
        }
        let doubled = u32::try_from(self.replaced.len()).unwrap_or(u32::MAX).min(16);
        self.replaced.push_back(now);
        Some((delay_min * 2_u32.pow(doubled)).min(delay_max))
    }
}

async fn read<C, E>(
    reading: &mut Reading,
    vocabulary: &Vocabulary<C, E>,
    reports: &mpsc::Sender<Report<E>>,
    silence_max: Duration,
) -> Parted {
    let mut patience = Patience::new(silence_max, std::time::Instant::now());
    loop {
        let heard = tokio::time::timeout(Patience::TICK, reading.receive()).await;
        let frame = match heard {
            Err(_) if patience.is_over(std::time::Instant::now()) => return Parted::Wedged,
            Err(_) => continue,
            Ok(Ok(Some(frame))) => frame,
            Ok(Ok(None) | Err(WorkerError::Torn | WorkerError::Link(_))) => return Parted::Closed,
            Ok(Err(error)) => return Parted::Nonsense(error.into()),
        };
        if frame.is_empty() {
            patience.heard(std::time::Instant::now());
            continue;
        }
        match (vocabulary.decode)(Outside::new(&frame)) {
            Ok(message) => {
                if reports.send(Report::Message(message)).await.is_err() {
                    return Parted::Unwanted;
                }
            }
            Err(error) => return Parted::Nonsense(error),
        }
        // Only the wait for the child counts as its silence, not the wait for our own listener.
        patience.heard(std::time::Instant::now());
    }
}

/// Sends a frame, which is not to be given up half-way, to a child that may be slow to take it.
/// `None`: it does not take it.
async fn send(
    writing: &mut Writing,
    frame: &[u8],
    silence_max: Duration,
) -> Option<Result<(), WorkerError>> {
    let mut sending = std::pin::pin!(writing.send(frame));
    let mut patience = Patience::new(silence_max, std::time::Instant::now());
    loop {
        match tokio::time::timeout(Patience::TICK, &mut sending).await {
            Ok(sent) => return Some(sent),
            Err(_) if patience.is_over(std::time::Instant::now()) => return None,
            Err(_) => {}
        }
    }
}

async fn write<C, E>(
    writing: &mut Writing,
    vocabulary: &Vocabulary<C, E>,
    greeting: &C,
    queue: &mut mpsc::Receiver<C>,
    silence_max: Duration,
) -> Parted {
    let mut frame = (vocabulary.encode)(greeting);
    loop {
        match send(writing, &frame, silence_max).await {
            None => return Parted::Wedged,
            Some(Ok(())) => {}
            // Too long for a frame: the child must not miss a command, so it starts anew.
            Some(Err(error @ WorkerError::Frame { .. })) => return Parted::Nonsense(error.into()),
            // The child is closing its end; what it said last is still to be read.
            Some(Err(_)) => return std::future::pending().await,
        }
        match queue.recv().await {
            Some(command) => frame = (vocabulary.encode)(&command),
            None => return Parted::Unwanted,
        }
    }
}

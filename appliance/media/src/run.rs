//! The process's `main`.

use std::error::Error as _;
use std::os::unix::net::UnixListener;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use belfry_media_api::{COMMANDS, Command, Configure, Event, FrameError};
use belfry_model::Outside;
use belfry_model::outside::Refusal;
use belfry_transport::{Transport, TransportError, Wedged};
use belfry_workers::sandbox::{self, Files, Network};
use belfry_workers::{Patience, Receiving, Sending, WorkerError, link};

use crate::events::{self, Queue, Queued};

/// A shard's heartbeat rises at least once a second.
const HEARTBEAT_MAX: Duration = Duration::from_secs(3);

/// Why the media process ends otherwise than by its parent's wish.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    #[error("the link to the parent")]
    Link(#[source] WorkerError),
    #[error("a command")]
    Command(#[source] Refusal<FrameError>),
    #[error("the first command is not the configuration, or a later one is")]
    Order,
    #[error("the media sockets")]
    Unusable(#[source] TransportError),
    #[error("a shard")]
    Wedged(#[source] Wedged),
    #[error("shard {shard} has not moved for {} s", HEARTBEAT_MAX.as_secs())]
    Stuck { shard: usize },
    #[error("the parent does not read its events")]
    Overrun,
    #[error("a thread cannot be started")]
    Thread(#[source] std::io::Error),
}

/// Serves until the parent closes the link. All that is left then goes with the process: the
/// caller is to return from `main`.
pub fn run() -> Result<(), MediaError> {
    // First of all, while no other descriptor can have its number.
    let handed = link::take_listener();
    let (mut receiving, mut sending) = link::take().map_err(MediaError::Link)?;
    // Before any thread is started: a thread inherits what the one that starts it may do.
    sandbox::enter(&Files::default(), Network::Serves);
    let configure = match next(&mut receiving)? {
        None => return Ok(()),
        Some(Command::Configure(configure)) => configure,
        Some(_) => return Err(MediaError::Order),
    };
    let (queue, queued) = events::queue();
    let transport = start(&configure, handed, &queue, &mut sending)?;
    sandbox::seal();
    queue.push(&Event::Ready { listening: transport.listening().to_vec() });
    serve(transport, &queue, queued, receiving, sending)
}

fn start(
    configure: &Configure,
    handed: Option<UnixListener>,
    queue: &Queue,
    sending: &mut Sending,
) -> Result<Transport, MediaError> {
    let shards = queue.clone();
    Transport::start(configure, handed, move |event| shards.push(&event)).map_err(|error| {
        let sentence = match error.source() {
            None => error.to_string(),
            Some(source) => format!("{error}: {source}"),
        };
        let told = sending.send(&belfry_media_api::encode(&Event::Unusable { sentence }));
        told.err().map_or(MediaError::Unusable(error), MediaError::Link)
    })
}

/// Commands and events each have a thread, for each may come to wait; this one watches.
fn serve(
    transport: Transport,
    queue: &Queue,
    queued: Queued,
    receiving: Receiving,
    sending: Sending,
) -> Result<(), MediaError> {
    let (ended, end) = sync_channel(2);
    let transport = std::sync::Arc::new(transport);
    spawn("events", &ended, move || write(&queued, sending))?;
    let commanded = std::sync::Arc::clone(&transport);
    spawn("commands", &ended, move || read(&commanded, receiving))?;
    let mut beats = Beats::new(&transport.heartbeats(), Instant::now());
    loop {
        match end.recv_timeout(Patience::TICK) {
            Ok(result) => return result,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        if queue.is_overrun() {
            return Err(MediaError::Overrun);
        }
        if let Some(shard) = beats.stuck(&transport.heartbeats(), Instant::now()) {
            return Err(MediaError::Stuck { shard });
        }
    }
}

type Ended = SyncSender<Result<(), MediaError>>;

fn spawn(
    name: &str,
    ended: &Ended,
    work: impl FnOnce() -> Result<(), MediaError> + Send + 'static,
) -> Result<(), MediaError> {
    let ended = ended.clone();
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            // Whoever listened has ended already if this fails.
            ended.send(work()).ok();
        })
        .map(drop)
        .map_err(MediaError::Thread)
}

fn next(receiving: &mut Receiving) -> Result<Option<Command>, MediaError> {
    let frame = receiving.receive().map_err(MediaError::Link)?;
    frame.map(|frame| COMMANDS.parse(Outside::new(&frame)).map_err(MediaError::Command)).transpose()
}

fn read(transport: &Transport, mut receiving: Receiving) -> Result<(), MediaError> {
    while let Some(command) = next(&mut receiving)? {
        if matches!(command, Command::Configure(_)) {
            return Err(MediaError::Order);
        }
        transport.command(command).map_err(MediaError::Wedged)?;
    }
    Ok(())
}

fn write(queued: &Queued, mut sending: Sending) -> Result<(), MediaError> {
    while let Some(frame) = queued.pop() {
        sending.send(&frame).map_err(MediaError::Link)?;
    }
    Ok(())
}

/// The patience with each shard, and its heartbeat.
#[derive(Debug)]
struct Beats(Vec<(u64, Patience)>);

impl Beats {
    fn new(beats: &[u64], now: Instant) -> Self {
        Self(beats.iter().map(|beat| (*beat, Patience::new(HEARTBEAT_MAX, now))).collect())
    }

    /// The first shard that has not moved for too long.
    fn stuck(&mut self, beats: &[u64], now: Instant) -> Option<usize> {
        let mut stuck = None;
        for (index, ((seen, patience), beat)) in self.0.iter_mut().zip(beats).enumerate() {
            if *seen != *beat {
                *seen = *beat;
                patience.heard(now);
            } else if patience.is_over(now) {
                stuck = stuck.or(Some(index));
            }
        }
        stuck
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use belfry_workers::Patience;

    use super::{Beats, HEARTBEAT_MAX};

    #[test]
    fn the_shard_that_stands_still_is_named_and_none_when_the_watch_is_late_itself() {
        let start = Instant::now();
        let run = |interval: u32| {
            let mut beats = Beats::new(&[0, 0], start);
            (1..20).find_map(|tick| {
                let now = start + Patience::TICK * tick * interval;
                Some((now - start, beats.stuck(&[u64::from(tick), 0], now)?))
            })
        };
        let (after, shard) = run(1).expect("the second stands still");
        assert!(shard == 1 && after > HEARTBEAT_MAX && after < 2 * HEARTBEAT_MAX, "{after:?}");
        assert_eq!(run(4), None);
    }
}

//! The process itself.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::fs::File;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use belfry_ledger::{Ledger, OpenError, Peers};
use belfry_workers::sandbox::{self, Files, Network};
use belfry_workers::{Receiving, Sending, WorkerError, link};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::word::Word;

/// Signs of life come this often.
const BEAT_EVERY: Duration = Duration::from_secs(1);

/// Who may speak to a socket with a path: its user and its group.
const SOCKET_MODE: u32 = 0o660;

/// Why the process ends otherwise than it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("the link to the parent")]
    Link(#[source] WorkerError),
    #[error("it was given no socket: this command is started by `serve`, or with --socket")]
    NoSocket,
    #[error(transparent)]
    Record(OpenError),
    #[error(
        "cannot make {path}: check that its directory exists and that this user may write to it"
    )]
    Claim {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "cannot listen on {path}: check that its directory exists and that this user may write to it"
    )]
    Socket {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the socket")]
    Serving(#[source] io::Error),
    #[error("a thread cannot be started")]
    Thread(#[source] io::Error),
}

/// Writes the record at `record` for the process that has started this one, until that closes the link.
pub fn run(record: &Path) -> Result<(), RunError> {
    // First of all, while no other descriptor can have its number.
    let listener = link::take_listener().ok_or(RunError::NoSocket)?;
    let (receiving, mut sending) = link::take().map_err(RunError::Link)?;
    let claimed = claim(record);
    confine(record);
    let opened =
        claimed.and_then(|alone| Ok((Ledger::open(record).map_err(RunError::Record)?, alone)));
    let (ledger, _alone) = opened.map_err(|error| {
        let told = sending.send(&Word::Unusable(sentence(&error)).encode());
        told.err().map_or(error, RunError::Link)
    })?;
    sending.send(&Word::Ready.encode()).map_err(RunError::Link)?;
    let (gone, parent_gone) = oneshot::channel();
    std::thread::Builder::new()
        .name("link".to_owned())
        .spawn(move || until_closed(receiving, gone))
        .map_err(RunError::Thread)?;
    runtime()?.block_on(async {
        tokio::select! {
            served = serve(ledger, listener, Peers::default()) => served,
            beaten = beat(sending) => beaten,
            () = deaf_until(parent_gone) => Ok(()),
        }
    })
}

/// Writes the record at `record` for whoever may speak to `socket`, until it is told to stop. `users`:
/// the users of the machine, besides its own, whose processes may have something recorded.
pub fn run_alone(record: &Path, socket: &Path, users: BTreeSet<u32>) -> Result<(), RunError> {
    let failed = |source| RunError::Socket { path: socket.to_owned(), source };
    let _alone = claim(record)?;
    let ledger = Ledger::open(record).map_err(RunError::Record)?;
    belfry_ledger::share(record).map_err(RunError::Record)?;
    // The record is ours alone now: what is there of a socket was left behind.
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = UnixListener::bind(socket).map_err(failed)?;
    let shared = std::fs::Permissions::from_mode(SOCKET_MODE);
    std::fs::set_permissions(socket, shared).map_err(failed)?;
    confine(record);
    runtime()?.block_on(async {
        let mut terminated = signal(SignalKind::terminate()).map_err(RunError::Serving)?;
        let mut interrupted = signal(SignalKind::interrupt()).map_err(RunError::Serving)?;
        tokio::select! {
            served = serve(ledger, listener, Peers { users }) => served,
            _ = terminated.recv() => Ok(()),
            _ = interrupted.recv() => Ok(()),
        }
    })
}

/// Waits for a process before this one that has just been killed: two that write one record would spoil
/// it for each other.
fn claim(record: &Path) -> Result<File, RunError> {
    let path = record.with_extension("lock");
    let claimed = File::create(&path).and_then(|file| file.lock().map(|()| file));
    claimed.map_err(|source| RunError::Claim { path, source })
}

fn confine(record: &Path) {
    let beside = record.parent().unwrap_or(Path::new(".")).to_owned();
    sandbox::enter(&Files { readable: Vec::new(), writable: vec![beside] }, Network::Accepts);
}

fn runtime() -> Result<tokio::runtime::Runtime, RunError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(RunError::Thread)
}

async fn serve(ledger: Ledger, listener: UnixListener, peers: Peers) -> Result<(), RunError> {
    listener.set_nonblocking(true).map_err(RunError::Serving)?;
    let listener = tokio::net::UnixListener::from_std(listener).map_err(RunError::Serving)?;
    belfry_ledger::serve(ledger, listener, peers).await.map_err(RunError::Serving)
}

async fn beat(mut sending: Sending) -> Result<(), RunError> {
    let mut beats = tokio::time::interval(BEAT_EVERY);
    loop {
        beats.tick().await;
        sending.beat().map_err(RunError::Link)?;
    }
}

/// A signal to the whole group, as Ctrl-C is, is for the parent: what it still has to say is recorded.
async fn deaf_until(parent_gone: oneshot::Receiver<()>) {
    let heard = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let _deaf: Vec<_> = heard.into_iter().map(signal).collect();
    // An error is the end, too: the thread that watched is gone.
    let _ = parent_gone.await;
}

fn until_closed(mut receiving: Receiving, gone: oneshot::Sender<()>) {
    while let Ok(Some(_)) = receiving.receive() {}
    let _ = gone.send(());
}

fn sentence(error: &RunError) -> String {
    match error.source() {
        None => error.to_string(),
        Some(source) => format!("{error}: {source}"),
    }
}

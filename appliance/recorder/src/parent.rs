//! The control process's side.

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use belfry_ledger::{Ledger, OpenError};
use belfry_workers::{Commands, Report, Restarts, Spec, Vocabulary};
use tokio::sync::mpsc;

use crate::word::{WORDS, Word};

/// It says every second that it lives.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// How long it may take to write what it was given.
const STOP_MAX: Duration = Duration::from_secs(10);
/// Its words that wait to be heard.
const QUEUE_MAX: usize = 16;
/// Chance in the socket's name.
const NAME_BYTES: usize = 16;

/// It is started for as long as it takes: lessons go on without it, and nothing is shown meanwhile.
const RESTARTS: Restarts = Restarts {
    count_max: usize::MAX,
    window: Duration::from_mins(1),
    delay_min: Duration::from_millis(20),
    delay_max: Duration::from_secs(5),
};

/// Why it could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot make a socket for the record's process")]
    Socket(#[source] io::Error),
    #[error(transparent)]
    Open(OpenError),
    #[error("{0}")]
    Unusable(String),
    #[error("the record's process does not start: see the log above")]
    Gone,
}

/// The running process. It ends when this is dropped; [`Process::stop`] waits for it.
#[derive(Debug)]
pub struct Process {
    commands: Commands<()>,
    watching: tokio::task::JoinHandle<()>,
}

/// Starts the process, `program` (by default this executable) with `args`, which has to call
/// [`run`](crate::run) on `record`, and keeps it running; waits until it has opened the record. Must be
/// called within a tokio runtime.
pub async fn start(
    program: Option<PathBuf>,
    args: Vec<OsString>,
    record: &Path,
) -> Result<(Ledger, Process), StartError> {
    let address = address().map_err(StartError::Socket)?;
    let listener = UnixListener::bind_addr(&address).map_err(StartError::Socket)?;
    let spec = Spec {
        name: "ledger",
        program,
        args,
        silence_max: SILENCE_MAX,
        listener: Some(Arc::new(listener)),
        stop_max: STOP_MAX,
    };
    let vocabulary = Vocabulary {
        encode: |()| Vec::new(),
        decode: |frame| WORDS.parse(frame).map_err(Into::into),
    };
    let (commands, mut reports) =
        belfry_workers::supervise(spec, RESTARTS, vocabulary, (), QUEUE_MAX);
    loop {
        match reports.recv().await.ok_or(StartError::Gone)? {
            Report::Message(Word::Ready) => break,
            Report::Message(Word::Unusable(sentence)) => {
                return Err(StartError::Unusable(sentence));
            }
            Report::Started { .. } => {}
            Report::Ended(_) | Report::GaveUp => return Err(StartError::Gone),
        }
    }
    let watching = tokio::spawn(watch(reports));
    let ledger = Ledger::connect(record, address).map_err(StartError::Open)?;
    Ok((ledger, Process { commands, watching }))
}

/// In no directory: a name of our own that no other process can guess, and who asks is looked at.
fn address() -> io::Result<SocketAddr> {
    let random: [u8; NAME_BYTES] = rand::random();
    SocketAddr::from_abstract_name(format!("belfry-ledger-{:032x}", u128::from_be_bytes(random)))
}

async fn watch(mut reports: mpsc::Receiver<Report<Word>>) {
    while let Some(report) = reports.recv().await {
        match report {
            Report::Message(Word::Ready) => tracing::info!("the record's process is ready"),
            Report::Message(Word::Unusable(reason)) => {
                tracing::error!(reason, "the record cannot be opened");
            }
            // Said by whoever supervises it.
            Report::Started { .. } | Report::Ended(_) | Report::GaveUp => {}
        }
    }
}

impl Process {
    /// Ends it when it has written what it was given. To come after the last use of its [`Ledger`].
    pub async fn stop(self) {
        drop(self.commands);
        // It cannot panic.
        let _ = self.watching.await;
    }
}

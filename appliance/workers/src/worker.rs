//! One child process and its link.

use std::ffi::OsString;
use std::os::unix::net::{UnixListener, UnixStream as StdUnixStream};
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::Child;
use tokio::runtime::Handle;

use crate::frame::{Assembly, READ_BYTES, pack};
use crate::{WorkerError, link, sys};

/// How to start a worker.
#[derive(Clone, Debug)]
pub struct Spec {
    /// For logs.
    pub name: &'static str,
    /// `None`: this executable.
    pub program: Option<PathBuf>,
    pub args: Vec<OsString>,
    /// A worker that is silent for so long is wedged: it is killed. Time in which the machine is
    /// starved does not count ([`crate::Patience`]).
    pub silence_max: Duration,
    /// A socket that the worker takes streams on ([`link::take_listener`]); each new child gets it.
    pub listener: Option<Arc<UnixListener>>,
    /// How long a worker may take to end after its link was closed, before it is killed.
    pub stop_max: Duration,
}

/// A running child. Dropping it kills the child.
#[derive(Debug)]
pub struct Worker {
    process: Child,
    pub(crate) reading: Reading,
    pub(crate) writing: Writing,
    stop_max: Duration,
    /// Held for its drop: lets the thread that started the child end.
    _starter: mpsc::Sender<()>,
}

impl Worker {
    /// Starts the child. Must be called within a tokio runtime.
    pub fn start(spec: &Spec) -> Result<Self, WorkerError> {
        let (ours, theirs) = StdUnixStream::pair().map_err(WorkerError::Socket)?;
        ours.set_nonblocking(true).map_err(WorkerError::Socket)?;
        let (process, starter) =
            spawn(spec, theirs).map_err(|source| WorkerError::Start { name: spec.name, source })?;
        let (read, write) = UnixStream::from_std(ours).map_err(WorkerError::Socket)?.into_split();
        Ok(Self {
            process,
            reading: Reading { read, assembly: Assembly::default() },
            writing: Writing { write },
            stop_max: spec.stop_max,
            _starter: starter,
        })
    }

    /// Of the child, while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.process.id()
    }

    pub async fn send(&mut self, frame: &[u8]) -> Result<(), WorkerError> {
        self.writing.send(frame).await
    }

    /// The next frame, signs of life included; `None` when the child has closed the link, which its
    /// death does at once. May be dropped and called again without a loss.
    pub async fn receive(&mut self) -> Result<Option<Vec<u8>>, WorkerError> {
        self.reading.receive().await
    }

    /// Closes the link and waits for the child to end; kills it when it takes too long.
    pub async fn stop(self) -> Option<ExitStatus> {
        let Self { mut process, reading, writing, stop_max, _starter } = self;
        drop((reading, writing));
        match tokio::time::timeout(stop_max, process.wait()).await {
            Ok(status) => status.ok(),
            Err(_) => kill(&mut process).await,
        }
    }

    /// Ends the child without asking it.
    pub async fn kill(mut self) -> Option<ExitStatus> {
        kill(&mut self.process).await
    }
}

async fn kill(process: &mut Child) -> Option<ExitStatus> {
    // A child that has ended meanwhile is only reaped.
    process.kill().await.ok();
    process.wait().await.ok()
}

/// Starts the child on a thread of its own that lives as long as the [`Worker`]: the kernel kills a
/// child with a death signal when the *thread* that started it ends, and threads of an async
/// runtime may end at any time.
fn spawn(spec: &Spec, theirs: StdUnixStream) -> std::io::Result<(Child, mpsc::Sender<()>)> {
    let program = match &spec.program {
        Some(program) => program.clone(),
        None => std::env::current_exe()?,
    };
    let mut command = std::process::Command::new(program);
    command.args(&spec.args).stdin(std::process::Stdio::null());
    sys::inherit(&mut command, &theirs, link::DESCRIPTOR)?;
    drop(theirs);
    if let Some(listener) = &spec.listener {
        sys::inherit(&mut command, listener.as_ref(), link::LISTENER)?;
    }
    let mut command = tokio::process::Command::from(command);
    command.kill_on_drop(true);
    let runtime = Handle::current();
    let (starter, until_dropped) = mpsc::channel::<()>();
    let (spawned, result) = mpsc::sync_channel(1);
    std::thread::Builder::new().name(format!("{} starter", spec.name)).spawn(move || {
        let _context = runtime.enter();
        // The command owns the child's end of the link: dropped here, or EOF would never come.
        let child = command.spawn();
        drop(command);
        if spawned.send(child).is_ok() {
            // Ends with an error, when the sender is dropped.
            until_dropped.recv().ok();
        }
    })?;
    let child = result.recv().map_err(|_| std::io::Error::other("the starter thread ended"))??;
    Ok((child, starter))
}

#[derive(Debug)]
pub(crate) struct Reading {
    read: OwnedReadHalf,
    assembly: Assembly,
}

impl Reading {
    pub(crate) async fn receive(&mut self) -> Result<Option<Vec<u8>>, WorkerError> {
        loop {
            if let Some(frame) = self.assembly.next_frame()? {
                return Ok(Some(frame));
            }
            // Nothing is lost when this is dropped while it waits: bytes move only when it is done.
            let mut read = Vec::with_capacity(READ_BYTES);
            match self.read.read_buf(&mut read).await {
                Ok(0) if self.assembly.is_empty() => return Ok(None),
                Ok(0) => return Err(WorkerError::Torn),
                Ok(_) => self.assembly.push(&read),
                Err(source) if source.kind() == std::io::ErrorKind::ConnectionReset => {
                    return Ok(None);
                }
                Err(source) => return Err(WorkerError::Link(source)),
            }
        }
    }
}

#[derive(Debug)]
pub(crate) struct Writing {
    write: OwnedWriteHalf,
}

impl Writing {
    /// Not to be dropped half-way: the rest of the frame would be missing.
    pub(crate) async fn send(&mut self, frame: &[u8]) -> Result<(), WorkerError> {
        self.write.write_all(&pack(frame)?).await.map_err(WorkerError::Link)
    }
}

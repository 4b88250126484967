//! The child's end of the link, blocking: one thread receives, one sends.

use std::io::{Read, Write};
use std::os::fd::RawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::WorkerError;
use crate::frame::{Assembly, READ_BYTES, pack};

/// The first descriptor after the standard ones, which is also where systemd puts a socket.
pub const DESCRIPTOR: RawFd = 3;

/// Where a listening socket is, for a worker that is given one.
pub const LISTENER: RawFd = 4;

static TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes the link that the parent left; works once per process.
pub fn take() -> Result<(Receiving, Sending), WorkerError> {
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Err(WorkerError::NoLink);
    }
    let stream = crate::sys::take_socket(DESCRIPTOR).ok_or(WorkerError::NoLink)?;
    let other = stream.try_clone().map_err(WorkerError::Link)?;
    Ok((Receiving { stream, assembly: Assembly::default() }, Sending { stream: other }))
}

/// Takes the listening socket that the parent left, if it did. To come before anything else in the
/// process opens a descriptor, so before [`take`].
pub fn take_listener() -> Option<UnixListener> {
    crate::sys::take_listener(LISTENER)
}

/// Frames from the parent.
#[derive(Debug)]
pub struct Receiving {
    stream: UnixStream,
    assembly: Assembly,
}

impl Receiving {
    /// The next frame; `None` when the parent wants this process to end, or is gone.
    pub fn receive(&mut self) -> Result<Option<Vec<u8>>, WorkerError> {
        let mut read = vec![0; READ_BYTES];
        loop {
            while let Some(frame) = self.assembly.next_frame()? {
                if !frame.is_empty() {
                    return Ok(Some(frame));
                }
            }
            match self.stream.read(&mut read) {
                Ok(0) if self.assembly.is_empty() => return Ok(None),
                Ok(0) => return Err(WorkerError::Torn),
                Ok(count) => self.assembly.push(&read[..count]),
                Err(source) if source.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) if source.kind() == std::io::ErrorKind::ConnectionReset => {
                    return Ok(None);
                }
                Err(source) => return Err(WorkerError::Link(source)),
            }
        }
    }
}

/// Frames to the parent. Blocks while the parent does not read.
#[derive(Debug)]
pub struct Sending {
    stream: UnixStream,
}

impl Sending {
    pub fn send(&mut self, frame: &[u8]) -> Result<(), WorkerError> {
        self.stream.write_all(&pack(frame)?).map_err(WorkerError::Link)
    }

    /// A sign of life, for a worker that has nothing to say.
    pub fn beat(&mut self) -> Result<(), WorkerError> {
        self.send(&[])
    }
}

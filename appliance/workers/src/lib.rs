//! The one worker protocol and its supervisor.
//!
//! Work that parses hostile bytes or may wedge runs in a process of its own: a child of the same
//! executable, with one Unix stream socket to its parent as file descriptor 3. Both ways it
//! carries frames ([`frame`]): a length and that many bytes; an empty frame is a sign of life.
//! The parent closing its end is the request to stop. There is no other way to talk to a worker.
//!
//! - Parent: [`supervise`] keeps one child running and replaces it when it dies, wedges or talks
//!   nonsense; [`Worker`] is a single child for those who need no replacement.
//! - Child: [`link`] takes descriptor 3; [`sandbox::enter`] gives up what the work does not need.
//!
//! **Invariant:** what a child says is outside bytes: it is decoded by a registered parser of the
//! vocabulary's crate, and a child that says something else is killed.

pub mod frame;
pub mod link;
pub mod open_files;
mod patience;
pub mod sandbox;
mod supervise;
mod sys;
mod worker;

pub use link::{Receiving, Sending};
pub use patience::Patience;
pub use supervise::{Commands, End, Gone, Report, Restarts, Vocabulary, supervise};
pub use worker::{Spec, Worker};

/// Why a worker could not be started or talked to.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error("cannot make a socket pair")]
    Socket(#[source] std::io::Error),
    #[error("cannot start {name}")]
    Start {
        name: &'static str,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "file descriptor {} is no socket: this command is started by its parent",
        link::DESCRIPTOR
    )]
    NoLink,
    #[error("the link is broken")]
    Link(#[source] std::io::Error),
    #[error("the link ended inside a frame")]
    Torn,
    #[error("a frame of {bytes} bytes, at most {} are taken", frame::FRAME_BYTES_MAX)]
    Frame { bytes: usize },
}

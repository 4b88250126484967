//! Participants without a person: they join a lesson as any LiveKit client does, publish sound and
//! pictures, receive everything without decoding it, and count what the network did to it.
//!
//! For load, tests and health checks. The WebRTC side is the `webrtc` crate, so that what the
//! appliance's own media stack sends is judged by another implementation.
//!
//! **Invariant:** what the crate under us loses in its own channels is counted apart
//! ([`Statistics::delivered`]) and never taken for a loss of the network.

mod connection;
mod count;
mod media;
mod participant;
mod publisher;
mod session;
mod socket;
mod tap;

pub use count::{Kind, TrackStatistics};
pub use participant::{Participant, Plan, Publish, Statistics, Video};

/// Why a participant is not, or no longer, in the lesson.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0:?} is not the address of an appliance")]
    Address(String),
    #[error("no certificate was found in the root's PEM text")]
    Certificate,
    #[error("the appliance could not be reached")]
    Connect(#[source] std::io::Error),
    #[error("TLS could not be set up")]
    Tls(#[source] rustls::Error),
    #[error("the signalling socket failed")]
    Socket(#[source] Box<tokio_tungstenite::tungstenite::Error>),
    #[error("the appliance sent what is no signalling message")]
    Message,
    #[error("the appliance said nothing for too long")]
    Silence,
    #[error("the media connection failed")]
    Media(#[source] webrtc::error::Error),
    #[error("the media connection was lost")]
    Lost,
    #[error("the appliance ended the session (reason {reason})")]
    Ended {
        /// LiveKit's `DisconnectReason`.
        reason: i32,
    },
}

impl From<webrtc::error::Error> for Error {
    fn from(error: webrtc::error::Error) -> Self {
        Self::Media(error)
    }
}

impl From<tokio_tungstenite::tungstenite::Error> for Error {
    fn from(error: tokio_tungstenite::tungstenite::Error) -> Self {
        Self::Socket(Box::new(error))
    }
}

//! The vocabulary between the control plane and the media plane: [`Command`]s go down, [`Event`]s
//! come up, each as one frame on the media worker's socket ([`encode`], [`COMMANDS`], [`EVENTS`]).
//!
//! **Invariant:** no names, no tokens, no personal data: the media process knows ids only.
//! **Invariant:** no I/O; `sfu` speaks these types directly, so there is no second mapping.

mod command;
mod event;
mod frame;

pub use command::{
    Command, Configure, Layer, MediaKind, Preference, Publication, Quality, Relay, Source,
    TrackSettings,
};
pub use event::{
    Carried, Cause, ConnectionQuality, ConnectionState, Counters, DOWNLINK_INTERVAL, Downlink, End,
    Event, Path, RelayRefused, Section, Speaker, Subject, SubscriptionError,
};
pub use frame::{COMMANDS, EVENTS, FRAME_BYTES_MAX, FrameError, PARSERS, encode};

use serde::{Deserialize, Serialize};

/// Reliable and ordered, or lossy and unordered; each is one data channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DataKind {
    Reliable,
    Lossy,
}

/// The two peer connections of a participant (signalling v0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PeerRole {
    /// Client offers; media and data come in.
    Publisher,
    /// Server offers; media and data go out.
    Subscriber,
}

//! HTTP edges for machines: the signalling sockets of LiveKit client SDKs.
//!
//! **Invariant:** who may come in is decided before the upgrade and answered with a status, because
//! clients read the reason from nowhere else; no token reaches a log.

#[cfg(feature = "faults")]
pub mod faults;
mod signalling;
mod socket;

pub use signalling::{Signalling, signalling_routes};

//! The media process: [`run`] is its `main`, [`supervise`] what the control process starts it by.
//!
//! It reads [`Command`](belfry_media_api::Command)s from its parent and writes
//! [`Event`](belfry_media_api::Event)s; the shards of `transport` do the work in between.
//!
//! **Invariant:** it holds no CA key, no database and no personal data beyond ids, and it cannot
//! open files once it runs.

mod events;
mod handover;
mod parent;
mod run;

pub use handover::Handover;
pub use parent::supervise;
pub use run::{MediaError, run};

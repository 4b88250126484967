//! The record: `audit.db`, append-only, written by one thread in groups.
//!
//! **Invariant:** only this crate makes a [`Receipt`], and only for an event that is on the disk.
//! **Invariant:** events are lost only if the buffer overflows, and then they are counted and the
//! count is recorded.
//! **Invariant:** a failed commit is never tried again on the same connection; the file is opened
//! anew and its tail tells whether the group is in it.
//! **Invariant:** what a failed sync may have left in the write-ahead log is never built upon: it is folded
//! into the file, and synced there, before anything is acknowledged again.

mod disk;
mod error;
mod export;
mod fork;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod keeper;
mod opening;
mod page;
mod queue;
mod remote;
mod schema;
#[cfg(feature = "steps")]
pub mod steps;
#[cfg(not(feature = "steps"))]
mod steps;
mod subjects;
mod verify;
mod writer;

#[cfg(test)]
mod erase_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tree_tests;

pub use belfry_audit::{Actor, Detail, Event, EventKind, Hash, Scope};
pub use error::{Error, OpenError};
pub use export::{ExportError, Exported, Openings, export, newest_checkpoint};
pub use fork::{Fork, ForkError, fork};
pub use keeper::share;
pub use page::{About, Commitment, Entry, Page, Search};
pub use remote::{Peers, serve};
pub use verify::{Finding, Unverified, Verified, file as verify};
pub use writer::{APPEND_WAIT, Health, Ledger, RECORD_WAIT, THREAD_WAIT};

/// Proof that an event is in the record, durably. Whatever must be logged takes one as an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    seq: u64,
    kind: EventKind,
    leaf: Hash,
}

impl Receipt {
    /// The place in the record; the first entry is 1.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    pub fn kind(&self) -> EventKind {
        self.kind
    }

    /// The hash of the entry.
    pub fn hash(&self) -> &Hash {
        &self.leaf
    }
}

//! The process that writes the record: [`run`] is its `main`, [`start`] what the control process starts
//! it by; [`run_alone`] is its `main` as a service of its own, under its own user.
//!
//! **Invariant:** all that can be asked of it is to append ([`belfry_ledger::serve`]), and who asks is
//! recorded as the kernel tells it.
//! **Invariant:** it opens no file but those beside the record, and no connection.

mod child;
mod parent;
mod word;

use belfry_model::outside::Target;

pub use child::{RunError, run, run_alone};
pub use parent::{Process, StartError, start};

/// The parsers of outside bytes in this crate.
pub static PARSERS: &[&dyn Target] = &[&word::WORDS];

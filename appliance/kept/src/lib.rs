//! A lesson between its rules and the database: what is written while it runs, and how it comes
//! back.
//!
//! **Invariant:** whoever holds a lesson never waits for the database: a [`Keeper`] takes changes and
//! hands them over when its writer is ready.

mod keep;
mod open;

pub use keep::Keeper;
pub use open::open;

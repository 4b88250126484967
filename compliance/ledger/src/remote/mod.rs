//! The record in a process of its own.
//!
//! Whoever takes over the process that speaks with browsers can then add events, but not rewrite what
//! is recorded: the file and its keys belong to another user, and all that the socket offers is to
//! append. Reading needs no process in between: the file may be readable to a group.
//!
//! Each entry says which user on the machine it came from (`SO_PEERCRED`, unix(7)): the kernel says so,
//! not the sender.
//!
//! A line may break while a group is on its way. The record then knows what of it is written, in the
//! same transaction as the entries: nothing that is kept is lost, and nothing is recorded twice.

mod client;
mod server;
pub(crate) mod wire;

#[cfg(test)]
mod tests;

pub(crate) use client::Caller;
pub use server::{Peers, serve};

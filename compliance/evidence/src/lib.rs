//! Evidence bundles: one ZIP file that proves, on a laptop without any software of ours, what is in the record.
//!
//! **Invariant:** a bundle costs a [`Receipt`]: what was not recorded cannot be exported.
//! **Invariant:** the same inputs give the same bytes; no clock and no random number is read here.
//! **Invariant:** leaves are the same at every [`Level`]; only openings and what is derived from them differ.
//!
//! The receipt is not optional; an export without one does not compile:
//!
//! ```compile_fail
//! fn export(request: &belfry_evidence::Request, key: &belfry_evidence::Key, log: &std::path::Path) {
//!     let _ = belfry_evidence::write(request, key, log, std::io::Cursor::new(Vec::new()));
//! }
//! ```
//!
//! With one it does:
//!
//! ```
//! fn export(
//!     receipt: belfry_ledger::Receipt,
//!     request: &belfry_evidence::Request,
//!     key: &belfry_evidence::Key,
//!     log: &std::path::Path,
//! ) -> Result<belfry_evidence::Summary, belfry_evidence::Error> {
//!     belfry_evidence::write(receipt, request, key, log, std::io::Cursor::new(Vec::new()))
//! }
//! ```

mod access;
mod archive;
mod bundle;
mod error;
mod level;
mod pages;
mod record;
mod request;
mod sample;
mod sign;
mod tree;

pub use belfry_ledger::Receipt;
pub use bundle::{Summary, write};
pub use error::Error;
pub use level::Level;
pub use request::{Account, Control, Request, Sampling, Setting, controls};
pub use sign::Key;

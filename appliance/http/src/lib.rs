//! The router whose routes declare, in their type, who may call them and what they leave in the
//! audit log; and the gate that every request passes.
//!
//! **Invariant:** a route without an access and an audit declaration does not compile, and no
//! handler of this appliance is reached but through [`Routes::into_router`].
//!
//! ```compile_fail
//! use belfry_http::{Access, Draft};
//! async fn page() -> &'static str { "" }
//! // No audit declaration: there is no `handle` on such a draft.
//! let _ = Draft::page(http::Method::GET, "/x").access(Access::public("a test")).handle(page);
//! ```

mod access;
mod audit;
mod caller;
mod disclosure;
mod form;
mod gate;
mod headers;
mod multipart;
mod origin;
mod problem;
mod route;
pub mod walk;

pub use access::{Access, Need};
pub use audit::{Actor, Audit, Declared, Detail, EventKind, Holding, Scope, no_audit};
pub use caller::{Caller, Peer, Resolving, Sessions, THEME_COOKIE, Who, cookie};
pub use form::{FORM, Fields, FormError};
pub use gate::{Gate, RequestId, now};
pub use headers::Kind;
pub use multipart::{Files, MULTIPART, Multipart, MultipartError};
pub use problem::Problem;
pub use route::{Declaration, Draft, Route, Routes};

/// Every parser of bytes from outside in this crate.
pub static PARSERS: &[&dyn belfry_model::outside::Target] = &[&FORM, &MULTIPART];

#[cfg(test)]
mod tests;

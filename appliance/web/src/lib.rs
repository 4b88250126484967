//! The teacher's and student's application: its files, its JSON API, and the class socket.
//! `PROTOCOL.md` fixes both wires.
//!
//! **Invariant:** the wire types live here; the rules of a lesson know nothing of JSON.

mod api;
mod assets;
mod bucket;
mod guest;
mod socket;
mod standing;
mod telemetry;
mod wire;

use axum::Router;
use belfry_http::{Access, Draft, EventKind, Gate, Routes, no_audit};
use belfry_identity::Identity;
use belfry_model::outside::Target;
use belfry_model::{Role, Timestamp};
use belfry_ops::Ops;
use belfry_session::Sessions;
use belfry_store::Store;
use http::Method;

pub use socket::class_frames_refused;

/// The parsers of outside bytes in this crate.
pub static PARSERS: &[&dyn Target] = &[&wire::FRAMES, &wire::NEW_LESSONS, &guest::CODES];

/// What the application is served with. Cheap to clone.
#[derive(Clone)]
pub struct Web {
    pub store: Store,
    pub sessions: Sessions,
    pub identity: Identity,
    /// Where clients report how their connection is.
    pub ops: Ops,
    /// Minutes that the school's clock is ahead of UTC at a time.
    pub utc_offset_minutes: fn(Timestamp) -> i32,
}

impl std::fmt::Debug for Web {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Web").finish_non_exhaustive()
    }
}

const TEACHER: &[Role] = &[Role::Teacher];
const IN_CLASSES: &[Role] = &[Role::Teacher, Role::Student];

/// Every route of the application.
pub fn routes() -> Routes<Web> {
    guests(queries(shell(Routes::new())))
}

/// The application's code, and the class socket that it opens.
fn shell(routes: Routes<Web>) -> Routes<Web> {
    let file = no_audit("a static file of the application");
    let public_file = Access::public("the application's code holds no data");
    routes
        .add(
            Draft::app("/")
                .access(Access::public(
                    "also answers clients that look whether the server is there",
                ))
                .audit(no_audit("the application's shell"))
                .handle(assets::home),
        )
        .add(
            Draft::app("/lesson/{lesson}")
                .access(Access::lessons())
                .audit(no_audit("the application's shell; the class socket is what opens a lesson"))
                .handle(assets::shell),
        )
        .add(Draft::asset("/assets/{*path}").access(public_file).audit(file).handle(assets::file))
        .add(
            Draft::socket("/class/{lesson}")
                .access(Access::lessons())
                .audit(no_audit("the lesson records who waits, joins and leaves, and each command"))
                .handle(socket::open),
        )
}

/// What the application asks for.
fn queries(routes: Routes<Web>) -> Routes<Web> {
    let reads = no_audit("shows people what is theirs");
    routes
        .add(
            Draft::api(Method::GET, "/app/api/me")
                .access(Access::lessons())
                .audit(reads)
                .handle(api::me),
        )
        .add(
            Draft::api(Method::GET, "/app/api/today")
                .access(Access::roles(IN_CLASSES))
                .audit(reads)
                .handle(api::today),
        )
        .add(
            Draft::api(Method::POST, "/app/api/classes/{class}/start")
                .access(Access::roles(TEACHER))
                .audit(belfry_http::Declared::Audited(EventKind::LessonStarted))
                .handle(api::start),
        )
        .add(
            Draft::api(Method::POST, "/app/api/lessons")
                .access(Access::roles(TEACHER))
                .audit(belfry_http::Declared::Audited(EventKind::LessonStarted))
                .body_bytes_max(wire::NEW_LESSON_BYTES_MAX)
                .handle(api::ad_hoc),
        )
        .add(
            Draft::api(Method::GET, "/app/api/lessons/{lesson}")
                .access(Access::lessons())
                .audit(reads)
                .handle(api::lesson),
        )
        .add(
            Draft::api(Method::POST, "/app/api/telemetry")
                .access(Access::lessons())
                .audit(no_audit("figures of the sender's own connection"))
                .body_bytes_max(belfry_ops::REPORT_BYTES_MAX)
                .handle(telemetry::take),
        )
}

/// The way in for those without an account.
fn guests(routes: Routes<Web>) -> Routes<Web> {
    routes
        .add(
            Draft::page(Method::GET, "/guest/{code}")
                .access(Access::public("a guest has no account; the code is looked up"))
                .audit(no_audit("asks for a name"))
                .handle(guest::form),
        )
        .add(
            Draft::page(Method::POST, "/guest/{code}")
                .access(Access::public("a guest has no account; the code is looked up"))
                .audit(belfry_http::Declared::Audited(EventKind::GuestSignedIn))
                .body_bytes_max(guest::FORM_BYTES_MAX)
                .handle(guest::sign_in),
        )
}

/// The application behind the gate.
pub fn router(gate: &Gate, web: Web) -> Router {
    routes().into_router(gate, web)
}

#[cfg(test)]
mod tests;

//! Handlers of the sign-in and admin pages.
//!
//! **Invariant:** no markup here: a handler fills a view struct of `belfry-admin-ui`.
//! **Invariant:** whatever changes something is recorded before it is done; a refused entry comes
//! back with what was entered and a sentence that says what to do.

mod asset;
mod certificate;
mod classes;
mod connections;
mod erase;
mod evidence;
mod home;
mod import;
mod people;
mod reader;
mod record;
mod roster;
mod roster_csv;
mod settings;
mod sign_in;
mod slots;
mod when;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use belfry_admin_ui::{say, say_with};
use belfry_http::{Access, Caller, Declared, Draft, EventKind, Holding, Problem, Routes, no_audit};
use belfry_identity::{Identity, SignedIn};
use belfry_ledger::Ledger;
use belfry_model::Role;
use belfry_model::limits::NAME_CHARS_MAX;
use belfry_ops::Ops;
use belfry_settings::Settings;
use belfry_store::Store;
use http::Method;
use tokio::sync::watch;

pub use certificate::Trust;
pub use evidence::Custody;

/// The parsers of outside bytes of this crate.
pub static PARSERS: &[&dyn belfry_model::outside::Target] = &[&roster_csv::ROSTER_CSV];

/// What goes on right now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Live {
    pub lessons: u64,
    pub participants: u64,
}

/// What the handlers need of the appliance. Cheap to clone.
#[derive(Clone)]
pub struct Admin {
    pub store: Store,
    pub identity: Identity,
    pub ledger: Ledger,
    /// What signs evidence.
    pub custody: Arc<Custody>,
    /// What is known of connections.
    pub ops: Ops,
    /// The settings in force; whoever follows one of them subscribes.
    pub settings: Arc<watch::Sender<Arc<Settings>>>,
    /// Asked whenever a page shows it.
    pub live: Arc<dyn Fn() -> Live + Send + Sync>,
    /// Asked whenever a page shows it: certificates are renewed while we run.
    pub trust: Arc<dyn Fn() -> Trust + Send + Sync>,
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").finish_non_exhaustive()
    }
}

/// A list as a form sends it: each byte may take three.
const IMPORT_FORM_BYTES_MAX: usize = 1024 * 1024;
/// Hundreds of passwords are hashed.
const IMPORT_TIME_MAX: Duration = Duration::from_mins(3);

/// The whole database is written anew.
const ERASE_TIME_MAX: Duration = Duration::from_mins(15);

/// A whole log is read: millions of entries.
const EVIDENCE_TIME_MAX: Duration = Duration::from_mins(15);

const ADMIN: Access = Access::roles(&[Role::Admin]);
/// The log, its state and evidence of it: what an auditor is for.
const RECORD: Access = Access::roles(&[Role::Admin, Role::Auditor]);

/// Every route of this crate.
pub fn routes() -> Routes<Admin> {
    let pages = connection_routes(record_routes(page_routes(Routes::new())));
    ending_routes(class_routes(people_routes(sign_in_routes(pages))))
}

fn page_routes(routes: Routes<Admin>) -> Routes<Admin> {
    let shows = no_audit!("shows the appliance's own state, no person's record");
    routes
        .add(
            Draft::asset("/assets/pages/{name}")
                .access(Access::public("styles and scripts of the sign-in page"))
                .audit(no_audit!("a static file"))
                .handle(asset::file),
        )
        .add(
            Draft::page(Method::POST, "/theme")
                .access(Access::public("the sign-in page has colours, too"))
                .audit(no_audit!("a choice of colours, kept in the browser"))
                .handle(asset::theme),
        )
        .add(Draft::page(Method::GET, "/admin").access(ADMIN).audit(shows).handle(home::show))
        .add(
            Draft::page(Method::GET, "/admin/status")
                .access(ADMIN)
                .audit(shows)
                .handle(home::fragment),
        )
        .add(
            Draft::page(Method::GET, "/admin/settings")
                .access(ADMIN.with_step_up())
                .audit(shows)
                .handle(settings::show),
        )
        .add(
            Draft::page(Method::POST, "/admin/settings")
                .access(ADMIN.with_step_up())
                .audit(Declared::Audited(EventKind::SettingChanged))
                .handle(settings::change),
        )
        .add(
            Draft::page(Method::GET, "/admin/certificate")
                .access(ADMIN)
                .audit(shows)
                .handle(certificate::show),
        )
        .add(
            Draft::page(Method::GET, "/admin/certificate/root.cer")
                .access(ADMIN)
                .audit(no_audit!("a public certificate"))
                .handle(certificate::root_cer),
        )
        .add(
            Draft::page(Method::GET, "/admin/certificate/root.pem")
                .access(ADMIN)
                .audit(no_audit!("a public certificate"))
                .handle(certificate::root_pem),
        )
}

fn record_routes(routes: Routes<Admin>) -> Routes<Admin> {
    let state = no_audit!("the state of the log, and an empty form");
    routes
        .add(
            Draft::page(Method::GET, "/admin/record")
                .access(RECORD)
                .audit(Declared::Discloses(Holding::Record))
                .handle(record::show),
        )
        .add(
            Draft::page(Method::GET, "/admin/record/evidence")
                .access(RECORD.with_step_up())
                .audit(state)
                .handle(evidence::show),
        )
        .add(
            Draft::page(Method::POST, "/admin/record/verify")
                .access(RECORD.with_step_up())
                .audit(Declared::Audited(EventKind::RecordVerified))
                .timeout(EVIDENCE_TIME_MAX)
                .handle(evidence::verify),
        )
        .add(
            Draft::page(Method::POST, "/admin/record/evidence")
                .access(RECORD.with_step_up())
                .audit(Declared::Discloses(Holding::Record))
                .timeout(EVIDENCE_TIME_MAX)
                .handle(evidence::export),
        )
}

fn sign_in_routes(routes: Routes<Admin>) -> Routes<Admin> {
    let audited = Declared::Audited;
    let own = Access::signed_in().before_password();
    let empty = no_audit!("an empty form");
    let nobody = Access::public("whoever signs in is not signed in yet");
    routes
        .add(Draft::page(Method::GET, "/sign-in").access(nobody).audit(empty).handle(sign_in::form))
        .add(
            Draft::page(Method::POST, "/sign-in")
                .access(nobody)
                .audit(audited(EventKind::SignedIn))
                .handle(sign_in::sign_in),
        )
        .add(
            Draft::page(Method::POST, "/sign-out")
                .access(Access::guest().before_password())
                .audit(audited(EventKind::SignedOut))
                .handle(sign_in::sign_out),
        )
        .add(
            Draft::page(Method::GET, "/step-up")
                .access(own)
                .audit(empty)
                .handle(sign_in::step_up_form),
        )
        .add(
            Draft::page(Method::POST, "/step-up")
                .access(own)
                .audit(audited(EventKind::SteppedUp))
                .handle(sign_in::step_up),
        )
        .add(
            Draft::page(Method::GET, "/account/password")
                .access(own)
                .audit(empty)
                .handle(sign_in::password_form),
        )
        .add(
            Draft::page(Method::POST, "/account/password")
                .access(own)
                .audit(audited(EventKind::PasswordChanged))
                .handle(sign_in::password),
        )
}

fn people_routes(routes: Routes<Admin>) -> Routes<Admin> {
    let get = |path| Draft::page(Method::GET, path);
    // Everything here gives or takes somebody's access.
    let post = |path, kind| {
        let access = ADMIN.with_step_up();
        Draft::page(Method::POST, path).access(access).audit(Declared::Audited(kind))
    };
    let lists = Declared::Discloses(Holding::People);
    routes
        .add(get("/admin/people").access(ADMIN).audit(lists).handle(people::list))
        .add(
            get("/admin/people/new")
                .access(ADMIN.with_step_up())
                .audit(no_audit!("an empty form"))
                .handle(people::new),
        )
        .add(post("/admin/people/new", EventKind::PersonCreated).handle(people::create))
        .add(
            get("/admin/people/import")
                .access(ADMIN.with_step_up())
                .audit(no_audit!("an empty form"))
                .handle(import::form),
        )
        .add(
            Draft::page(Method::POST, "/admin/people/import")
                .access(ADMIN.with_step_up())
                .audit(Declared::Discloses(Holding::People))
                .body_bytes_max(IMPORT_FORM_BYTES_MAX)
                .handle(import::preview),
        )
        .add(
            Draft::page(Method::POST, "/admin/people/import/apply")
                .access(ADMIN.with_step_up())
                .audit(Declared::Audited(EventKind::PeopleImported))
                .body_bytes_max(IMPORT_FORM_BYTES_MAX)
                .timeout(IMPORT_TIME_MAX)
                .handle(import::apply),
        )
        .add(get("/admin/people/{id}").access(ADMIN).audit(lists).handle(people::show))
        .add(post("/admin/people/{id}", EventKind::PersonChanged).handle(people::change))
        .add(post("/admin/people/{id}/disable", EventKind::PersonDisabled).handle(people::disable))
        .add(post("/admin/people/{id}/enable", EventKind::PersonEnabled).handle(people::enable))
        .add(
            post("/admin/people/{id}/password", EventKind::PasswordReset)
                .handle(people::reset_password),
        )
        .add(
            get("/admin/people/{id}/erase")
                .access(ADMIN.with_step_up())
                .audit(lists)
                .handle(erase::form),
        )
        .add(
            post("/admin/people/{id}/erase", EventKind::PersonErased)
                .timeout(ERASE_TIME_MAX)
                .handle(erase::erase),
        )
}

fn class_routes(routes: Routes<Admin>) -> Routes<Admin> {
    let get = |path| Draft::page(Method::GET, path).access(ADMIN);
    let post =
        |path, kind| Draft::page(Method::POST, path).access(ADMIN).audit(Declared::Audited(kind));
    let lists = no_audit!("an administrator's list of classes and of their times, without members");
    let roster = Declared::Discloses(Holding::Rosters);
    routes
        .add(get("/admin/classes").audit(lists).handle(classes::list))
        .add(get("/admin/classes/new").audit(no_audit!("an empty form")).handle(classes::new))
        .add(post("/admin/classes/new", EventKind::ClassCreated).handle(classes::create))
        .add(get("/admin/classes/{id}").audit(roster).handle(classes::show))
        .add(post("/admin/classes/{id}", EventKind::ClassChanged).handle(classes::change))
        .add(
            post("/admin/classes/{id}/teachers", EventKind::EnrolmentAdded)
                .handle(roster::add_teachers),
        )
        .add(
            post("/admin/classes/{id}/students", EventKind::EnrolmentAdded)
                .handle(roster::add_students),
        )
        .add(post("/admin/classes/{id}/remove", EventKind::EnrolmentRemoved).handle(roster::remove))
        .add(post("/admin/classes/{id}/slots", EventKind::TimetableChanged).handle(slots::add))
        .add(
            post("/admin/classes/{id}/slots/remove", EventKind::TimetableChanged)
                .handle(slots::remove),
        )
        .add(get("/admin/classes/{id}/slots/{slot}").audit(lists).handle(slots::show))
        .add(
            post("/admin/classes/{id}/slots/{slot}", EventKind::TimetableChanged)
                .handle(slots::change),
        )
}

fn connection_routes(routes: Routes<Admin>) -> Routes<Admin> {
    let get = |path| Draft::page(Method::GET, path).access(ADMIN);
    let networks = no_audit!("counts of networks; no person's record");
    let read = Declared::Discloses(Holding::Connections);
    routes
        .add(get("/admin/connections").audit(networks).handle(connections::list))
        .add(get("/admin/connections/networks.csv").audit(networks).handle(connections::csv))
        .add(get("/admin/connections/participants").audit(read).handle(connections::participants))
        .add(get("/admin/connections/people/{id}").audit(read).handle(connections::person))
        .add(get("/admin/connections/guests/{id}").audit(read).handle(connections::of_guest))
}

/// The end of a class; nobody does it in passing.
fn ending_routes(routes: Routes<Admin>) -> Routes<Admin> {
    let access = ADMIN.with_step_up();
    let get = |path| Draft::page(Method::GET, path).access(access).audit(no_audit!("asks first"));
    let post =
        |path, kind| Draft::page(Method::POST, path).access(access).audit(Declared::Audited(kind));
    routes
        .add(get("/admin/classes/{id}/archive").handle(classes::archive_form))
        .add(post("/admin/classes/{id}/archive", EventKind::ClassArchived).handle(classes::archive))
        .add(post("/admin/classes/{id}/restore", EventKind::ClassRestored).handle(classes::restore))
        .add(get("/admin/classes/{id}/delete").handle(classes::delete_form))
        .add(post("/admin/classes/{id}/delete", EventKind::ClassDeleted).handle(classes::delete))
}

/// The answer when the database does not do what it should.
fn store_problem(error: &belfry_store::Error) -> Problem {
    if error.is_retry() {
        return Problem::busy();
    }
    match error {
        belfry_store::Error::NotFound { .. } => Problem::not_found(),
        error => Problem::failed("use the database", error),
    }
}

/// The account behind a session that is not a guest's.
fn signed_in(caller: &Caller) -> Result<&SignedIn, Problem> {
    caller.signed_in().ok_or_else(Problem::forbidden)
}

/// The answer when an account cannot be used or changed, and no entry of a form is to blame.
fn identity_problem(error: &belfry_identity::Error) -> Problem {
    use belfry_identity::Error;
    match error {
        Error::Busy => Problem::busy(),
        Error::SessionEnded => Problem::sign_in_needed(),
        Error::NotAllowed => Problem::forbidden(),
        Error::StepUpNeeded => Problem::step_up_needed(),
        Error::NoSuchPerson => Problem::not_found(),
        Error::Ledger(_) => Problem::unavailable(),
        error => Problem::failed("use an account", error),
    }
}

/// What is wrong with a name, if anything.
fn name_error(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some(say("error-name-empty"));
    }
    let too_long = name.chars().count() > NAME_CHARS_MAX;
    too_long.then(|| say_with("error-name-long", &[("max", NAME_CHARS_MAX as u64)]))
}

#[cfg(test)]
mod tests;

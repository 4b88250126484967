//! What a route leaves in the audit log, and the way there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::FromRequestParts;
use belfry_audit::Event;
pub use belfry_audit::{Actor, Declared, Detail, EventKind, Holding, Scope, no_audit};
use belfry_ledger::{Ledger, Receipt};
use http::StatusCode;
use http::request::Parts;

use crate::caller::Caller;
use crate::gate::now;
use crate::problem::Problem;

/// The record, for the handler of one request: knows who acts and where.
///
/// A handler appends before it acts, and hands the receipt to what must not happen unrecorded.
#[derive(Clone, Debug)]
pub struct Audit {
    ledger: Ledger,
    actor: Actor,
    scope: Scope,
    kept: Arc<AtomicBool>,
}

impl Audit {
    pub(crate) fn new(ledger: &Ledger, caller: Option<&Caller>, district: i64) -> Self {
        let actor = caller.map_or(Actor::Anonymous, |caller| caller.session().actor());
        let scope = caller.map_or(Scope::district(district), |caller| caller.session().scope());
        Self { ledger: ledger.clone(), actor, scope, kept: Arc::default() }
    }

    /// Records, and waits until it is on the disk. If it cannot be, the answer says so and the
    /// handler must not go on.
    pub async fn append(&self, detail: Detail) -> Result<Receipt, Problem> {
        self.append_as(self.actor.clone(), detail).await
    }

    /// [`Audit::append`] for somebody who is known only now: at the sign-in.
    pub async fn append_as(&self, actor: Actor, detail: Detail) -> Result<Receipt, Problem> {
        self.keep();
        self.ledger.append(self.event(actor, detail)).await.map_err(|error| {
            tracing::error!(%error, "an event could not be recorded");
            Problem::unavailable()
        })
    }

    /// Records what teaching needs and must not hang on: on the disk before the answer, or, if the record
    /// cannot be written now, later.
    pub async fn record(&self, detail: Detail) {
        self.keep();
        let event = self.event(self.actor.clone(), detail);
        if self.ledger.record(event).await.is_none() {
            tracing::error!("an event waits until the record can be written");
        }
    }

    /// Records without waiting: for what must not be held up, a refused sign-in for example.
    pub fn enqueue(&self, detail: Detail) {
        self.keep();
        self.ledger.enqueue(self.event(self.actor.clone(), detail));
    }

    /// Keeps the promise of an audited route without an event: nothing was changed after all, or
    /// what the handler called has recorded it.
    pub fn keep(&self) {
        self.kept.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.kept.load(Ordering::Relaxed)
    }

    fn event(&self, actor: Actor, detail: Detail) -> Event {
        Event { at_ms: now().0, scope: self.scope, actor, detail }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Audit {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Audit>().cloned().ok_or_else(|| Problem::internal("no audit"))
    }
}

/// An audited route that changed something has recorded something, or somebody must look at it.
pub(crate) fn check(declared: Declared, audit: &Audit, status: StatusCode, path: &str) {
    let succeeded = status.is_success() || status.is_redirection();
    if let (Some(kind), true, false) = (declared.kind(), succeeded, audit.is_kept()) {
        tracing::error!(route = path, event = kind.name(), "an audited route recorded nothing");
        debug_assert!(false, "{path} declares {} and recorded nothing", kind.name());
    }
}

//! Test-only: the whole signalling edge, misbehaving as tokens ask for, for the suite that ships
//! with livekit-client. Compiled only with the feature `faults`.

use std::collections::VecDeque;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use belfry_session::now;
use belfry_signalling::fault::{Fault, Script, Step, v1_reconnects};
use belfry_signalling::query::Query;
use belfry_signalling::token::{Grants, Signer};
use http::{HeaderMap, StatusCode};

use crate::signalling::{Refused, authorised, readable_anywhere};
use crate::socket::{self, Answering, Out};

/// A server for the suite: v0, and v1 as far as the suite looks.
pub fn router(signer: Signer) -> Router {
    Router::new()
        .route("/", get(|| async { readable_anywhere("".into_response()) }))
        .route("/rtc", get(open))
        .route("/rtc/v1", get(open))
        .route("/rtc/validate", get(validate))
        .route("/rtc/v1/validate", get(validate))
        .with_state(signer)
}

fn admitted(
    signer: &Signer,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<(Grants, Query), Refused> {
    let (grants, query) = authorised(signer, headers, query)?;
    match Fault::of(&grants).refusal() {
        Some((status, text)) => {
            Err(Refused(StatusCode::from_u16(status).expect("a status of ours"), text))
        }
        None => Ok((grants, query)),
    }
}

async fn open(
    State(signer): State<Signer>,
    headers: HeaderMap,
    RawQuery(raw): RawQuery,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else {
        return Refused(StatusCode::NOT_FOUND, "not found").into_response();
    };
    let (grants, query) = match admitted(&signer, &headers, raw.as_deref()) {
        Ok(admitted) => admitted,
        Err(refused) => return refused.into_response(),
    };
    let reconnect = query.reconnect || v1_reconnects(raw.as_deref().unwrap_or_default());
    let (script, steps) = Script::open(&signer, &grants, reconnect, now());
    let faulty = Faulty { script, steps: steps.into() };
    upgrade.on_upgrade(|web| socket::carry(web, faulty))
}

async fn validate(
    State(signer): State<Signer>,
    headers: HeaderMap,
    RawQuery(raw): RawQuery,
) -> Response {
    let admitted = admitted(&signer, &headers, raw.as_deref());
    readable_anywhere(admitted.map_or_else(Refused::into_response, |_| "success".into_response()))
}

struct Faulty {
    script: Script,
    steps: VecDeque<Step>,
}

impl Answering for Faulty {
    async fn next(&mut self) -> Out {
        match self.steps.pop_front() {
            Some(Step::Send(bytes)) => Out::Frame(bytes),
            Some(Step::Close(code)) => Out::Close(code),
            Some(Step::Drop) => Out::Drop,
            // Until the client says something.
            None => std::future::pending().await,
        }
    }

    async fn frame(&mut self, bytes: Vec<u8>) {
        self.steps.extend(self.script.frame(&bytes, now()));
    }
}

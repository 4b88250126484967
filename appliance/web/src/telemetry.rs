//! Clients' reports of their own connections.

use axum::extract::State;
use belfry_http::{Caller, Peer, Problem, now};
use belfry_model::Outside;
use belfry_ops::{REPORTS, Refused, Report};
use bytes::Bytes;
use http::StatusCode;

use crate::{Web, api, standing};

/// After how many seconds a client that reported too often may try again.
const RETRY_SECS: u32 = 10;

pub(crate) async fn take(
    State(web): State<Web>,
    caller: Caller,
    peer: Peer,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    let identity = caller.session().identity();
    web.ops.admit(&identity, now()).map_err(refused)?;
    let report = REPORTS.parse(Outside::new(&body)).map_err(|_| Problem::malformed())?;
    if !web.ops.follows(report.lesson, &identity) {
        may_be_in(&web, &caller, &report).await?;
    }
    web.ops.report(&identity, &peer.address(), report, now()).map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Of a lesson that one has no business in, one cannot report either.
async fn may_be_in(web: &Web, caller: &Caller, report: &Report) -> Result<(), Problem> {
    let lesson = api::find(web, report.lesson.0).await?;
    let standing = standing::of(&web.store, caller, &lesson).await?;
    standing.map(drop).ok_or_else(Problem::not_found)
}

fn refused(refused: Refused) -> Problem {
    match refused {
        Refused::TooOften => {
            let text = "This page reports too often. Close other windows of the same lesson.";
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "slow_down", text)
                .retry_after_secs(RETRY_SECS)
        }
        Refused::Full => Problem::busy(),
    }
}

#[cfg(test)]
mod tests;

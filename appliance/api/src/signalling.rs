//! `/rtc` and `/rtc/validate`.

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use belfry_http::{Access, Draft, Routes, no_audit};
use belfry_model::{Outside, limits};
use belfry_session::{Sessions, SignalRefusal, now};
use belfry_signalling::JoinRefusal;
use belfry_signalling::host::HOSTS;
use belfry_signalling::query::{QUERIES, Query, redact};
use belfry_signalling::token::{self, Grants, Signer, TokenError};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::socket;

/// What clients look for in a 404 to know that it is final.
const NO_ROOM: &str = "requested room does not exist";
const ACCESS: Access = Access::token("a media token");

/// What the edge needs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Signalling {
    pub sessions: Sessions,
    /// Verifies media tokens.
    pub signer: Signer,
}

/// Socket and validation under each path that clients make of a base URL: it may have a path, and may
/// end in a slash, which makes two.
const PATHS: [(&str, &str); 6] = [
    ("/rtc", "/rtc/validate"),
    ("//rtc", "//rtc/validate"),
    ("/{prefix}/rtc", "/{prefix}/rtc/validate"),
    ("/{prefix}//rtc", "/{prefix}//rtc/validate"),
    ("/{prefix}/{more}/rtc", "/{prefix}/{more}/rtc/validate"),
    ("/{prefix}/{more}//rtc", "/{prefix}/{more}//rtc/validate"),
];

/// The routes of the signalling edge.
///
/// `/rtc/v1` is not among them on purpose: clients read from its 404 that they have to use `/rtc`.
pub fn signalling_routes() -> Routes<Signalling> {
    let recorded = || no_audit("the lesson records who joins and who leaves");
    let sockets = |path| Draft::socket(path).access(ACCESS).audit(recorded()).handle(open);
    let validates = |path| {
        Draft::api(Method::GET, path)
            .access(ACCESS)
            .audit(no_audit("says whether a token is good, and does nothing"))
            .handle(validate)
    };
    PATHS.into_iter().fold(Routes::new(), |routes, (socket, validate)| {
        routes.add(sockets(socket)).add(validates(validate))
    })
}

/// A refusal as clients classify it: 401 and 403 are final, so is a 404 with [`NO_ROOM`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) StatusCode, pub(crate) &'static str);

impl From<TokenError> for Refused {
    fn from(_: TokenError) -> Self {
        Self(StatusCode::UNAUTHORIZED, "the token is not valid")
    }
}

impl From<SignalRefusal> for Refused {
    fn from(refusal: SignalRefusal) -> Self {
        match refusal {
            SignalRefusal::NoLesson
            | SignalRefusal::Room(JoinRefusal::OtherRoom | JoinRefusal::Ended) => {
                Self(StatusCode::NOT_FOUND, NO_ROOM)
            }
            SignalRefusal::NotAdmitted => {
                Self(StatusCode::FORBIDDEN, "you are not admitted to this lesson")
            }
            SignalRefusal::Room(JoinRefusal::Full) => {
                Self(StatusCode::FORBIDDEN, "the lesson is full")
            }
            SignalRefusal::Unavailable => {
                Self(StatusCode::SERVICE_UNAVAILABLE, "try again in a moment")
            }
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, self.1).into_response()
    }
}

/// The query and what its token, or that of the header, grants.
pub(crate) fn authorised(
    signer: &Signer,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<(Grants, Query), Refused> {
    let query = query.unwrap_or_default();
    let mut query = QUERIES
        .parse(Outside::new(query.as_bytes()))
        .map_err(|_| Refused(StatusCode::BAD_REQUEST, "the query is malformed"))?;
    let host = headers.get(header::HOST).map(|host| HOSTS.parse(Outside::new(host.as_bytes())));
    query.host = host.and_then(Result::ok);
    let bearer = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    let bearer = bearer.and_then(|value| value.strip_prefix(b"Bearer "));
    let token = match (&query.access_token, bearer) {
        (_, Some(bearer)) => bearer,
        (Some(token), None) => token.reveal().as_bytes(),
        (None, None) => return Err(Refused(StatusCode::UNAUTHORIZED, "no token")),
    };
    let grants = token::verify(signer, Outside::new(token), now())?;
    Ok((grants, query))
}

async fn open(
    State(edge): State<Signalling>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let url = || redact(&format!("/rtc?{}", query.as_deref().unwrap_or_default()));
    let Ok(upgrade) = upgrade else {
        return Refused(StatusCode::NOT_FOUND, "not found").into_response();
    };
    let opened = match authorised(&edge.signer, &headers, query.as_deref()) {
        Ok((grants, query)) => {
            edge.sessions.open_signal(grants, query).await.map_err(Refused::from)
        }
        Err(refused) => Err(refused),
    };
    match opened {
        Ok(answering) => {
            tracing::debug!(url = url(), "a signalling socket opens");
            let bytes_max = limits::SIGNAL_FRAME_BYTES_MAX;
            upgrade
                .max_message_size(bytes_max)
                .max_frame_size(bytes_max)
                .on_upgrade(|web| socket::carry(web, answering))
        }
        Err(refused) => {
            tracing::info!(url = url(), status = refused.0.as_u16(), why = refused.1, "refused");
            refused.into_response()
        }
    }
}

/// Asked by clients after a failed upgrade: the same verdict in the same words, by which they know
/// whether trying again makes sense.
async fn validate(
    State(edge): State<Signalling>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let checked = match authorised(&edge.signer, &headers, query.as_deref()) {
        Ok((grants, _)) => edge.sessions.check_signal(&grants).await.map_err(Refused::from),
        Err(refused) => Err(refused),
    };
    readable_anywhere(checked.map_or_else(Refused::into_response, |()| "success".into_response()))
}

/// A client may run on a page of another origin; it sends no cookie.
pub(crate) fn readable_anywhere(mut response: Response) -> Response {
    let any = HeaderValue::from_static("*");
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
    response
}

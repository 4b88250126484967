//! Who sent a request.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use belfry_model::{DistrictId, Identity, LessonId, PersonId, Pii, Role, SchoolId, Timestamp};
use http::request::Parts;
use http::{HeaderMap, header};

use crate::Problem;

/// The session cookie. The prefix makes browsers hold it to Secure, Path=/ and this host alone.
pub const SESSION_COOKIE: &str = "__Host-session";

/// The cookie that holds the reader's choice of colours.
pub const THEME_COOKIE: &str = "__Host-theme";

/// The one that a session belongs to.
#[derive(Clone, Debug)]
pub enum Who {
    Person {
        person: PersonId,
        role: Role,
        name: Pii<String>,
    },
    /// Somebody without an account, let into one lesson.
    Guest {
        identity: Identity,
        lesson: LessonId,
        name: Pii<String>,
    },
}

/// A resolved session, as handlers see it.
#[derive(Clone, Debug)]
pub struct Caller {
    pub who: Who,
    pub district: DistrictId,
    pub school: SchoolId,
    /// The per-session token that forms and scripts send back.
    pub csrf: String,
    /// Until when the password counts as freshly proved.
    pub stepped_up_until: Option<Timestamp>,
    /// The account still has a password that somebody else chose.
    pub must_change_password: bool,
    /// The raw session token, for ending or rotating this session.
    pub token: Pii<String>,
}

impl Caller {
    pub fn role(&self) -> Option<Role> {
        match &self.who {
            Who::Person { role, .. } => Some(*role),
            Who::Guest { .. } => None,
        }
    }

    /// The account, if it is one.
    pub fn person(&self) -> Option<PersonId> {
        match &self.who {
            Who::Person { person, .. } => Some(*person),
            Who::Guest { .. } => None,
        }
    }

    pub fn name(&self) -> &Pii<String> {
        match &self.who {
            Who::Person { name, .. } | Who::Guest { name, .. } => name,
        }
    }
}

/// Sessions could not be looked up (the database does not answer).
#[derive(Debug, thiserror::Error)]
#[error("look up a session")]
pub struct Unavailable(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// What [`Sessions::resolve`] returns.
pub type Resolving<'a> =
    Pin<Box<dyn Future<Output = Result<Option<Caller>, Unavailable>> + Send + 'a>>;

/// Where the gate looks sessions up.
pub trait Sessions: Send + Sync + 'static {
    /// `None` for a token that is unknown, ended or timed out.
    fn resolve<'a>(&'a self, token: &'a str, now: Timestamp) -> Resolving<'a>;
}

/// The address a request came from, set per connection by whoever serves it.
#[derive(Clone, Debug)]
pub struct Peer(pub Pii<SocketAddr>);

/// The value of a cookie, if exactly that name was sent.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts
            .extensions
            .get::<Arc<Caller>>()
            .map(|caller| Caller::clone(caller))
            .ok_or_else(Problem::sign_in_needed)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Arc<Caller>>().map(|caller| Caller::clone(caller)))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Peer>().cloned().ok_or_else(|| Problem::internal("no peer address"))
    }
}

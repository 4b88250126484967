//! Who sent a request.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use belfry_identity::{Guest, Identity, Session, SignedIn};
use belfry_model::{
    DistrictId, Identity as ParticipantIdentity, LessonId, PersonId, Pii, Role, SchoolId, Timestamp,
};
use http::request::Parts;
use http::{HeaderMap, header};

use crate::Problem;

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
        identity: ParticipantIdentity,
        lesson: LessonId,
        name: Pii<String>,
    },
}

/// Whoever sent a request with a valid session.
#[derive(Clone, Debug)]
pub struct Caller {
    pub who: Who,
    pub district: DistrictId,
    pub school: SchoolId,
    /// The per-session token that forms and scripts send back.
    pub csrf: String,
    /// The account still has a password that somebody else chose.
    pub must_change_password: bool,
    /// The raw session token, for asking again whether the session goes on.
    pub token: Pii<String>,
    session: Arc<Session>,
}

impl Caller {
    fn new(session: Session, token: &str) -> Self {
        let (who, district, school) = match &session {
            Session::Person(SignedIn { person, role, name, district, school, .. }) => (
                Who::Person { person: *person, role: *role, name: name.clone() },
                *district,
                *school,
            ),
            Session::Guest(Guest { identity, lesson, name, district, school, .. }) => {
                let (identity, lesson) = (identity.clone(), *lesson);
                (Who::Guest { identity, lesson, name: name.clone() }, *district, *school)
            }
        };
        Self {
            who,
            district,
            school,
            csrf: session.csrf().to_owned(),
            must_change_password: session.person().is_some_and(|person| person.must_change),
            token: Pii::new(token.to_owned()),
            session: Arc::new(session),
        }
    }

    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The account as whoever owns accounts sees it; `None` for a guest.
    pub fn signed_in(&self) -> Option<&SignedIn> {
        self.session.person()
    }

    /// The account, if it is one.
    pub fn person(&self) -> Option<PersonId> {
        self.signed_in().map(|person| person.person)
    }

    pub fn role(&self) -> Option<Role> {
        self.signed_in().map(|person| person.role)
    }

    pub fn name(&self) -> &Pii<String> {
        match &self.who {
            Who::Person { name, .. } | Who::Guest { name, .. } => name,
        }
    }

    pub(crate) fn stepped_up(&self, now: Timestamp) -> bool {
        self.signed_in().is_some_and(|person| person.stepped_up(now))
    }
}

/// What [`Sessions::resolve`] returns.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = Result<Option<Caller>, Problem>> + Send + 'a>>;

/// Where sessions are looked up: by the gate, and by whoever holds a socket open for long.
pub trait Sessions: Send + Sync + 'static {
    /// `None` for a token that is unknown, ended or timed out.
    fn resolve<'a>(&'a self, token: &'a str, now: Timestamp) -> Resolving<'a>;
}

impl Sessions for Identity {
    fn resolve<'a>(&'a self, token: &'a str, now: Timestamp) -> Resolving<'a> {
        Box::pin(async move {
            match self.session(token, now).await {
                Ok(session) => Ok(session.map(|session| Caller::new(session, token))),
                Err(belfry_identity::Error::Busy) => Err(Problem::busy()),
                Err(error) => Err(Problem::failed("resolve a session", &error)),
            }
        })
    }
}

/// The address a request came from, set per connection by whoever serves it.
#[derive(Clone, Debug)]
pub struct Peer(pub Pii<SocketAddr>);

impl Peer {
    /// Without the port, as throttles count.
    pub fn address(&self) -> Pii<IpAddr> {
        Pii::new(self.0.reveal().ip())
    }
}

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
        parts.extensions.get::<Caller>().cloned().ok_or_else(Problem::sign_in_needed)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Caller>().cloned())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Peer>().cloned().ok_or_else(|| Problem::internal("no peer address"))
    }
}

//! Somebody who is signed in.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use belfry_audit::{Actor, Scope};
use belfry_keys::SecretKey;
use belfry_model::{DistrictId, Identity, LessonId, PersonId, Pii, Role, SchoolId, Timestamp};
use subtle::ConstantTimeEq;

use crate::throttle::keyed;
use crate::token::TokenHash;

/// Whoever a valid session cookie stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Session {
    Person(SignedIn),
    Guest(Guest),
}

impl Session {
    /// The CSRF token that forms and requests of this session carry.
    pub fn csrf(&self) -> &str {
        match self {
            Self::Person(signed_in) => &signed_in.csrf,
            Self::Guest(guest) => &guest.csrf,
        }
    }

    /// Whether a request carries this session's CSRF token; takes the same time either way.
    pub fn csrf_is(&self, offered: &str) -> bool {
        self.csrf().as_bytes().ct_eq(offered.as_bytes()).into()
    }

    pub fn person(&self) -> Option<&SignedIn> {
        match self {
            Self::Person(signed_in) => Some(signed_in),
            Self::Guest(_) => None,
        }
    }

    pub fn guest(&self) -> Option<&Guest> {
        match self {
            Self::Guest(guest) => Some(guest),
            Self::Person(_) => None,
        }
    }

    /// Who this is within a lesson.
    pub fn identity(&self) -> Identity {
        match self {
            Self::Person(signed_in) => Identity::new(format!("p{}", signed_in.person)),
            Self::Guest(guest) => guest.identity.clone(),
        }
    }

    /// As the record names them.
    pub fn actor(&self) -> Actor {
        match self {
            Self::Person(signed_in) => signed_in.actor(),
            Self::Guest(guest) => Actor::participant(guest.identity.as_str()),
        }
    }

    pub fn scope(&self) -> Scope {
        match self {
            Self::Person(signed_in) => signed_in.scope(),
            Self::Guest(guest) => Scope::school(guest.district.0, guest.school.0),
        }
    }

    pub(crate) fn token_hash(&self) -> TokenHash {
        match self {
            Self::Person(signed_in) => signed_in.token_hash,
            Self::Guest(guest) => guest.token_hash,
        }
    }
}

/// A person with an account, signed in.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedIn {
    pub person: PersonId,
    pub district: DistrictId,
    pub school: SchoolId,
    pub role: Role,
    pub name: Pii<String>,
    pub username: Pii<String>,
    /// Only the page that changes the password is open until it is changed.
    pub must_change: bool,
    /// The session's CSRF token.
    pub csrf: String,
    /// The password was typed recently enough for what needs that until then.
    pub stepped_up_until: Option<Timestamp>,
    /// The absolute end of the session.
    pub expires_at: Timestamp,
    pub(crate) token_hash: TokenHash,
}

impl std::fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedIn")
            .field("person", &self.person)
            .field("role", &self.role)
            .field("school", &self.school)
            .finish_non_exhaustive()
    }
}

impl SignedIn {
    /// Whether the password was typed recently enough.
    pub fn stepped_up(&self, now: Timestamp) -> bool {
        self.stepped_up_until.is_some_and(|until| now < until)
    }

    /// As the record names them.
    pub fn actor(&self) -> Actor {
        Actor::Person(belfry_audit::Person(self.person.0))
    }

    pub fn scope(&self) -> Scope {
        Scope::school(self.district.0, self.school.0)
    }
}

/// Somebody without an account, in one lesson.
#[derive(Clone, PartialEq, Eq)]
pub struct Guest {
    pub lesson: LessonId,
    pub identity: Identity,
    pub district: DistrictId,
    pub school: SchoolId,
    pub name: Pii<String>,
    /// The session's CSRF token.
    pub csrf: String,
    pub expires_at: Timestamp,
    pub(crate) token_hash: TokenHash,
}

impl std::fmt::Debug for Guest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guest")
            .field("lesson", &self.lesson)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

/// Bound to the session: another session's token does not pass, and a new session has a new one.
pub(crate) fn csrf(key: &SecretKey, token_hash: &TokenHash) -> String {
    BASE64.encode(keyed(key, b"csrf/v1\0", token_hash))
}

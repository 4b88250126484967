//! Who may call a route.

use belfry_model::Role;

/// What a route needs of its caller; part of every route's declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    pub need: Need,
    /// The caller must have proved the password again within the last minutes.
    pub step_up: bool,
    /// Open to an account that still has to choose its own password.
    pub before_password: bool,
}

/// The four ways in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing; the reason says why that is right.
    Public(&'static str),
    /// A session of a guest of one lesson, or of an account with one of these roles.
    Session(&'static [Role]),
    /// A session of an account with one of these roles.
    Roles(&'static [Role]),
    /// A token of its own kind in `Authorization` or `access_token`. The gate refuses a request
    /// without one and takes no cookie; the handler verifies it. The text names the token.
    Token(&'static str),
}

impl Access {
    const fn new(need: Need) -> Self {
        Self { need, step_up: false, before_password: false }
    }

    pub const fn public(reason: &'static str) -> Self {
        Self::new(Need::Public(reason))
    }

    /// Any account.
    pub const fn signed_in() -> Self {
        Self::new(Need::Roles(&Role::ALL))
    }

    /// Any account, and guests.
    pub const fn guest() -> Self {
        Self::new(Need::Session(&Role::ALL))
    }

    /// Whoever has to do with lessons, guests too; not auditors, who have the record and nothing else.
    pub const fn lessons() -> Self {
        Self::new(Need::Session(&[Role::Admin, Role::Teacher, Role::Student]))
    }

    pub const fn roles(roles: &'static [Role]) -> Self {
        Self::new(Need::Roles(roles))
    }

    pub const fn token(name: &'static str) -> Self {
        Self::new(Need::Token(name))
    }

    /// The password must have been proved again shortly before.
    #[must_use]
    pub const fn with_step_up(self) -> Self {
        Self { step_up: true, ..self }
    }

    /// Reachable while the account still has a password that somebody else chose.
    #[must_use]
    pub const fn before_password(self) -> Self {
        Self { before_password: true, ..self }
    }
}

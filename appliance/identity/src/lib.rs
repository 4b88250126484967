//! Who is this: local accounts, sessions, guests, and what protects the sign-in.
//!
//! **Invariant:** a token or a password is never stored, logged or recorded; hashes of them are.
//! **Invariant:** whatever changes an account is in the record before it takes effect.
//! **Invariant:** the clock is an argument.

mod accounts;
mod demo;
mod erase;
mod error;
mod first;
mod guest;
mod hash;
mod import;
mod name;
mod password;
mod policy;
mod session;
mod sign_in;
mod throttle;
mod token;

pub use accounts::{AccountChange, Created, NewAccount};
pub use demo::{DemoSignIn, DemoSignIns, demo_sign_ins};
pub use error::Error;
pub use first::FirstSignIn;
pub use import::{FirstPassword, IMPORT_NEW_MAX, ImportList, ImportedAccount};
pub use name::{
    DISPLAY_NAME, DISPLAY_NAME_BYTES_MAX, NameError, USERNAME, USERNAME_CHARS_MAX,
    normalise_username,
};
pub use password::{
    PASSWORD_BYTES_MAX, PasswordRule, STAFF_PASSWORD_CHARS_MIN, STUDENT_PASSWORD_CHARS_MIN,
    check_password,
};
pub use policy::{Lifetime, Policy};
pub use session::{Guest, Session, SignedIn};
pub use sign_in::{Identity, Issued};
pub use throttle::ThrottleLimits;
pub use token::{COOKIE_NAME, SESSION_TOKEN, SessionToken};

use belfry_model::outside::Target;

/// The parsers of outside bytes of this crate.
pub static PARSERS: &[&dyn Target] = &[&USERNAME, &DISPLAY_NAME, &SESSION_TOKEN];

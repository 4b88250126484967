//! Why somebody is not let in, or a change of an account is refused.

use crate::name::NameError;
use crate::password::PasswordRule;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Unknown name, wrong password or disabled account: the answer does not tell which.
    #[error("the user name or the password is wrong")]
    Wrong,
    #[error("too many attempts, try again in {} seconds", (retry_after_ms + 999) / 1000)]
    Throttled { retry_after_ms: i64 },
    /// More sign-ins at once than the machine can check.
    #[error("too many people are signing in, try again in a moment")]
    Busy,
    #[error("the lesson takes no more guests")]
    TooManyGuests,
    #[error("more new accounts than can be made at once")]
    TooManyAccounts,
    #[error("the session has ended")]
    SessionEnded,
    #[error("the role does not allow this")]
    NotAllowed,
    #[error("the password must be typed again first")]
    StepUpNeeded,
    #[error("the password does not fit: {0}")]
    Password(PasswordRule),
    #[error("the name does not fit: {0}")]
    Name(NameError),
    #[error("the user name is taken")]
    UsernameTaken,
    #[error("there is no such account")]
    NoSuchPerson,
    #[error("the last admin who can sign in must stay one")]
    LastAdmin,
    #[error("nobody erases the own account")]
    OwnAccount,
    #[error("a lesson that goes on holds something of this person")]
    InLesson,
    #[error("the personal data in the record could not be erased")]
    Openings,
    #[error("cannot {doing}")]
    Store {
        doing: &'static str,
        #[source]
        source: belfry_store::Error,
    },
    #[error("the record cannot be written, so nothing was changed")]
    Ledger(#[source] belfry_ledger::Error),
    #[error("cannot hash a password")]
    Hash,
}

impl Error {
    pub(crate) fn store(doing: &'static str) -> impl Fn(belfry_store::Error) -> Self {
        move |source| match source {
            belfry_store::Error::Busy => Self::Busy,
            belfry_store::Error::Taken { what: "an account" } => Self::UsernameTaken,
            belfry_store::Error::NotFound { what: "account" } => Self::NoSuchPerson,
            belfry_store::Error::InLesson => Self::InLesson,
            source => Self::Store { doing, source },
        }
    }
}

//! What can go wrong with the database, in sentences that say what to do.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "cannot open the database {path}: check that the directory exists and that this user may read and write it"
    )]
    Unreadable {
        path: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the disk that holds {path} is full: free some space and start again")]
    DiskFull { path: PathBuf },
    #[error(
        "the database {path} was written by a newer release ({what}): start that release, or restore the copy made before the update"
    )]
    NewerSchema { path: PathBuf, what: String },
    #[error("the database {path} is damaged: restore the latest backup")]
    Damaged {
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
    #[error("cannot bring the database {path} up to date ({step})")]
    Migration {
        path: PathBuf,
        step: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the database {path} is in use by another process: is belfry running already?")]
    InUse { path: PathBuf },
    #[error("too much is waiting for the database, try again in a moment")]
    Busy,
    #[error("the database has been closed")]
    Closed,
    #[error("{what} of that name exists already")]
    Taken { what: &'static str },
    #[error("there is no such {what}")]
    NotFound { what: &'static str },
    #[error("{what} is not of this school")]
    OtherSchool { what: &'static str },
    #[error("a lesson that has not ended holds something of this person")]
    InLesson,
    #[error("cannot remove {path}, a copy of the database made before an update")]
    Copy {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot {doing}")]
    Statement {
        doing: &'static str,
        #[source]
        source: rusqlite::Error,
    },
}

impl Error {
    /// Whether nothing will work until somebody acts (disk, damage, schema). The rest is either
    /// the caller's input or worth another try.
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Unreadable { .. }
            | Self::DiskFull { .. }
            | Self::NewerSchema { .. }
            | Self::Damaged { .. }
            | Self::Migration { .. }
            | Self::Closed => true,
            Self::InUse { .. }
            | Self::Busy
            | Self::Taken { .. }
            | Self::NotFound { .. }
            | Self::InLesson
            | Self::Copy { .. }
            | Self::OtherSchool { .. } => false,
            Self::Statement { source, .. } => {
                matches!(
                    source.sqlite_error_code(),
                    Some(
                        ErrorCode::SystemIoFailure
                            | ErrorCode::DatabaseCorrupt
                            | ErrorCode::NotADatabase
                            | ErrorCode::ReadOnly
                            | ErrorCode::CannotOpen
                            | ErrorCode::DiskFull
                    )
                )
            }
        }
    }

    /// Whether the same call may work in a moment.
    pub fn is_retry(&self) -> bool {
        matches!(self, Self::Busy | Self::InUse { .. })
    }

    /// The error of opening or migrating `path`.
    pub(crate) fn at_open(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull { path },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged { path, source }
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::InUse { path },
            _ => Self::Unreadable { path, source: Box::new(source) },
        }
    }

    /// A statement that should have worked; use as `.map_err(Error::doing("..."))`.
    pub(crate) fn doing(doing: &'static str) -> impl Fn(rusqlite::Error) -> Self {
        move |source| Self::Statement { doing, source }
    }

    /// As [`Error::doing`], but a broken uniqueness is [`Error::Taken`] and a broken foreign key
    /// [`Error::OtherSchool`].
    pub(crate) fn doing_with(
        doing: &'static str,
        what: &'static str,
    ) -> impl Fn(rusqlite::Error) -> Self {
        move |source| match &source {
            rusqlite::Error::SqliteFailure(failure, _)
                if failure.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE
                    || failure.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY =>
            {
                Self::Taken { what }
            }
            rusqlite::Error::SqliteFailure(failure, _)
                if failure.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY =>
            {
                Self::OtherSchool { what }
            }
            _ => Self::Statement { doing, source },
        }
    }
}

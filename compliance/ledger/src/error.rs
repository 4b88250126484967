//! What can go wrong with the record.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Why an event is not in the record. Two classes: try again, or somebody must act.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Error {
    /// Certainly not in the record; the same call may work in a moment.
    #[error("the record could not be written just now, try again ({reason})")]
    Retry { reason: String },
    /// Not known to be in the record within [`crate::APPEND_WAIT`]: as if it were not.
    #[error("the record did not answer in time, try again")]
    Late,
    /// The record cannot be written (or read) until somebody acts.
    #[error("the record cannot be written: {reason}")]
    Fatal { reason: String },
}

impl Error {
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Fatal { .. })
    }

    /// The class of a failed write. What a lock or an interruption caused goes away by itself.
    pub(crate) fn from_write(source: &rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let reason = source.to_string();
        match source.sqlite_error_code() {
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::OperationInterrupted
                | ErrorCode::SchemaChanged,
            ) => Self::Retry { reason },
            Some(ErrorCode::DiskFull) => {
                Self::Fatal { reason: "the disk is full: free some space".to_owned() }
            }
            _ => Self::Fatal { reason },
        }
    }
}

/// Why the record could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "cannot open the record {path}: check that the directory exists and that this user may read and write it"
    )]
    Unreadable {
        path: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the disk that holds {path} is full: free some space and start again")]
    DiskFull { path: PathBuf },
    #[error("the record {path} was written by a newer release (form {found}): start that release")]
    Newer { path: PathBuf, found: i64 },
    #[error(
        "the record {path} does not agree with itself at entry {seq}: keep the file as it is and call whoever looks after the records"
    )]
    Broken { path: PathBuf, seq: u64 },
    #[error(
        "the record {path} was rolled back: it has {entries} entries, and {published} were published. Put the newer file back, or let two persons begin a new epoch"
    )]
    RolledBack { path: PathBuf, entries: u64, published: u64 },
    #[error(
        "the record {path} is not the one whose checkpoint of {size} entries was published: keep the file as it is and call whoever looks after the records"
    )]
    Forked { path: PathBuf, size: u64 },
    #[error(
        "the last published checkpoint {path} is gone: put it back, or let two persons begin a new epoch"
    )]
    LockGone { path: PathBuf },
    #[error("the last published checkpoint {path} is not ours: {why}")]
    LockForeign { path: PathBuf, why: belfry_audit::NoteError },
    #[error(
        "the key of epoch {epoch} is not in {path}: put it back, or let two persons begin a new epoch"
    )]
    KeyGone { path: PathBuf, epoch: i64 },
    #[error("the record {path} is damaged ({reason}): keep the file as it is and put a copy back")]
    Damaged { path: PathBuf, reason: String },
    #[error("the record {path} is in use by another process: is belfry running already?")]
    InUse { path: PathBuf },
}

impl OpenError {
    pub(crate) fn unreadable(
        path: &std::path::Path,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Unreadable { path: path.to_owned(), source: source.into() }
    }

    pub(crate) fn from_sqlite(path: &std::path::Path, source: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull { path: path.to_owned() },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Self::InUse { path: path.to_owned() }
            }
            // Also a table or a column that is not what this crate made.
            Some(
                ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::TypeMismatch
                | ErrorCode::ConstraintViolation
                | ErrorCode::Unknown,
            )
            | None => Self::Damaged { path: path.to_owned(), reason: source.to_string() },
            _ => Self::unreadable(path, source),
        }
    }

    pub(crate) fn from_file(path: &std::path::Path, source: std::io::Error) -> Self {
        match source.kind() {
            std::io::ErrorKind::StorageFull => Self::DiskFull { path: path.to_owned() },
            _ => Self::unreadable(path, source),
        }
    }

    /// Whether the record is not what it was: teaching goes on, disclosures wait for a person.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Broken { .. }
            | Self::RolledBack { .. }
            | Self::Forked { .. }
            | Self::LockGone { .. }
            | Self::LockForeign { .. }
            | Self::KeyGone { .. }
            | Self::Damaged { .. } => true,
            Self::Unreadable { .. }
            | Self::DiskFull { .. }
            | Self::Newer { .. }
            | Self::InUse { .. } => false,
        }
    }
}

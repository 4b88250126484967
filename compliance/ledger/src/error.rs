//! What can go wrong with the record.

use std::path::PathBuf;

/// Why an event is not in the record. Two classes: try again, or somebody must act.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Certainly not in the record; the same call may work in a moment.
    #[error("the record could not be written just now, try again ({reason})")]
    Retry { reason: String },
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
            _ => Self::unreadable(path, source),
        }
    }
}

//! Why there is no bundle.

use std::io;

use belfry_audit::EventKind;

/// Why a bundle was not written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the receipt is for {0:?}, not for an export of evidence")]
    Receipt(EventKind),
    #[error("{file} of the exported log is not in its form: {says}")]
    Log { file: String, says: String },
    #[error(
        "the exported log does not give the root of its newest checkpoint; verify the record first"
    )]
    Root,
    #[error("{0} changed while the bundle was written")]
    Changed(String),
    #[error("the bundle would be larger than {max} bytes; choose a shorter period")]
    TooLarge { max: u64 },
    #[error("the request has {what}, at most {max} are taken")]
    TooMany { what: &'static str, max: usize },
    #[error("\"{0}\" cannot be the name of a file in a bundle")]
    Name(String),
    #[error("reading the log or writing the bundle")]
    Io(#[from] io::Error),
    #[error("writing the bundle's ZIP file")]
    Zip(#[from] zip::result::ZipError),
    #[error("writing a table")]
    Csv(#[from] csv::Error),
    #[error("writing JSON")]
    Json(#[from] serde_json::Error),
}

impl Error {
    pub(crate) fn log(file: &str, says: impl Into<String>) -> Self {
        Self::Log { file: file.to_owned(), says: says.into() }
    }
}

//! What can go wrong with the keys, in sentences that say what to do.

use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read the key {path}: check that this user may read it")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "cannot write the key {path}: check that the directory exists and that this user may write to it"
    )]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the disk that holds {path} is full: free some space and start again")]
    DiskFull { path: PathBuf },
    #[error(
        "others on this machine may read {path} (mode {mode:03o}): run chmod {wanted:o} {path}"
    )]
    Exposed { path: PathBuf, mode: u32, wanted: u32 },
    #[error(
        "the key {path} belongs to another user (uid {owner}): give it to the user that runs belfry"
    )]
    Foreign { path: PathBuf, owner: u32 },
    #[error("the key {path} is not in a form that this release knows: restore it from the backup")]
    Malformed { path: PathBuf },
    #[error("cannot make the key {path}")]
    Make {
        path: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    pub(crate) fn reading(path: &Path) -> impl Fn(std::io::Error) -> Self {
        move |source| Self::Read { path: path.to_owned(), source }
    }

    pub(crate) fn writing(path: &Path) -> impl Fn(std::io::Error) -> Self {
        move |source| match source.kind() {
            std::io::ErrorKind::StorageFull => Self::DiskFull { path: path.to_owned() },
            _ => Self::Write { path: path.to_owned(), source },
        }
    }
}

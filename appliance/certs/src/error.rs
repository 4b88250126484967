//! What can go wrong, in sentences for the person at the console.

use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the clock of this machine is wrong: set date and time, then start again")]
    Clock,
    #[error("cannot read {path}: check that it exists and that this user may read it")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write {path}: check that the disk is not full and that this user may write it")]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "{path} is not a certificate: restore it from a backup, or remove it to have a new one made"
    )]
    Malformed { path: PathBuf },
    #[error(
        "{path} belongs to another key: restore the keys and certificates from the same backup, or remove both folders to start anew (every device then has to trust the new certificate)"
    )]
    OtherKey { path: PathBuf },
    #[error("the root certificate has ended or begins later: check the clock of this machine")]
    RootNotValid,
    #[error(
        "{name} lies outside what the root certificate may speak for: use one of the names it was made for, or have a new root made"
    )]
    OutsideConstraints { name: String },
    #[error("cannot make {what}")]
    Make {
        what: &'static str,
        #[source]
        source: rcgen::Error,
    },
}

impl Error {
    pub(crate) fn reading(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }

    pub(crate) fn writing(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Write { path, source }
    }

    pub(crate) fn making(what: &'static str) -> impl FnOnce(rcgen::Error) -> Self {
        move |source| Self::Make { what, source }
    }
}

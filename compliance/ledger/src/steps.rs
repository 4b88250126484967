//! The steps in which a file beside `audit.db` is written, one by one.
//!
//! SQLite's own writes go through its VFS, where a test can stand between. These do not: with the feature
//! `steps` a test stands here, to fail any of them or to remember what was not synced when the power went.
//! Without it a step is what it does and nothing else.

#![cfg_attr(
    not(feature = "steps"),
    allow(dead_code, unreachable_pub, reason = "what a step is only the test looks at")
)]

use std::io::Result;
use std::path::Path;

/// What is about to be done.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// The file is made if there is none, and emptied if that is asked for.
    Create {
        file: &'a Path,
        empty: bool,
    },
    Write {
        file: &'a Path,
        bytes: &'a [u8],
    },
    Sync {
        file: &'a Path,
    },
    Rename {
        from: &'a Path,
        to: &'a Path,
    },
    /// The names in a folder.
    SyncFolder {
        folder: &'a Path,
    },
}

/// Does the step, or does not, and says how it went.
#[cfg(feature = "steps")]
pub type Between = fn(&Step<'_>, &mut dyn FnMut() -> Result<()>) -> Result<()>;

#[cfg(feature = "steps")]
static BETWEEN: std::sync::OnceLock<Between> = std::sync::OnceLock::new();

/// From now on every step of this process goes through `between`; the first call counts.
#[cfg(feature = "steps")]
pub fn stand_between(between: Between) {
    BETWEEN.get_or_init(|| between);
}

#[cfg(feature = "steps")]
pub(crate) fn step(step: &Step<'_>, mut act: impl FnMut() -> Result<()>) -> Result<()> {
    match BETWEEN.get() {
        Some(between) => between(step, &mut act),
        None => act(),
    }
}

#[cfg(not(feature = "steps"))]
pub(crate) fn step(_: &Step<'_>, mut act: impl FnMut() -> Result<()>) -> Result<()> {
    act()
}

//! What the auditor brings along.

use crate::note::Vkey;

/// What to hold a log or a bundle against. Without a root or a key of the auditor's own, trust is not established.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Fingerprints (`SHA256:...`) of the key that may sign bundles, as printed for the records room.
    pub roots: Vec<String>,
    /// The log's key, as printed.
    pub vkeys: Vec<Vkey>,
    /// Keys of witnesses.
    pub witnesses: Vec<Vkey>,
    /// Checkpoints that somebody outside kept: name and note.
    pub outside: Vec<(String, Vec<u8>)>,
    /// Nothing from outside is then a fault.
    pub need_outside: bool,
    /// The auditor's nonce, and how many entries to pick of each population.
    pub sample: Option<(Vec<u8>, usize)>,
}

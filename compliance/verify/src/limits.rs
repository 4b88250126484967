//! Every limit of the verifier. What is longer, larger or more is refused, never truncated.

/// One line of a log, without its newline, in bytes.
pub const LINE_BYTES_MAX: usize = 64 * 1024;
/// A file that is read into memory as a whole, in bytes.
pub const SMALL_FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// A signed note or a proof, in bytes.
pub const NOTE_BYTES_MAX: usize = 16 * 1024;
/// Signature lines of one note.
pub const NOTE_SIGNATURES_MAX: usize = 32;
/// A bundle: the ZIP file itself, in bytes (ZIP64 is not read).
pub const ZIP_BYTES_MAX: u64 = u32::MAX as u64 - 1;
/// Files of one bundle.
pub const MEMBERS_MAX: usize = 20_000;
/// A file's path inside a bundle, in bytes.
pub const NAME_BYTES_MAX: usize = 200;
/// Folders inside folders.
pub const FOLDER_DEPTH_MAX: usize = 8;
/// How many times larger than its compressed form a member may be, once it is above [`RATIO_FROM_BYTES`].
pub const RATIO_MAX: u64 = 250;
/// Below this size the ratio is not looked at, in bytes.
pub const RATIO_FROM_BYTES: u64 = 1024 * 1024;
/// All members of a bundle, unpacked, in bytes.
pub const UNPACKED_BYTES_MAX: u64 = 64 * 1024 * 1024 * 1024;
/// Objects and lists inside one another in a line.
pub const JSON_DEPTH_MAX: u32 = 16;
/// The version of the entries' canonical form that this verifier knows, and all before it.
pub const ENTRY_VERSION_MAX: i64 = 3;
/// The version of the bundle's manifest that this verifier knows.
pub const BUNDLE_VERSION: u64 = 1;
/// Epochs of one log.
pub const EPOCHS_MAX: usize = 1_000;
/// Prune events that are open (entries seen, event not yet) at the same time.
pub const PRUNES_MAX: usize = 4_096;
/// Checkpoints from outside and witnesses' notes.
pub const OUTSIDE_MAX: usize = 256;
/// Proofs in one bundle.
pub const PROOFS_MAX: usize = 10_000;
/// Hashes of one proof: a tree has no more levels than a 64-bit index has bits.
pub const PROOF_HASHES_MAX: usize = 64;
/// Populations in one bundle.
pub const POPULATIONS_MAX: usize = 256;
/// Entries that one sample may have.
pub const SAMPLE_MAX: usize = 10_000;
/// An auditor's nonce, in bytes.
pub const NONCE_BYTES_MAX: usize = 64;

//! The audit vocabulary: what may be written to the record, in which form, how it is hashed, and
//! how what it says is signed and proved.
//!
//! **Invariant:** pure, and closed: an event that is not listed in [`EventKind`] cannot be recorded.
//! **Invariant:** ids only. No name, address, token or free text of a person is in any event.
//! **Invariant:** knows nothing of the appliance; ids are plain numbers and words here.

mod canonical;
mod commitment;
mod declared;
mod event;
mod field;
mod hash;
mod note;
mod tree;

pub use canonical::CANONICAL_VERSION;
pub use commitment::{SUBJECT_BYTES, commitment, subject_word};
pub use declared::{Declared, Reason, no_audit};
pub use event::{Detail, Event, EventKind, Outcome};
pub use field::{
    Actor, ChatMode, Class, ErasedBecause, Fingerprint, Holding, Lesson, LessonEnd, Lock, Masked,
    Participant, Person, PersonRole, RefusedBecause, School, Scope, Source, ThrottledBy, Value,
    Word,
};
pub use hash::{Hash, chain_hash, leaf_hash};
pub use note::{Checkpoint, KeyType, NOTE_BYTES_MAX, NoteError, SignedNote, Signer, Verifier};
pub use tree::{
    Frontier, PROOF_HASHES_MAX, Subtree, Unproved, check_consistency, check_inclusion,
    consistency_proof, empty_root, inclusion_proof, node_hash, root_at,
};

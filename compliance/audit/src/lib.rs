//! The audit vocabulary: what may be written to the record, in which form, and how it is hashed.
//!
//! **Invariant:** pure, and closed: an event that is not listed in [`EventKind`] cannot be recorded.
//! **Invariant:** ids only. No name, address, token or free text of a person is in any event.
//! **Invariant:** knows nothing of the appliance; ids are plain numbers and words here.

mod canonical;
mod declared;
mod event;
mod field;
mod hash;

pub use canonical::CANONICAL_VERSION;
pub use declared::{Declared, Reason, no_audit};
pub use event::{Detail, Event, EventKind, Outcome};
pub use field::{
    Actor, ChatMode, Class, Fingerprint, Holding, Lesson, LessonEnd, Lock, Masked, Participant,
    Person, PersonRole, RefusedBecause, School, Scope, Source, ThrottledBy, Value, Word,
};
pub use hash::{Hash, chain_hash, leaf_hash};

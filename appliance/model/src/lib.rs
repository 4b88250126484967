//! Ids, roles, limits and the words everyone shares.
//!
//! **Invariant:** no I/O, no clock, no randomness; nothing here knows another crate of the workspace.

pub mod ids;
pub mod limits;
pub mod outside;
pub mod pii;
pub mod role;
pub mod time;

pub use ids::{
    ClassId, DistrictId, Identity, LessonId, ParticipantSid, PersonId, RoomSid, SchoolId, TrackSid,
};
pub use outside::Outside;
pub use pii::Pii;
pub use role::{LessonRole, Role};
pub use time::Timestamp;

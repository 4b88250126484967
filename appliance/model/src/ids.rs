//! Ids. Numbers name rows of our own database; strings name things on the wire.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! row_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

row_id! {
    /// A school district: the owner of the appliance. Every record is scoped by one.
    DistrictId;
    /// A school of a district.
    SchoolId;
    /// An account. A person may be present in a lesson as several participants, one after another.
    PersonId;
    /// A class: a roster that meets repeatedly.
    ClassId;
    /// One lesson, held or being held; a lesson need not belong to a class.
    LessonId;
}

macro_rules! wire_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::new(text)
            }
        }
    )*};
}

wire_id! {
    /// A room, the media side of a lesson: `RM_` and random characters.
    RoomSid;
    /// One connection of somebody to a room: `PA_` and random characters.
    ParticipantSid;
    /// A published track: `TR_` and random characters.
    TrackSid;
    /// Who a participant is within a lesson: `p42` for the person 42, `g` and random characters
    /// for a guest. Stable across reconnects; says nothing about the person.
    Identity;
}

//! The rules of a lesson: who may be in it, who may do what, and what follows from it.
//!
//! [`Lesson::apply`] takes one [`Event`] and the time and returns the [`Effect`]s that the caller
//! must carry out, in order. A [`Refusal`] changes nothing.
//!
//! **Invariant:** no I/O, no clock, no randomness; the same events at the same times give the same
//! effects. Nothing here is a wire format: the wires have their own types, and what is kept over a
//! restart is a [`Snapshot`].

mod command;
mod effect;
mod lesson;
mod link;
mod moderation;
pub mod record;
mod refusal;
mod snapshot;
mod view;
mod word;

pub use command::{Command, CommandKind, Who};
pub use effect::{Audience, Bye, Effect, EndCause, Notice, Record};
pub use lesson::{
    Arrival, Event, LESSON_MS_MAX, Lesson, Profile, Rules, UNOPENED_MS_MAX, WAITING_MAX,
};
pub use link::{LINK_EVERY_MS, Link};
pub use record::declared;
pub use refusal::Refusal;
pub use snapshot::Snapshot;
pub use view::{BlockedView, Hand, LessonView, ParticipantView, State, WaitingView, You};
pub use word::{
    Band, Carried, Cause, ChatMode, ChatTo, Grants, Layout, LayoutMode, Locks, Message, MessageId,
    Phase, Quality, Source, Standing, View,
};

#[cfg(test)]
mod tests;

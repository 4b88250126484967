//! SQLite: the only SQL of the control plane, one module and one numbered migration set per domain.
//!
//! **Invariant:** one thread owns the one connection; everything else sends it closures.
//! **Invariant:** every record is scoped by district and school, and foreign keys hold it to that.
//! **Invariant:** migrations go forward only, and an existing database is copied before one runs.

mod classes;
mod connections;
mod demo;
mod erase;
mod error;
mod import;
mod lessons;
mod migrations;
mod people;
mod schools;
mod sessions;
mod settings;
mod timetable;
mod writer;

pub use classes::{Band, Class, ClassListed, Enrolled, EnrolledAs, NewClass};
pub use connections::{KeptPresence, KeptWay, Troubles, WayUse};
pub use demo::{DEMO_PEOPLE, DemoPerson};
pub use erase::Erased;
pub use error::Error;
pub use import::{Import, Imported, Known, KnownPerson};
pub use lessons::{ChatMessage, KeptLesson, Lesson, LessonChanges, NewLesson};
pub use people::{Credential, FirstAdmin, NewPerson, PeoplePage, Person, PersonChange};
pub use schools::{District, School, SetUp};
pub use sessions::{Holder, SessionRow, ThrottleRow};
pub use settings::Override;
pub use timetable::{Day, NewSlot, Slot, SlotDay, TimetableEntry};
pub use writer::{Store, WAITING_MAX};

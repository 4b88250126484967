//! The hub of one live lesson, and the registry of all of them.
//!
//! One task owns a lesson's rules (`classroom`) and its signalling room (`signalling`); both are
//! pure. Everything reaches it as one closed enum of inputs, and it carries out what they answer:
//! frames to sockets, commands to the media plane, events to the record, changes to the database.
//!
//! **Invariant:** nothing but its task changes a lesson, and that task waits for nobody: queues to
//! sockets are bounded and a socket that does not keep up is closed, the record and the database
//! are told and not awaited.

mod class;
mod clock;
mod hub;
mod links;
mod route;
mod sessions;
mod signal;

pub use class::{ClassEvent, ClassSocket, Farewell, Media, Outgoing, Resume};
pub use clock::now;
pub use links::{LinkEvent, LinkReport};
pub use sessions::{Config, OpenError, Sessions, Summary};
pub use signal::{SignalOut, SignalRefusal, SignalSocket};

#[cfg(test)]
mod tests;

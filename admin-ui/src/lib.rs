//! The server-rendered pages: templates, texts, styles, view structs and the gallery.
//!
//! **Invariant:** knows nothing of the appliance: every page renders from its view struct alone.
//! **Invariant:** no people-facing text outside the catalogues in `locales`.
//! **Invariant:** every form works without scripts.

mod asset;
mod connections;
mod form;
mod frame;
pub mod gallery;
mod page;
mod text;

pub use asset::{ASSET_PREFIX, Asset, TOKENS_CSS, assets};
pub(crate) use asset::{asset_path, icon};
pub use connections::{
    Connection, Connections, ConnectionsParticipants, Figure, Moment, NetworkRow, ParticipantRow,
    PresenceCard, Tab,
};
pub use form::{Choice, Control, Field, Form, Weight};
pub use frame::{Crumb, Flash, Frame, Me, Section, Theme, Tone};
pub use page::{
    Action, Certificate, Class, ClassRow, Classes, Erase, Evidence, FormPage, Guide, Home,
    ImportPreview, Imported, Member, Page, Pager, People, Person, PersonRow, PlainForm, Problem,
    Record, RecordAbout, RecordRow, Roster, Secret, Settings, SettingsGroup, SheetRow, SignIn,
    Slot, Status, Todo,
};
pub use text::{LANGUAGE, Value, say, say_if_known, say_with};

#[cfg(test)]
mod tests;

//! Every setting, declared once: its key, type, default, check, form field and documentation.
//!
//! A value comes from the default, the settings file, what the admin pages stored, or the
//! environment; the later of these wins. `SETTINGS.md` is generated from the same declarations.
//!
//! **Invariant:** a [`Settings`] holds only values that passed their checks.

mod declared;
mod docs;
mod lesson;
mod load;
mod value;

pub use declared::{DECLARED, Settings};
pub use docs::table;
pub use lesson::LessonPolicy;
pub use load::{Origin, Problem, Problems, env_name};
pub use value::{ChatDefault, Field, VideoCodec};

/// What is known about a setting besides its value.
#[derive(Clone, Copy, Debug)]
pub struct Declaration {
    /// Stable; dots separate the tables of the settings file.
    pub key: &'static str,
    /// The default in text form; empty for an optional or a list without a default.
    pub default: &'static str,
    /// English, for the generated table; pages use [`Declaration::text_id`].
    pub doc: &'static str,
    pub field: Field,
    pub flags: Flags,
}

/// What a setting needs of those who show or change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags {
    /// A secret: never shown, never in the record.
    pub masked: bool,
    /// Takes effect only when the appliance starts.
    pub restart: bool,
    /// May be changed on the admin pages; the others only in the file or the environment.
    pub admin: bool,
}

impl Declaration {
    /// The id of the setting's label in the text catalogues; with `-help` added, of its explanation.
    pub fn text_id(&self) -> String {
        format!("setting-{}", self.key.replace(['.', '_'], "-"))
    }

    pub fn find(key: &str) -> Option<&'static Self> {
        DECLARED.iter().find(|declaration| declaration.key == key)
    }
}

#[cfg(test)]
mod tests;

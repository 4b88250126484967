//! A wrapper that keeps names and addresses out of logs.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A value that identifies a person (name, e-mail, IP address). Both `Debug` and `Display` print
/// a mark instead of it, so that no log line can carry it by accident.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pii<T>(T);

impl<T> Pii<T> {
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself, for a page or a wire that may hold it. Never for a log.
    pub fn reveal(&self) -> &T {
        &self.0
    }

    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[pii]")
    }
}

impl<T> fmt::Display for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[pii]")
    }
}

#[cfg(test)]
mod tests {
    use super::Pii;

    #[test]
    fn neither_debug_nor_display_shows_the_value() {
        let name = Pii::new("Ada Lovelace");
        assert_eq!(format!("{name:?} {name}"), "[pii] [pii]");
        assert_eq!(*name.reveal(), "Ada Lovelace");
    }
}

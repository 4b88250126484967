//! Personal data beside an entry: what the entry commits to, and what can be erased.

use serde::{Deserialize, Serialize};

use crate::schema::random;

/// A JSON object in its RFC 8785 form and the salt of the commitment to it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Opening {
    pub(crate) salt: [u8; 32],
    pub(crate) block: String,
}

impl std::fmt::Debug for Opening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opening(..)")
    }
}

impl Opening {
    /// Members by name; the names are ours (ASCII), so byte order is the order of RFC 8785.
    pub(crate) fn new(members: &[(&'static str, &str)]) -> Self {
        let block: std::collections::BTreeMap<_, _> = members.iter().copied().collect();
        let block = serde_json::to_string(&block).expect("text is JSON");
        Self { salt: random(), block }
    }
}

/// What is done beside the entries in the same transaction as an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Beside {
    #[default]
    Nothing,
    Opens(Opening),
    /// The openings of these entries go.
    Erases(Vec<u64>),
}

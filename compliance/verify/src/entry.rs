//! One line of `entries.jsonl`.

use crate::canonical::{self, Fault};
use crate::hash::{Hash, leaf, unbase64_hash, unhex};
use crate::limits::ENTRY_VERSION_MAX;

/// What stands at one index.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry<'a> {
    /// The entry itself; its leaf is computed from its bytes.
    Body { op: &'a str, pii: Option<Hash>, detail: &'a [u8], leaf: Hash },
    /// Its body was removed; what is left is its leaf, and which entry tells of the removal.
    Pruned { leaf: Hash, by: u64 },
}

/// Why a line is no entry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    NotCanonical(Fault),
    /// A member is missing or of another kind.
    Form,
    Version(i64),
}

impl<'a> Entry<'a> {
    pub(crate) fn read(line: &'a [u8]) -> Result<Self, Refused> {
        let mut seen = Members::default();
        canonical::object(line, |name, raw| seen.take(name, raw)).map_err(Refused::NotCanonical)?;
        if let (Some(stored), Some(by), 2) = (seen.leaf, seen.pruned_by, seen.count) {
            let stored = canonical::text(stored).and_then(unbase64_hash);
            let (stored, by) = stored.zip(canonical::count(by)).ok_or(Refused::Form)?;
            return Ok(Self::Pruned { leaf: stored, by });
        }
        match seen.version {
            Some(version) if (1..=ENTRY_VERSION_MAX).contains(&version) => {}
            Some(version) => return Err(Refused::Version(version)),
            None => return Err(Refused::Form),
        }
        let pii = match seen.pii {
            Some(b"null") | None => None,
            Some(raw) => Some(canonical::text(raw).and_then(unhex).ok_or(Refused::Form)?),
        };
        let op = seen.op.and_then(canonical::text).ok_or(Refused::Form)?;
        Ok(Self::Body { op, pii, detail: seen.detail.unwrap_or(b"{}"), leaf: leaf(line) })
    }

    pub(crate) fn leaf(&self) -> Hash {
        match self {
            Self::Body { leaf, .. } | Self::Pruned { leaf, .. } => *leaf,
        }
    }
}

#[derive(Default)]
struct Members<'a> {
    count: usize,
    op: Option<&'a [u8]>,
    pii: Option<&'a [u8]>,
    detail: Option<&'a [u8]>,
    version: Option<i64>,
    leaf: Option<&'a [u8]>,
    pruned_by: Option<&'a [u8]>,
}

impl<'a> Members<'a> {
    fn take(&mut self, name: &str, raw: &'a [u8]) {
        self.count += 1;
        match name {
            "op" => self.op = Some(raw),
            "pii" => self.pii = Some(raw),
            "d" => self.detail = Some(raw),
            "v" => self.version = canonical::int(raw),
            "leaf" => self.leaf = Some(raw),
            "pruned_by" => self.pruned_by = Some(raw),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_body_or_what_a_prune_left() {
        let line =
            br#"{"act":{"id":7,"kind":"person"},"d":{"class":3},"op":"lesson.started","v":1}"#;
        let entry = Entry::read(line).expect("an entry");
        assert_eq!(
            entry,
            Entry::Body {
                op: "lesson.started",
                pii: None,
                detail: br#"{"class":3}"#,
                leaf: leaf(line)
            }
        );
        let pruned = br#"{"leaf":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=","pruned_by":9}"#;
        assert!(matches!(Entry::read(pruned), Ok(Entry::Pruned { by: 9, .. })));
        assert_eq!(Entry::read(br#"{"op":"a","v":99}"#), Err(Refused::Version(99)));
        for bad in [
            &br#"{"op":"a"}"#[..],
            br#"{"v":1}"#,
            br#"{"op":"a","pii":"x","v":1}"#,
            br#"{"leaf":"x","pruned_by":1}"#,
        ] {
            assert_eq!(Entry::read(bad), Err(Refused::Form));
        }
        assert!(matches!(Entry::read(b"{} "), Err(Refused::NotCanonical(_))));
    }
}

//! The parsers of this crate as functions of bytes, for fuzzing: it imports nothing of the workspace, so `tests/fuzz` takes
//! them from here.

use crate::entry::Entry;
use crate::note::{Checkpoint, Note, Vkey};
use crate::proof::Proof;
use crate::{side, sshsig, zip};

/// An entry, as short as they come.
pub const FORMS_SEED: &[u8] = br#"{"op":"a","v":1}"#;

/// An archive of one stored file `a` that holds `a`.
pub const ARCHIVE_SEED: &[u8] = b"PK\x03\x04\x14\0\0\0\0\0\0\0!\0C\xbe\xb7\xe8\x01\0\0\0\x01\0\0\0\x01\0\0\0aa\
PK\x01\x02\x14\x03\x14\0\0\0\0\0\0\0!\0C\xbe\xb7\xe8\x01\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\xa4\x81\0\0\0\0a\
PK\x05\x06\0\0\0\0\x01\0\x01\0/\0\0\0 \0\0\0\0\0";

/// Entries, openings, notes, proofs, keys, signatures; whether any of these took it.
pub fn forms(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let taken = [
        Entry::read(bytes).is_ok(),
        side::read_opening(bytes).is_some(),
        Note::parse(bytes).is_some_and(|note| Checkpoint::parse(&note).is_some()),
        Proof::parse(bytes).is_some(),
        Vkey::parse(&text).is_some(),
        sshsig::signer(&text, b"").is_some(),
        sshsig::allowed_signers(&text).is_some_and(|keys| !keys.is_empty()),
    ];
    taken.contains(&true)
}

/// A ZIP file with all that is in it.
pub fn archive(bytes: &[u8]) -> bool {
    zip::read_all(bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{ARCHIVE_SEED, FORMS_SEED, archive, forms};

    #[test]
    fn seeds_are_taken() {
        assert!(forms(FORMS_SEED) && archive(ARCHIVE_SEED));
    }

    proptest! {
        /// A changed archive is read or refused; a changed byte of its structure is refused.
        #[test]
        fn a_changed_archive_ends_in_a_verdict(changes in proptest::collection::vec((0..ARCHIVE_SEED.len(), any::<u8>()), 1..6)) {
            let mut bytes = ARCHIVE_SEED.to_vec();
            for (at, byte) in changes {
                bytes[at] = byte;
            }
            let _ = archive(&bytes);
        }

        #[test]
        fn any_bytes_end_in_a_verdict(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = (forms(&bytes), archive(&bytes));
        }
    }
}

//! C2SP signed-note, tlog-checkpoint and tlog-cosignature (version 1), Ed25519 only.

use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};

use crate::hash::{Hash, unbase64, unbase64_hash, unhex};
use crate::limits::{NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX};

/// signed-note: the type byte of a key that signs notes.
const ED25519: u8 = 0x01;
/// tlog-cosignature: the type byte of a witness's key.
const COSIGNATURE: u8 = 0x04;

/// A key that may sign notes: `name+keyid+base64(type || public key)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vkey {
    pub name: String,
    pub id: [u8; 4],
    witness: bool,
    key: VerifyingKey,
}

impl Vkey {
    /// `None`: not such a line, or one whose key id is not that of its key.
    pub fn parse(line: &str) -> Option<Self> {
        let (name, rest) = line.split_once('+')?;
        let (id, key) = rest.split_once('+')?;
        let (id, key) = (unhex::<4>(id)?, unbase64(key)?);
        let (&kind, public) = key.split_first()?;
        if !is_name(name) || !matches!(kind, ED25519 | COSIGNATURE) {
            return None;
        }
        let whole =
            Sha256::new().chain_update(name).chain_update(b"\n").chain_update(&key).finalize();
        if whole[..4] != id {
            return None;
        }
        let key = VerifyingKey::from_bytes(public.try_into().ok()?).ok()?;
        Some(Self { name: name.to_owned(), id, witness: kind == COSIGNATURE, key })
    }

    /// Whether it is a witness's key, which signs cosignatures and no notes of its own.
    pub fn is_witness(&self) -> bool {
        self.witness
    }

    fn holds(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.key.verify_strict(message, &signature).is_ok())
    }
}

/// signed-note: not empty, no white space, no plus.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '+' || c.is_control())
}

/// A note: its text and the signatures below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// With its last newline.
    pub text: String,
    signatures: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    name: String,
    id: [u8; 4],
    bytes: Vec<u8>,
}

/// What a key says of a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signed {
    /// By this key; a witness says when (seconds since 1970).
    Yes { at: Option<u64> },
    /// It carries a signature of this key that does not hold.
    Wrong,
    /// No line of this key.
    No,
}

impl Note {
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > NOTE_BYTES_MAX {
            return None;
        }
        let whole = std::str::from_utf8(bytes).ok()?;
        if whole.chars().any(|c| c.is_control() && c != '\n') {
            return None;
        }
        let split = whole.rfind("\n\n")?;
        let (text, below) = (&whole[..=split], &whole[split + 2..]);
        let lines = below.strip_suffix('\n')?;
        let signatures: Vec<_> = lines.split('\n').map(Line::parse).collect::<Option<_>>()?;
        (signatures.len() <= NOTE_SIGNATURES_MAX)
            .then(|| Self { text: text.to_owned(), signatures })
    }

    /// Lines of unknown keys are of no meaning (signed-note, "Signatures").
    pub(crate) fn signed_by(&self, key: &Vkey) -> Signed {
        let mut own =
            self.signatures.iter().filter(|line| line.name == key.name && line.id == key.id);
        let (Some(line), None) = (own.next(), own.next()) else {
            return if self.signatures.iter().any(|line| line.name == key.name && line.id == key.id)
            {
                Signed::Wrong
            } else {
                Signed::No
            };
        };
        if !key.witness {
            return if key.holds(self.text.as_bytes(), &line.bytes) {
                Signed::Yes { at: None }
            } else {
                Signed::Wrong
            };
        }
        // tlog-cosignature: timestamp || signature over a header that names it, and the checkpoint.
        let Some((time, signature)) = line.bytes.split_first_chunk::<8>() else {
            return Signed::Wrong;
        };
        let at = u64::from_be_bytes(*time);
        let message = format!("cosignature/v1\ntime {at}\n{}", self.text);
        if key.holds(message.as_bytes(), signature) {
            Signed::Yes { at: Some(at) }
        } else {
            Signed::Wrong
        }
    }
}

impl Line {
    fn parse(line: &str) -> Option<Self> {
        let (name, base64) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
        let bytes = unbase64(base64)?;
        let (id, rest) = bytes.split_first_chunk::<4>()?;
        is_name(name).then(|| Self { name: name.to_owned(), id: *id, bytes: rest.to_vec() })
    }
}

/// What a checkpoint says of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub origin: String,
    pub size: u64,
    pub root: Hash,
}

impl Checkpoint {
    /// tlog-checkpoint; extension lines are not written by the log, and refused.
    pub(crate) fn parse(note: &Note) -> Option<Self> {
        let mut lines = note.text.strip_suffix('\n')?.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        if lines.next().is_some() || !is_name(origin) {
            return None;
        }
        let plain = size == "0" || !size.starts_with('0');
        if !plain || !size.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Some(Self {
            origin: origin.to_owned(),
            size: size.parse().ok()?,
            root: unbase64_hash(root)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{cosign, key, note, vkey};

    #[test]
    fn a_note_is_its_signers_and_nobody_elses() {
        let text = "belfry.local/audit/a/e1\n3\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
        let name = "belfry.local/audit/a/e1";
        let signed = note(text, name, &key(1));
        let parsed = Note::parse(signed.as_bytes()).expect("a note");
        let mine = Vkey::parse(&vkey(name, &key(1), false)).expect("a key");
        let other = Vkey::parse(&vkey(name, &key(2), false)).expect("a key");
        assert_eq!(parsed.signed_by(&mine), Signed::Yes { at: None });
        assert_eq!(parsed.signed_by(&other), Signed::No);
        let edited = Note::parse(signed.replace("\n3\n", "\n4\n").as_bytes()).expect("a note");
        assert_eq!(edited.signed_by(&mine), Signed::Wrong);
        let checkpoint = Checkpoint::parse(&parsed).expect("a checkpoint");
        assert_eq!((checkpoint.size, checkpoint.root), (3, [0; 32]));
    }

    #[test]
    fn a_cosignature_holds_for_its_time_only() {
        let text = "o\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
        let signed =
            note(text, "o", &key(1)) + &cosign(text, "witness.example", &key(3), 1_700_000_000);
        let witness = Vkey::parse(&vkey("witness.example", &key(3), true)).expect("a key");
        let parsed = Note::parse(signed.as_bytes()).expect("a note");
        assert_eq!(parsed.signed_by(&witness), Signed::Yes { at: Some(1_700_000_000) });
        let mut late = parsed;
        late.signatures[1].bytes[7] ^= 1;
        assert_eq!(late.signed_by(&witness), Signed::Wrong);
    }

    #[test]
    fn keys_and_checkpoints_have_one_form() {
        let good = vkey("o", &key(1), false);
        assert!(Vkey::parse(&good).is_some());
        for bad in [
            good.replacen('o', "p", 1),
            good.replace("+A", "+B"),
            "o+00000000+AA==".to_owned(),
            String::new(),
        ] {
            assert!(Vkey::parse(&bad).is_none(), "{bad}");
        }
        let root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        for bad in [
            format!("o\n01\n{root}\n"),
            format!("o\n+1\n{root}\n"),
            format!("o\n1\n{root}\nmore\n"),
            "o\n1\n".to_owned(),
        ] {
            let note = Note { text: bad, signatures: Vec::new() };
            assert!(Checkpoint::parse(&note).is_none(), "{}", note.text);
        }
    }
}

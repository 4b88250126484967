//! What is signed: C2SP signed-note, tlog-checkpoint, tlog-cosignature.
//!
//! - signed-note: a text, an empty line, and lines `— name base64(key id || signature)`. Ed25519 is type
//!   0x01; the key id is the first four bytes of `SHA-256(name || 0x0A || type || public key)`.
//! - tlog-checkpoint: the text is `origin`, size and root (base64), a line each. We write no extension
//!   lines; the name of the key is the origin.
//! - tlog-cosignature (`cosignature/v1`, type 0x04): a witness signs a header with its time and the text.

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::hash::{Hash, hex};

/// Bytes of a note that is read, at most: a checkpoint with sixteen signatures has under 3,000.
pub const NOTE_BYTES_MAX: usize = 16 * 1_024;
/// Signature lines of a note that is read, at most.
const SIGNATURES_MAX: usize = 32;
const KEY_ID_BYTES: usize = 4;
const SEED_BYTES: usize = 32;
/// What Go's `sumdb/note` writes before a private key.
const PRIVATE: &str = "PRIVATE+KEY+";

/// What a key signs (signed-note, "Signature types").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// Notes, with Ed25519.
    Ed25519,
    /// Cosignatures of checkpoints, with Ed25519 and a time.
    CosignatureV1,
}

impl KeyType {
    const fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::CosignatureV1 => 0x04,
        }
    }
}

/// Why something that ought to be a note, a checkpoint or a key is none, or proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteError {
    /// Not of the form that signed-note and tlog-checkpoint describe.
    Form,
    /// No signature by the key that was asked for.
    Unsigned,
    /// The signature by that key does not hold.
    Wrong,
}

impl fmt::Display for NoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "it is not a signed checkpoint",
            Self::Unsigned => "it is not signed by the expected key",
            Self::Wrong => "its signature does not hold",
        })
    }
}

impl std::error::Error for NoteError {}

/// signed-note: not empty, without white space and plus.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

fn key_id(name: &str, key: &[u8]) -> [u8; KEY_ID_BYTES] {
    let whole = Sha256::new().chain_update(name).chain_update([b'\n']).chain_update(key).finalize();
    std::array::from_fn(|at| whole[at])
}

/// A key that signatures are checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    id: [u8; KEY_ID_BYTES],
    kind: KeyType,
    public: [u8; 32],
}

impl Verifier {
    fn new(name: &str, kind: KeyType, public: [u8; 32]) -> Self {
        let id = key_id(name, &[&[kind.byte()][..], &public].concat());
        Self { name: name.to_owned(), id, kind, public }
    }

    /// From a line `name+hex key id+base64(type || public key)`.
    pub fn parse(vkey: &str) -> Result<Self, NoteError> {
        let mut parts = vkey.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Form);
        };
        let key = STANDARD.decode(key).map_err(|_| NoteError::Form)?;
        let (kind, public) = key.split_first().ok_or(NoteError::Form)?;
        let kind = [KeyType::Ed25519, KeyType::CosignatureV1]
            .into_iter()
            .find(|known| known.byte() == *kind)
            .ok_or(NoteError::Form)?;
        let public = public.try_into().map_err(|_| NoteError::Form)?;
        let verifier = Self::new(name, kind, public);
        (is_name(name) && hex(&verifier.id) == id).then_some(verifier).ok_or(NoteError::Form)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The line that others keep to check signatures with.
    pub fn vkey(&self) -> String {
        let key = STANDARD.encode([&[self.kind.byte()][..], &self.public].concat());
        format!("{}+{}+{key}", self.name, hex(&self.id))
    }

    fn check(&self, message: &[u8], signature: &[u8]) -> Result<(), NoteError> {
        let key = UnparsedPublicKey::new(&ED25519, self.public);
        key.verify(message, signature).map_err(|_| NoteError::Wrong)
    }
}

/// A key that signs notes. Its private half is shown by [`Signer::skey`] and nowhere else.
pub struct Signer {
    seed: [u8; SEED_BYTES],
    pair: Ed25519KeyPair,
    verifier: Verifier,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("key", &self.verifier.vkey()).finish_non_exhaustive()
    }
}

impl Signer {
    /// From 32 random bytes.
    pub fn from_seed(name: &str, seed: [u8; SEED_BYTES]) -> Result<Self, NoteError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| NoteError::Form)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| NoteError::Form)?;
        let verifier = Verifier::new(name, KeyType::Ed25519, public);
        is_name(name).then_some(Self { seed, pair, verifier }).ok_or(NoteError::Form)
    }

    /// From a line as [`Signer::skey`] writes it.
    pub fn parse(skey: &str) -> Result<Self, NoteError> {
        let mut parts = skey.strip_prefix(PRIVATE).ok_or(NoteError::Form)?.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Form);
        };
        let key = STANDARD.decode(key).map_err(|_| NoteError::Form)?;
        let (kind, seed) = key.split_first().ok_or(NoteError::Form)?;
        let seed = seed.try_into().map_err(|_| NoteError::Form)?;
        let signer = Self::from_seed(name, seed)?;
        let right = *kind == KeyType::Ed25519.byte() && hex(&signer.verifier.id) == id;
        right.then_some(signer).ok_or(NoteError::Form)
    }

    /// The private key as Go's `sumdb/note` writes it.
    pub fn skey(&self) -> String {
        let key = STANDARD.encode([&[KeyType::Ed25519.byte()][..], &self.seed].concat());
        format!("{PRIVATE}{}+{}+{key}", self.verifier.name, hex(&self.verifier.id))
    }

    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The signed note of a checkpoint, whose origin is the key's name.
    pub fn sign(&self, size: u64, root: Hash) -> String {
        let checkpoint = Checkpoint { origin: self.verifier.name.clone(), size, root };
        let text = checkpoint.to_string();
        let signature = self.pair.sign(text.as_bytes());
        let bytes = STANDARD.encode([&self.verifier.id[..], signature.as_ref()].concat());
        format!("{text}\n\u{2014} {} {bytes}\n", self.verifier.name)
    }
}

/// What a checkpoint says. Its `Display` is the text that is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub origin: String,
    pub size: u64,
    pub root: Hash,
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, STANDARD.encode(self.root.0))
    }
}

impl Checkpoint {
    fn parse(text: &str) -> Result<Self, NoteError> {
        let mut lines = text.strip_suffix('\n').ok_or(NoteError::Form)?.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next())
        else {
            return Err(NoteError::Form);
        };
        let root = STANDARD.decode(root).ok().and_then(|root| root.try_into().ok());
        let (Some(root), Ok(number)) = (root, size.parse::<u64>()) else {
            return Err(NoteError::Form);
        };
        // ASCII decimal without leading zeros or sign; extension lines are not empty.
        let right = number.to_string() == size && is_name(origin) && lines.all(|l| !l.is_empty());
        let checkpoint = Self { origin: origin.to_owned(), size: number, root: Hash(root) };
        right.then_some(checkpoint).ok_or(NoteError::Form)
    }
}

/// A note that was read, with nothing checked yet but its form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedNote {
    text: String,
    checkpoint: Checkpoint,
    signatures: Vec<(String, Vec<u8>)>,
}

impl SignedNote {
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        let control = |c: char| c.is_control() && c != '\n';
        if note.len() > NOTE_BYTES_MAX || note.contains(control) {
            return Err(NoteError::Form);
        }
        let at = note.rfind("\n\n").ok_or(NoteError::Form)?;
        let (text, below) = (&note[..=at], &note[at + 2..]);
        let lines = below.strip_suffix('\n').ok_or(NoteError::Form)?;
        let signature = |line: &str| -> Option<(String, Vec<u8>)> {
            let (name, bytes) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
            let bytes = STANDARD.decode(bytes).ok()?;
            (is_name(name) && bytes.len() > KEY_ID_BYTES).then(|| (name.to_owned(), bytes))
        };
        let signatures: Vec<_> =
            lines.split('\n').map(signature).collect::<Option<_>>().ok_or(NoteError::Form)?;
        if signatures.len() > SIGNATURES_MAX {
            return Err(NoteError::Form);
        }
        Ok(Self { text: text.to_owned(), checkpoint: Checkpoint::parse(text)?, signatures })
    }

    /// What it says, if this key signed it. Lines of other keys mean nothing (signed-note,
    /// "Signatures"); a line of this key that does not hold makes the note wrong.
    pub fn verified_by(&self, key: &Verifier) -> Result<&Checkpoint, NoteError> {
        let signature = self.line_of(key, KeyType::Ed25519)?;
        key.check(self.text.as_bytes(), signature)?;
        (self.checkpoint.origin == key.name).then_some(&self.checkpoint).ok_or(NoteError::Wrong)
    }

    /// When, in seconds since 1970, this witness saw it (tlog-cosignature, `cosignature/v1`).
    pub fn cosigned_by(&self, witness: &Verifier) -> Result<u64, NoteError> {
        let bytes = self.line_of(witness, KeyType::CosignatureV1)?;
        let (at, signature) = bytes.split_first_chunk::<8>().ok_or(NoteError::Wrong)?;
        let at = u64::from_be_bytes(*at);
        let message = format!("cosignature/v1\ntime {at}\n{}", self.text);
        witness.check(message.as_bytes(), signature)?;
        Ok(at)
    }

    fn line_of(&self, key: &Verifier, kind: KeyType) -> Result<&[u8], NoteError> {
        let own = |(name, bytes): &&(String, Vec<u8>)| {
            key.kind == kind && *name == key.name && bytes[..KEY_ID_BYTES] == key.id
        };
        let line = self.signatures.iter().find(own).ok_or(NoteError::Unsigned)?;
        Ok(&line.1[KEY_ID_BYTES..])
    }
}

#[cfg(test)]
mod tests {
    use super::{Checkpoint, NoteError, SignedNote, Signer, Verifier};
    use crate::hash::Hash;

    /// The vector of Go's `golang.org/x/mod/sumdb/note` documentation.
    const PETER_SKEY: &str =
        "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const PETER_VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

    fn signer() -> Signer {
        Signer::from_seed("belfry.local/audit/00112233445566ff/e1", [7; 32]).unwrap()
    }

    #[test]
    fn the_keys_of_the_reference_are_read_and_written_as_they_are() {
        let signer = Signer::parse(PETER_SKEY).unwrap();
        assert_eq!(signer.skey(), PETER_SKEY);
        assert_eq!(signer.verifier().vkey(), PETER_VKEY);
        assert_eq!(Verifier::parse(PETER_VKEY).as_ref(), Ok(signer.verifier()));
        for wrong in [
            "",
            "PeterNeumann",
            "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10",
        ] {
            assert_eq!(Verifier::parse(wrong), Err(NoteError::Form), "{wrong}");
        }
    }

    /// The note of the same documentation; its text is no checkpoint, its signature is checked.
    #[test]
    fn the_signature_of_the_reference_holds() {
        let text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
        let line = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=";
        let bytes = super::STANDARD.decode(line).unwrap();
        let key = Verifier::parse(PETER_VKEY).unwrap();
        assert_eq!(bytes[..4], key.id);
        assert_eq!(key.check(text.as_bytes(), &bytes[4..]), Ok(()));
        assert_eq!(key.check(b"If you", &bytes[4..]), Err(NoteError::Wrong));
    }

    use base64::Engine;

    #[test]
    fn a_checkpoint_has_these_lines_and_is_read_back() {
        let note = signer().sign(42, Hash([1; 32]));
        let body = "belfry.local/audit/00112233445566ff/e1\n42\nAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n";
        assert!(
            note.starts_with(&format!("{body}\n\u{2014} belfry.local/audit/00112233445566ff/e1 "))
        );
        let read = SignedNote::parse(&note).unwrap();
        let checkpoint = read.verified_by(signer().verifier()).unwrap();
        assert_eq!((checkpoint.size, checkpoint.root), (42, Hash([1; 32])));
        assert_eq!(checkpoint.to_string(), body);
    }

    #[test]
    fn a_note_that_was_changed_or_signed_by_another_proves_nothing() {
        let note = signer().sign(42, Hash([1; 32]));
        let key = signer();
        let changed = SignedNote::parse(&note.replace("\n42\n", "\n43\n")).unwrap();
        assert_eq!(changed.verified_by(key.verifier()), Err(NoteError::Wrong));
        let other = Signer::from_seed(key.verifier().name(), [8; 32]).unwrap();
        let read = SignedNote::parse(&note).unwrap();
        assert_eq!(read.verified_by(other.verifier()), Err(NoteError::Unsigned));
        assert_eq!(read.cosigned_by(key.verifier()), Err(NoteError::Unsigned));
        for wrong in ["", "\n\n", "a\n1\n", &note[1..note.len() - 1]] {
            assert_eq!(SignedNote::parse(wrong), Err(NoteError::Form), "{wrong:?}");
        }
        for (from, to) in [("\n42\n", "\n042\n"), ("\n42\n", "\n+42\n"), ("\n42\n", "\n-1\n")] {
            assert_eq!(SignedNote::parse(&note.replace(from, to)), Err(NoteError::Form), "{to:?}");
        }
    }

    /// The example in tlog-cosignature's section "Format" has this header before the checkpoint.
    #[test]
    fn a_cosignature_is_over_its_time_and_the_checkpoint() {
        use super::{KeyType, STANDARD};
        let key = signer();
        let note = key.sign(42, Hash([1; 32]));
        let witness = Verifier::new("w.example", KeyType::CosignatureV1, key.verifier.public);
        let text = SignedNote::parse(&note).unwrap().text;
        let header = format!("cosignature/v1\ntime 1679315147\n{text}");
        let signature = key.pair.sign(header.as_bytes());
        let at = 1_679_315_147_u64.to_be_bytes();
        let line = STANDARD.encode([&witness.id[..], &at, signature.as_ref()].concat());
        let cosigned = format!("{note}\u{2014} w.example {line}\n");
        let read = SignedNote::parse(&cosigned).unwrap();
        assert_eq!(read.cosigned_by(&witness), Ok(1_679_315_147));
        assert!(read.verified_by(key.verifier()).is_ok());
        assert_eq!(Verifier::parse(&witness.vkey()), Ok(witness));
        let later = cosigned.replace("\n42\n", "\n41\n");
        let witness = Verifier::new("w.example", KeyType::CosignatureV1, key.verifier.public);
        assert_eq!(SignedNote::parse(&later).unwrap().cosigned_by(&witness), Err(NoteError::Wrong));
    }

    #[test]
    fn extension_lines_are_read_and_mean_nothing() {
        let text = Checkpoint { origin: "o".to_owned(), size: 1, root: Hash([0; 32]) }.to_string();
        assert!(Checkpoint::parse(&format!("{text}extension\n")).is_ok());
        assert!(Checkpoint::parse(&format!("{text}\n")).is_err());
    }
}

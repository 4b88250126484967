//! Keys and notes of the synthetic log (C2SP signed-note and tlog-cosignature).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha256};

use crate::tree::Hash;

/// Who signs notes: a log (type 1) or a witness (type 4).
pub(crate) struct Party {
    pub(crate) name: String,
    kind: u8,
    key: SigningKey,
}

impl Party {
    pub(crate) fn log(name: &str, seed: u8) -> Self {
        Self { name: name.to_owned(), kind: 1, key: SigningKey::from_bytes(&[seed; 32]) }
    }

    pub(crate) fn witness(name: &str, seed: u8) -> Self {
        Self { name: name.to_owned(), kind: 4, key: SigningKey::from_bytes(&[seed; 32]) }
    }

    fn typed(&self) -> Vec<u8> {
        [&[self.kind][..], self.key.verifying_key().as_bytes()].concat()
    }

    fn id(&self) -> Vec<u8> {
        Sha256::digest([self.name.as_bytes(), b"\n", &self.typed()].concat())[..4].to_vec()
    }

    pub(crate) fn vkey(&self) -> String {
        format!("{}+{}+{}", self.name, hex(&self.id()), STANDARD.encode(self.typed()))
    }

    fn line(&self, rest: &[u8]) -> String {
        format!("\u{2014} {} {}\n", self.name, STANDARD.encode([&self.id(), rest].concat()))
    }

    pub(crate) fn checkpoint(&self, size: usize, root: &Hash) -> String {
        let text = format!("{}\n{size}\n{}\n", self.name, STANDARD.encode(root));
        let line = self.line(&self.key.sign(text.as_bytes()).to_bytes());
        format!("{text}\n{line}")
    }

    /// A note with this witness's cosignature.
    pub(crate) fn cosign(&self, note: &str, at: u64) -> String {
        let text = note.split_once("\n\n").map_or(note, |(text, _)| text);
        let signature =
            self.key.sign(format!("cosignature/v1\ntime {at}\n{text}\n").as_bytes()).to_bytes();
        note.to_owned() + &self.line(&[&at.to_be_bytes()[..], &signature].concat())
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

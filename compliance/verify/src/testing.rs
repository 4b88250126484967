//! What the unit tests sign with.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha256};

use crate::hash::hex;

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn typed(key: &SigningKey, witness: bool) -> Vec<u8> {
    let mut typed = vec![if witness { 4 } else { 1 }];
    typed.extend(key.verifying_key().to_bytes());
    typed
}

fn id(name: &str, typed: &[u8]) -> [u8; 4] {
    let hash = Sha256::digest([name.as_bytes(), b"\n", typed].concat());
    [hash[0], hash[1], hash[2], hash[3]]
}

pub(crate) fn vkey(name: &str, key: &SigningKey, witness: bool) -> String {
    let typed = typed(key, witness);
    format!("{name}+{}+{}", hex(&id(name, &typed)), STANDARD.encode(typed))
}

pub(crate) fn note(text: &str, name: &str, key: &SigningKey) -> String {
    let signature = key.sign(text.as_bytes()).to_bytes();
    let line = [&id(name, &typed(key, false))[..], &signature].concat();
    format!("{text}\n\u{2014} {name} {}\n", STANDARD.encode(line))
}

/// A cosignature's line.
pub(crate) fn cosign(text: &str, name: &str, key: &SigningKey, at: u64) -> String {
    let signature = key.sign(format!("cosignature/v1\ntime {at}\n{text}").as_bytes()).to_bytes();
    let line = [&id(name, &typed(key, true))[..], &at.to_be_bytes(), &signature].concat();
    format!("\u{2014} {name} {}\n", STANDARD.encode(line))
}

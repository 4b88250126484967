//! What stands beside a leaf: personal data that an entry commits to and that can be erased.

use aws_lc_rs::hmac::{Context, HMAC_SHA256, Key};
use sha2::{Digest, Sha256};

use crate::hash::Hash;

/// The salted commitment to `block`, a JSON object in its RFC 8785 form. Without the salt, which is
/// erased together with the block, not even a guess of the block can be checked.
pub fn commitment(salt: &[u8; 32], block: &[u8]) -> Hash {
    let domain = b"belfry/pii/v1\0";
    Hash(
        Sha256::new().chain_update(domain).chain_update(salt).chain_update(block).finalize().into(),
    )
}

/// Bytes of a subject's word in the index.
pub const SUBJECT_BYTES: usize = 16;

/// The word under which the index of the record knows a person or an object: nobody without `key`
/// can tell whose it is, or try numbers until one fits.
pub fn subject_word(key: &[u8; 32], kind: &str, id: &str) -> [u8; SUBJECT_BYTES] {
    let mut mac = Context::with_key(&Key::new(HMAC_SHA256, key));
    for part in ["belfry/subject/v1", kind, id] {
        mac.update(part.as_bytes());
        mac.update(&[0]);
    }
    let whole = mac.sign();
    std::array::from_fn(|at| whole.as_ref()[at])
}

#[cfg(test)]
mod tests {
    use super::{commitment, subject_word};

    #[test]
    fn the_same_block_under_another_salt_is_another_commitment() {
        let block = br#"{"name":"Zoe"}"#;
        let one = commitment(&[1; 32], block);
        assert_eq!(one, commitment(&[1; 32], block));
        assert_ne!(one, commitment(&[2; 32], block));
        // python3: hashlib.sha256(b"belfry/pii/v1\0" + b"\1" * 32 + b'{"name":"Zoe"}').hexdigest()
        assert_eq!(
            one.to_string(),
            "c06155437bf7d867105620adaa409d8002ff2a4c259c3b2a48970bf1b7072e97"
        );
    }

    #[test]
    fn a_subject_has_its_own_word_under_each_key() {
        let word = |key: u8, kind, id| subject_word(&[key; 32], kind, id);
        assert_eq!(word(1, "person", "7"), word(1, "person", "7"));
        assert_ne!(word(1, "person", "7"), word(2, "person", "7"));
        assert_ne!(word(1, "person", "7"), word(1, "lesson", "7"));
        assert_ne!(word(1, "person", "71"), word(1, "person", "7"));
    }
}

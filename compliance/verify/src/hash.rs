//! The hashes of the log, from their definitions: RFC 6962 section 2.1, and the running chain.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// A SHA-256 hash.
pub(crate) type Hash = [u8; 32];

/// RFC 6962 section 2.1: the hash of an entry.
pub(crate) fn leaf(line: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(line).finalize().into()
}

/// RFC 6962 section 2.1: the hash of two subtrees.
pub(crate) fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The running hash after an entry; 32 zero bytes before the first.
pub(crate) fn chain(previous: &Hash, leaf: &Hash) -> Hash {
    Sha256::new()
        .chain_update(b"belfry/chain/v1\0")
        .chain_update(previous)
        .chain_update(leaf)
        .finalize()
        .into()
}

/// What an entry's `pii` must be for this opening.
pub(crate) fn commitment(salt: &[u8; 32], block: &[u8]) -> Hash {
    Sha256::new()
        .chain_update(b"belfry/pii/v1\0")
        .chain_update(salt)
        .chain_update(block)
        .finalize()
        .into()
}

pub(crate) fn sha256(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

/// Lower-case hex of exactly as many bytes as are asked for.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let bytes = unhex_any(text)?;
    bytes.try_into().ok()
}

/// Lower-case hex.
pub fn unhex_any(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect()
}

/// RFC 4648 section 4, padded, without stray bits.
pub(crate) fn unbase64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Base64 of one hash.
pub(crate) fn unbase64_hash(text: &str) -> Option<Hash> {
    unbase64(text)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leaf_and_the_node_are_those_of_rfc_6962() {
        assert_eq!(
            hex(&leaf(b"")),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        );
        // The root of the two entries "" and 00, as Certificate Transparency's test vectors have it.
        assert_eq!(
            hex(&node(&leaf(b""), &leaf(&[0]))),
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
        );
    }

    #[test]
    fn hex_and_base64_take_their_one_form_only() {
        assert_eq!(unhex::<2>("0aff"), Some([10, 255]));
        for bad in ["0AFF", "0af", "0aff00", "zz00"] {
            assert_eq!(unhex::<2>(bad), None, "{bad}");
        }
        assert_eq!(unbase64("AA=="), Some(vec![0]));
        for bad in ["AB==", "AA", "AA==\n", "A-=="] {
            assert_eq!(unbase64(bad), None, "{bad}");
        }
    }
}

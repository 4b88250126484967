//! The hashes over the record.

use std::fmt;

use sha2::{Digest, Sha256};

/// A SHA-256 hash of the record.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Hash(pub [u8; 32]);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
        text
    })
}

/// The hash of one entry of the record: RFC 6962 section 2.1's leaf hash over its canonical form,
/// so that the entries can become leaves of a Merkle tree as they are.
pub fn leaf_hash(canonical: &[u8]) -> Hash {
    Hash(Sha256::new().chain_update([0]).chain_update(canonical).finalize().into())
}

/// The running hash after an entry. `previous` is all zeros before the first.
pub fn chain_hash(previous: &Hash, leaf: &Hash) -> Hash {
    let domain = b"belfry/chain/v1\0";
    Hash(
        Sha256::new()
            .chain_update(domain)
            .chain_update(previous.0)
            .chain_update(leaf.0)
            .finalize()
            .into(),
    )
}

#[cfg(test)]
mod tests {
    use super::{Hash, chain_hash, leaf_hash};

    #[test]
    fn the_leaf_of_nothing_is_that_of_rfc_6962() {
        assert_eq!(
            leaf_hash(b"").to_string(),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        );
    }

    #[test]
    fn the_chain_depends_on_order() {
        let (a, b) = (leaf_hash(b"a"), leaf_hash(b"b"));
        let ab = chain_hash(&chain_hash(&Hash::default(), &a), &b);
        let ba = chain_hash(&chain_hash(&Hash::default(), &b), &a);
        assert_ne!(ab, ba);
    }
}

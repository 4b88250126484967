//! Which entries an auditor's nonce picks; the rule is written down in `README.html`.

use std::collections::HashSet;

use belfry_audit::Hash;
use sha2::{Digest, Sha256};

/// Positions in a population, in the order in which they are picked: the k-th candidate is the first 8 bytes, big endian,
/// of `SHA-256("belfry/sample/v1\0" || SHA-256(nonce || root) || control || 0 || k as 8 bytes)`, modulo the population.
/// Candidates at or above its largest multiple below 2^64 are skipped, so that each entry is as likely as any other.
pub(crate) fn pick(
    nonce: &[u8],
    root: &Hash,
    control: &str,
    population: u64,
    count: u64,
) -> Vec<u64> {
    let seed = Sha256::new().chain_update(nonce).chain_update(root.0).finalize();
    let mut picked = Vec::new();
    if population == 0 {
        return picked;
    }
    // 2^64 modulo the population: so many numbers at the top would favour the first entries.
    let unfair = (u64::MAX % population + 1) % population;
    let mut seen = HashSet::new();
    for k in 0_u64.. {
        if picked.len() as u64 == count.min(population) {
            break;
        }
        let hash = Sha256::new()
            .chain_update("belfry/sample/v1\0")
            .chain_update(seed)
            .chain_update(control)
            .chain_update([0])
            .chain_update(k.to_be_bytes())
            .finalize();
        let number = u64::from_be_bytes(hash[..8].try_into().expect("a SHA-256 has 8 bytes"));
        if number <= u64::MAX - unfair && seen.insert(number % population) {
            picked.push(number % population);
        }
    }
    picked
}

#[cfg(test)]
mod tests {
    use super::{Hash, pick};

    #[test]
    fn a_sample_has_each_entry_once() {
        let mut all = pick(b"n", &Hash([3; 32]), "sign-in", 60, 100);
        all.sort_unstable();
        assert_eq!(all, (0..60).collect::<Vec<_>>());
        assert_eq!(
            pick(b"n", &Hash([3; 32]), "sign-in", 60, 25),
            pick(b"n", &Hash([3; 32]), "sign-in", 60, 25)
        );
        assert!(pick(b"n", &Hash([3; 32]), "sign-in", 0, 25).is_empty());
    }
}

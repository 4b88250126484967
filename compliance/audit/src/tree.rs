//! The Merkle tree over the record: RFC 6962 section 2.1 (the same as RFC 9162 section 2.1).
//!
//! Nothing here keeps leaves. A [`Frontier`] is all that appending needs; proofs ask for the hashes of
//! complete subtrees where they are stored.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::hash::Hash;

/// Hashes of a proof, at most: two for each level of a tree of 2^64 leaves.
pub const PROOF_HASHES_MAX: usize = 128;

/// A complete subtree: the `index`-th from the left of those with 2^`level` leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subtree {
    pub level: u32,
    pub index: u64,
}

impl Subtree {
    /// The first leaf below it.
    pub fn first(self) -> u64 {
        self.index << self.level
    }
}

/// RFC 6962 section 2.1: the root of a tree without leaves.
pub fn empty_root() -> Hash {
    Hash(Sha256::digest([]).into())
}

/// RFC 6962 section 2.1: an inner node.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash(
        Sha256::new()
            .chain_update([1])
            .chain_update(left.0)
            .chain_update(right.0)
            .finalize()
            .into(),
    )
}

/// The right edge of a tree: the roots of the complete subtrees that it splits into, largest first.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    roots: Vec<Hash>,
}

impl Frontier {
    /// `None` if a tree of this size has not that many subtrees.
    pub fn from_parts(size: u64, roots: Vec<Hash>) -> Option<Self> {
        (size.count_ones() as usize == roots.len()).then_some(Self { size, roots })
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// Largest subtree first.
    pub fn roots(&self) -> &[Hash] {
        &self.roots
    }

    /// Takes the next leaf; `completed` hears of each subtree that it completes, the leaf itself first.
    pub fn push(&mut self, leaf: Hash, mut completed: impl FnMut(Subtree, &Hash)) {
        let mut hash = leaf;
        completed(Subtree { level: 0, index: self.size }, &hash);
        for level in 0..self.size.trailing_ones() {
            let left = self.roots.pop().expect("one root for each set bit of the size");
            hash = node_hash(&left, &hash);
            completed(Subtree { level: level + 1, index: self.size >> (level + 1) }, &hash);
        }
        self.roots.push(hash);
        self.size += 1;
    }

    pub fn root(&self) -> Hash {
        let from_right = self.roots.iter().rev().copied();
        from_right.reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(empty_root)
    }

    /// The subtrees of the frontier of a tree of `size` leaves, largest first.
    pub fn subtrees(size: u64) -> impl Iterator<Item = Subtree> {
        (0..u64::BITS).rev().filter(move |level| size >> level & 1 == 1).map(move |level| Subtree {
            level,
            // What is left of it is larger, so all higher bits stand.
            index: (size >> level) - 1,
        })
    }
}

/// The largest power of two below `size`, which is above 1.
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// The hash over leaves `first..end`, where `first` is where such a subtree may begin.
fn range<E>(
    first: u64,
    end: u64,
    get: &mut impl FnMut(Subtree) -> Result<Hash, E>,
) -> Result<Hash, E> {
    let size = end - first;
    if size == 0 {
        return Ok(empty_root());
    }
    if size.is_power_of_two() {
        return get(Subtree { level: size.ilog2(), index: first >> size.ilog2() });
    }
    let middle = first + split(size);
    Ok(node_hash(&range(first, middle, get)?, &range(middle, end, get)?))
}

/// The root when the tree had `size` leaves.
pub fn root_at<E>(size: u64, mut get: impl FnMut(Subtree) -> Result<Hash, E>) -> Result<Hash, E> {
    range(0, size, &mut get)
}

/// RFC 6962 section 2.1.1: the audit path of leaf `index` in a tree of `size`, lowest first. Empty
/// unless `index < size`.
pub fn inclusion_proof<E>(
    index: u64,
    size: u64,
    mut get: impl FnMut(Subtree) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    let mut proof = Vec::new();
    if index >= size {
        return Ok(proof);
    }
    let (mut first, mut end) = (0, size);
    while end - first > 1 {
        let middle = first + split(end - first);
        if index < middle {
            proof.push(range(middle, end, &mut get)?);
            end = middle;
        } else {
            proof.push(range(first, middle, &mut get)?);
            first = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// RFC 6962 section 2.1.2: that the tree of `old` leaves is the beginning of that of `size`. Empty
/// unless `0 < old < size`.
pub fn consistency_proof<E>(
    old: u64,
    size: u64,
    mut get: impl FnMut(Subtree) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    let mut proof = Vec::new();
    if old == 0 || old >= size {
        return Ok(proof);
    }
    let (mut first, mut end) = (0, size);
    while old != end {
        let middle = first + split(end - first);
        if old <= middle {
            proof.push(range(middle, end, &mut get)?);
            end = middle;
        } else {
            proof.push(range(first, middle, &mut get)?);
            first = middle;
        }
    }
    // Whoever checks knows the old root; an inner subtree it needs to be given.
    if first > 0 {
        proof.push(range(first, end, &mut get)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unproved;

impl fmt::Display for Unproved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the proof does not hold")
    }
}

impl std::error::Error for Unproved {}

/// RFC 9162 section 2.1.3.2.
pub fn check_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), Unproved> {
    if index >= size || proof.len() > PROOF_HASHES_MAX {
        return Err(Unproved);
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return Err(Unproved);
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(sibling, &hash);
            let up = if at & 1 == 1 { 0 } else { at.trailing_zeros() };
            (at, last) = (at.unbounded_shr(up), last.unbounded_shr(up));
        } else {
            hash = node_hash(&hash, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    (last == 0 && hash == *root).then_some(()).ok_or(Unproved)
}

/// RFC 9162 section 2.1.4.2, with the cases it leaves to the caller: equal sizes need equal roots and
/// no proof, and everything begins with the empty tree.
pub fn check_consistency(
    old: u64,
    size: u64,
    proof: &[Hash],
    old_root: &Hash,
    root: &Hash,
) -> Result<(), Unproved> {
    if old > size || proof.len() > PROOF_HASHES_MAX {
        return Err(Unproved);
    }
    if old == 0 || old == size {
        let known = if old == size { old_root == root } else { *old_root == empty_root() };
        return (known && proof.is_empty()).then_some(()).ok_or(Unproved);
    }
    let mut proof = proof.iter();
    let start = if old.is_power_of_two() { old_root } else { proof.next().ok_or(Unproved)? };
    let up = (old - 1).trailing_ones();
    let (mut at, mut last) = ((old - 1) >> up, (size - 1) >> up);
    let (mut old_hash, mut hash) = (*start, *start);
    for sibling in proof {
        if last == 0 {
            return Err(Unproved);
        }
        if at & 1 == 1 || at == last {
            old_hash = node_hash(sibling, &old_hash);
            hash = node_hash(sibling, &hash);
            let up = if at & 1 == 1 { 0 } else { at.trailing_zeros() };
            (at, last) = (at.unbounded_shr(up), last.unbounded_shr(up));
        } else {
            hash = node_hash(&hash, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    (last == 0 && old_hash == *old_root && hash == *root).then_some(()).ok_or(Unproved)
}

#[cfg(test)]
mod tests;

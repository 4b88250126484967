//! The Merkle tree of RFC 6962 as a frontier: the roots of the complete subtrees on its right edge.

use crate::hash::{Hash, node, sha256};

/// A tree to which leaves are added; it keeps at most 64 hashes, whatever its size.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frontier {
    size: u64,
    /// One hash per set bit of `size`, the largest subtree first.
    peaks: Vec<Hash>,
}

impl Frontier {
    /// A tree of which only the frontier is known; `None` if there are not as many hashes as its size needs.
    pub(crate) fn resume(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        (peaks.len() == size.count_ones() as usize).then_some(Self { size, peaks })
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        // As many subtrees become one as the size has ones at its end.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node(&left, &hash);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root; of the empty tree the hash of nothing.
    pub(crate) fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return sha256(b"") };
        peaks.fold(*last, |right, left| node(left, &right))
    }
}

/// RFC 9162 section 2.1.3.2: whether the leaf stands at this index of the tree with this root.
pub(crate) fn included(index: u64, size: u64, leaf: &Hash, path: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node(sibling, &hash);
            // Levels on which the right edge has no sibling are left out of a path.
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::leaf;

    /// RFC 6962 section 2.1 word by word: the oracle for the frontier.
    fn root_of(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => sha256(b""),
            [one] => *one,
            many => {
                let k = many.len().next_power_of_two() / 2;
                node(&root_of(&many[..k]), &root_of(&many[k..]))
            }
        }
    }

    /// RFC 6962 section 2.1.1.
    fn path_of(index: usize, leaves: &[Hash]) -> Vec<Hash> {
        if leaves.len() == 1 {
            return Vec::new();
        }
        let k = leaves.len().next_power_of_two() / 2;
        let (near, at, far) = if index < k {
            (&leaves[..k], index, &leaves[k..])
        } else {
            (&leaves[k..], index - k, &leaves[..k])
        };
        let mut path = path_of(at, near);
        path.push(root_of(far));
        path
    }

    fn leaves(count: u16) -> Vec<Hash> {
        (0..count).map(|n| leaf(&n.to_be_bytes())).collect()
    }

    #[test]
    fn the_frontier_agrees_with_the_definition_at_every_size() {
        let leaves = leaves(300);
        let mut tree = Frontier::default();
        for size in 0..leaves.len() {
            assert_eq!(tree.root(), root_of(&leaves[..size]), "size {size}");
            let resumed =
                Frontier::resume(size as u64, tree.peaks.clone()).expect("its own frontier");
            assert_eq!(resumed.root(), tree.root());
            tree.push(leaves[size]);
        }
    }

    #[test]
    fn a_path_proves_its_own_leaf_at_its_own_index_only() {
        for size in [1_u16, 2, 3, 4, 5, 7, 8, 9, 33, 64, 65] {
            let leaves = leaves(size);
            let root = root_of(&leaves);
            for index in 0..usize::from(size) {
                let path = path_of(index, &leaves);
                let (at, all) = (index as u64, u64::from(size));
                assert!(included(at, all, &leaves[index], &path, &root), "{index} of {size}");
                assert!(!included(at, all, &leaf(b"other"), &path, &root));
                assert!(!included(at + 1, all, &leaves[index], &path, &root));
                let mut longer = path.clone();
                longer.push(root);
                assert!(!included(at, all, &leaves[index], &longer, &root));
                if let Some(shorter) = path.len().checked_sub(1) {
                    assert!(!included(at, all, &leaves[index], &path[..shorter], &root));
                }
            }
        }
    }

    #[test]
    fn a_frontier_of_another_size_is_refused() {
        assert!(Frontier::resume(3, vec![[0; 32]]).is_none());
        assert!(Frontier::resume(0, Vec::new()).is_some());
    }
}

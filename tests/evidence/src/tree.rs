//! A third Merkle tree, RFC 6962 section 2.1 word by word over all leaves: slow, and plainly right.

use sha2::{Digest, Sha256};

pub(crate) type Hash = [u8; 32];

pub(crate) fn leaf(line: &[u8]) -> Hash {
    Sha256::digest([&[0], line].concat()).into()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::digest([&[1][..], left, right].concat()).into()
}

pub(crate) fn chain(previous: &Hash, leaf: &Hash) -> Hash {
    Sha256::digest([&b"belfry/chain/v1\0"[..], previous, leaf].concat()).into()
}

/// All leaves, and the complete subtrees over them, level by level.
#[derive(Default)]
pub(crate) struct Tree(Vec<Vec<Hash>>);

impl Tree {
    pub(crate) fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for level in 0.. {
            if self.0.len() == level {
                self.0.push(Vec::new());
            }
            self.0[level].push(hash);
            let [.., left, right] = self.0[level].as_slice() else { return };
            if !self.0[level].len().is_multiple_of(2) {
                return;
            }
            hash = node(left, right);
        }
    }

    pub(crate) fn size(&self) -> usize {
        self.0.first().map_or(0, Vec::len)
    }

    /// MTH(D[from..to]); `from` is a multiple of the largest power of two below the length.
    pub(crate) fn root(&self, from: usize, to: usize) -> Hash {
        match to - from {
            0 => Sha256::digest([]).into(),
            length if length.is_power_of_two() => {
                let level = length.trailing_zeros() as usize;
                self.0[level][from >> level]
            }
            length => {
                let middle = from + length.next_power_of_two() / 2;
                node(&self.root(from, middle), &self.root(middle, to))
            }
        }
    }

    /// The complete subtrees of the first `size` leaves, the largest first.
    pub(crate) fn frontier(&self, size: usize) -> Vec<Hash> {
        let (mut at, mut found) = (0, Vec::new());
        while at < size {
            let length = 1 << (size - at).ilog2();
            found.push(self.root(at, at + length));
            at += length;
        }
        found
    }
}

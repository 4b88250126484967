//! Proofs for some entries of a log that is read once: only the subtrees that they need are kept.

use std::collections::{BTreeSet, HashMap};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use belfry_audit::Hash;
use sha2::{Digest, Sha256};

/// A complete subtree: its level, and its place among those of its level.
type Node = (u32, u64);

/// The tree of `size` leaves, of which the subtrees that some proofs need are kept.
pub(crate) struct Tree {
    size: u64,
    /// Complete subtrees on the right edge so far, the largest first.
    peaks: Vec<(Node, Hash)>,
    kept: HashMap<Node, Hash>,
    wanted: BTreeSet<Node>,
}

impl Tree {
    /// A tree that grows from its first `first` leaves; `None` when the frontier has another number of hashes than it must.
    pub(crate) fn resume(first: u64, frontier: &[Hash]) -> Option<Self> {
        if frontier.len() != first.count_ones() as usize {
            return None;
        }
        let mut tree =
            Self { size: first, peaks: Vec::new(), kept: HashMap::new(), wanted: BTreeSet::new() };
        for ((from, to), hash) in pieces(0, first).into_iter().zip(frontier) {
            tree.peaks.push((node_of(from, to), *hash));
        }
        Some(tree)
    }

    /// Keeps what the proof of this entry in a tree of `size` leaves needs.
    pub(crate) fn want(&mut self, index: u64, size: u64) {
        for (from, to) in siblings(index, size) {
            self.wanted.extend(pieces(from, to).into_iter().map(|(from, to)| node_of(from, to)));
        }
        for (node, hash) in &self.peaks {
            if self.wanted.contains(node) {
                self.kept.insert(*node, *hash);
            }
        }
    }

    pub(crate) fn push(&mut self, leaf: Hash) {
        let (mut node, mut hash) = ((0, self.size), leaf);
        self.keep(node, hash);
        while let Some(&((level, place), left)) = self.peaks.last()
            && level == node.0
        {
            self.peaks.pop();
            (node, hash) = ((level + 1, place / 2), parent(&left, &hash));
            self.keep(node, hash);
        }
        self.peaks.push((node, hash));
        self.size += 1;
    }

    fn keep(&mut self, node: Node, hash: Hash) {
        if self.wanted.contains(&node) {
            self.kept.insert(node, hash);
        }
    }

    pub(crate) fn root(&self) -> Hash {
        let hashes: Vec<_> = self.peaks.iter().map(|(_, hash)| *hash).collect();
        bag(&hashes).unwrap_or_else(|| Hash(Sha256::digest([]).into()))
    }

    /// RFC 6962 section 2.1.1, as C2SP tlog-proof writes it; `None` for an entry that was not wanted.
    pub(crate) fn proof(&self, index: u64, checkpoint: &str) -> Option<String> {
        let mut text = format!("c2sp.org/tlog-proof@v1\nindex {index}\n");
        for (from, to) in siblings(index, self.size) {
            let hashes: Option<Vec<_>> = pieces(from, to)
                .into_iter()
                .map(|(from, to)| self.kept.get(&node_of(from, to)).copied())
                .collect();
            text.push_str(&STANDARD.encode(bag(&hashes?)?.0));
            text.push('\n');
        }
        Some(format!("{text}\n{checkpoint}"))
    }
}

fn parent(left: &Hash, right: &Hash) -> Hash {
    Hash(
        Sha256::new()
            .chain_update([1])
            .chain_update(left.0)
            .chain_update(right.0)
            .finalize()
            .into(),
    )
}

/// The root over neighbouring subtrees, the largest first.
fn bag(hashes: &[Hash]) -> Option<Hash> {
    hashes.iter().copied().rev().reduce(|right, left| parent(&left, &right))
}

/// The complete subtree over these leaves.
fn node_of(from: u64, to: u64) -> Node {
    let level = (to - from).trailing_zeros();
    (level, from >> level)
}

/// The complete subtrees that leaves `from..to` are made of, the largest first; `from` is a multiple of their power of two.
fn pieces(from: u64, to: u64) -> Vec<(u64, u64)> {
    let (mut at, mut found) = (from, Vec::new());
    while at < to {
        let length = 1 << (to - at).ilog2();
        found.push((at, at + length));
        at += length;
    }
    found
}

/// The ranges beside the path from a leaf to the root, lowest first.
fn siblings(index: u64, size: u64) -> Vec<(u64, u64)> {
    let (mut from, mut to, mut found) = (0, size, Vec::new());
    while to - from > 1 {
        let middle = from + (1_u64 << (to - from - 1).ilog2());
        if index < middle {
            found.push((middle, to));
            to = middle;
        } else {
            found.push((from, middle));
            from = middle;
        }
    }
    found.reverse();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(n: u64) -> Hash {
        belfry_audit::leaf_hash(&n.to_be_bytes())
    }

    /// RFC 6962 section 2.1 word by word.
    fn root_of(from: u64, to: u64) -> Hash {
        if to - from == 1 {
            return leaf(from);
        }
        let middle = from + (to - from).next_power_of_two() / 2;
        parent(&root_of(from, middle), &root_of(middle, to))
    }

    /// RFC 6962 section 2.1.1 word by word.
    fn path_of(index: u64, from: u64, to: u64) -> Vec<Hash> {
        if to - from == 1 {
            return Vec::new();
        }
        let middle = from + (to - from).next_power_of_two() / 2;
        let (near, far) = if index < middle {
            ((from, middle), (middle, to))
        } else {
            ((middle, to), (from, middle))
        };
        let mut path = path_of(index, near.0, near.1);
        path.push(root_of(far.0, far.1));
        path
    }

    #[test]
    fn proofs_are_those_of_the_definition_wherever_the_log_begins() {
        for size in [1, 2, 3, 7, 8, 13, 33] {
            for first in 0..size {
                let frontier: Vec<_> =
                    pieces(0, first).into_iter().map(|(from, to)| root_of(from, to)).collect();
                let mut tree = Tree::resume(first, &frontier).expect("its frontier");
                (first..size).for_each(|index| tree.want(index, size));
                (first..size).for_each(|index| tree.push(leaf(index)));
                assert_eq!(tree.root(), root_of(0, size));
                for index in first..size {
                    let lines: Vec<_> = path_of(index, 0, size)
                        .iter()
                        .map(|hash| STANDARD.encode(hash.0) + "\n")
                        .collect();
                    let expected =
                        format!("c2sp.org/tlog-proof@v1\nindex {index}\n{}\nnote", lines.concat());
                    assert_eq!(
                        tree.proof(index, "note"),
                        Some(expected),
                        "{index} in {first}..{size}"
                    );
                }
            }
        }
        assert_eq!(
            Tree::resume(0, &[]).expect("empty").root().to_string(),
            crate::sign::hex(&Sha256::digest([]))
        );
    }
}

use super::{
    Frontier, Subtree, check_consistency, check_inclusion, consistency_proof, empty_root,
    inclusion_proof, root_at,
};
use crate::hash::{Hash, leaf_hash};

/// RFC 6962 section 2.1 word by word, on whole lists of leaves.
mod naive {
    use sha2::{Digest, Sha256};

    fn sha(parts: &[&[u8]]) -> [u8; 32] {
        Sha256::digest(parts.concat()).into()
    }

    fn k(n: usize) -> usize {
        let mut k = 1;
        while k * 2 < n {
            k *= 2;
        }
        k
    }

    pub(super) fn mth(d: &[[u8; 32]]) -> [u8; 32] {
        match d {
            [] => sha(&[]),
            [leaf] => *leaf,
            _ => {
                let (left, right) = d.split_at(k(d.len()));
                sha(&[&[1], &mth(left), &mth(right)])
            }
        }
    }

    pub(super) fn path(m: usize, d: &[[u8; 32]]) -> Vec<[u8; 32]> {
        if d.len() == 1 {
            return vec![];
        }
        let k = k(d.len());
        let (left, right) = d.split_at(k);
        let (mut below, other) =
            if m < k { (path(m, left), right) } else { (path(m - k, right), left) };
        below.push(mth(other));
        below
    }

    pub(super) fn subproof(m: usize, d: &[[u8; 32]], whole: bool) -> Vec<[u8; 32]> {
        if m == d.len() {
            return if whole { vec![] } else { vec![mth(d)] };
        }
        let k = k(d.len());
        let (left, right) = d.split_at(k);
        let (mut below, other) = if m <= k {
            (subproof(m, left, whole), right)
        } else {
            (subproof(m - k, right, false), left)
        };
        below.push(mth(other));
        below
    }
}

const SIZES_MAX: usize = 1_025;

fn leaves(count: usize) -> Vec<[u8; 32]> {
    (0..count).map(|n| leaf_hash(format!("leaf {n}").as_bytes()).0).collect()
}

/// Complete subtrees as a frontier reports them.
struct Stored(std::collections::HashMap<Subtree, Hash>);

impl Stored {
    fn of(leaves: &[[u8; 32]]) -> (Self, Frontier) {
        let (mut stored, mut frontier) = (std::collections::HashMap::new(), Frontier::default());
        for leaf in leaves {
            frontier.push(Hash(*leaf), |subtree, hash| {
                assert!(stored.insert(subtree, *hash).is_none());
            });
        }
        (Self(stored), frontier)
    }

    fn get(&self, subtree: Subtree) -> Result<Hash, Subtree> {
        self.0.get(&subtree).copied().ok_or(subtree)
    }
}

fn plain(hashes: &[Hash]) -> Vec<[u8; 32]> {
    hashes.iter().map(|hash| hash.0).collect()
}

#[test]
fn roots_and_frontiers_of_all_sizes_are_those_of_the_definition() {
    let leaves = leaves(SIZES_MAX);
    let (stored, _) = Stored::of(&leaves);
    let mut frontier = Frontier::default();
    for size in 0..=SIZES_MAX {
        let root = naive::mth(&leaves[..size]);
        assert_eq!(frontier.root().0, root, "size {size}");
        assert_eq!(root_at(size as u64, |at| stored.get(at)).unwrap().0, root, "size {size}");
        let roots = Frontier::subtrees(size as u64).map(|at| stored.get(at).unwrap()).collect();
        assert_eq!(Frontier::from_parts(size as u64, roots), Some(frontier.clone()));
        if size < SIZES_MAX {
            frontier.push(Hash(leaves[size]), |_, _| {});
        }
    }
    assert_eq!(empty_root().0, naive::mth(&[]));
}

#[test]
fn proofs_are_those_of_the_definition_and_hold() {
    let leaves = leaves(SIZES_MAX);
    let (stored, _) = Stored::of(&leaves);
    let sizes = (1..=66).chain([127, 128, 129, 255, 256, 257, 511, 512, 513, 1_023, 1_024, 1_025]);
    for size in sizes {
        let root = Hash(naive::mth(&leaves[..size]));
        let step = if size <= 66 { 1 } else { 37 };
        for index in (0..size).step_by(step).chain([size - 1]) {
            let proof = inclusion_proof(index as u64, size as u64, |at| stored.get(at)).unwrap();
            assert_eq!(plain(&proof), naive::path(index, &leaves[..size]), "{index} of {size}");
            let leaf = Hash(leaves[index]);
            check_inclusion(&leaf, index as u64, size as u64, &proof, &root).unwrap();
        }
        for old in (1..size).step_by(step) {
            let proof = consistency_proof(old as u64, size as u64, |at| stored.get(at)).unwrap();
            assert_eq!(plain(&proof), naive::subproof(old, &leaves[..size], true), "{old}, {size}");
            let before = Hash(naive::mth(&leaves[..old]));
            check_consistency(old as u64, size as u64, &proof, &before, &root).unwrap();
        }
    }
}

#[test]
fn a_proof_that_was_changed_anywhere_does_not_hold() {
    let leaves = leaves(70);
    let (stored, frontier) = Stored::of(&leaves);
    let root = frontier.root();
    for index in 0..70 {
        let proof = inclusion_proof(index, 70, |at| stored.get(at)).unwrap();
        let leaf = Hash(leaves[index as usize]);
        let holds = |index, size, proof: &[Hash]| check_inclusion(&leaf, index, size, proof, &root);
        assert!(holds(index, 70, &proof).is_ok());
        for place in 0..proof.len() {
            let mut changed = proof.clone();
            changed[place].0[place % 32] ^= 1;
            assert!(holds(index, 70, &changed).is_err());
        }
        let mut longer = proof.clone();
        longer.push(root);
        assert!(holds(index, 70, &longer).is_err());
        assert!(holds(index, 70, &proof[1..]).is_err());
        assert!(holds((index + 1) % 70, 70, &proof).is_err());
        assert!(holds(70, 70, &proof).is_err());
    }
    for old in 1..70 {
        let proof = consistency_proof(old, 70, |at| stored.get(at)).unwrap();
        let before = root_at(old, |at| stored.get(at)).unwrap();
        let holds = |old, proof: &[Hash]| check_consistency(old, 70, proof, &before, &root);
        assert!(holds(old, &proof).is_ok());
        for place in 0..proof.len() {
            let mut changed = proof.clone();
            changed[place].0[7] ^= 1;
            assert!(holds(old, &changed).is_err(), "{place} of {old}");
        }
        assert!(holds(old, &proof[1..]).is_err());
        assert!(holds(71, &proof).is_err());
    }
    assert!(check_consistency(0, 70, &[], &empty_root(), &root).is_ok());
    assert!(check_consistency(0, 70, &[], &root, &root).is_err());
    assert!(check_consistency(70, 70, &[], &root, &root).is_ok());
    assert!(check_consistency(70, 70, &[root], &root, &root).is_err());
}

#[test]
fn a_frontier_of_the_wrong_number_of_roots_is_none() {
    assert_eq!(Frontier::from_parts(3, vec![empty_root()]), None);
    assert!(Frontier::from_parts(0, Vec::new()).is_some());
}

/// The test data of Certificate Transparency's reference code for the tree of RFC 6962.
#[test]
fn the_roots_of_the_reference_inputs_are_the_known_ones() {
    let inputs: [&[u8]; 8] = [
        b"",
        &[0x00],
        &[0x10],
        &[0x20, 0x21],
        &[0x30, 0x31],
        &[0x40, 0x41, 0x42, 0x43],
        &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
        &[
            0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d,
            0x6e, 0x6f,
        ],
    ];
    let mut frontier = Frontier::default();
    let mut roots = Vec::new();
    for input in inputs {
        frontier.push(leaf_hash(input), |_, _| {});
        roots.push(frontier.root().to_string());
    }
    assert_eq!(roots[0], "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    assert_eq!(roots[1], "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
    assert_eq!(roots[7], "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
}

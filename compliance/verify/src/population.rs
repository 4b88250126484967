//! Populations: all entries that a control is about, found again by the verifier, and samples that an auditor picks.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::hash::Hash;
use crate::limits::POPULATIONS_MAX;
use crate::report::{Finding, Sample};
use crate::source::Source;

#[derive(Deserialize)]
struct File {
    control: String,
    counts: BTreeMap<String, u64>,
    filter: Filter,
    first: u64,
    indices: Vec<u64>,
    size: u64,
}

#[derive(Deserialize)]
struct Filter {
    ops: Vec<String>,
}

/// A population while the log is read.
#[derive(Debug)]
pub(crate) struct Population {
    file: String,
    control: String,
    counts: BTreeMap<String, u64>,
    ops: Vec<String>,
    range: (u64, u64),
    indices: Vec<u64>,
    /// How many of the indices were met.
    met: usize,
    seen: BTreeMap<String, u64>,
    pruned: bool,
    hidden: Option<u64>,
    foreign: Option<u64>,
}

/// Every population of the bundle.
pub(crate) fn read_all(source: &Source) -> Result<Vec<Population>, Finding> {
    let files: Vec<_> = source.names().filter(|name| name.starts_with("population/")).collect();
    if files.len() > POPULATIONS_MAX {
        return Err(Finding::tampered(
            "population",
            format!("there are more than {POPULATIONS_MAX}"),
        ));
    }
    files.into_iter().map(|file| Population::read(source, file)).collect()
}

impl Population {
    fn read(source: &Source, file: &str) -> Result<Self, Finding> {
        let read: File = source.json(file)?;
        if !read.indices.is_sorted_by(|a, b| a < b) {
            return Err(Finding::tampered(file, "its indices are not in order"));
        }
        Ok(Self {
            file: file.to_owned(),
            control: read.control,
            counts: read.counts,
            ops: read.filter.ops,
            range: (read.first, read.size),
            indices: read.indices,
            met: 0,
            seen: BTreeMap::new(),
            pruned: false,
            hidden: None,
            foreign: None,
        })
    }

    fn listed(&mut self, index: u64) -> bool {
        let listed = self.indices.get(self.met) == Some(&index);
        self.met += usize::from(listed);
        listed
    }

    /// An entry of the log.
    pub(crate) fn entry(&mut self, index: u64, op: &str) {
        let belongs = matches(&self.ops, op);
        if belongs {
            match self.seen.get_mut(op) {
                Some(count) => *count += 1,
                None => drop(self.seen.insert(op.to_owned(), 1)),
            }
        }
        match (belongs, self.listed(index)) {
            (true, false) => self.hidden = self.hidden.or(Some(index)),
            (false, true) => self.foreign = self.foreign.or(Some(index)),
            _ => {}
        }
    }

    /// An entry whose body is gone: what it was is as the list says.
    pub(crate) fn pruned(&mut self, index: u64) {
        self.pruned |= self.listed(index);
    }

    /// Once the whole log was read.
    pub(crate) fn judge(&self, first: u64, size: u64) -> Result<(), Finding> {
        if let Some(index) = self.hidden {
            return Err(Finding::incomplete(
                &self.file,
                "an entry that the filter finds is not in the list",
            )
            .at(index));
        }
        if let Some(index) = self.foreign {
            return Err(Finding::tampered(
                &self.file,
                "the list names an entry that the filter does not find",
            )
            .at(index));
        }
        if self.met != self.indices.len() || self.range != (first, size) {
            return Err(Finding::tampered(&self.file, "it is about another range of the log"));
        }
        if !self.pruned && self.seen != self.counts {
            return Err(Finding::tampered(&self.file, "its counts are not those of the log"));
        }
        Ok(())
    }

    pub(crate) fn sample(&self, nonce: &[u8], root: &Hash, count: usize) -> Sample {
        let picks = pick(nonce, root, &self.control, self.indices.len(), count);
        let indices = picks.into_iter().map(|at| self.indices[at]).collect();
        Sample { control: self.control.clone(), population: self.indices.len() as u64, indices }
    }
}

/// `auth.signed_in` is itself only, `auth.*` all that begin with `auth.`.
fn matches(ops: &[String], op: &str) -> bool {
    ops.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(begin) => op.starts_with(begin),
        None => op == pattern,
    })
}

/// Which of `population` things a nonce picks: the same for everybody, and not to be known before the nonce.
///
/// `seed = SHA-256(nonce || root)`; the k-th number is the first 8 bytes, big endian, of
/// `SHA-256("belfry/sample/v1\0" || seed || control || 0 || k as 8 bytes)`. Numbers at or above the largest multiple of
/// the population are left out (so that each thing is as likely), and so are repetitions.
pub(crate) fn pick(
    nonce: &[u8],
    root: &Hash,
    control: &str,
    population: usize,
    count: usize,
) -> Vec<usize> {
    let seed = Sha256::new().chain_update(nonce).chain_update(root).finalize();
    let (wanted, all) = (count.min(population), population as u128);
    let (mut picked, mut seen) = (Vec::with_capacity(wanted), BTreeSet::new());
    let mut k = 0_u64;
    while picked.len() < wanted {
        let hash = Sha256::new()
            .chain_update(b"belfry/sample/v1\0")
            .chain_update(seed)
            .chain_update(control)
            .chain_update([0])
            .chain_update(k.to_be_bytes())
            .finalize();
        k += 1;
        let mut first = [0; 8];
        first.copy_from_slice(&hash[..8]);
        let number = u128::from(u64::from_be_bytes(first));
        let fair = (1_u128 << 64) / all * all;
        if number < fair && seen.insert(number % all) {
            picked.push((number % all) as usize);
        }
    }
    picked
}

#[cfg(test)]
mod tests {
    use super::{matches, pick};

    #[test]
    fn a_sample_is_the_same_again_and_another_for_another_nonce() {
        let root = [7; 32];
        let picks = pick(b"nonce", &root, "CC6.1", 1_000, 25);
        assert_eq!(picks.len(), 25);
        assert_eq!(picks, pick(b"nonce", &root, "CC6.1", 1_000, 25));
        assert_ne!(picks, pick(b"other", &root, "CC6.1", 1_000, 25));
        assert_ne!(picks, pick(b"nonce", &root, "CC6.2", 1_000, 25));
        let mut all = pick(b"nonce", &root, "CC6.1", 40, 60);
        all.sort_unstable();
        assert_eq!(all, (0..40).collect::<Vec<_>>());
        assert!(pick(b"nonce", &root, "CC6.1", 0, 5).is_empty());
    }

    #[test]
    fn each_thing_is_about_as_likely() {
        let mut hits = [0_u32; 10];
        for nonce in 0..2_000_u32 {
            hits[pick(&nonce.to_be_bytes(), &[0; 32], "c", 10, 1)[0]] += 1;
        }
        assert!(hits.iter().all(|&count| (130..270).contains(&count)), "{hits:?}");
    }

    #[test]
    fn a_filter_finds_a_kind_or_a_family() {
        let ops = ["auth.*".to_owned(), "person.created".to_owned()];
        assert!(matches(&ops, "auth.signed_in") && matches(&ops, "person.created"));
        assert!(!matches(&ops, "authority.x") && !matches(&ops, "person.created_twice"));
    }
}

//! Removed bodies: each must be told of by a later `retention.prune` event that names the removed leaves.

use std::collections::BTreeMap;

use crate::canonical;
use crate::hash::{Hash, unhex};
use crate::limits::PRUNES_MAX;
use crate::tree::Frontier;

/// The event's name.
pub(crate) const PRUNE_OP: &str = "retention.prune";

/// Removals whose event was not seen yet, by the event's index.
#[derive(Debug, Default)]
pub(crate) struct Prunes {
    open: BTreeMap<u64, Removed>,
}

#[derive(Debug)]
struct Removed {
    first: u64,
    last: u64,
    leaves: Frontier,
}

/// Why a removal is not explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unexplained {
    pub first: u64,
    pub count: u64,
}

impl Prunes {
    /// An entry whose body is gone. `None`: it names an entry before it, or too many removals are open.
    pub(crate) fn removed(&mut self, index: u64, leaf: Hash, by: u64) -> Option<()> {
        if by <= index || self.open.len() == PRUNES_MAX && !self.open.contains_key(&by) {
            return None;
        }
        let removed = self.open.entry(by).or_insert_with(|| Removed {
            first: index,
            last: index,
            leaves: Frontier::default(),
        });
        removed.last = index;
        removed.leaves.push(leaf);
        Some(())
    }

    /// A body at this index: whatever names it must be what it tells of.
    pub(crate) fn event(
        &mut self,
        index: u64,
        op: &str,
        detail: &[u8],
    ) -> Result<u64, Unexplained> {
        let Some(removed) = self.open.remove(&index) else { return Ok(0) };
        let unexplained = Unexplained { first: removed.first, count: removed.leaves.size() };
        let (mut count, mut first, mut last, mut root) = (None, None, None, None);
        canonical::object(detail, |name, raw| match name {
            "count" => count = canonical::count(raw),
            "first" => first = canonical::count(raw),
            "last" => last = canonical::count(raw),
            "root" => root = canonical::text(raw).and_then(unhex),
            _ => {}
        })
        .map_err(|_| unexplained)?;
        let told = op == PRUNE_OP
            && count == Some(removed.leaves.size())
            && first.is_some_and(|first| first <= removed.first)
            && last.is_some_and(|last| last >= removed.last && last < index)
            && root == Some(removed.leaves.root());
        if told { Ok(removed.leaves.size()) } else { Err(unexplained) }
    }

    /// The first removal that no event told of.
    pub(crate) fn left(&self) -> Option<Unexplained> {
        let removed = self.open.values().min_by_key(|removed| removed.first)?;
        let count = self.open.values().map(|removed| removed.leaves.size()).sum();
        Some(Unexplained { first: removed.first, count })
    }
}

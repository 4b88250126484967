//! Pooled memory for packets. A shard takes memory once and lends it out for ever.

use std::fmt;

use super::PACKET_BYTES_MAX;

/// Slabs that the pool keeps for reuse; beyond it memory goes back to the allocator.
const KEPT_MAX: usize = 65_536;

/// Room for one packet.
pub(crate) struct Slab(Box<[u8; PACKET_BYTES_MAX]>);

impl Slab {
    pub(crate) fn bytes(&self, len: usize) -> &[u8] {
        self.0.get(..len).unwrap_or_default()
    }
}

impl fmt::Debug for Slab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slab")
    }
}

/// Slabs that nobody uses now.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    free: Vec<Slab>,
}

impl Pool {
    /// A slab with copies of both parts, one after the other; `None` if they are too long for one.
    pub(crate) fn join(&mut self, head: &[u8], tail: &[u8]) -> Option<Slab> {
        if head.len() + tail.len() > PACKET_BYTES_MAX {
            return None;
        }
        let mut slab = self.free.pop().unwrap_or_else(|| Slab(Box::new([0; PACKET_BYTES_MAX])));
        let (first, rest) = slab.0.split_at_mut_checked(head.len())?;
        first.copy_from_slice(head);
        rest.get_mut(..tail.len())?.copy_from_slice(tail);
        Some(slab)
    }

    pub(crate) fn give_back(&mut self, slab: Slab) {
        if self.free.len() < KEPT_MAX {
            self.free.push(slab);
        }
    }

    #[cfg(test)]
    pub(crate) fn free_count(&self) -> usize {
        self.free.len()
    }
}

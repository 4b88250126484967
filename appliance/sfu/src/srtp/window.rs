//! The packet index (rollover counter and sequence number) and the replay window
//! (RFC 3711, sections 3.3.1 and 3.3.2).

/// Packets behind the newest one that are still told apart from replays.
const WINDOW_PACKETS: u64 = 128;
const HALF: u16 = 0x8000;

/// Which indices of one SSRC were seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    /// Newest index; meaningless while `seen` is 0.
    newest: u64,
    /// Bit `n`: `newest - n` was seen.
    seen: u128,
}

impl Window {
    /// The index that this sequence number most likely means.
    pub(super) fn index_of(&self, sequence: u16) -> Option<u64> {
        if self.seen == 0 { Some(u64::from(sequence)) } else { index_near(self.newest, sequence) }
    }

    /// Whether a packet with this index was seen, or is too old to tell.
    pub(super) fn has(&self, index: u64) -> bool {
        if self.seen == 0 || index > self.newest {
            return false;
        }
        let age = self.newest - index;
        age >= WINDOW_PACKETS || self.seen & (1 << age) != 0
    }

    pub(super) fn add(&mut self, index: u64) {
        if self.seen == 0 {
            self.newest = index;
        }
        if index > self.newest {
            let shift = index - self.newest;
            self.seen = if shift >= WINDOW_PACKETS { 0 } else { self.seen << shift };
            self.newest = index;
        }
        let age = self.newest - index;
        if age < WINDOW_PACKETS {
            self.seen |= 1 << age;
        }
    }
}

/// The index with these low 16 bits that is nearest to `newest` (RFC 3711, appendix A).
pub(super) fn index_near(newest: u64, sequence: u16) -> Option<u64> {
    let rollover = newest >> 16;
    let low = newest as u16;
    let rollover = if low < HALF {
        if sequence > low && sequence - low > HALF { rollover.checked_sub(1)? } else { rollover }
    } else if low - HALF > sequence {
        rollover + 1
    } else {
        rollover
    };
    Some(rollover << 16 | u64::from(sequence))
}

//! How much leaves, over the last second.

use super::{Bps, Micros};

const SLOT: Micros = 100_000;
const SLOTS: i64 = 10;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sending {
    bytes: [u64; SLOTS as usize],
    /// The slot that is being filled, counted from the beginning.
    slot: i64,
    begun: Option<i64>,
}

impl Sending {
    pub(super) fn left(&mut self, bytes: usize, now: Micros) {
        let slot = now / SLOT;
        self.begun.get_or_insert(slot);
        if slot != self.slot {
            for passed in self.slot.max(slot - SLOTS) + 1..=slot {
                self.bytes[passed.rem_euclid(SLOTS) as usize] = 0;
            }
            self.slot = slot;
        }
        self.bytes[slot.rem_euclid(SLOTS) as usize] += bytes as u64;
    }

    pub(super) fn bps(&self, now: Micros) -> Bps {
        let slot = now / SLOT;
        let first = (slot - SLOTS + 1).max(0);
        let seen = (first..=slot.min(self.slot)).filter(|at| *at > self.slot - SLOTS);
        let bytes: u64 = seen.map(|at| self.bytes[at.rem_euclid(SLOTS) as usize]).sum();
        let begun = self.begun.unwrap_or(slot).max(first) * SLOT;
        bytes as f64 * 8e6 / (now - begun).max(SLOT) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::Sending;

    #[test]
    fn a_second_is_looked_back_on_or_what_there_is_of_it() {
        let mut sending = Sending::default();
        assert!(sending.bps(0).abs() < 1.0);
        for at in 0..250 {
            sending.left(1_000, at * 10_000);
            if at > 20 {
                let bps = sending.bps(at * 10_000);
                assert!((7.2e5..9e5).contains(&bps), "{at}: {bps}");
            }
        }
        assert!(sending.bps(3_000_000) < 5e5);
        assert!(sending.bps(9_000_000).abs() < 1.0);
        sending.left(1_000, 9_000_000);
        assert!(sending.bps(9_050_000) < 9e3);
    }
}

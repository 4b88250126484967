//! Which packets of a layer are missing, and when to ask for them (RFC 4585, 6.2.1).

use std::time::{Duration, Instant};

/// A hole younger than this may still be a reordering.
const REORDER: Duration = Duration::from_millis(12);
/// Packets after a hole that prove it before `REORDER` is over.
const REORDER_PACKETS: u64 = 3;
/// A packet is asked for this often at most: at 30 % loss both ways, half of the tries fail.
const TRIES_MAX: u8 = 12;
/// Holes that are followed at the same time; beyond it a keyframe is cheaper.
const MISSING_MAX: usize = 256;
/// A packet that is missing for longer is of no use any more.
const AGE_MAX: Duration = Duration::from_secs(1);
const RTT_INITIAL: Duration = Duration::from_millis(80);
const RTT_MIN: Duration = Duration::from_millis(10);
const RTT_MAX: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug)]
struct Hole {
    sequence: u64,
    since: Instant,
    asked: Option<Instant>,
    tries: u8,
}

/// The holes of one layer.
#[derive(Debug)]
pub(crate) struct Nack {
    highest: Option<u64>,
    /// Sorted by sequence number.
    holes: Vec<Hole>,
    /// Smoothed time from asking to getting.
    rtt: Duration,
    /// Packets were given up since the last look.
    gave_up: bool,
}

impl Default for Nack {
    fn default() -> Self {
        Self { highest: None, holes: Vec::new(), rtt: RTT_INITIAL, gave_up: false }
    }
}

impl Nack {
    /// A packet is here, in whatever way it came.
    pub(crate) fn arrived(&mut self, sequence: u64, now: Instant) {
        let Some(highest) = self.highest else {
            self.highest = Some(sequence);
            return;
        };
        if sequence <= highest {
            self.fill(sequence, now);
            return;
        }
        let missing = sequence - highest - 1;
        if missing as usize + self.holes.len() > MISSING_MAX {
            self.gave_up = true;
            self.holes.clear();
        } else {
            let holes = (highest + 1..sequence).map(|sequence| Hole {
                sequence,
                since: now,
                asked: None,
                tries: 0,
            });
            self.holes.extend(holes);
        }
        self.highest = Some(sequence);
    }

    fn fill(&mut self, sequence: u64, now: Instant) {
        let Ok(at) = self.holes.binary_search_by_key(&sequence, |hole| hole.sequence) else {
            return;
        };
        let hole = self.holes.remove(at);
        // Only a first answer is unambiguous (Karn).
        if let (Some(asked), 1) = (hole.asked, hole.tries) {
            let sample = now.duration_since(asked).clamp(RTT_MIN, RTT_MAX);
            self.rtt = (self.rtt * 7 + sample) / 8;
        }
    }

    /// When [`Nack::due`] may have something.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.holes.iter().map(|hole| self.at(hole)).min()
    }

    fn at(&self, hole: &Hole) -> Instant {
        let proven = self.highest.is_some_and(|highest| highest >= hole.sequence + REORDER_PACKETS);
        match hole.asked {
            None if proven => hole.since,
            None => hole.since + REORDER,
            // Later repeats wait longer: the path may be slow just because it is full.
            Some(asked) => asked + self.rtt * (4 + u32::from(hole.tries)) / 4,
        }
    }

    /// Puts the sequence numbers that are to be asked for now into `wanted`. Forgets the hopeless.
    pub(crate) fn due(&mut self, now: Instant, wanted: &mut Vec<u16>) {
        let before = self.holes.len();
        self.holes
            .retain(|hole| hole.tries < TRIES_MAX && now.duration_since(hole.since) < AGE_MAX);
        self.gave_up |= self.holes.len() < before;
        for index in 0..self.holes.len() {
            let Some(due) = self.holes.get(index).map(|hole| self.at(hole) <= now) else { break };
            if let Some(hole) = self.holes.get_mut(index).filter(|_| due) {
                hole.asked = Some(now);
                hole.tries += 1;
                wanted.push(hole.sequence as u16);
            }
        }
    }

    /// Whether packets were given up since the last call: a decoder will need a keyframe.
    pub(crate) fn take_gave_up(&mut self) -> bool {
        std::mem::take(&mut self.gave_up)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::{Nack, TRIES_MAX};

    const MS: Duration = Duration::from_millis(1);

    fn due(nack: &mut Nack, now: Instant) -> Vec<u16> {
        let mut wanted = Vec::new();
        nack.due(now, &mut wanted);
        wanted
    }

    #[test]
    fn a_reordered_packet_is_not_asked_for() {
        let (mut nack, now) = (Nack::default(), Instant::now());
        nack.arrived(1, now);
        nack.arrived(3, now);
        assert!(due(&mut nack, now + 5 * MS).is_empty());
        nack.arrived(2, now + 6 * MS);
        assert!(due(&mut nack, now + 60 * MS).is_empty());
        assert!(nack.deadline().is_none());
    }

    #[test]
    fn a_missing_packet_is_asked_for_at_the_pace_of_the_path_and_no_more_once_here() {
        let (mut nack, now) = (Nack::default(), Instant::now());
        nack.arrived(1, now);
        nack.arrived(5, now);
        assert_eq!(due(&mut nack, now), [2]);
        assert_eq!(due(&mut nack, now + 12 * MS), [3, 4]);
        assert!(due(&mut nack, now + 40 * MS).is_empty());
        nack.arrived(3, now + 50 * MS);
        assert_eq!(due(&mut nack, now + 130 * MS), [2, 4]);
        nack.arrived(2, now + 131 * MS);
        nack.arrived(4, now + 131 * MS);
        assert!(due(&mut nack, now + 900 * MS).is_empty());
    }

    #[test]
    fn asking_ends_after_so_many_tries_and_says_so() {
        let (mut nack, now) = (Nack::default(), Instant::now());
        nack.arrived(1, now);
        nack.arrived(3, now);
        let asked: usize = (0..5_000).map(|ms| due(&mut nack, now + ms * MS).len()).sum();
        assert!((3..=usize::from(TRIES_MAX)).contains(&asked), "{asked}");
        assert!(nack.take_gave_up() && !nack.take_gave_up());
    }

    #[test]
    fn a_long_gap_asks_for_a_keyframe_instead() {
        let (mut nack, now) = (Nack::default(), Instant::now());
        nack.arrived(1, now);
        nack.arrived(5_000, now);
        assert!(nack.take_gave_up());
        assert!(due(&mut nack, now + 20 * MS).is_empty());
    }

    proptest! {
        #[test]
        fn whatever_arrived_is_never_asked_for_again(
            steps in prop::collection::vec((0u64..60, 0u32..30), 1..200),
        ) {
            let (mut nack, mut now) = (Nack::default(), Instant::now());
            let mut here = std::collections::HashSet::new();
            for (sequence, wait) in steps {
                now += wait * MS;
                nack.arrived(sequence, now);
                here.insert(sequence as u16);
                for asked in due(&mut nack, now) {
                    prop_assert!(!here.contains(&asked));
                }
            }
        }
    }
}

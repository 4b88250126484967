//! Keyframe requests of one layer: many ask, the publisher is asked once in a while.

use std::time::{Duration, Instant};

/// A keyframe costs ten frames' bytes; a publisher is asked for one this often at most.
pub(crate) const INTERVAL: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Throttle {
    wanted: bool,
    last: Option<Instant>,
}

impl Throttle {
    pub(crate) fn want(&mut self) {
        self.wanted = true;
    }

    /// A keyframe came.
    pub(crate) fn satisfied(&mut self) {
        self.wanted = false;
    }

    /// When to ask; `None` while nobody wants one.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        self.wanted.then(|| self.last.map_or(now, |last| last + INTERVAL))
    }

    /// Whether to ask now. Asks once for all who wanted one.
    pub(crate) fn take_due(&mut self, now: Instant) -> bool {
        let due = self.deadline(now).is_some_and(|at| at <= now);
        if due {
            self.wanted = false;
            self.last = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{INTERVAL, Throttle};

    #[test]
    fn a_crowd_that_asks_is_one_request_per_interval() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        let mut asked = 0;
        for ms in 0..2_000 {
            throttle.want();
            asked += u32::from(throttle.take_due(now + Duration::from_millis(ms)));
        }
        assert_eq!(asked, 4);
        let later = now + 10 * INTERVAL;
        throttle.want();
        throttle.satisfied();
        assert!(!throttle.take_due(later) && throttle.deadline(later).is_none());
    }
}

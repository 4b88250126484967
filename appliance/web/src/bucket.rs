//! How much a class socket may say.

use belfry_model::Timestamp;

/// Commands a second in the long run.
const PER_SECOND: i64 = 20;
const BURST_MAX: i64 = 40;
/// Frames beyond the burst that are answered with a refusal; after them the socket is closed.
const PATIENCE: i64 = 200;

/// What one frame costs, in thousandths: the refill of a millisecond is a whole number then.
const FRAME: i64 = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Take,
    /// Refuse this one.
    SlowDown,
    /// Close the socket.
    TooMuch,
}

/// A bucket that fills with time. It may go below nothing, so that whoever does not slow down is
/// told apart from whoever was quick once.
#[derive(Debug)]
pub(crate) struct Bucket {
    level: i64,
    at: Timestamp,
}

impl Bucket {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { level: BURST_MAX * FRAME, at: now }
    }

    pub(crate) fn take(&mut self, now: Timestamp) -> Verdict {
        let passed_ms = now.since_ms(self.at).clamp(0, 60_000);
        self.level = (self.level + passed_ms * PER_SECOND).min(BURST_MAX * FRAME);
        self.at = now;
        self.level -= FRAME;
        match self.level {
            0.. => Verdict::Take,
            level if level > -PATIENCE * FRAME => Verdict::SlowDown,
            _ => Verdict::TooMuch,
        }
    }
}

#[cfg(test)]
mod tests {
    use belfry_model::Timestamp;

    use super::{Bucket, Verdict};

    #[test]
    fn a_burst_passes_then_the_rate_holds_and_a_flood_ends_it() {
        let mut bucket = Bucket::new(Timestamp(0));
        let burst = (0..40).map(|_| bucket.take(Timestamp(0)));
        assert!(burst.into_iter().all(|verdict| verdict == Verdict::Take));
        assert_eq!(bucket.take(Timestamp(0)), Verdict::SlowDown);
        assert_eq!(bucket.take(Timestamp(100)), Verdict::Take, "20 a second are 2 in 100 ms");
        let flood = (0..400).map(|_| bucket.take(Timestamp(100))).last();
        assert_eq!(flood, Some(Verdict::TooMuch));
    }
}

//! How often one session may report.

use std::collections::HashMap;
use std::hash::Hash;

use belfry_model::Timestamp;

/// Reports of one session in the long run. A client sends one each ten seconds, and one more at
/// each change of its connection.
pub const REPORTS_PER_MINUTE_MAX: i64 = 30;
/// Reports that may come at once: those of an outage, when it is over.
const BURST_MAX: i64 = 15;
/// Sessions whose last reports are remembered. A session that is forgotten begins anew.
const SESSIONS_MAX: usize = 10_000;

const MINUTE_MS: i64 = 60_000;
/// What one report costs: the refill of a millisecond is a whole number then.
const REPORT: i64 = MINUTE_MS;

#[derive(Debug)]
struct Bucket {
    level: i64,
    at: Timestamp,
}

/// A bucket for each session, which fills with time.
#[derive(Debug)]
pub(crate) struct Throttle<K> {
    buckets: HashMap<K, Bucket>,
}

impl<K> Default for Throttle<K> {
    fn default() -> Self {
        Self { buckets: HashMap::new() }
    }
}

impl<K: Eq + Hash> Throttle<K> {
    /// `false`: too often.
    pub(crate) fn take(&mut self, session: K, now: Timestamp) -> bool {
        if self.buckets.len() >= SESSIONS_MAX && !self.buckets.contains_key(&session) {
            self.forget_full(now);
            if self.buckets.len() >= SESSIONS_MAX {
                return false;
            }
        }
        let fresh = Bucket { level: BURST_MAX * REPORT, at: now };
        let bucket = self.buckets.entry(session).or_insert(fresh);
        bucket.level = level(bucket, now);
        bucket.at = now;
        if bucket.level < REPORT {
            return false;
        }
        bucket.level -= REPORT;
        true
    }

    /// Forgets those that a new bucket would be the same as.
    fn forget_full(&mut self, now: Timestamp) {
        self.buckets.retain(|_, bucket| level(bucket, now) < BURST_MAX * REPORT);
    }
}

fn level(bucket: &Bucket, now: Timestamp) -> i64 {
    let passed_ms = now.since_ms(bucket.at).clamp(0, 60 * MINUTE_MS);
    (bucket.level + passed_ms * REPORTS_PER_MINUTE_MAX).min(BURST_MAX * REPORT)
}

#[cfg(test)]
mod tests {
    use belfry_model::Timestamp;

    use super::{BURST_MAX, SESSIONS_MAX, Throttle};

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        let mut throttle = Throttle::default();
        let taken = (0..100).filter(|_| throttle.take("a", Timestamp(0))).count();
        assert_eq!(taken, BURST_MAX as usize);
        assert!(throttle.take("b", Timestamp(0)), "another session has a bucket of its own");
        assert!(!throttle.take("a", Timestamp(1_999)));
        assert!(throttle.take("a", Timestamp(2_000)), "30 a minute are one in 2 s");
        assert!(!throttle.take("a", Timestamp(2_001)));
    }

    #[test]
    fn many_sessions_take_no_more_memory_than_the_limit() {
        let mut throttle = Throttle::default();
        for session in 0..SESSIONS_MAX + 10 {
            throttle.take(session, Timestamp(0));
        }
        assert_eq!(throttle.buckets.len(), SESSIONS_MAX);
        assert!(throttle.take(usize::MAX, Timestamp(10_000)), "the full ones were forgotten");
    }
}

//! How many answers an address gets that has not shown credentials: a flood is not answered for
//! ever, and the answers of a forged one do not become a flood for somebody else.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::Instant;

/// Buckets; addresses share them by a keyed hash. The table never grows.
const BUCKETS: usize = 4_096;
/// A school behind one address that comes in at the bell: 500 people, four requests each.
const BURST_MAX: f32 = 2_000.0;
const PER_SECOND: f32 = 100.0;

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f32,
    filled: Instant,
}

#[derive(Debug)]
pub(crate) struct Throttle {
    buckets: Box<[Bucket]>,
    hash: RandomState,
}

impl Throttle {
    pub(crate) fn new(now: Instant) -> Self {
        let full = Bucket { tokens: BURST_MAX, filled: now };
        Self { buckets: vec![full; BUCKETS].into(), hash: RandomState::new() }
    }

    /// Whether this address gets one more answer now.
    pub(crate) fn allows(&mut self, address: IpAddr, now: Instant) -> bool {
        // An IPv6 host has a whole /64 to itself.
        let network = match address.to_canonical() {
            IpAddr::V4(ip) => u64::from(u32::from(ip)),
            IpAddr::V6(ip) => (u128::from(ip) >> 64) as u64,
        };
        let at = self.hash.hash_one(network) as usize % BUCKETS;
        let Some(bucket) = self.buckets.get_mut(at) else { return false };
        let passed = now.saturating_duration_since(bucket.filled).as_secs_f32();
        bucket.tokens = (bucket.tokens + passed * PER_SECOND).min(BURST_MAX);
        bucket.filled = now;
        let allowed = bucket.tokens >= 1.0;
        if allowed {
            bucket.tokens -= 1.0;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{BURST_MAX, PER_SECOND, Throttle};

    #[test]
    fn a_flood_runs_dry_while_another_address_is_answered() {
        let now = Instant::now();
        let mut throttle = Throttle::new(now);
        let (flood, other) = ([192, 0, 2, 1].into(), [198, 51, 100, 1].into());
        let answered = (0..10_000).filter(|_| throttle.allows(flood, now)).count();
        assert_eq!(answered, BURST_MAX as usize);
        assert!(throttle.allows(other, now));
        let later = now + Duration::from_secs(1);
        let answered = (0..10_000).filter(|_| throttle.allows(flood, later)).count();
        assert_eq!(answered, PER_SECOND as usize);
    }
}

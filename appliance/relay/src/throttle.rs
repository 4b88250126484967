//! How many answers an address gets that has not shown credentials: a flood is not answered for
//! ever, and the answers of a forged one do not become a flood for somebody else.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::Instant;

/// Buckets; addresses share them by a keyed hash. The table never grows.
const BUCKETS: usize = 4_096;

/// How much an address gets.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    pub burst_max: f32,
    pub per_second: f32,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f32,
    filled: Instant,
}

/// A bucket for each address, which fills with time.
#[derive(Debug)]
pub struct Throttle {
    rate: Rate,
    buckets: Box<[Bucket]>,
    hash: RandomState,
}

impl Throttle {
    pub fn new(rate: Rate, now: Instant) -> Self {
        let full = Bucket { tokens: rate.burst_max, filled: now };
        Self { rate, buckets: vec![full; BUCKETS].into(), hash: RandomState::new() }
    }

    /// Whether this address gets one more answer now.
    pub fn allows(&mut self, address: IpAddr, now: Instant) -> bool {
        // An IPv6 host has a whole /64 to itself.
        let network = match address.to_canonical() {
            IpAddr::V4(ip) => u64::from(u32::from(ip)),
            IpAddr::V6(ip) => (u128::from(ip) >> 64) as u64,
        };
        let at = self.hash.hash_one(network) as usize % BUCKETS;
        let Some(bucket) = self.buckets.get_mut(at) else { return false };
        let passed = now.saturating_duration_since(bucket.filled).as_secs_f32();
        let Rate { burst_max, per_second } = self.rate;
        bucket.tokens = (bucket.tokens + passed * per_second).min(burst_max);
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

    use super::{Rate, Throttle};

    #[test]
    fn a_flood_runs_dry_while_another_address_is_answered() {
        let now = Instant::now();
        let mut throttle = Throttle::new(Rate { burst_max: 2_000.0, per_second: 100.0 }, now);
        let (flood, other) = ([192, 0, 2, 1].into(), [198, 51, 100, 1].into());
        let answered = (0..10_000).filter(|_| throttle.allows(flood, now)).count();
        assert_eq!(answered, 2_000);
        assert!(throttle.allows(other, now));
        let later = now + Duration::from_secs(1);
        let answered = (0..10_000).filter(|_| throttle.allows(flood, later)).count();
        assert_eq!(answered, 100);
    }
}

//! How fast a path delivers: the bytes that arrived, by the receiver's clock.

use super::{Bps, Micros};

/// A sample is taken over this long; the first, which has to be good for all that follows, longer.
const WINDOW: Micros = 150_000;
const WINDOW_FIRST: Micros = 500_000;
/// Nothing arrived for so long: the rate of before says nothing.
const GAP_MAX: Micros = 2_000_000;
/// How much the true rate wanders between samples, as a part of itself.
const WANDER: f64 = 0.35;
/// How uncertain a sample is that says what was expected, and how much more so per surprise.
const NOISE: f64 = 0.05;
const SURPRISE: f64 = 0.5;

/// A scalar Kalman filter over windows of arrivals: a sample counts less the more it surprises, so
/// that one odd window does not move the rate, and two in a row do.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Acked {
    since: Option<Micros>,
    latest: Micros,
    bytes: u64,
    rate: Option<Bps>,
    /// Of the rate, relative to it.
    variance: f64,
}

impl Acked {
    pub(super) fn arrived(&mut self, bytes: u32, at: Micros) {
        if at - self.latest > GAP_MAX {
            *self = Self::default();
        }
        self.latest = self.latest.max(at);
        let since = *self.since.get_or_insert(at);
        let window = if self.rate.is_some() { WINDOW } else { WINDOW_FIRST };
        let elapsed = at - since;
        if elapsed >= window {
            self.sample(self.bytes as f64 * 8e6 / elapsed as f64);
            (self.since, self.bytes) = (Some(at), 0);
        }
        self.bytes += u64::from(bytes);
    }

    fn sample(&mut self, sample: Bps) {
        let Some(rate) = self.rate else {
            (self.rate, self.variance) = (Some(sample), 0.25);
            return;
        };
        let surprise = (sample - rate).abs() / rate.max(1.0).midpoint(sample.max(1.0));
        let noise = (NOISE + SURPRISE * surprise).powi(2);
        let predicted = self.variance + WANDER.powi(2);
        let gain = predicted / (predicted + noise);
        self.rate = Some(rate + gain * (sample - rate));
        self.variance = predicted * (1.0 - gain) + (gain * surprise).powi(2) * 0.25;
    }

    /// `None` until enough arrived.
    pub(super) fn bps(&self) -> Option<Bps> {
        self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::Acked;

    fn arrive(acked: &mut Acked, at: &mut i64, packets: usize, gap: i64) {
        for _ in 0..packets {
            *at += gap;
            acked.arrived(1_000, *at);
        }
    }

    #[test]
    fn the_rate_follows_a_step_within_a_second_and_no_single_odd_window() {
        let (mut acked, mut at) = (Acked::default(), 0);
        arrive(&mut acked, &mut at, 200, 8_000);
        assert!((acked.bps().expect("known") - 1e6).abs() < 3e4, "{acked:?}");
        arrive(&mut acked, &mut at, 60, 2_500);
        assert!(acked.bps().expect("known") < 1.8e6, "{acked:?}");
        arrive(&mut acked, &mut at, 400, 2_500);
        assert!((acked.bps().expect("known") - 3.2e6).abs() < 2e5, "{acked:?}");
        arrive(&mut acked, &mut at, 40, 20_000);
        assert!((acked.bps().expect("known") - 4e5).abs() < 3e5, "{acked:?}");
    }
}

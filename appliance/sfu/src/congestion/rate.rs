//! From overuse to a rate: additive and multiplicative increase, multiplicative decrease
//! (draft-ietf-rmcat-gcc-02, 5.5), with what libwebrtc added since: no growth on the word of delay
//! alone while the application sends less than it may.

use super::delay::Usage;
use super::{BPS_MAX, BPS_MIN, Bps, Micros};

/// Of what arrives, what is sent after an overuse. More than in the draft: what arrives through a
/// full queue is what the path carries, and a long queue is drained apart from this.
const DECREASE: f64 = 0.93;
/// What is left when the overuse came while little was sent: what arrived is no measure then.
const DECREASE_LIMITED: f64 = 0.85;
/// Growth in a second far from the path's capacity.
const GROWTH: f64 = 1.08;
/// Growth never leads further ahead of what arrives.
const AHEAD: f64 = 1.2;
const AHEAD_BPS: Bps = 10_000.0;
/// Near the capacity, half a packet more per response time; a packet is as large as those of a
/// stream of this rate.
const PACKET_BITS_MAX: f64 = 9_600.0;
const FRAMES_PER_S: f64 = 30.0;
const RESPONSE: Micros = 100_000;
const STEP_BPS_PER_S_MIN: Bps = 4_000.0;
/// Decreases follow each other this fast at most, or at the pace of the path.
const DECREASE_PAUSE_MIN: Micros = 100_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Hold,
    Increase,
}

/// What the path is known to carry, from what arrived when it was overused.
#[derive(Clone, Copy, Debug, Default)]
struct Capacity {
    bps: Option<Bps>,
    /// Relative to the mean.
    variance: f64,
}

impl Capacity {
    fn sample(&mut self, bps: Bps) {
        let Some(mean) = self.bps else {
            (self.bps, self.variance) = (Some(bps), 0.01);
            return;
        };
        let mean = mean + 0.05 * (bps - mean);
        let error = (bps - mean) / mean.max(1.0);
        self.variance = (0.95 * self.variance + 0.05 * error * error).clamp(0.000_9, 0.01);
        self.bps = Some(mean);
    }

    fn deviation(&self) -> f64 {
        3.0 * self.variance.sqrt()
    }

    fn is_below(&self, bps: Bps) -> bool {
        self.bps.is_some_and(|mean| bps > mean * (1.0 + self.deviation()))
    }

    fn is_above(&self, bps: Bps) -> bool {
        self.bps.is_some_and(|mean| bps < mean * (1.0 - self.deviation()))
    }
}

/// What an update looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) usage: Usage,
    /// What arrives, what random loss took included.
    pub(super) acked: Option<Bps>,
    /// Much less is sent than may be.
    pub(super) limited: bool,
    pub(super) rtt: Micros,
    pub(super) now: Micros,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    bps: Bps,
    state: State,
    capacity: Capacity,
    updated: Option<Micros>,
    decreased: Option<Micros>,
}

impl Rate {
    pub(super) fn new(bps: Bps) -> Self {
        Self {
            bps,
            state: State::Hold,
            capacity: Capacity::default(),
            updated: None,
            decreased: None,
        }
    }

    pub(super) fn bps(&self) -> Bps {
        self.bps
    }

    /// What a probe found.
    pub(super) fn set(&mut self, bps: Bps, now: Micros) {
        self.bps = bps.clamp(BPS_MIN, BPS_MAX);
        self.updated = Some(now);
        if self.capacity.is_below(self.bps) {
            self.capacity = Capacity::default();
        }
    }

    /// Comes down to `bps`, if it is above.
    pub(super) fn lower(&mut self, bps: Bps, now: Micros) {
        self.bps = self.bps.min(bps).max(BPS_MIN);
        (self.updated, self.decreased) = (Some(now), Some(now));
        self.state = State::Hold;
    }

    /// Whether the rate came down.
    pub(super) fn update(&mut self, seen: &Seen) -> bool {
        match seen.usage {
            Usage::Over => return self.decrease(seen),
            Usage::Under => self.state = State::Hold,
            Usage::Normal if self.state == State::Hold => {
                self.state = State::Increase;
                self.updated = Some(seen.now);
            }
            Usage::Normal => self.increase(seen),
        }
        false
    }

    fn increase(&mut self, seen: &Seen) {
        let elapsed = seen.now - self.updated.replace(seen.now).unwrap_or(seen.now);
        let Some(acked) = seen.acked.filter(|_| !seen.limited) else { return };
        if self.capacity.is_below(acked) {
            self.capacity = Capacity::default();
        }
        let seconds = (elapsed as f64 / 1e6).clamp(0.0, 1.0);
        let step = if self.capacity.bps.is_some() {
            let response = (seen.rtt + RESPONSE) as f64 / 1e6;
            let frame = self.bps / FRAMES_PER_S;
            let packet = frame / (frame / PACKET_BITS_MAX).ceil();
            (packet / 2.0 / response).max(STEP_BPS_PER_S_MIN) * seconds
        } else {
            (self.bps * (GROWTH.powf(seconds) - 1.0)).max(1_000.0 * seconds)
        };
        let limit = AHEAD * acked + AHEAD_BPS;
        if self.bps < limit {
            self.bps = (self.bps + step).min(limit).clamp(BPS_MIN, BPS_MAX);
        }
    }

    fn decrease(&mut self, seen: &Seen) -> bool {
        let acked = seen.acked.unwrap_or(self.bps / 2.0);
        let pause = seen.rtt.max(DECREASE_PAUSE_MIN);
        let soon = self.decreased.is_some_and(|at| seen.now - at < pause);
        if soon && (seen.limited || acked >= self.bps / 2.0) {
            return false;
        }
        let mut bps = DECREASE * acked;
        if seen.limited {
            bps = bps.max(DECREASE_LIMITED * self.bps);
        } else if let Some(mean) = self.capacity.bps.filter(|_| bps > self.bps) {
            bps = DECREASE * mean;
        }
        if !seen.limited {
            if self.capacity.is_above(acked) {
                self.capacity = Capacity::default();
            }
            self.capacity.sample(acked);
        }
        let before = self.bps;
        self.lower(bps, seen.now);
        self.bps < before
    }
}

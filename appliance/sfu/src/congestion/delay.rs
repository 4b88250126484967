//! Whether queues on the path grow, from how the gaps between packets change on their way
//! (draft-ietf-rmcat-gcc-02, 5.1 to 5.4, with the trendline that libwebrtc put in the place of the
//! Kalman filter).

use std::collections::VecDeque;

use super::Micros;

/// Packets sent within this long are one group: the sender's own bursts are no change of the path.
const BURST: Micros = 5_000;
/// Packets that arrive together though they were sent apart are one group, too (Wi-Fi aggregates,
/// a modem that wakes up), up to this long.
const CLUMP_MAX: Micros = 100_000;
/// Slope is measured over this many groups.
const TREND_GROUPS: usize = 20;
const SMOOTHING: f64 = 0.9;
const GAIN: f64 = 4.0;
const GROUPS_COUNTED_MAX: f64 = 60.0;
/// Milliseconds; the threshold follows what is normal on this path, slower up than down.
const THRESHOLD_START: f64 = 12.5;
const THRESHOLD_MIN: f64 = 6.0;
const THRESHOLD_MAX: f64 = 600.0;
const THRESHOLD_UP: f64 = 0.0087;
const THRESHOLD_DOWN: f64 = 0.039;
/// Beyond this distance a spike does not move the threshold.
const SPIKE_MS: f64 = 15.0;
/// Longer gaps do not move it further.
const THRESHOLD_STEP_MS_MAX: f64 = 100.0;
/// Overuse has to last this long.
const OVERUSE_MS_MIN: f64 = 10.0;
/// A gap in time in which a sender's or receiver's clock must have jumped.
const JUMP: Micros = 3_000_000;
/// The shortest way of so long is what the path needs without queues; clocks drift, so not for ever.
const BASE_AGE: Micros = 15_000_000;
/// A queue is what even the luckiest packet of so long (at least, and twice that at most) waits
/// for: a device that looks at its packets late now and then, and jitter, let one through at once.
const STANDING: Micros = 60_000;
/// Time constants of the mean way and of the distance from it.
const MEAN_OVER: Micros = 1_000_000;
const UNREST_OVER: Micros = 3_000_000;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Usage {
    #[default]
    Normal,
    /// Queues drain.
    Under,
    /// Queues grow.
    Over,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    sent_first: Micros,
    sent: Micros,
    arrival_first: Micros,
    arrival: Micros,
}

#[derive(Debug, Default)]
pub(super) struct Delay {
    group: Option<Group>,
    previous: Option<Group>,
    trend: Trend,
    detector: Detector,
    base: Base,
}

impl Delay {
    /// Takes up packets in the order of their arrival.
    pub(super) fn arrived(&mut self, sent: Micros, arrival: Micros) {
        self.base.arrived(sent, arrival);
        let Some(group) = &mut self.group else {
            self.group = Some(Group::of(sent, arrival));
            return;
        };
        if sent < group.sent_first {
            return;
        }
        if group.takes(sent, arrival) {
            group.sent = group.sent.max(sent);
            group.arrival = group.arrival.max(arrival);
            return;
        }
        let complete = *group;
        self.group = Some(Group::of(sent, arrival));
        let previous = self.previous.replace(complete);
        let Some(previous) = previous else { return };
        let (sent_gap, arrival_gap) =
            (complete.sent - previous.sent, complete.arrival - previous.arrival);
        if arrival_gap - sent_gap >= JUMP || arrival_gap < 0 {
            (self.previous, self.group) = (None, None);
            self.trend = Trend::default();
            return;
        }
        let ms = |time: Micros| time as f64 / 1_000.0;
        let trend = self.trend.add(ms(arrival_gap - sent_gap), ms(complete.arrival));
        self.detector.detect(trend, ms(sent_gap), ms(complete.arrival));
    }

    pub(super) fn usage(&self) -> Usage {
        self.detector.usage
    }

    /// How much longer than the shortest way packets take now.
    pub(super) fn queue(&self) -> Micros {
        self.base.queue
    }

    /// How far the ways of packets are from their mean, over some seconds.
    pub(super) fn unrest(&self) -> Micros {
        self.base.unrest as Micros
    }

    /// By how much the ways of two packets in a row differ (RFC 3550, 6.4.1).
    pub(super) fn jitter(&self) -> Micros {
        self.base.jitter as Micros
    }
}

impl Group {
    fn of(sent: Micros, arrival: Micros) -> Self {
        Self { sent_first: sent, sent, arrival_first: arrival, arrival }
    }

    fn takes(&self, sent: Micros, arrival: Micros) -> bool {
        let (sent_gap, arrival_gap) = (sent - self.sent, arrival - self.arrival);
        sent - self.sent_first <= BURST
            || (arrival_gap < sent_gap
                && arrival_gap <= BURST
                && arrival - self.arrival_first < CLUMP_MAX)
    }
}

/// The slope of the smoothed delay over the last groups.
#[derive(Debug, Default)]
struct Trend {
    points: VecDeque<(f64, f64)>,
    start_ms: Option<f64>,
    groups: f64,
    delay_ms: f64,
    smoothed_ms: f64,
    slope: f64,
}

impl Trend {
    /// How many milliseconds the delay grew by, as it were, over the groups that are counted.
    fn add(&mut self, change_ms: f64, arrival_ms: f64) -> f64 {
        let start = *self.start_ms.get_or_insert(arrival_ms);
        self.groups = (self.groups + 1.0).min(GROUPS_COUNTED_MAX);
        self.delay_ms += change_ms;
        self.smoothed_ms = SMOOTHING * self.smoothed_ms + (1.0 - SMOOTHING) * self.delay_ms;
        if self.points.len() == TREND_GROUPS {
            self.points.pop_front();
        }
        self.points.push_back((arrival_ms - start, self.smoothed_ms));
        if self.points.len() == TREND_GROUPS {
            self.slope = slope(&self.points).unwrap_or(self.slope);
        }
        self.groups * self.slope * GAIN
    }
}

fn slope(points: &VecDeque<(f64, f64)>) -> Option<f64> {
    let count = points.len() as f64;
    let (x_sum, y_sum) = points.iter().fold((0.0, 0.0), |sum, (x, y)| (sum.0 + x, sum.1 + y));
    let (x_mean, y_mean) = (x_sum / count, y_sum / count);
    let (up, down) = points.iter().fold((0.0, 0.0), |sum, (x, y)| {
        let x = x - x_mean;
        (sum.0 + x * (y - y_mean), sum.1 + x * x)
    });
    (down > 0.0).then(|| up / down)
}

#[derive(Debug)]
struct Detector {
    usage: Usage,
    threshold: f64,
    updated_ms: Option<f64>,
    over_ms: f64,
    over_count: u32,
    before: f64,
}

impl Default for Detector {
    fn default() -> Self {
        Self {
            usage: Usage::Normal,
            threshold: THRESHOLD_START,
            updated_ms: None,
            over_ms: 0.0,
            over_count: 0,
            before: 0.0,
        }
    }
}

impl Detector {
    fn detect(&mut self, trend: f64, sent_gap_ms: f64, now_ms: f64) {
        if trend > self.threshold {
            // Of the first interval it is not known when in it the queue began to grow.
            self.over_ms += if self.over_count == 0 { sent_gap_ms / 2.0 } else { sent_gap_ms };
            self.over_count += 1;
            if self.over_ms > OVERUSE_MS_MIN && self.over_count > 1 && trend >= self.before {
                (self.over_ms, self.over_count) = (0.0, 1);
                self.usage = Usage::Over;
            }
        } else {
            (self.over_ms, self.over_count) = (0.0, 0);
            self.usage = if trend < -self.threshold { Usage::Under } else { Usage::Normal };
        }
        self.before = trend;
        self.adapt(trend.abs(), now_ms);
    }

    fn adapt(&mut self, trend: f64, now_ms: f64) {
        let elapsed = now_ms - self.updated_ms.replace(now_ms).unwrap_or(now_ms);
        if trend > self.threshold + SPIKE_MS {
            return;
        }
        let pace = if trend < self.threshold { THRESHOLD_DOWN } else { THRESHOLD_UP };
        let step = pace * (trend - self.threshold) * elapsed.clamp(0.0, THRESHOLD_STEP_MS_MAX);
        self.threshold = (self.threshold + step).clamp(THRESHOLD_MIN, THRESHOLD_MAX);
    }
}

/// The least of this and of the last stretch of time.
#[derive(Clone, Copy, Debug, Default)]
struct Least {
    minima: [Option<Micros>; 2],
    since: Micros,
}

impl Least {
    fn take(&mut self, value: Micros, at: Micros, stretch: Micros) -> Micros {
        if at - self.since > stretch {
            self.minima = [None, self.minima[0]];
            self.since = at;
        }
        let least = |minimum: Option<Micros>| minimum.map_or(value, |least| least.min(value));
        self.minima[0] = Some(least(self.minima[0]));
        least(self.minima[0]).min(least(self.minima[1]))
    }
}

/// The shortest way, and how much longer it takes now. Ways are differences of two clocks, so of
/// any sign.
#[derive(Debug, Default)]
struct Base {
    shortest: Least,
    standing: Least,
    queue: Micros,
    way: Option<Micros>,
    jitter: f64,
    /// Mean of the way, and how far single ones are from it.
    mean: f64,
    unrest: f64,
    at: Micros,
}

impl Base {
    fn arrived(&mut self, sent: Micros, arrival: Micros) {
        let way = arrival - sent;
        let change = (way - self.way.replace(way).unwrap_or(way)).abs();
        self.jitter += (change as f64 - self.jitter) / 16.0;
        self.settle(way as f64, arrival);
        let shortest = self.shortest.take(way, arrival, BASE_AGE);
        self.queue = self.standing.take(way, arrival, STANDING) - shortest;
    }

    fn settle(&mut self, way: f64, arrival: Micros) {
        let elapsed = (arrival - self.at).max(0) as f64;
        if self.at == 0 {
            self.mean = way;
        }
        self.at = arrival;
        let part = |time: Micros| (elapsed / time as f64).min(1.0);
        self.mean += part(MEAN_OVER) * (way - self.mean);
        self.unrest += part(UNREST_OVER) * ((way - self.mean).abs() - self.unrest);
    }
}

#[cfg(test)]
mod tests {
    use super::{Delay, Micros, Usage};

    /// Packets every 10 ms whose way grows by `growth` each.
    fn feed(
        delay: &mut Delay,
        sent: &mut Micros,
        way: &mut Micros,
        packets: usize,
        growth: Micros,
    ) {
        for _ in 0..packets {
            *sent += 10_000;
            *way += growth;
            delay.arrived(*sent, *sent + *way);
        }
    }

    #[test]
    fn a_queue_that_grows_is_overuse_and_one_that_drains_is_underuse() {
        let (mut delay, mut sent, mut way) = (Delay::default(), 0, 50_000);
        feed(&mut delay, &mut sent, &mut way, 100, 0);
        assert_eq!((delay.usage(), delay.queue()), (Usage::Normal, 0));
        feed(&mut delay, &mut sent, &mut way, 25, 1_500);
        assert_eq!(delay.usage(), Usage::Over);
        assert!(delay.queue() > 15_000, "{}", delay.queue());
        feed(&mut delay, &mut sent, &mut way, 25, -1_500);
        assert_eq!(delay.usage(), Usage::Under);
        feed(&mut delay, &mut sent, &mut way, 100, 0);
        assert_eq!(delay.usage(), Usage::Normal);
        assert!(delay.queue() < 2_000, "{}", delay.queue());
    }

    #[test]
    fn jitter_without_a_trend_is_not_overuse_for_long() {
        let (mut delay, mut sent) = (Delay::default(), 0);
        let (mut seed, mut over, mut last) = (1u64, 0, 0);
        for _ in 0..3_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            sent += 10_000;
            let arrival = (sent + (seed >> 33).cast_signed() % 25_000).max(last);
            last = arrival;
            delay.arrived(sent, arrival);
            over += u32::from(delay.usage() == Usage::Over);
        }
        assert!(over < 150, "{over} of 3000");
    }

    #[test]
    fn a_clock_that_jumps_is_not_a_queue() {
        let (mut delay, mut sent, mut way) = (Delay::default(), 0, 50_000);
        feed(&mut delay, &mut sent, &mut way, 100, 0);
        way += 60_000_000;
        feed(&mut delay, &mut sent, &mut way, 100, 0);
        assert_eq!(delay.usage(), Usage::Normal);
    }
}

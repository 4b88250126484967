//! How much a subscriber connection carries, from the fate of what was sent on it.
//!
//! Loss decides: less above 10 %, more below 2 %. Delay is not looked at yet, so a cap follows a
//! full queue only once it drops.

use std::time::{Duration, Instant};

/// Sent packets whose fate is awaited.
const HISTORY: usize = 2_048;
/// Feedback is judged over at least this much time and this many packets.
const WINDOW: Duration = Duration::from_millis(500);
const WINDOW_PACKETS_MIN: u32 = 20;
/// Without transport-wide feedback, receiver reports are judged this often.
const REPORTED_WINDOW: Duration = Duration::from_secs(1);
const LOSS_HIGH: f64 = 0.10;
const LOSS_LOW: f64 = 0.02;
/// Growth in a second without loss, and near the rate at which loss began.
const GROWTH: f64 = 1.12;
const GROWTH_CAREFUL: f64 = 1.03;
/// How long the rate at which loss began is remembered.
const CAREFUL_FOR: Duration = Duration::from_secs(20);
/// School networks are local: start with what a room with a few tiles needs.
const START_BPS: f64 = 4_000_000.0;
const MIN_BPS: f64 = 100_000.0;
const MAX_BPS: f64 = 40_000_000.0;

#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    /// Number + 1; 0: nothing awaited.
    number: u64,
    bytes: u16,
}

#[derive(Debug)]
pub(crate) struct Estimate {
    history: Vec<Sent>,
    next: u64,
    cap_bps: f64,
    window: Window,
    /// Loss began at this rate.
    ceiling: Option<(f64, Instant)>,
    /// Smoothed.
    loss: f64,
    rtt: Option<Duration>,
    /// The receiver sends transport-wide feedback; else its receiver reports have to do.
    has_feedback: bool,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    since: Option<Instant>,
    acked: u32,
    lost: u32,
    acked_bytes: u64,
}

const EMPTY: Window = Window { since: None, acked: 0, lost: 0, acked_bytes: 0 };

impl Default for Estimate {
    fn default() -> Self {
        Self {
            history: vec![Sent::default(); HISTORY],
            next: 1 << 16,
            cap_bps: START_BPS,
            window: EMPTY,
            ceiling: None,
            loss: 0.0,
            rtt: None,
            has_feedback: false,
        }
    }
}

impl Estimate {
    /// The transport-wide number that the next packet gets.
    pub(crate) fn next_number(&self) -> u16 {
        self.next as u16
    }

    /// The packet with the next number left, `bytes` long.
    pub(crate) fn sent(&mut self, bytes: usize) {
        let number = self.next;
        self.next += 1;
        if let Some(slot) = self.history.get_mut(number as usize % HISTORY) {
            *slot = Sent { number: number + 1, bytes: bytes as u16 };
        }
    }

    /// The receiver's feedback on the packets from `base` on.
    pub(crate) fn feedback(&mut self, base: u16, received: &[bool], now: Instant) {
        self.has_feedback = true;
        let newest = self.next - 1;
        let back = u64::from((newest as u16).wrapping_sub(base));
        let first = newest.saturating_sub(back);
        for (number, received) in (first..=newest).zip(received) {
            let Some(slot) = self.history.get_mut(number as usize % HISTORY) else { continue };
            if slot.number != number + 1 {
                continue;
            }
            slot.number = 0;
            if *received {
                self.window.acked += 1;
                self.window.acked_bytes += u64::from(slot.bytes);
            } else {
                self.window.lost += 1;
            }
        }
        self.judge(now);
    }

    fn judge(&mut self, now: Instant) {
        let since = *self.window.since.get_or_insert(now);
        let elapsed = now.duration_since(since);
        let total = self.window.acked + self.window.lost;
        if elapsed < WINDOW || total < WINDOW_PACKETS_MIN {
            return;
        }
        let loss = f64::from(self.window.lost) / f64::from(total);
        let acked_bps = self.window.acked_bytes as f64 * 8.0 / elapsed.as_secs_f64();
        self.window = Window { since: Some(now), ..EMPTY };
        self.loss = self.loss * 0.7 + loss * 0.3;
        if loss > LOSS_HIGH {
            // What did arrive is a lower bound of what the path carries.
            self.ceiling = Some((self.cap_bps.min(acked_bps * 1.5), now));
            self.cap_bps = (self.cap_bps * (1.0 - 0.5 * loss)).min(acked_bps * 1.25);
        } else if loss < LOSS_LOW {
            let near = self.ceiling.is_some_and(|(ceiling, at)| {
                now.duration_since(at) < CAREFUL_FOR && self.cap_bps > 0.9 * ceiling
            });
            let growth: f64 = if near { GROWTH_CAREFUL } else { GROWTH };
            self.cap_bps *= growth.powf(elapsed.as_secs_f64().min(2.0));
        }
        self.cap_bps = self.cap_bps.clamp(MIN_BPS, MAX_BPS);
    }

    /// A receiver report told this loss (0 to 1) of one stream.
    pub(crate) fn reported(&mut self, loss: f64, now: Instant) {
        if self.has_feedback {
            return;
        }
        self.loss = self.loss * 0.7 + loss * 0.3;
        let since = *self.window.since.get_or_insert(now);
        if now.duration_since(since) < REPORTED_WINDOW {
            return;
        }
        self.window.since = Some(now);
        if self.loss > LOSS_HIGH {
            self.cap_bps *= 1.0 - 0.5 * self.loss;
        } else if self.loss < LOSS_LOW {
            self.cap_bps *= GROWTH_CAREFUL;
        }
        self.cap_bps = self.cap_bps.clamp(MIN_BPS, MAX_BPS);
    }

    pub(crate) fn cap_bps(&self) -> u64 {
        self.cap_bps as u64
    }

    /// 0 to 1.
    pub(crate) fn loss(&self) -> f64 {
        self.loss
    }

    pub(crate) fn rtt_sample(&mut self, sample: Duration) {
        self.rtt = Some(self.rtt.map_or(sample, |rtt| (rtt * 7 + sample) / 8));
    }

    pub(crate) fn rtt(&self) -> Option<Duration> {
        self.rtt
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Estimate, START_BPS};

    /// Sends at `rate_bps` for `seconds` over a path that loses one of `one_of`.
    fn run(estimate: &mut Estimate, now: &mut Instant, seconds: u32, rate_bps: u64, one_of: usize) {
        let per_tick = (rate_bps / 8 / 1_000 / 10) as usize;
        for _ in 0..seconds * 10 {
            let first = estimate.next_number();
            (0..per_tick).for_each(|_| estimate.sent(1_000));
            let received: Vec<bool> =
                (1..=per_tick).map(|index| one_of == 0 || index % one_of != 0).collect();
            *now += Duration::from_millis(100);
            estimate.feedback(first, &received, *now);
        }
    }

    #[test]
    fn a_clean_path_grows_and_a_lossy_one_shrinks_to_what_arrives() {
        let (mut estimate, mut now) = (Estimate::default(), Instant::now());
        run(&mut estimate, &mut now, 5, 2_000_000, 0);
        assert!(estimate.cap_bps() as f64 > START_BPS * 1.4, "{}", estimate.cap_bps());
        run(&mut estimate, &mut now, 5, 2_000_000, 4);
        assert!(estimate.cap_bps() < 2_000_000, "{}", estimate.cap_bps());
        assert!(estimate.loss() > 0.2);
    }

    #[test]
    fn moderate_loss_holds_the_cap() {
        let (mut estimate, mut now) = (Estimate::default(), Instant::now());
        run(&mut estimate, &mut now, 5, 4_000_000, 20);
        assert_eq!(estimate.cap_bps(), START_BPS as u64);
    }

    #[test]
    fn receiver_reports_have_to_do_where_there_is_no_feedback() {
        let (mut estimate, now) = (Estimate::default(), Instant::now());
        for second in 0..10 {
            estimate.reported(0.3, now + Duration::from_secs(second));
        }
        let shrunk = estimate.cap_bps();
        assert!((shrunk as f64) < START_BPS * 0.5, "{shrunk}");
        for second in 10..40 {
            estimate.reported(0.0, now + Duration::from_secs(second));
        }
        assert!(estimate.cap_bps() > shrunk);
    }

    #[test]
    fn feedback_about_what_was_never_sent_changes_nothing() {
        let (mut estimate, now) = (Estimate::default(), Instant::now());
        for base in [0, 1, 40_000, u16::MAX] {
            estimate.feedback(base, &[false; 4_000], now + Duration::from_secs(1));
        }
        assert_eq!(estimate.cap_bps(), START_BPS as u64);
    }
}

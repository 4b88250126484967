//! What loss says of a path. Wi-Fi loses packets whatever is sent, a full path loses what is too
//! much; the two are told apart by an experiment. Where loss comes with a long queue, or the rate
//! is far below what the path has carried, none is needed.
//!
//! The experiment: send a little less than what arrives, for a second or so. A path that was too
//! full loses nothing now, and the lower rate stays. One that loses as much as before does so by
//! nature: the rate comes back, and that much loss is its floor from now on.

use super::{Bps, Micros};

/// Loss is judged over at least this long and so many packets.
const WINDOW: Micros = 700_000;
const WINDOW_PACKETS_MIN: u32 = 25;
/// Fewer packets will do after this long.
const WINDOW_MAX: Micros = 3_000_000;
/// Loss this much above the floor (and above chance), in two windows in a row, has to have a
/// reason.
const EXCESS: f64 = 0.04;
/// Standard deviations of a window's loss that are chance.
const CHANCE: f64 = 1.5;
/// What is lost of much less than the path is believed to carry is the path's own, up to this part
/// of it; more than that may be a path that has become narrow.
const INNOCENT_MAX: f64 = 0.2;
/// A queue longer than this is reason enough.
const QUEUE_LONG: Micros = 120_000;
/// Of what arrives, what is sent in an experiment.
const TRIAL: f64 = 0.9;
/// Loss went with the rate if less than this part of it is left.
const GONE: f64 = 0.5;
/// Experiments are so far apart.
const TRIAL_PAUSE: Micros = 4_000_000;
/// The floor follows lower loss by this part of the difference in each window.
const FLOOR_DOWN: f64 = 0.2;

/// What is to be done about the rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    Nothing,
    /// The path carries this much, and has a long queue.
    Lower(Bps),
    /// The path carries this much, and drops what is more.
    Policed(Bps),
}

#[derive(Clone, Copy, Debug)]
struct Trial {
    /// Packets from this number on were sent in it.
    from: u64,
    cap: Bps,
    loss: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    since: Option<Micros>,
    arrived: u32,
    missing: u32,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Loss {
    window: Window,
    smoothed: f64,
    floor: f64,
    trial: Option<Trial>,
    /// The last window had too much, too.
    is_suspect: bool,
    /// No experiment before.
    rest_until: Micros,
}

/// What a judgement looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around {
    pub(super) acked: Option<Bps>,
    pub(super) queue: Micros,
    pub(super) limited: bool,
    /// The next packet's number.
    pub(super) next: u64,
    pub(super) now: Micros,
}

impl Loss {
    pub(super) fn arrived(&mut self, number: u64, late: bool) {
        if self.trial.is_some_and(|trial| number < trial.from) {
            return;
        }
        self.window.arrived += 1;
        if late {
            self.window.missing = self.window.missing.saturating_sub(1);
        }
    }

    pub(super) fn missing(&mut self, number: u64) {
        if self.trial.is_none_or(|trial| number >= trial.from) {
            self.window.missing += 1;
        }
    }

    pub(super) fn judge(&mut self, around: &Around) -> Verdict {
        let Window { arrived, missing, .. } = self.window;
        let count = arrived + missing;
        if count == 0 {
            return Verdict::Nothing;
        }
        let elapsed = around.now - *self.window.since.get_or_insert(around.now);
        if elapsed < WINDOW || (count < WINDOW_PACKETS_MIN && elapsed < WINDOW_MAX) {
            return Verdict::Nothing;
        }
        self.window = Window { since: Some(around.now), ..Window::default() };
        let loss = f64::from(missing) / f64::from(count);
        self.smoothed += 0.3 * (loss - self.smoothed);
        if loss < self.floor {
            self.floor += FLOOR_DOWN * (loss - self.floor);
        }
        match self.trial.take() {
            Some(trial) => self.conclude(&trial, loss, around),
            None => self.suspect(loss, count, around),
        }
    }

    fn suspect(&mut self, loss: f64, count: u32, around: &Around) -> Verdict {
        let chance = CHANCE * (loss * (1.0 - loss) / f64::from(count)).sqrt();
        let Some(acked) = around.acked else { return Verdict::Nothing };
        let was_suspect = self.is_suspect;
        self.is_suspect = loss >= self.floor + EXCESS + chance;
        if !self.is_suspect {
            return Verdict::Nothing;
        }
        if around.queue > QUEUE_LONG {
            return Verdict::Lower(acked);
        }
        if !was_suspect {
            return Verdict::Nothing;
        }
        if around.limited && loss < INNOCENT_MAX {
            self.floor = loss;
        } else if around.now >= self.rest_until {
            self.trial =
                Some(Trial { from: around.next, cap: acked / (1.0 - self.floor) * TRIAL, loss });
            self.window = Window::default();
        }
        Verdict::Nothing
    }

    fn conclude(&mut self, trial: &Trial, loss: f64, around: &Around) -> Verdict {
        self.rest_until = around.now + TRIAL_PAUSE;
        if loss - self.floor < GONE * (trial.loss - self.floor) {
            return Verdict::Policed(trial.cap);
        }
        self.floor = loss.midpoint(trial.loss);
        Verdict::Nothing
    }

    /// While an experiment is on, no more than this is sent.
    pub(super) fn cap(&self) -> Option<Bps> {
        self.trial.map(|trial| trial.cap)
    }

    /// 0 to 1, smoothed.
    pub(super) fn smoothed(&self) -> f64 {
        self.smoothed
    }

    /// What the path loses whatever is sent, 0 to 1.
    pub(super) fn floor(&self) -> f64 {
        self.floor
    }
}

#[cfg(test)]
mod tests {
    use super::{Around, Loss, Micros, Verdict};

    /// Ten seconds of 100 packets a second; `loses` tells the percentage at a rate.
    fn run(loss: &mut Loss, now: &mut Micros, queue: Micros, loses: impl Fn(f64) -> f64) -> f64 {
        let (mut rate, mut number, mut debt) = (1e6_f64, 1u64, 0.0);
        for _ in 0..200 {
            *now += 50_000;
            let sent = loss.cap().map_or(rate, |cap| rate.min(cap));
            for _ in 0..5 {
                number += 1;
                debt += loses(sent);
                if debt >= 100.0 {
                    debt -= 100.0;
                    loss.missing(number);
                } else {
                    loss.arrived(number, false);
                }
            }
            let acked = Some(sent * (1.0 - loses(sent) / 100.0));
            let around = Around { acked, queue, limited: false, next: number + 1, now: *now };
            if let Verdict::Lower(bps) | Verdict::Policed(bps) = loss.judge(&around) {
                rate = bps;
            }
        }
        rate
    }

    #[test]
    fn loss_that_does_not_depend_on_the_rate_is_the_paths_own() {
        for percent in [5.0, 10.0, 30.0] {
            let (mut loss, mut now) = (Loss::default(), 0);
            let rate = run(&mut loss, &mut now, 0, |_| percent);
            assert!((rate - 1e6).abs() < 1.0, "{percent} %: {rate}");
            assert!((loss.floor() - percent / 100.0).abs() < 0.06, "{percent} %: {}", loss.floor());
            run(&mut loss, &mut now, 0, |_| 0.0);
            assert!(loss.floor() < 0.02);
        }
    }

    #[test]
    fn loss_that_goes_with_the_rate_keeps_the_rate_down() {
        let policer = |rate: f64| ((rate - 6e5) / rate * 100.0).max(0.0);
        let rate = run(&mut Loss::default(), &mut 0, 0, policer);
        assert!((4.5e5..6e5).contains(&rate), "{rate}");
    }

    #[test]
    fn loss_with_a_long_queue_needs_no_experiment() {
        let (mut loss, mut now) = (Loss::default(), 0);
        assert!(run(&mut loss, &mut now, 300_000, |_| 20.0) < 9e5);
    }
}

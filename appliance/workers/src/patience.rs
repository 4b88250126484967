//! How long to wait for a sign of life on a machine that may have no time for anybody.

use std::time::{Duration, Instant};

/// Measures a silence, and counts only time in which the listener itself was woken when it asked to
/// be: where that is not so, neither does the one it listens to get to run, and is no more wedged
/// than the listener is.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    silence_max: Duration,
    heard: Instant,
    checked: Instant,
    counted: Duration,
}

impl Patience {
    /// How often [`Patience::is_over`] has to be asked.
    pub const TICK: Duration = Duration::from_millis(250);
    /// A tick that is longer than it should be by this much counts for nothing.
    const LATE: Duration = Duration::from_millis(50);
    /// Whatever the machine does, patience ends after so many times the silence that is allowed.
    const STARVED_FACTOR_MAX: u32 = 10;

    pub fn new(silence_max: Duration, now: Instant) -> Self {
        Self { silence_max, heard: now, checked: now, counted: Duration::ZERO }
    }

    /// There was a sign of life.
    pub fn heard(&mut self, now: Instant) {
        *self = Self::new(self.silence_max, now);
    }

    /// A tick has passed without one: whether that was one too many.
    pub fn is_over(&mut self, now: Instant) -> bool {
        let elapsed = now.duration_since(self.checked);
        self.checked = now;
        if elapsed < Self::TICK + Self::LATE {
            self.counted += elapsed;
        }
        self.counted > self.silence_max
            || now.duration_since(self.heard) > self.silence_max * Self::STARVED_FACTOR_MAX
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Patience;

    const SILENCE: Duration = Duration::from_secs(3);

    /// After how long patience ends, when each tick takes as long as `ticks` says.
    fn end(ticks: impl IntoIterator<Item = u64>) -> Option<Duration> {
        let start = Instant::now();
        let (mut patience, mut now) = (Patience::new(SILENCE, start), start);
        let over = |ms| {
            now += Duration::from_millis(ms);
            patience.is_over(now).then(|| now - start)
        };
        ticks.into_iter().take(1_000).find_map(over)
    }

    #[test]
    fn on_a_machine_with_time_the_silence_that_is_allowed_is_all_there_is() {
        let ended = end(std::iter::repeat(251)).expect("it ends");
        assert!(ended < SILENCE + Patience::TICK, "{ended:?}");
    }

    #[test]
    fn on_a_starved_machine_only_punctual_ticks_count_and_not_for_ever() {
        let ended = end([900, 260].into_iter().cycle()).expect("it ends");
        assert!(ended > 4 * SILENCE && ended < 5 * SILENCE, "{ended:?}");
        let ended = end(std::iter::repeat(2_000)).expect("it ends");
        assert!(ended > 10 * SILENCE && ended <= 11 * SILENCE, "{ended:?}");
    }

    #[test]
    fn a_sign_of_life_begins_anew() {
        let start = Instant::now();
        let mut patience = Patience::new(SILENCE, start);
        for tick in 1..100 {
            let now = start + Patience::TICK * tick;
            assert!(!patience.is_over(now));
            if tick % 11 == 0 {
                patience.heard(now);
            }
        }
    }
}

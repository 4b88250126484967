//! Spreads what leaves on a connection: a burst that the path cannot take at once, as a keyframe,
//! waits here, where voices pass it, and not in a queue on the path, where they would not.
//!
//! A packet that may leave leaves in the call that brought it; only one that may not takes a place
//! in the queue, as a note of what it is, not as a copy.
//!
//! **Invariant:** what leaves in any stretch of time is at most its rate times its length, the burst
//! and what always passes.

use std::collections::VecDeque;

use super::{Bps, Micros};

/// What leaves is so much faster than the estimate at most. A frame that waits here waits no longer
/// than it would on the path; but what is sent faster than the path carries looks like overuse.
const HEADROOM: f64 = 1.1;
/// A burst this long leaves at once: on a slow path little, on a fast one the run of frames that
/// becomes one batch of the socket.
const BURST: Micros = 10_000;
const BURST_FAST: Micros = 15_000;
const FAST_BPS: Bps = 5e6;
/// Two packets of full size leave at once on the slowest path.
const BURST_BYTES_MIN: f64 = 3_000.0;
/// Repeats that wait longer are asked for again, if they are still of use.
const REPEAT_WAIT_MAX: Micros = 250_000;
/// Packets that wait longer come too late to be shown.
pub(super) const MEDIA_WAIT_MAX: Micros = 600_000;
const QUEUE_MAX: usize = 1_024;

/// What passes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Never waits.
    Voice,
    /// Somebody waits for it: before media.
    Repeat,
    Media,
}

#[derive(Clone, Copy, Debug)]
struct Waiting<T> {
    what: T,
    since: Micros,
}

/// The token bucket and its queues.
#[derive(Debug)]
pub(crate) struct Pacer<T> {
    enabled: bool,
    micros_per_byte: f64,
    burst: Micros,
    /// When the bucket would be full again.
    free: Micros,
    repeats: VecDeque<Waiting<T>>,
    media: VecDeque<Waiting<T>>,
}

impl<T> Pacer<T> {
    /// Not `enabled`: everything passes.
    pub(super) fn new(enabled: bool) -> Self {
        Self {
            enabled,
            micros_per_byte: 0.0,
            burst: BURST,
            free: 0,
            repeats: VecDeque::new(),
            media: VecDeque::new(),
        }
    }

    /// Follows the estimate.
    pub(super) fn set(&mut self, estimate: Bps) {
        self.micros_per_byte = 8e6 / (estimate * HEADROOM).max(1.0);
        let burst = if estimate >= FAST_BPS { BURST_FAST } else { BURST };
        self.burst = burst.max((BURST_BYTES_MIN * self.micros_per_byte) as Micros);
    }

    /// The next packet leaves at this time, neither sooner nor later: it is a probe's.
    pub(super) fn next_at(&mut self, at: Micros) {
        self.free = at + self.burst;
    }

    /// Whether a packet may leave now.
    pub(super) fn admits(&self, class: Class, now: Micros) -> bool {
        let free = self.free - now <= self.burst;
        match class {
            _ if !self.enabled => true,
            Class::Voice => true,
            Class::Repeat => free && self.repeats.is_empty(),
            Class::Media => free && self.repeats.is_empty() && self.media.is_empty(),
        }
    }

    /// A packet left.
    pub(super) fn left(&mut self, bytes: usize, now: Micros) {
        self.free = self.free.max(now) + (bytes as f64 * self.micros_per_byte) as Micros;
    }

    /// Keeps a packet for later; `false`: there is no room.
    pub(super) fn keep(&mut self, class: Class, what: T, now: Micros) -> bool {
        let queue = if class == Class::Repeat { &mut self.repeats } else { &mut self.media };
        let fits = queue.len() < QUEUE_MAX;
        if fits {
            queue.push_back(Waiting { what, since: now });
        }
        fits
    }

    /// The next packet that may leave now, and whether it is of use still.
    pub(super) fn next(&mut self, now: Micros) -> Option<(T, bool)> {
        if self.enabled && self.free - now > self.burst {
            return None;
        }
        if let Some(waiting) = self.repeats.pop_front() {
            return Some((waiting.what, now - waiting.since <= REPEAT_WAIT_MAX));
        }
        let waiting = self.media.pop_front()?;
        Some((waiting.what, now - waiting.since <= MEDIA_WAIT_MAX))
    }

    /// When [`Pacer::next`] has something.
    pub(super) fn deadline(&self) -> Option<Micros> {
        (!self.is_empty()).then(|| self.free - self.burst)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.repeats.is_empty() && self.media.is_empty()
    }

    /// Forgets the packets that `is` tells.
    pub(super) fn drop_where(&mut self, is: impl Fn(&T) -> bool) {
        self.repeats.retain(|waiting| !is(&waiting.what));
        self.media.retain(|waiting| !is(&waiting.what));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{BURST_FAST, Class, HEADROOM, Pacer};

    #[test]
    fn a_burst_waits_in_order_repeats_pass_it_and_voices_never_wait() {
        let mut pacer = Pacer::new(true);
        pacer.set(1e6);
        let mut left = Vec::new();
        for number in 0..20 {
            if pacer.admits(Class::Media, 0) {
                pacer.left(1_250, 0);
                left.push(number);
            } else {
                assert!(pacer.keep(Class::Media, number, 0));
            }
        }
        assert!((2..6).contains(&left.len()), "{left:?}");
        assert!(pacer.admits(Class::Voice, 0) && !pacer.admits(Class::Repeat, 0));
        pacer.keep(Class::Repeat, 99, 0);
        let mut now = 0;
        while let Some(at) = pacer.deadline() {
            now = at.max(now);
            while let Some((number, useful)) = pacer.next(now) {
                assert!(useful);
                pacer.left(1_250, now);
                left.push(number);
            }
        }
        let repeat = left.iter().position(|number| *number == 99).expect("repeated");
        assert!(repeat < 7);
        left.remove(repeat);
        assert_eq!(left, (0..20).collect::<Vec<_>>());
        // 20 packets of 10 kbit and the repeat at 1.1 Mbit/s, but for the burst.
        assert!((150_000..190_000).contains(&now), "{now}");
    }

    #[test]
    fn what_waited_too_long_is_of_no_use() {
        let mut pacer = Pacer::new(true);
        pacer.set(1e5);
        pacer.left(20_000, 0);
        pacer.keep(Class::Media, 1, 0);
        assert_eq!(pacer.next(10_000_000), Some((1, false)));
    }

    proptest! {
        #[test]
        fn what_leaves_never_exceeds_rate_and_burst(
            estimate in 1e5..2e7f64,
            packets in prop::collection::vec((0i64..40_000, 60usize..1_300, 0u8..3), 1..400),
        ) {
            let mut pacer = Pacer::new(true);
            pacer.set(estimate);
            let rate = estimate * HEADROOM / 8e6;
            let (mut now, mut paced, mut last) = (0, Vec::new(), [None, None]);
            for (index, (wait, bytes, class)) in packets.into_iter().enumerate() {
                let until = now + wait;
                while let Some(at) = pacer.deadline().filter(|at| *at <= until) {
                    now = at.max(now);
                    while let Some(((index, bytes, repeat), _)) = pacer.next(now) {
                        pacer.left(bytes, now);
                        paced.push((now, bytes));
                        let last = &mut last[usize::from(repeat)];
                        prop_assert!(last.is_none_or(|last| last < index), "out of order");
                        *last = Some(index);
                    }
                }
                now = until;
                let repeat = class == 1;
                let class = [Class::Media, Class::Repeat, Class::Voice][usize::from(class)];
                if pacer.admits(class, now) {
                    pacer.left(bytes, now);
                    if class != Class::Voice {
                        paced.push((now, bytes));
                        let last = &mut last[usize::from(repeat)];
                        prop_assert!(last.is_none_or(|last| last < index), "out of order");
                        *last = Some(index);
                    }
                } else {
                    pacer.keep(class, (index, bytes, repeat), now);
                }
            }
            let burst = (rate * BURST_FAST as f64).max(3_000.0) + 1_300.0;
            for (first, (from, _)) in paced.iter().enumerate() {
                let mut sum = 0.0;
                for (at, bytes) in &paced[first..] {
                    sum += *bytes as f64;
                    prop_assert!(sum <= rate * (at - from) as f64 + burst + 2.0);
                }
            }
        }
    }
}

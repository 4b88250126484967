//! Dynacast: which qualities of a track anybody wants. More is told at once, less after a while.

use std::time::{Duration, Instant};

/// Less is told after this long, so that scrolling does not restart encoders.
const DELAY: Duration = Duration::from_secs(5);

/// The number of layers that are wanted, from the lowest up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    told: usize,
    less_since: Option<Instant>,
}

impl Wanted {
    /// Publishers begin with all `layers`.
    pub(crate) fn new(layers: usize) -> Self {
        Self { told: layers, less_since: None }
    }

    /// Takes up how many are wanted now; the number to tell, if it is to be told now.
    pub(crate) fn update(&mut self, layers: usize, now: Instant) -> Option<usize> {
        let tell = if layers < self.told {
            now.duration_since(*self.less_since.get_or_insert(now)) >= DELAY
        } else {
            self.less_since = None;
            layers > self.told
        };
        if tell {
            self.told = layers;
            self.less_since = None;
        }
        tell.then_some(layers)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Wanted;

    #[test]
    fn more_is_told_at_once_and_less_only_if_it_lasts() {
        let (mut wanted, now) = (Wanted::new(3), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(wanted.update(1, now), None);
        assert_eq!(wanted.update(3, after(4)), None);
        assert_eq!(wanted.update(1, after(5)), None);
        assert_eq!(wanted.update(0, after(10)), Some(0));
        assert_eq!(wanted.update(2, after(11)), Some(2));
        assert_eq!(wanted.update(2, after(60)), None);
    }
}

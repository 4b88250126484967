//! What a subscriber and its teacher are told of the way down: how much of the lesson it carries,
//! and why not more.

use std::time::{Duration, Instant};

use belfry_media_api::{Carried, Cause, DOWNLINK_INTERVAL};

/// A change for the worse is told when it lasts this long, one for the better when it lasts.
const WORSE_AFTER: Duration = Duration::from_secs(1);
const BETTER_AFTER: Duration = Duration::from_secs(4);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Ladder {
    told: (Carried, Cause),
    told_at: Option<Instant>,
    /// What differs from what was told, since when.
    other: Option<((Carried, Cause), Instant)>,
}

impl Default for Ladder {
    fn default() -> Self {
        Self { told: (Carried::All, Cause::None), told_at: None, other: None }
    }
}

impl Ladder {
    /// Takes up how it is now; what is to be told now, if anything.
    pub(crate) fn update(
        &mut self,
        carried: Carried,
        cause: Cause,
        now: Instant,
    ) -> Option<(Carried, Cause)> {
        let found = (carried, if carried == Carried::All { Cause::None } else { cause });
        if found == self.told {
            self.other = None;
        } else {
            let since = match self.other {
                // While it goes on changing, it counts from the first change in this direction.
                Some(((before, _), since)) if (before > self.told.0) == (carried > self.told.0) => {
                    since
                }
                _ => now,
            };
            self.other = Some((found, since));
            let after = if carried < self.told.0 { BETTER_AFTER } else { WORSE_AFTER };
            if now.duration_since(since) >= after {
                self.told = found;
                self.other = None;
                self.told_at = None;
            }
        }
        let due = self.told_at.is_none_or(|at| now.duration_since(at) >= DOWNLINK_INTERVAL);
        if due {
            self.told_at = Some(now);
        }
        due.then_some(self.told)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use belfry_media_api::{Carried, Cause};

    use super::Ladder;

    #[test]
    fn what_lasts_is_told_and_what_flickers_is_not() {
        let (mut ladder, start) = (Ladder::default(), Instant::now());
        let mut told = Vec::new();
        for quarter in 0..160u32 {
            let carried = match quarter {
                20 | 30 => Carried::Voices,
                40..50 => Carried::Softer,
                50..80 => Carried::FewerPictures,
                _ => Carried::All,
            };
            let now = start + Duration::from_millis(250) * quarter;
            if let Some((carried, cause)) = ladder.update(carried, Cause::Loss, now) {
                told.push((quarter, carried, cause));
            }
        }
        assert_eq!(
            told,
            [
                (0, Carried::All, Cause::None),
                (40, Carried::All, Cause::None),
                (44, Carried::Softer, Cause::Loss),
                (54, Carried::FewerPictures, Cause::Loss),
                (94, Carried::FewerPictures, Cause::Loss),
                (96, Carried::All, Cause::None),
                (136, Carried::All, Cause::None),
            ]
        );
    }
}

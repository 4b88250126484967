//! Which voices and which layer of each picture a subscriber gets, when it cannot have all it wants.
//!
//! In this order: the teacher's voice, the loudest other voices, the shared screen, the teacher's
//! camera, the spotlight, visible tiles by size. The screen is made legible first; of all other
//! pictures everybody first gets the lowest layer, and what is left raises layers in the same order.

use std::cmp::Reverse;

use belfry_media_api::{Carried, Layer, Quality, TrackSettings};

/// A tile is served by a layer that fills this part of it: scaling up a little cannot be seen.
const FILL_PERCENT: u64 = 80;
/// More is given only where this part of its price is there, so that what was just given is not
/// taken back for a wiggle of the estimate.
const RISE_PERCENT: u64 = 115;
/// Besides the teacher's, so many voices go out while there is not enough for everything: more at
/// once are not understood anyway.
const VOICES_POOR_MAX: usize = 3;
/// There is enough for everything if all voices take less than this part of the budget.
const VOICES_PART: u64 = 3;

/// Importance of a picture; the first variants come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    Screen,
    Lead,
    Spotlight,
    Visible,
}

/// A picture that a subscriber wants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Want {
    /// What to tell the answer by.
    pub(crate) track: usize,
    pub(crate) rank: Rank,
    /// Pixels of the tile.
    pub(crate) area: u64,
    /// Its person speaks: before tiles of the same size.
    pub(crate) speaks: bool,
    /// The highest layer that is of use.
    pub(crate) layer_max: usize,
    /// Bits per second of each layer that arrives now, by index.
    pub(crate) rates: [Option<u64>; 3],
    /// What it was granted last time; `None` also before the first.
    pub(crate) held: Option<usize>,
    /// It may get more than it held: nothing was taken from it lately.
    pub(crate) may_rise: bool,
    pub(crate) granted: Option<usize>,
}

impl Want {
    fn lowest(&self) -> Option<usize> {
        self.rates.iter().position(Option::is_some)
    }

    fn rate(&self, layer: usize) -> u64 {
        self.rates.get(layer).copied().flatten().unwrap_or(0)
    }

    /// Something arrives of this track, so that leaving it out is a decision.
    pub(crate) fn is_live(&self) -> bool {
        self.lowest().is_some()
    }

    /// The best layer that arrives and is of use.
    fn best(&self) -> Option<usize> {
        let lowest = self.lowest()?;
        let useful = |layer: &usize| self.rates.get(*layer).is_some_and(Option::is_some);
        (lowest + 1..=self.layer_max).rev().find(useful).or(Some(lowest))
    }

    /// What it would take if there were enough.
    pub(crate) fn wanted_bps(&self) -> u64 {
        self.best().map_or(0, |best| self.rate(best))
    }

    /// What has to be there for a layer.
    fn price(&self, layer: usize) -> u64 {
        let rises = self.held.is_none_or(|held| layer > held);
        self.rate(layer) * if rises { RISE_PERCENT } else { 100 } / 100
    }

    /// Takes the best layer that `left` pays for; `false`: it would have more but may not yet.
    fn raise(&mut self, left: &mut u64) -> bool {
        let Some(lowest) = self.granted else { return true };
        let base = self.rate(lowest);
        let fits = |layer: &usize| {
            self.rates.get(*layer).is_some_and(Option::is_some)
                && self.price(*layer).saturating_sub(base) <= *left
        };
        let below = |max: usize| (lowest + 1..=max).rev().find(fits);
        let best = below(self.layer_max);
        let allowed = match self.held {
            Some(held) if !self.may_rise => below(self.layer_max.min(held)),
            _ => best,
        };
        if let Some(layer) = allowed.filter(|layer| *layer > lowest) {
            *left = left.saturating_sub(self.rate(layer).saturating_sub(base));
            self.granted = Some(layer);
        }
        allowed == best
    }

    fn begin(&mut self, left: &mut u64) {
        let may = self.held.is_some() || self.may_rise;
        self.granted = self.lowest().filter(|lowest| may && self.price(*lowest) <= *left);
        if let Some(lowest) = self.granted {
            *left -= self.rate(lowest);
        }
    }
}

/// Grants layers within `budget_bps`, and sorts by importance.
pub(crate) fn allocate(wants: &mut [Want], budget_bps: u64) {
    wants.sort_by_key(|want| (want.rank, Reverse(want.area), Reverse(want.speaks), want.track));
    let mut left = budget_bps;
    let lead = |want: &&Want| want.rank == Rank::Lead;
    let lowest = |want: &Want| want.lowest().map_or(0, |lowest| want.rate(lowest));
    let reserved: u64 = wants.iter().filter(lead).map(lowest).sum();
    for want in wants.iter_mut().filter(|want| want.rank == Rank::Screen) {
        want.begin(&mut left);
        let mut free = left.saturating_sub(reserved);
        let before = free;
        want.raise(&mut free);
        left -= before - free;
    }
    for want in wants.iter_mut().filter(|want| want.rank != Rank::Screen) {
        want.begin(&mut left);
    }
    for want in wants.iter_mut() {
        // Nobody takes what somebody more important will have in a moment.
        if !want.raise(&mut left) {
            break;
        }
    }
}

/// A voice that a subscriber wants to hear.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Voice {
    pub(crate) track: usize,
    /// The teacher's.
    pub(crate) lead: bool,
    /// 0 (silent) to 1.
    pub(crate) loudness: f32,
    pub(crate) bps: u64,
    pub(crate) granted: bool,
}

/// Grants voices within `budget_bps` and says what they take. The teacher's (else the first) always
/// is.
pub(crate) fn hear(voices: &mut [Voice], budget_bps: u64) -> u64 {
    voices.sort_by(|a, b| {
        let order = b.lead.cmp(&a.lead).then(b.loudness.total_cmp(&a.loudness));
        order.then(a.track.cmp(&b.track))
    });
    let all: u64 = voices.iter().map(|voice| voice.bps).sum();
    let rich = all * VOICES_PART <= budget_bps;
    let (mut spent, mut others) = (0, 0);
    for (index, voice) in voices.iter_mut().enumerate() {
        let fits = spent + voice.bps <= budget_bps && others < VOICES_POOR_MAX;
        voice.granted = voice.lead || index == 0 || rich || fits;
        if voice.granted {
            spent += voice.bps;
            others += usize::from(!voice.lead);
        }
    }
    spent
}

/// How much of what is wanted was granted.
pub(crate) fn carried(wants: &[Want], voices: &[Voice]) -> Carried {
    let live = || wants.iter().filter(|want| want.is_live());
    let others = || voices.iter().filter(|voice| !voice.lead);
    let granted = || live().filter(|want| want.granted.is_some());
    let is_teachers = |want: &Want| matches!(want.rank, Rank::Screen | Rank::Lead);
    if live().all(|want| want.granted >= want.best()) {
        return Carried::All;
    }
    if granted().count() == live().count() {
        return Carried::Softer;
    }
    if granted().count() == 0 {
        let heard = others().count() == 0 || others().any(|voice| voice.granted);
        return if heard { Carried::Voices } else { Carried::TeacherVoice };
    }
    let only_teachers = granted().all(is_teachers) && live().any(|want| !is_teachers(want));
    if only_teachers || granted().count() == 1 {
        Carried::TeacherPicture
    } else {
        Carried::FewerPictures
    }
}

/// The index of the best layer that is of use to a tile; `None`: the tile is not shown.
pub(crate) fn layer_max(layers: &[Layer], settings: &TrackSettings) -> Option<usize> {
    if settings.disabled {
        return None;
    }
    let last = layers.len().saturating_sub(1);
    let by_quality =
        layers.iter().rposition(|layer| layer.quality <= settings.quality).unwrap_or(0);
    if settings.width == 0 || settings.height == 0 {
        return Some(by_quality);
    }
    let sides =
        |width: u32, height: u32| (u64::from(width.max(height)), u64::from(width.min(height)));
    let tile = sides(settings.width, settings.height);
    let fills = |layer: &Layer| {
        let layer = sides(layer.width, layer.height);
        layer.0 * 100 >= tile.0 * FILL_PERCENT && layer.1 * 100 >= tile.1 * FILL_PERCENT
    };
    Some(layers.iter().position(fills).unwrap_or(last).min(by_quality))
}

/// What holds for a track of which the subscriber has said nothing.
pub(crate) const SETTINGS_DEFAULT: TrackSettings =
    TrackSettings { disabled: false, quality: Quality::High, width: 0, height: 0, fps: 0 };

#[cfg(test)]
mod tests;

//! Which layer of each track a subscriber gets, when it cannot have all it wants.
//!
//! Everybody visible first gets the lowest layer, in the order of importance; what is left raises
//! layers in the same order.

use std::cmp::Reverse;

use belfry_media_api::{Layer, Quality, TrackSettings};

/// A tile is served by a layer that fills this part of it: scaling up a little cannot be seen.
const FILL_PERCENT: u64 = 80;

/// Importance of a track; the first variants come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    Screen,
    Lead,
    Speaker,
    Visible,
}

/// A track that a subscriber wants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Want {
    /// What to tell the answer by.
    pub(crate) track: usize,
    pub(crate) rank: Rank,
    /// Pixels of the tile.
    pub(crate) area: u64,
    /// The highest layer that is of use.
    pub(crate) layer_max: usize,
    /// Bits per second of each layer that arrives now, by index.
    pub(crate) rates: [Option<u64>; 3],
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
}

/// Grants layers within `budget_bps`, and sorts by importance.
pub(crate) fn allocate(wants: &mut [Want], budget_bps: u64) {
    wants.sort_by_key(|want| (want.rank, Reverse(want.area), want.track));
    let mut left = budget_bps;
    for want in wants.iter_mut() {
        want.granted = want.lowest().filter(|lowest| want.rate(*lowest) <= left);
        if let Some(lowest) = want.granted {
            left -= want.rate(lowest);
        }
    }
    for want in wants.iter_mut() {
        let Some(lowest) = want.granted else { continue };
        let base = want.rate(lowest);
        let better = (lowest + 1..=want.layer_max).rev().find(|layer| {
            want.rates.get(*layer).is_some_and(Option::is_some)
                && want.rate(*layer).saturating_sub(base) <= left
        });
        if let Some(better) = better {
            left -= want.rate(better).saturating_sub(base);
            want.granted = Some(better);
        }
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
mod tests {
    use belfry_media_api::{Layer, Quality, TrackSettings};
    use proptest::prelude::*;

    use super::{Rank, SETTINGS_DEFAULT, Want, allocate, layer_max};

    fn want(track: usize, rank: Rank, area: u64) -> Want {
        let rates = [Some(150_000), Some(500_000), Some(1_700_000)];
        Want { track, rank, area, layer_max: 2, rates, granted: None }
    }

    fn granted(budget_bps: u64, mut wants: Vec<Want>) -> Vec<(usize, Option<usize>)> {
        allocate(&mut wants, budget_bps);
        wants.iter().map(|want| (want.track, want.granted)).collect()
    }

    #[test]
    fn everybody_is_seen_before_anybody_is_sharp() {
        let room = vec![
            want(0, Rank::Visible, 100),
            want(1, Rank::Visible, 400),
            want(2, Rank::Screen, 100),
            want(3, Rank::Lead, 100),
        ];
        assert_eq!(
            granted(1_000_000, room.clone()),
            [(2, Some(1)), (3, Some(0)), (1, Some(0)), (0, Some(0))]
        );
        assert_eq!(
            granted(320_000, room.clone()),
            [(2, Some(0)), (3, Some(0)), (1, None), (0, None)]
        );
        assert!(granted(100_000_000, room).iter().all(|(_, layer)| *layer == Some(2)));
    }

    fn layers() -> Vec<Layer> {
        [(Quality::Low, 320, 180), (Quality::Medium, 640, 360), (Quality::High, 1280, 720)]
            .map(|(quality, width, height)| Layer { quality, width, height, bitrate_bps: 0 })
            .to_vec()
    }

    #[test]
    fn the_size_of_the_tile_picks_the_layer_and_quality_bounds_it() {
        let tile = |width, height, quality| {
            layer_max(&layers(), &TrackSettings { width, height, quality, ..SETTINGS_DEFAULT })
        };
        assert_eq!(tile(160, 90, Quality::High), Some(0));
        assert_eq!(tile(360, 200, Quality::High), Some(0));
        assert_eq!(tile(180, 320, Quality::High), Some(0));
        assert_eq!(tile(600, 400, Quality::High), Some(1));
        assert_eq!(tile(900, 500, Quality::High), Some(2));
        assert_eq!(tile(1920, 1080, Quality::High), Some(2));
        assert_eq!(tile(1920, 1080, Quality::Low), Some(0));
        assert_eq!(layer_max(&layers(), &SETTINGS_DEFAULT), Some(2));
        assert_eq!(layer_max(&[], &SETTINGS_DEFAULT), Some(0));
        let hidden = TrackSettings { disabled: true, ..SETTINGS_DEFAULT };
        assert_eq!(layer_max(&layers(), &hidden), None);
    }

    proptest! {
        #[test]
        fn the_budget_is_never_exceeded(
            budget in 0u64..20_000_000,
            tracks in prop::collection::vec((0u64..9, 0usize..3, prop::array::uniform3(prop::option::of(1_000u64..3_000_000))), 0..40),
        ) {
            let mut wants: Vec<Want> = tracks
                .iter()
                .enumerate()
                .map(|(track, (area, layer_max, rates))| Want {
                    track, rank: Rank::Visible, area: *area, layer_max: *layer_max, rates: *rates, granted: None,
                })
                .collect();
            allocate(&mut wants, budget);
            let spent: u64 = wants.iter().filter_map(|want| want.granted.map(|layer| want.rate(layer))).sum();
            prop_assert!(spent <= budget);
            for want in &wants {
                prop_assert!(want.granted.is_none_or(|layer| want.rates[layer].is_some()));
            }
        }
    }
}

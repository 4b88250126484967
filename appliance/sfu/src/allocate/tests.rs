use belfry_media_api::{Carried, Layer, Quality, TrackSettings};
use proptest::prelude::*;

use super::{Rank, SETTINGS_DEFAULT, Voice, Want, allocate, carried, hear, layer_max};

fn want(track: usize, rank: Rank, area: u64) -> Want {
    Want {
        track,
        rank,
        area,
        speaks: false,
        layer_max: 2,
        rates: [Some(150_000), Some(500_000), Some(1_700_000)],
        held: None,
        may_rise: true,
        granted: None,
    }
}

fn granted(budget_bps: u64, mut wants: Vec<Want>) -> Vec<(usize, Option<usize>)> {
    allocate(&mut wants, budget_bps);
    wants.iter().map(|want| (want.track, want.granted)).collect()
}

#[test]
fn the_screen_is_legible_first_and_everybody_is_seen_before_anybody_is_sharp() {
    let room = vec![
        want(0, Rank::Visible, 100),
        want(1, Rank::Visible, 400),
        want(2, Rank::Screen, 100),
        want(3, Rank::Lead, 100),
        want(4, Rank::Spotlight, 10),
    ];
    assert_eq!(
        granted(1_200_000, room.clone()),
        [(2, Some(1)), (3, Some(0)), (4, Some(0)), (1, Some(0)), (0, Some(0))]
    );
    assert_eq!(
        granted(2_000_000, room.clone()),
        [(2, Some(1)), (3, Some(1)), (4, Some(1)), (1, Some(0)), (0, Some(0))]
    );
    assert_eq!(
        granted(350_000, room.clone()),
        [(2, Some(0)), (3, Some(0)), (4, None), (1, None), (0, None)]
    );
    assert!(granted(100_000_000, room).iter().all(|(_, layer)| *layer == Some(2)));
}

#[test]
fn who_speaks_comes_before_tiles_of_the_same_size_only() {
    let mut room =
        vec![want(0, Rank::Visible, 1), want(1, Rank::Visible, 1), want(2, Rank::Visible, 2)];
    room[1].speaks = true;
    assert_eq!(granted(350_000, room), [(2, Some(0)), (1, Some(0)), (0, None)]);
}

#[test]
fn what_is_held_stays_until_it_does_not_fit_and_comes_back_with_a_margin() {
    let at = |held, may_rise, budget| {
        granted(budget, vec![Want { held, may_rise, ..want(0, Rank::Lead, 1) }])[0].1
    };
    assert_eq!(at(Some(1), true, 505_000), Some(1));
    assert_eq!(at(Some(1), true, 495_000), Some(0));
    assert_eq!(at(Some(0), true, 505_000), Some(0));
    assert_eq!(at(Some(0), true, 580_000), Some(1));
    assert_eq!(at(Some(0), false, 580_000), Some(0));
    assert_eq!(at(None, false, 580_000), None);
    assert_eq!(at(None, true, 160_000), None);
    assert_eq!(at(Some(0), true, 160_000), Some(0));
}

#[test]
fn nobody_takes_what_somebody_more_important_will_have_in_a_moment() {
    let waits = Want { held: Some(0), may_rise: false, ..want(0, Rank::Lead, 1) };
    let other = Want { held: Some(0), ..want(1, Rank::Visible, 1) };
    assert_eq!(granted(900_000, vec![waits, other]), [(0, Some(0)), (1, Some(0))]);
}

fn voice(track: usize, lead: bool, loudness: f32) -> Voice {
    Voice { track, lead, loudness, bps: 60_000, granted: false }
}

fn heard(budget_bps: u64) -> Vec<usize> {
    let mut voices: Vec<Voice> = (0..6).map(|n| voice(n, n == 5, n as f32 / 10.0)).collect();
    let spent = hear(&mut voices, budget_bps);
    let heard: Vec<usize> =
        voices.iter().filter(|voice| voice.granted).map(|voice| voice.track).collect();
    assert_eq!(spent, heard.len() as u64 * 60_000);
    heard
}

#[test]
fn the_teacher_is_always_heard_and_the_loudest_while_it_is_poor() {
    assert_eq!(heard(0), [5]);
    assert_eq!(heard(130_000), [5, 4]);
    assert_eq!(heard(900_000), [5, 4, 3, 2]);
    assert_eq!(heard(1_080_000), [5, 4, 3, 2, 1, 0]);
}

#[test]
fn every_step_of_the_ladder_has_its_name() {
    let at = |budget: u64| {
        let mut voices = [voice(9, true, 0.0), voice(8, false, 0.0)];
        let left = budget.saturating_sub(hear(&mut voices, budget));
        let mut wants = [
            want(0, Rank::Lead, 9),
            want(1, Rank::Visible, 2),
            want(2, Rank::Visible, 1),
            Want { rates: [None; 3], ..want(3, Rank::Visible, 1) },
        ];
        allocate(&mut wants, left);
        carried(&wants, &voices)
    };
    assert_eq!(at(10_000_000), Carried::All);
    assert_eq!(at(2_000_000), Carried::Softer);
    assert_eq!(at(500_000), Carried::FewerPictures);
    assert_eq!(at(320_000), Carried::TeacherPicture);
    assert_eq!(at(200_000), Carried::Voices);
    assert_eq!(at(70_000), Carried::TeacherVoice);
    assert_eq!(carried(&[], &[]), Carried::All);
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

fn wants() -> impl Strategy<Value = Vec<Want>> {
    let rank = prop::sample::select(vec![Rank::Screen, Rank::Lead, Rank::Spotlight, Rank::Visible]);
    let rates = prop::array::uniform3(prop::option::of(1_000u64..3_000_000));
    let held = prop::option::of(0usize..3);
    let one = (rank, 0u64..9, any::<bool>(), 0usize..3, rates, held, any::<bool>());
    prop::collection::vec(one, 0..40).prop_map(|all| {
        let of = |(track, one): (usize, (Rank, u64, bool, usize, _, _, bool))| {
            let (rank, area, speaks, layer_max, rates, held, may_rise) = one;
            Want { track, rank, area, speaks, layer_max, rates, held, may_rise, granted: None }
        };
        all.into_iter().enumerate().map(of).collect()
    })
}

proptest! {
    #[test]
    fn the_budget_is_never_exceeded(budget in 0u64..20_000_000, mut wants in wants()) {
        allocate(&mut wants, budget);
        let spent: u64 = wants.iter().filter_map(|want| want.granted.map(|layer| want.rate(layer))).sum();
        prop_assert!(spent <= budget);
        for want in &wants {
            prop_assert!(want.granted.is_none_or(|layer| want.rates[layer].is_some()));
        }
    }

    #[test]
    fn nobody_is_left_out_for_somebody_less_important_of_the_same_price(
        budget in 0u64..3_000_000, ranks in prop::collection::vec(0usize..4, 1..20),
    ) {
        let ranks = ranks.iter().map(|rank| [Rank::Screen, Rank::Lead, Rank::Spotlight, Rank::Visible][*rank]);
        let mut wants: Vec<Want> = ranks.enumerate().map(|(track, rank)| want(track, rank, 1)).collect();
        allocate(&mut wants, budget);
        prop_assert!(wants.windows(2).all(|pair| pair[0].rank <= pair[1].rank));
        prop_assert!(wants.windows(2).all(|pair| pair[0].granted.is_some() || pair[1].granted.is_none()));
    }
}

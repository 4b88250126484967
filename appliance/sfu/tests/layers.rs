//! Streams that are coded in layers, as Chromium's encoders make them, from the publisher to the
//! subscriber's jitter buffer: what is left out leaves no trace.

mod world;

use std::time::Duration;

use belfry_media_api::{Event, Quality, TrackSettings};
use belfry_model::TrackSid;
use str0m::format::Codec;
use world::recording::Player;
use world::{Got, World};

const SECOND: Duration = Duration::from_secs(1);
const SETTINGS: TrackSettings =
    TrackSettings { disabled: false, quality: Quality::High, width: 0, height: 0, fps: 0 };

/// A class of three in which the first plays a recording, and the others watch; after the time that
/// it takes to measure rates.
fn class(codec: Codec, recording: &[u8], spatial: usize) -> (World, TrackSid) {
    let mut world = World::with_codec(3, codec);
    let camera = world.publish_recording(0, Player::new(codec, recording), spatial);
    world.subscribe(1, 0, &camera);
    world.subscribe(2, 0, &camera);
    world.run(9 * SECOND);
    clear(&mut world);
    (world, camera)
}

fn clear(world: &mut World) {
    world.clients.iter_mut().for_each(|client| client.got.clear());
}

/// The pictures that a client got, oldest first; numbers go on without a hole, and a picture ends
/// with its marker.
#[track_caller]
fn pictures(world: &World, client: usize) -> Vec<Vec<Got>> {
    let mut got: Vec<Got> = world.clients[client].got.clone();
    assert!(got.len() > 5, "{} packets", got.len());
    got.sort_by_key(|got| got.sequence);
    for pair in got.windows(2) {
        assert_eq!(pair[0].sequence + 1, pair[1].sequence, "a hole");
        let same = pair[0].timestamp == pair[1].timestamp;
        assert_eq!(pair[0].marker, !same, "the marker ends a picture, and nothing else does");
        let ahead = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        assert!(ahead < 90_000, "the time line jumps by {ahead}");
    }
    got.chunk_by(|a, b| a.timestamp == b.timestamp).map(<[Got]>::to_vec).collect()
}

/// Frames that begin in a picture, by the codec's own word.
fn frames(picture: &[Got], codec: Codec) -> usize {
    let begins = |got: &&Got| match codec {
        Codec::Vp9 => got.payload[0] & 0x08 != 0,
        Codec::Av1 => got.descriptor[0] & 0x80 != 0,
        _ => got.payload[0] & 0x10 != 0,
    };
    picture.iter().filter(begins).count()
}

fn frames_of_all(world: &World, client: usize, codec: Codec) -> Vec<usize> {
    pictures(world, client).iter().map(|picture| frames(picture, codec)).collect()
}

/// Of nine decode targets, how many the newest frame says to be sent; `None`: it says
/// nothing, so all that the structure names.
fn told(world: &World, client: usize) -> Option<u32> {
    let descriptor = &world.clients[client].got.last().expect("something arrived").descriptor;
    let [_, _, _, flags, rest, ..] = descriptor[..] else { return None };
    assert_eq!(flags & 0x80, 0, "not a keyframe");
    (flags & 0x40 != 0).then(|| (u16::from_be_bytes([flags, rest]) >> 2 & 0x1FF).count_ones())
}

#[track_caller]
fn spatial_layers_can_be_chosen(codec: Codec, recording: &[u8]) {
    let (mut world, camera) = class(codec, recording, 3);
    world.run(3 * SECOND);
    let whole = frames_of_all(&world, 1, codec);
    let three = whole.iter().filter(|count| **count == 3).count();
    // An encoder leaves a frame out now and then.
    assert!(three * 10 > whole.len() * 8, "{whole:?}");
    let requests = world.clients[0].keyframe_requests_of_stream;
    let is_av1 = codec == Codec::Av1;
    assert_eq!(told(&world, 1).filter(|_| is_av1), None);

    world.settings(1, &camera, Quality::Low, false);
    world.run(SECOND / 2);
    clear(&mut world);
    world.run(3 * SECOND);
    // Nobody is told to wait for what does not come.
    assert!(!is_av1 || told(&world, 1) == Some(3), "three temporal layers of one spatial");
    let lowest = frames_of_all(&world, 1, codec);
    assert!(lowest.len() > 30 && lowest.iter().all(|count| *count == 1), "{lowest:?}");
    assert!(frames_of_all(&world, 2, codec).contains(&3), "nobody else is affected");

    world.settings(1, &camera, Quality::Medium, false);
    world.run(SECOND);
    assert!(world.clients[0].keyframe_requests_of_stream > requests, "going up takes a keyframe");
    world.run(4 * SECOND);
    clear(&mut world);
    world.run(3 * SECOND);
    let middle = frames_of_all(&world, 1, codec);
    assert!(middle.iter().all(|count| *count <= 2) && middle.contains(&2), "{middle:?}");
    assert!(!is_av1 || told(&world, 1) == Some(6));

    world.settings(1, &camera, Quality::High, false);
    world.run(5 * SECOND);
    assert!(frames_of_all(&world, 1, codec).contains(&3));
    assert_eq!(told(&world, 1).filter(|_| is_av1), None, "a keyframe brought all of them back");
}

#[test]
fn spatial_layers_of_vp9_can_be_chosen() {
    spatial_layers_can_be_chosen(Codec::Vp9, include_bytes!("recorded/vp9-l3t3_key.rtp"));
}

#[test]
fn spatial_layers_of_vp9_that_predict_from_each_other_can_be_chosen() {
    spatial_layers_can_be_chosen(Codec::Vp9, include_bytes!("recorded/vp9-l3t3.rtp"));
}

#[test]
fn spatial_layers_of_av1_can_be_chosen() {
    spatial_layers_can_be_chosen(Codec::Av1, include_bytes!("recorded/av1-l3t3_key.rtp"));
}

/// Pictures per second.
fn rate(world: &World, client: usize, seconds: u32) -> u32 {
    pictures(world, client).len() as u32 / seconds
}

#[track_caller]
fn frame_rates_are_kept(codec: Codec, recording: &[u8], spatial: usize) {
    let (mut world, camera) = class(codec, recording, spatial);
    world.run(4 * SECOND);
    let full = rate(&world, 1, 4);
    assert!((15..=31).contains(&full), "the recording has {full} pictures a second");
    let mut of = |fps| {
        world.set(1, &camera, TrackSettings { fps, ..SETTINGS });
        // Until a keyframe or a frame of the layer that can be begun with.
        world.run(5 * SECOND);
        clear(&mut world);
        world.run(4 * SECOND);
        rate(&world, 1, 4)
    };
    let (half, quarter, again) = (of(full / 2 + 1), of(full / 4 + 1), of(0));
    assert!((full * 4 / 10..=full * 6 / 10).contains(&half), "{half} of {full}");
    assert!((full * 2 / 10..=full * 3 / 10).contains(&quarter), "{quarter} of {full}");
    assert!(again.abs_diff(full) <= 1, "{again} of {full}");
    assert!(rate(&world, 2, 4).abs_diff(full) <= 1, "nobody else is affected");
}

#[test]
fn frame_rates_are_kept_by_temporal_layers_of_vp8() {
    frame_rates_are_kept(Codec::Vp8, include_bytes!("recorded/vp8-l1t3.rtp"), 1);
}

#[test]
fn frame_rates_are_kept_by_temporal_layers_of_vp9() {
    frame_rates_are_kept(Codec::Vp9, include_bytes!("recorded/vp9-l3t3_key.rtp"), 3);
}

#[test]
fn frame_rates_are_kept_by_temporal_layers_of_av1() {
    frame_rates_are_kept(Codec::Av1, include_bytes!("recorded/av1-l1t3.rtp"), 1);
}

#[test]
fn frame_rates_are_kept_by_temporal_layers_of_h264() {
    frame_rates_are_kept(Codec::H264, include_bytes!("recorded/h264-l1t3.rtp"), 1);
}

#[test]
fn picture_ids_of_vp8_go_on_over_what_is_left_out_and_the_base_layers_count_themselves() {
    let (mut world, camera) = class(Codec::Vp8, include_bytes!("recorded/vp8-l1t3.rtp"), 1);
    world.set(1, &camera, TrackSettings { fps: 6, ..SETTINGS });
    world.run(SECOND);
    clear(&mut world);
    world.run(4 * SECOND);
    let ids: Vec<u16> = pictures(&world, 1).iter().map(|picture| picture[0].picture_id).collect();
    assert!(ids.len() > 15 && ids.windows(2).all(|pair| pair[1] == pair[0] + 1), "{ids:?}");
    // Extended, with picture id and TL0PICIDX: each picture is a base layer's, and the next one.
    let base: Vec<u8> = pictures(&world, 1).iter().map(|picture| picture[0].payload[4]).collect();
    assert!(base.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)), "{base:?}");
}

#[test]
fn h264_begins_with_its_parameter_sets_and_is_started_as_what_it_is() {
    let mut world = World::with_codec(2, Codec::H264);
    let player = Player::new(Codec::H264, include_bytes!("recorded/h264-l1t3.rtp"));
    let camera = world.publish_recording(0, player, 1);
    world.subscribe(1, 0, &camera);
    world.run(9 * SECOND);
    let first = pictures(&world, 1)[0][0].payload.clone();
    // A STAP-A whose first unit is a sequence parameter set.
    assert_eq!((first[0] & 0x1F, first[3] & 0x1F), (24, 7), "{first:x?}");
    let started = |event: &Event| match event {
        Event::TrackStarted { mime, .. } => Some(mime.clone()),
        _ => None,
    };
    assert_eq!(world.events.iter().find_map(started).as_deref(), Some("video/H264"));
}

#[test]
fn losses_of_layers_that_are_left_out_stop_nobody() {
    for (codec, recording, spatial) in [
        (Codec::Vp9, &include_bytes!("recorded/vp9-l3t3_key.rtp")[..], 3),
        (Codec::Av1, &include_bytes!("recorded/av1-l3t3_key.rtp")[..], 3),
        (Codec::H264, &include_bytes!("recorded/h264-l1t3.rtp")[..], 1),
    ] {
        let (mut world, camera) = class(codec, recording, spatial);
        let low = TrackSettings { quality: Quality::Low, fps: 10, ..SETTINGS };
        world.set(1, &camera, low);
        world.run(SECOND);
        clear(&mut world);
        world.loss = (5, 0);
        world.run(10 * SECOND);
        world.loss = (0, 0);
        world.run(SECOND);
        let mut got: Vec<u64> = world.clients[1].got.iter().map(|got| got.sequence).collect();
        got.sort_unstable();
        got.dedup();
        assert_eq!(got.len(), world.clients[1].got.len(), "{codec:?}: sent twice under one number");
        let holes: u64 = got.windows(2).map(|pair| pair[1] - pair[0] - 1).sum();
        assert!(got.len() > 60 && holes <= 2, "{codec:?}: {holes} holes of {}", got.len());
    }
}

#[test]
fn redundancy_goes_to_those_who_take_it_and_the_primary_block_to_all() {
    let mut world = World::of(Codec::Vp8, &[true, true, false]);
    let microphone = world.publish_microphone(0);
    world.subscribe(1, 0, &microphone);
    world.subscribe(2, 0, &microphone);
    world.run(3 * SECOND);
    let payloads = |client: usize| -> Vec<Vec<u8>> {
        world.clients[client].got.iter().map(|got| got.payload.clone()).collect()
    };
    let (red, plain) = (payloads(1), payloads(2));
    assert!(red.len() > 100 && red.iter().all(|payload| payload.len() == 13));
    assert!(plain.len() > 100 && plain.iter().all(|payload| payload.len() == 4));
    // The same blocks, alone.
    assert!(red.iter().zip(&plain).all(|(red, plain)| red.ends_with(plain)));
    assert!(plain.windows(2).all(|pair| pair[1][2] == pair[0][2].wrapping_add(1)));
}

#[test]
fn dynacast_tells_how_many_spatial_layers_are_wanted() {
    let (mut world, camera) = class(Codec::Vp9, include_bytes!("recorded/vp9-l3t3_key.rtp"), 3);
    world.settings(1, &camera, Quality::Low, false);
    world.settings(2, &camera, Quality::Medium, false);
    world.run(6 * SECOND);
    let told = |world: &World| {
        world.events.iter().rev().find_map(|event| match event {
            Event::Wanted { qualities, .. } => Some(*qualities),
            _ => None,
        })
    };
    assert_eq!(told(&world), Some([true, true, false]));
    world.settings(1, &camera, Quality::High, false);
    world.run(SECOND);
    assert_eq!(told(&world), Some([true; 3]));
}

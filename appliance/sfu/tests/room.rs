//! A whole room, from the publisher's encoder to the subscriber's jitter buffer: the clients are
//! str0m, the network is in memory.

mod world;

use std::time::Duration;

use belfry_media_api::{Carried, Command, Event, PeerRole, Quality};
use world::{Got, World, sid};

const SECOND: Duration = Duration::from_secs(1);

/// Packets arrive without holes, in one stream, with time and picture ids going forward.
#[track_caller]
fn assert_continuous(got: &[Got], holes_max: u64) {
    let mut video: Vec<&Got> = got.iter().filter(|got| !got.audio).collect();
    assert!(video.len() > 20, "{} packets", video.len());
    video.sort_by_key(|got| got.sequence);
    assert!(video.iter().all(|got| got.publisher == 0), "from the one who films");
    let mut holes = 0;
    for pair in video.windows(2) {
        let (before, after) = (pair[0], pair[1]);
        assert_ne!(before.sequence, after.sequence, "sent twice under one number");
        holes += after.sequence - before.sequence - 1;
        let ahead = after.timestamp.wrapping_sub(before.timestamp);
        assert!(ahead < 90_000 * 3, "the time line jumps by {ahead}");
        let pictures = after.picture_id.wrapping_sub(before.picture_id) & 0x7FFF;
        assert!(pictures < 60, "picture ids jump by {pictures}");
        assert_eq!(pictures == 0, ahead == 0, "one picture id is one time");
        if before.layer != after.layer {
            assert!(after.keyframe, "a layer begins with a keyframe");
        }
    }
    assert!(holes <= holes_max, "{holes} of {} packets never came", video.len());
}

fn last_layer(world: &World, client: usize) -> Option<u8> {
    world.clients[client].got.iter().rev().find(|got| !got.audio).map(|got| got.layer)
}

/// A publisher with a camera and two who watch it.
fn class() -> (World, belfry_model::TrackSid) {
    let mut world = World::with_clients(3);
    let camera = world.publish_camera(0);
    world.subscribe(1, 0, &camera);
    world.subscribe(2, 0, &camera);
    world.until("both see the best layer", |world| {
        (1..3).all(|client| last_layer(world, client) == Some(2))
    });
    (world, camera)
}

#[test]
fn simulcast_reaches_two_subscribers_at_the_layers_they_ask_for() {
    let (mut world, camera) = class();
    assert!(world.events.iter().any(|event| matches!(
        event,
        Event::TrackStarted { mime, .. } if mime == "video/VP8"
    )));
    world.settings(2, &camera, Quality::Low, false);
    world.until("the second gets the low layer", |world| last_layer(world, 2) == Some(0));
    world.run(SECOND);
    assert_eq!(last_layer(&world, 1), Some(2));
    world.settings(2, &camera, Quality::Medium, false);
    world.until("the second gets the middle layer", |world| last_layer(world, 2) == Some(1));
    world.run(SECOND);
    for client in 1..3 {
        assert_continuous(&world.clients[client].got, 0);
    }
    assert!(world.clients[0].keyframe_requests.iter().all(|requests| *requests <= 5));
}

#[test]
fn loss_is_repaired_in_both_directions() {
    for loss in [(5, 0), (0, 5), (5, 5)] {
        let (mut world, _) = class();
        world.clients.iter_mut().for_each(|client| client.got.clear());
        world.loss = loss;
        world.run(10 * SECOND);
        world.loss = (0, 0);
        world.run(SECOND);
        for client in 1..3 {
            let got = &world.clients[client].got;
            assert!(got.len() > 1_000, "{loss:?}: {}", got.len());
            assert_continuous(got, got.len() as u64 / 500);
        }
    }
}

#[test]
fn a_narrow_path_gets_what_it_carries_and_nobody_else_suffers() {
    let (mut world, _) = class();
    world.narrow = Some((1, 700_000));
    world.until("a lower layer is found", |world| {
        last_layer(world, 1).is_some_and(|layer| layer < 2)
    });
    world.run(20 * SECOND);
    assert_ne!(last_layer(&world, 1), Some(2));
    assert_eq!(last_layer(&world, 2), Some(2));
    assert_continuous(&world.clients[2].got, 0);
    let told = world.downlinks(1);
    assert!(told.iter().any(|downlink| downlink.carried == Carried::Softer), "{told:?}");
    assert!(told.last().is_some_and(|downlink| downlink.estimate_bps < 800_000), "{told:?}");
    assert!(world.downlinks(2).iter().all(|downlink| downlink.carried == Carried::All));
    world.narrow = None;
    world.run(30 * SECOND);
    assert_eq!(last_layer(&world, 1), Some(2));
}

#[test]
fn a_layer_that_stops_gives_way_to_one_that_comes() {
    let (mut world, _) = class();
    world.clients[0].layers = [true, true, false];
    world.until("the next lower layer takes over", |world| last_layer(world, 1) == Some(1));
    world.clients[0].layers = [true; 3];
    world.until("the layer is back", |world| last_layer(world, 1) == Some(2));
    world.run(SECOND);
    assert_continuous(&world.clients[1].got, 0);
}

#[test]
fn a_muted_track_is_not_forwarded_whatever_its_publisher_sends() {
    let (mut world, camera) = class();
    world.command(Command::Mute { track: camera.clone(), muted: true });
    let before = world.clients[1].got.len();
    world.run(2 * SECOND);
    // What was on the wire already.
    assert!(world.clients[1].got.len() <= before + 8);
    world.command(Command::Mute { track: camera, muted: false });
    world.until("it is back", |world| world.clients[1].got.len() > before + 50);
    assert_continuous(&world.clients[1].got, 0);
}

#[test]
fn a_hidden_tile_gets_nothing_and_dynacast_tells_the_publisher() {
    let (mut world, camera) = class();
    world.settings(1, &camera, Quality::High, true);
    world.settings(2, &camera, Quality::Low, false);
    world.run(SECOND);
    let before = world.clients[1].got.len();
    world.run(5 * SECOND);
    assert_eq!(world.clients[1].got.len(), before);
    let wanted = Event::Wanted { track: camera.clone(), qualities: [true, false, false] };
    assert!(world.events.contains(&wanted));
    world.settings(1, &camera, Quality::High, false);
    world.run(SECOND);
    let wanted = Event::Wanted { track: camera, qualities: [true; 3] };
    assert!(world.events.contains(&wanted));
}

#[test]
fn speakers_are_told_by_their_levels_and_audio_reaches_everybody() {
    let mut world = World::with_clients(2);
    let microphone = world.publish_microphone(0);
    world.subscribe(1, 0, &microphone);
    world.until("audio arrives", |world| world.clients[1].got.len() > 50);
    assert!(!world.events.iter().any(|event| matches!(event, Event::Speakers { .. })));
    world.clients[0].speaks = true;
    world.run(SECOND);
    world.clients[0].speaks = false;
    world.run(2 * SECOND);
    let told: Vec<(f32, bool)> = world
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Speakers { changed, .. } => Some(changed),
            _ => None,
        })
        .flatten()
        .map(|speaker| (speaker.level, speaker.active))
        .collect();
    assert_eq!(told.first(), Some(&(0.375, true)));
    assert_eq!(told.last(), Some(&(0.0, false)));
    let sequences: Vec<u64> = world.clients[1].got.iter().map(|got| got.sequence).collect();
    assert!(sequences.windows(2).all(|pair| pair[1] == pair[0] + 1));
}

#[test]
fn changes_wait_for_the_answer_and_go_into_one_offer() {
    let mut world = World::with_clients(2);
    world.hold_answers = true;
    let camera = world.publish_camera(0);
    let microphone = world.publish_microphone(0);
    world.subscribe(1, 0, &camera);
    world.subscribe(1, 0, &microphone);
    world.run(SECOND);
    let of = |world: &World| world.offers(1);
    assert_eq!(of(&world), [(1, vec![]), (2, vec![camera.clone()])]);
    world.hold_answers = false;
    world.answer(sid(1));
    world.run(SECOND);
    assert_eq!(of(&world).last(), Some(&(3, vec![camera.clone(), microphone])));
    world.command(Command::Unpublish { track: camera });
    world.run(SECOND);
    assert_eq!(of(&world).last().map(|(id, tracks)| (*id, tracks.len())), Some((4, 1)));
}

#[test]
fn data_reaches_those_it_is_for() {
    let mut world = World::with_clients(3);
    world.send_data(&[1, 2], b"hello");
    world.until("both have it", |world| {
        world.clients[1].data == [b"hello"] && world.clients[2].data == [b"hello"]
    });
    assert!(world.clients[0].data.is_empty());
}

#[test]
fn plain_stun_from_the_path_of_a_connection_is_answered_as_a_server_does() {
    let mut world = World::with_clients(1);
    let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    request.extend([7; 12]);
    let mut outbox = belfry_sfu::outbox::Outbox::default();
    let now = world.now;
    world.sfu.receive(0, ([10, 0, 1, 0], 4_001).into(), &mut request, now, &mut outbox);
    let (_, answer) = outbox.get(0).expect("an answer");
    assert_eq!(answer[..2], [1, 1], "a success, and no refusal for want of credentials");
}

#[test]
fn media_goes_on_over_an_ice_restart_of_either_connection() {
    let (mut world, _) = class();
    let offer = world.clients[0].offer_restart();
    world.offer(0, offer);
    world.command(Command::RestartSubscriber { participant: sid(1) });
    world.run(SECOND);
    let before = world.clients[1].got.len();
    world.run(2 * SECOND);
    assert!(world.clients[1].got.len() > before + 100);
    assert!(world.is_connected(0, PeerRole::Publisher));
    assert_continuous(&world.clients[1].got, 0);
}

#[test]
fn media_is_back_soon_after_an_outage_of_ten_seconds_without_a_restart() {
    let (mut world, _) = class();
    // First a subscriber, then the publisher is cut off.
    for cut in [1, 0] {
        world.cut = Some(cut);
        world.run(10 * SECOND);
        world.cut = None;
        world.clients[1].got.clear();
        let back = world.now;
        world.until("media is back", |world| world.clients[1].got.len() > 50);
        assert!(world.now - back < 5 * SECOND, "{:?}", world.now - back);
    }
    let lost = |event: &Event| {
        let state = belfry_media_api::ConnectionState::Lost;
        matches!(event, Event::Connection { state: told, .. } if *told == state)
    };
    assert!(!world.events.iter().any(lost), "consent lasts longer than that");
}

#[test]
fn a_publisher_that_leaves_is_gone_from_all_offers() {
    let (mut world, camera) = class();
    world.run(SECOND);
    world.command(Command::CloseParticipant { participant: sid(0) });
    world.clients[0].on = false;
    world.run(SECOND);
    for client in 1..3 {
        let offers = world.offers(client);
        assert!(offers.iter().any(|(_, tracks)| tracks.contains(&camera)));
        assert_eq!(offers.last().map(|(_, tracks)| tracks.len()), Some(0));
    }
    world.subscribe(1, 0, &camera);
    assert!(world.events.iter().any(|event| matches!(event, Event::SubscriptionFailed { .. })));
    world.command(Command::CloseRoom { room: belfry_model::RoomSid::new("RM_1") });
    world.run(2 * SECOND);
    let counters = world.events.iter().rev().find_map(|event| match event {
        Event::Counters { shard: 3, counters } => Some(*counters),
        _ => None,
    });
    let counters = counters.expect("told every second");
    assert_eq!((counters.rooms, counters.participants), (0, 0));
    assert!(counters.packets_out > 100);
}

#[test]
fn quality_falls_with_loss_and_is_told_once() {
    let (mut world, _) = class();
    world.run(6 * SECOND);
    world.loss = (0, 12);
    world.run(11 * SECOND);
    let told: Vec<_> = world
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Quality { participant, quality, .. } if *participant == sid(1) => Some(*quality),
            _ => None,
        })
        .collect();
    assert_eq!(told.first(), Some(&belfry_media_api::ConnectionQuality::Excellent));
    assert_eq!(told.last(), Some(&belfry_media_api::ConnectionQuality::Poor));
    assert!(told.len() <= 3, "{told:?}");
}

/// A voice leaves again under the number that it had, so a probe that is padded with voices is never
/// full: the shard would not come back from it.
#[test]
fn probes_are_never_filled_with_voices() {
    let mut world = World::with_clients(2);
    let microphone = world.publish_microphone(0);
    world.subscribe(1, 0, &microphone);
    let camera = world.publish_camera(0);
    world.subscribe(1, 0, &camera);
    world.narrow = Some((1, 600_000));
    world.until("audio arrives", |world| world.clients[1].got.iter().any(|got| got.audio));
    world.run(10 * SECOND);
    // What the allocator wants grows far beyond the estimate, so that probes go out.
    world.narrow = None;
    world.largest_outbox = 0;
    world.run(10 * SECOND);
    assert!(world.largest_outbox < 200, "{} packets at once", world.largest_outbox);
    assert_eq!(last_layer(&world, 1), Some(2), "the probes found the path's rate");
}

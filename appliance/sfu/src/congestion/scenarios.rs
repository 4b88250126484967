//! Estimator, pacer, prober and allocator together over links in memory: what a lesson on them is
//! like.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::link::{Link, Settings};
use super::{Class, Congestion, Micros, OVERHEAD_BYTES, Tuning};
use crate::allocate::{Rank, Want, allocate};

const STEP: Micros = 1_000;
const FRAME: Micros = 33_000;
const VOICE: Micros = 20_000;
const VOICE_BYTES: usize = 160;
const FEEDBACK: Micros = 50_000;
const ALLOCATE: Micros = 250_000;
const KEYFRAME_FRAMES: usize = 6;
const PACKET_BYTES: usize = 1_100;
const VOICE_BPS: u64 = 85_000;
/// A voice packet that comes later than this after it left is not played.
const PLAYED: Micros = 200_000;
const REPEATS_MAX: u8 = 8;
/// A camera in three layers.
const CAMERA: [Option<u64>; 3] = [Some(150_000), Some(500_000), Some(1_700_000)];

#[derive(Clone, Copy, Debug)]
struct Packet {
    bytes: usize,
    class: Class,
    voice: Option<u64>,
    repeats: u8,
}

impl Packet {
    /// As padding is made: nobody misses it.
    fn carries_nothing(&self) -> bool {
        self.class == Class::Media && self.repeats == REPEATS_MAX
    }
}

/// A teacher's voice and cameras on their way to one student.
struct Lesson {
    epoch: Instant,
    congestion: Congestion<Packet>,
    link: Link,
    now: Micros,
    cameras: Vec<[Option<u64>; 3]>,
    held: Vec<Option<usize>>,
    keyframe: Vec<bool>,
    /// By transport-wide number.
    arrived: BTreeMap<u64, Micros>,
    number: u64,
    reported: u64,
    feedback: VecDeque<(Micros, u64, Vec<Option<Micros>>)>,
    repeats: VecDeque<(Micros, Packet)>,
    /// When each voice packet left and came.
    voices: Vec<(Micros, Option<Micros>)>,
    queue_max: Micros,
    estimates: Vec<(Micros, u64)>,
    received: Vec<(Micros, usize)>,
    padding_bytes: usize,
    sent_bytes: usize,
    /// The receiver's feedback leaves out what carries nothing.
    ignores_padding: bool,
}

impl Lesson {
    fn new(settings: Settings, cameras: usize, tuning: Tuning) -> Self {
        let epoch = Instant::now();
        let mut congestion = Congestion::new(epoch, tuning);
        congestion.expect_feedback(true);
        Self {
            epoch,
            congestion,
            link: Link::new(settings, 11),
            now: 0,
            cameras: vec![CAMERA; cameras],
            held: vec![None; cameras],
            keyframe: vec![false; cameras],
            arrived: BTreeMap::new(),
            number: 1 << 16,
            reported: 1 << 16,
            feedback: VecDeque::new(),
            repeats: VecDeque::new(),
            voices: Vec::new(),
            queue_max: 0,
            estimates: Vec::new(),
            received: Vec::new(),
            padding_bytes: 0,
            sent_bytes: 0,
            ignores_padding: false,
        }
    }

    fn instant(&self) -> Instant {
        self.epoch + Duration::from_micros(self.now as u64)
    }

    fn run(&mut self, seconds: i64) {
        self.run_ms(seconds * 1_000);
    }

    fn run_ms(&mut self, ms: i64) {
        let end = self.now + ms * 1_000;
        while self.now < end {
            self.now += STEP;
            self.hear();
            if self.now % ALLOCATE == 0 || self.congestion.take_moved() {
                self.allocate();
            }
            self.film();
            self.pace();
            self.queue_max = self.queue_max.max(self.link.queue(self.now));
            if self.now % 100_000 == 0 {
                self.estimates.push((self.now, self.congestion.estimate_bps()));
            }
        }
    }

    fn allocate(&mut self) {
        let mut wants: Vec<Want> = (0..self.cameras.len())
            .map(|track| Want {
                track,
                rank: if track == 0 { Rank::Lead } else { Rank::Visible },
                area: 1,
                speaks: false,
                layer_max: 2,
                rates: self.cameras[track].map(|rate| rate.map(|bps| bps * 107 / 100)),
                held: self.held[track],
                may_rise: true,
                granted: None,
            })
            .collect();
        let wanted: u64 = wants.iter().map(Want::wanted_bps).sum();
        self.congestion.want(wanted + VOICE_BPS);
        let loss = self.congestion.loss();
        let budget = self.congestion.allocate() as f64 * 0.95 * (1.0 - loss);
        allocate(&mut wants, (budget as u64).saturating_sub(VOICE_BPS));
        for want in wants {
            if self.held[want.track] != want.granted {
                self.keyframe[want.track] = true;
                self.held[want.track] = want.granted;
            }
        }
    }

    fn film(&mut self) {
        if self.now % VOICE == 0 {
            let voice = Some(self.voices.len() as u64);
            self.voices.push((self.now, None));
            self.offer(Packet { bytes: VOICE_BYTES, class: Class::Voice, voice, repeats: 0 });
        }
        for (camera, shift) in (0..self.cameras.len()).zip(0..) {
            // Cameras are not in step.
            if (self.now + 7_000 * shift) % FRAME != 0 {
                continue;
            }
            let Some(bps) = self.held[camera].and_then(|layer| self.cameras[camera][layer]) else {
                continue;
            };
            let mut bytes = (bps.cast_signed() * FRAME / 8_000_000) as usize;
            if std::mem::take(&mut self.keyframe[camera]) {
                bytes *= KEYFRAME_FRAMES;
            }
            while bytes > 0 {
                let part = bytes.min(PACKET_BYTES);
                bytes -= part;
                self.offer(Packet { bytes: part, class: Class::Media, voice: None, repeats: 0 });
            }
        }
        while self.repeats.front().is_some_and(|(at, _)| *at <= self.now) {
            let Some((_, packet)) = self.repeats.pop_front() else { break };
            self.offer(packet);
        }
    }

    fn offer(&mut self, packet: Packet) {
        let now = self.instant();
        if self.congestion.admits(packet.class, now) {
            self.send(packet);
        } else {
            self.congestion.keep(packet.class, packet, now);
        }
    }

    fn pace(&mut self) {
        let now = self.instant();
        if self.congestion.deadline().is_some_and(|at| at <= now + Duration::from_millis(1)) {
            self.congestion.timeout(now);
        }
        while let Some((packet, useful)) = self.congestion.next_kept(now) {
            if useful {
                self.send(packet);
            }
        }
        while self.congestion.wants_padding(now) {
            self.padding_bytes += PACKET_BYTES;
            self.send(Packet {
                bytes: PACKET_BYTES,
                class: Class::Media,
                voice: None,
                repeats: REPEATS_MAX,
            });
        }
    }

    fn send(&mut self, packet: Packet) {
        let (now, wire) = (self.instant(), packet.bytes + OVERHEAD_BYTES);
        self.congestion.sent(packet.bytes, true, now);
        self.sent_bytes += wire;
        let number = self.number;
        self.number += 1;
        let arrival = self.link.carry(wire, self.now);
        match arrival {
            Some(_) if self.ignores_padding && packet.carries_nothing() => {}
            Some(arrival) => {
                self.arrived.insert(number, arrival);
                self.received.push((arrival, wire));
                if let Some(voice) = packet.voice {
                    let slot = &mut self.voices[voice as usize].1;
                    *slot = Some(slot.map_or(arrival, |before| before.min(arrival)));
                }
            }
            None if packet.repeats < REPEATS_MAX => {
                let class = if packet.voice.is_some() { Class::Voice } else { Class::Repeat };
                let rtt = 2 * self.link.settings.delay + self.link.settings.jitter;
                let repeats = packet.repeats + 1;
                self.repeats
                    .push_back((self.now + rtt + 20_000, Packet { class, repeats, ..packet }));
            }
            None => {}
        }
    }

    fn hear(&mut self) {
        if self.now % FEEDBACK == 0 {
            let here = |(number, at): (&u64, &Micros)| (*at <= self.now).then_some(*number);
            let newest = self.arrived.iter().filter_map(here).max();
            if let Some(newest) = newest.filter(|newest| *newest >= self.reported) {
                let arrivals = (self.reported..=newest)
                    .map(|number| self.arrived.get(&number).copied().filter(|at| *at <= self.now));
                let at = self.now + self.link.settings.delay;
                self.feedback.push_back((at, self.reported, arrivals.collect()));
                self.reported = newest + 1;
                self.arrived = self.arrived.split_off(&self.reported);
            }
        }
        while self.feedback.front().is_some_and(|(at, ..)| *at <= self.now) {
            let Some((_, base, arrivals)) = self.feedback.pop_front() else { break };
            let first = arrivals.iter().flatten().min().copied().unwrap_or(0);
            let reference = first / 64_000;
            // The receiver's clock counts in 250 microseconds, from another zero.
            let of = |at: Micros| ((at - reference * 64_000) / 250 * 250) as i32;
            let arrivals: Vec<_> = arrivals.into_iter().map(|at| at.map(of)).collect();
            let now = self.instant();
            self.congestion.feedback(base as u16, reference as u32 + 77, &arrivals, now);
        }
    }

    /// Least and greatest of the last estimates, as parts of what the link carries.
    fn spread(&self, seconds: i64) -> (f64, f64) {
        let since = self.now - seconds * 1_000_000;
        let of = |(at, bps): &(Micros, u64)| {
            (*at > since).then_some(*bps as f64 / self.link.settings.bps)
        };
        let parts: Vec<f64> = self.estimates.iter().filter_map(of).collect();
        (parts.iter().copied().fold(f64::MAX, f64::min), parts.iter().copied().fold(0.0, f64::max))
    }

    fn estimate(&self) -> f64 {
        let (low, high) = self.spread(1);
        low.midpoint(high)
    }

    /// The part of voice packets since `since` that neither came in time nor is in the next packet,
    /// as redundancy.
    fn concealed(&self, since: Micros) -> f64 {
        let base = self.link.settings.delay + self.link.settings.jitter;
        let in_time = |(left, came): &(Micros, Option<Micros>)| {
            came.is_some_and(|came| came - left <= base + PLAYED)
        };
        let voices: Vec<_> = self.voices.iter().filter(|(left, _)| *left >= since).collect();
        let gone = |pair: &&[&(Micros, Option<Micros>)]| !in_time(pair[0]) && !in_time(pair[1]);
        voices.windows(2).filter(gone).count() as f64 / voices.len() as f64
    }

    #[allow(clippy::print_stdout, reason = "figures for who asks for them by --nocapture")]
    fn tell(&self, name: &str) {
        let (low, high) = self.spread(5);
        let used = self
            .received
            .iter()
            .filter(|(at, _)| *at > self.now - 5_000_000)
            .map(|(_, bytes)| bytes)
            .sum::<usize>();
        println!(
            "{name:28} estimate {:3.0}..{:3.0} % received {:3.0} % of {:.0} kbit/s, queue max {} ms, concealed {:.1} %, padding {:.1} %, loss {:.0} %",
            low * 100.0,
            high * 100.0,
            used as f64 * 8.0 / 5.0 / self.link.settings.bps * 100.0,
            self.link.settings.bps / 1e3,
            self.queue_max / 1_000,
            self.concealed(self.now - 10_000_000) * 100.0,
            self.padding_bytes as f64 / self.sent_bytes as f64 * 100.0,
            self.congestion.loss() * 100.0,
        );
    }
}

fn lesson(settings: Settings) -> Lesson {
    let mut lesson = Lesson::new(settings, 3, Tuning::default());
    lesson.run(20);
    lesson
}

#[test]
fn a_narrow_link_is_found() {
    for bps in [3e5, 1e6, 3e6, 5e6] {
        let lesson = lesson(Settings::of(bps));
        lesson.tell("narrow");
        let (low, high) = lesson.spread(10);
        assert!(low >= 0.8 && high <= 1.1, "{bps}: {low} to {high}");
        assert!((0.8..=1.05).contains(&lesson.estimate()));
        assert!(lesson.concealed(5_000_000) < 0.01);
    }
}

#[test]
fn a_wide_link_carries_everything_in_two_seconds() {
    let mut lesson = Lesson::new(Settings::of(1e8), 3, Tuning::default());
    lesson.run(2);
    lesson.tell("wide");
    assert_eq!(lesson.held, [Some(2); 3]);
}

#[test]
fn random_loss_is_not_taken_for_a_full_path() {
    for (loss, run) in [(0.05, 1.0), (0.1, 1.0), (0.3, 1.0), (0.05, 4.0), (0.1, 4.0), (0.3, 4.0)] {
        let lesson = lesson(Settings { loss, run, ..Settings::of(2e6) });
        lesson.tell(&format!("loss {loss} in runs of {run}"));
        let estimate = lesson.estimate();
        assert!((0.7..=1.15).contains(&estimate), "{loss}, {run}: {estimate}");
        let concealed = lesson.concealed(5_000_000);
        assert!(concealed < if loss > 0.2 { 0.10 } else { 0.03 }, "{loss}, {run}: {concealed}");
    }
}

#[test]
fn a_long_way_with_jitter_is_used() {
    for (memory, bps) in [(0.0, 2e6), (0.9, 2e6), (0.9, 1e8)] {
        let (delay, jitter) = (100_000, 100_000);
        let lesson = lesson(Settings { delay, jitter, memory, ..Settings::of(bps) });
        lesson.tell(&format!("long and jittery {memory}"));
        assert!(lesson.estimate() * bps > 1.4e6, "{memory}, {bps}: {}", lesson.estimate());
    }
}

#[test]
fn a_receiver_that_is_busy_now_and_then_is_no_narrow_path() {
    for busy in [20_000, 60_000, 150_000, 400_000] {
        let lesson = lesson(Settings { busy, ..Settings::of(1e8) });
        lesson.tell(&format!("busy {busy}"));
        assert_eq!(lesson.held, [Some(2); 3], "{busy}");
    }
}

#[test]
fn the_estimate_follows_a_link_down_and_up_within_ten_seconds() {
    let mut lesson = lesson(Settings::of(2e6));
    for bps in [4e5, 2e6] {
        lesson.link.settings.bps = bps;
        lesson.queue_max = 0;
        lesson.run(10);
        lesson.tell("step");
        let (low, high) = lesson.spread(1);
        assert!(low >= 0.8 && high <= 1.05, "{bps}: {low} to {high}");
        lesson.run(10);
        let (low, high) = lesson.spread(5);
        assert!(low >= 0.8 && high <= 1.1, "{bps}: {low} to {high} later");
    }
}

#[test]
fn overuse_is_answered_within_half_a_second() {
    let mut lesson = lesson(Settings::of(2e6));
    lesson.link.settings.bps = 4e5;
    let start = lesson.now;
    while lesson.congestion.estimate_bps() > 800_000 {
        lesson.run_ms(10);
        assert!(lesson.now - start < 1_000_000, "{}", lesson.congestion.estimate_bps());
    }
}

#[test]
fn without_probes_the_estimate_stays_where_little_media_leaves_it() {
    let of = |probes| {
        let mut lesson = Lesson::new(Settings::of(6e6), 1, Tuning { probes, paces: true });
        // Nothing between a little and more than the start value.
        lesson.cameras = vec![[Some(150_000), None, Some(4_000_000)]];
        lesson.run(15);
        lesson.held[0]
    };
    assert_eq!((of(true), of(false)), (Some(2), Some(0)));
}

#[test]
fn a_picture_that_costs_more_than_the_estimate_is_probed_for() {
    let of = |probes| {
        let mut lesson = Lesson::new(Settings::of(3e7), 1, Tuning { probes, paces: true });
        lesson.cameras = vec![[Some(8_000_000), None, None]];
        lesson.run(5);
        lesson.held[0]
    };
    assert_eq!((of(true), of(false)), (Some(0), None));
}

#[test]
fn probes_that_are_never_heard_of_leave_the_estimate_where_it_is() {
    let mut lesson = Lesson::new(Settings::of(1e8), 3, Tuning::default());
    lesson.ignores_padding = true;
    lesson.run(60);
    lesson.tell("deaf to padding");
    assert!(lesson.congestion.estimate_bps() >= 900_000, "{}", lesson.congestion.estimate_bps());
}

#[test]
fn without_pacing_a_keyframe_fills_the_queue_before_the_voices() {
    let of = |paces| {
        let mut lesson = Lesson::new(Settings::of(1e6), 3, Tuning { probes: true, paces });
        lesson.run(15);
        lesson.queue_max = 0;
        for _ in 0..5 {
            lesson.keyframe = vec![true; 3];
            lesson.run(2);
        }
        lesson.queue_max
    };
    let (with, without) = (of(true), of(false));
    assert!(with < 120_000 && without > 2 * with, "{with} and {without}");
}

#[test]
fn probes_cost_little() {
    let lesson = lesson(Settings::of(4e5));
    assert!(
        lesson.padding_bytes * 20 < lesson.sent_bytes,
        "{} of {}",
        lesson.padding_bytes,
        lesson.sent_bytes
    );
}

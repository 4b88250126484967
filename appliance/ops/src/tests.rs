//! From what was seen to what is said of it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use belfry_media_api::{Carried as MediaCarried, Cause as MediaCause, Downlink, Path, PeerRole};
use belfry_model::{Identity, LessonId, Outside, Pii, Timestamp};
use belfry_session::{LinkEvent, LinkReport};
use belfry_store::{Band, NewLesson, Store, Troubles};
use tokio::sync::mpsc;

use crate::report::{Down, ErrorCode, Limit, Sample, Up, Why};
use crate::timeline::{Cause, Interval, Seen, Timeline};
use crate::words::{Carried, Way};
use crate::{Advice, Config, Ops, PARSERS, REPORTS, Reach, Refused, Use, networks};

const BEGAN: Timestamp = Timestamp(1_800_000_000_000);

#[test]
fn every_parser_accepts_its_seed() {
    for parser in PARSERS {
        assert!(parser.feed(parser.seed()), "{}", parser.name());
    }
}

fn at(secs: i64) -> Timestamp {
    BEGAN.plus_ms(secs * 1_000)
}

fn sample(why: Why) -> Sample {
    Sample { ago_ms: 0, why, away_ms: None, up: None, down: None, errors: Vec::new() }
}

fn client(secs: i64, up: Up, down: Down) -> (Timestamp, Seen) {
    let up = Some(Up { way: Some(Way::Udp), ..up });
    let down = Some(Down { way: Some(Way::Udp), ..down });
    (at(secs), Seen::Client(Sample { up, down, ..sample(Why::Timer) }))
}

fn lossy(secs: i64, lost: u64) -> (Timestamp, Seen) {
    let down = Down { packets_received: 1_000 - lost, packets_lost: lost, ..Down::default() };
    client(secs, Up::default(), down)
}

fn downlink(
    secs: i64,
    carried: MediaCarried,
    cause: MediaCause,
    loss_percent: u8,
) -> (Timestamp, Seen) {
    let estimate_bps = 400_000;
    let downlink =
        Downlink { carried, cause, estimate_bps, sent_bps: 350_000, loss_percent, rtt_ms: 40 };
    (at(secs), Seen::Downlink(downlink))
}

fn joined(secs: i64, way: Way) -> (Timestamp, Seen) {
    (at(secs), Seen::Way { role: PeerRole::Subscriber, way })
}

/// The timeline as `from..until cause`, in seconds.
fn told(seen: &[(Timestamp, Seen)]) -> Vec<String> {
    Timeline::of(seen).intervals().iter().map(line).collect()
}

fn line(interval: &Interval) -> String {
    let secs = |at: Timestamp| at.since_ms(BEGAN) / 1_000;
    let cause = match interval.cause {
        Cause::Joined { way } | Cause::Moved { way } => {
            format!("{} {}", interval.cause.as_str(), way.as_str())
        }
        Cause::Loss { percent } | Cause::Gaps { percent } => {
            format!("{} {percent}%", interval.cause.as_str())
        }
        Cause::Slow { bps } => format!("slow {bps}"),
        Cause::Problem { code } => code.as_str().to_owned(),
        cause => cause.as_str().to_owned(),
    };
    let carried =
        interval.carried.map_or(String::new(), |carried| format!(" {}", carried.as_str()));
    format!("{}..{} {cause}{carried}", secs(interval.from), secs(interval.until))
}

#[test]
fn a_quiet_lesson_says_how_it_was_joined_and_nothing_else() {
    let seen = [joined(0, Way::Udp), lossy(10, 0), lossy(20, 20), lossy(30, 24)];
    assert_eq!(told(&seen), ["0..0 joined udp"], "below 3 % nothing is said");
}

#[test]
fn loss_is_one_interval_with_its_worst_percentage() {
    let seen = [joined(0, Way::Udp), lossy(10, 50), lossy(20, 120), lossy(30, 40), lossy(90, 100)];
    assert_eq!(told(&seen), ["0..0 joined udp", "10..30 loss 12%", "75..90 loss 10%"]);
}

#[test]
fn a_few_packets_say_nothing_of_loss() {
    let down = Down { packets_received: 20, packets_lost: 10, ..Down::default() };
    assert_eq!(told(&[client(10, Up::default(), down)]), ["10..10 joined udp"]);
}

#[test]
fn the_ladder_of_the_media_plane_is_told_with_its_cause() {
    let seen = [
        joined(0, Way::Udp),
        downlink(30, MediaCarried::All, MediaCause::None, 0),
        downlink(40, MediaCarried::FewerPictures, MediaCause::Bandwidth, 0),
        downlink(45, MediaCarried::Voices, MediaCause::Bandwidth, 0),
        downlink(55, MediaCarried::All, MediaCause::None, 0),
        downlink(100, MediaCarried::Softer, MediaCause::Loss, 9),
        downlink(108, MediaCarried::All, MediaCause::None, 0),
    ];
    let expect = ["0..0 joined udp", "40..55 slow 400000 voices", "100..108 loss 9% softer"];
    assert_eq!(told(&seen), expect);
}

#[test]
fn a_slow_device_is_not_taken_for_a_slow_network() {
    let cpu = Up { limit: Some(Limit::Cpu), available_bps: Some(200_000), ..Up::default() };
    let decoding = Down { decode_ms: Some(70), ..Down::default() };
    let seen = [
        client(20, Up::default(), Down::default()),
        client(30, cpu, Down::default()),
        client(40, Up::default(), decoding),
    ];
    assert_eq!(told(&seen), ["20..20 joined udp", "20..40 device"]);
}

#[test]
fn an_encoder_that_warms_up_is_not_a_slow_network() {
    let limited =
        Up { limit: Some(Limit::Bandwidth), available_bps: Some(300_000), ..Up::default() };
    let up = |secs| client(secs, limited, Down::default());
    assert_eq!(told(&[up(0), up(10)]), ["0..0 joined udp"]);
    assert_eq!(told(&[up(0), up(10), up(20)]), ["0..0 joined udp", "10..20 slow 300000"]);
}

#[test]
fn an_outage_is_one_interval_whoever_tells_of_it_and_however_late() {
    let back = Sample { away_ms: Some(8_000), ..sample(Why::Reconnected) };
    let seen = [
        joined(0, Way::Udp),
        (at(61), Seen::Connected(false)),
        (at(67), Seen::Connected(true)),
        (at(60), Seen::Client(sample(Why::Reconnecting))),
        (at(68), Seen::Client(back)),
    ];
    assert_eq!(told(&seen), ["0..0 joined udp", "60..68 away"]);
}

#[test]
fn a_silent_microphone_and_the_way_out_are_told() {
    let silent = Sample { errors: vec![ErrorCode::MicrophoneSilent], ..sample(Why::Device) };
    let mut timeline = Timeline::of(&[
        joined(0, Way::IceTcp),
        (at(40), Seen::Client(silent)),
        joined(50, Way::Udp),
    ]);
    timeline.finish(at(90), true);
    timeline.finish(at(99), false);
    let told: Vec<_> = timeline.intervals().iter().map(line).collect();
    let expect =
        ["0..0 joined ice_tcp", "40..40 microphone_silent", "50..50 moved udp", "90..90 left"];
    assert_eq!(told, expect);
}

#[test]
fn sound_that_broke_up_is_told_only_when_loss_does_not_say_it_already() {
    let broken = Down { sound_samples: 480_000, sound_concealed: 48_000, ..Down::default() };
    assert_eq!(
        told(&[client(10, Up::default(), broken)]),
        ["10..10 joined udp", "10..10 gaps 10%"]
    );
    let both = Down { packets_received: 900, packets_lost: 100, ..broken };
    assert_eq!(told(&[client(10, Up::default(), both)]), ["10..10 joined udp", "10..10 loss 10%"]);
}

#[test]
fn a_timeline_does_not_grow_without_end_and_keeps_its_last_word() {
    let seen: Vec<_> = (0..5_000).map(|n| lossy(n * 60, 100)).collect();
    let mut timeline = Timeline::of(&seen);
    timeline.finish(at(400_000), false);
    let intervals = timeline.intervals();
    assert_eq!(intervals.len(), 200);
    assert_eq!(intervals.last().map(|last| last.cause), Some(Cause::Vanished));
}

#[test]
fn intervals_read_back_from_the_database() {
    let interval = Interval {
        from: at(0),
        until: at(9),
        cause: Cause::Slow { bps: 400_000 },
        carried: Some(Carried::TeacherVoice),
    };
    let text = serde_json::to_string(&interval).expect("plain data");
    let expect = r#"{"from":1800000000000,"until":1800000009000,"cause":"slow","bps":400000,"carried":"teacher_voice"}"#;
    assert_eq!(text, expect);
    assert_eq!(serde_json::from_str::<Interval>(&text).expect("it reads back"), interval);
}

fn used(subnet: &str, who: u32, way: Way) -> Use {
    Use {
        subnet: subnet.to_owned(),
        way,
        identity: format!("p{who}").into(),
        present_ms: 600_000,
        troubles: Troubles::default(),
    }
}

fn advice(uses: Vec<Use>) -> Advice {
    networks(uses)[0].advice
}

#[test]
fn a_network_without_udp_is_told_apart_from_a_device_without() {
    let net = "10.4.7.0/24";
    let all = |way| (0..23).map(|who| used(net, who, way)).collect::<Vec<_>>();
    assert_eq!(advice(all(Way::Udp)), Advice::Fine);
    assert_eq!(advice(all(Way::IceTcp)), Advice::NoUdp);
    assert_eq!(advice(all(Way::TurnTls)), Advice::OnlyTls);
    assert_eq!(advice(vec![used(net, 1, Way::IceTcp)]), Advice::NoUdpOfFew);
    let mut mixed = all(Way::Udp);
    mixed.push(used(net, 90, Way::TurnTls));
    assert_eq!(advice(mixed.clone()), Advice::SomeWithoutUdp { count: 1 });
    // The one came over TLS first, and went on over UDP.
    mixed.push(used(net, 90, Way::Udp));
    let found = networks(mixed);
    assert_eq!((found[0].advice, found[0].participants), (Advice::Fine, 24));
    assert_eq!(found[0].used(&[Way::Udp]), 24);
}

#[test]
fn networks_that_need_somebody_come_first_and_loss_counts_by_its_share() {
    let troubled = |who, lossy_ms| Use {
        troubles: Troubles { lossy_ms, ..Troubles::default() },
        ..used("10.0.1.0/24", who, Way::Udp)
    };
    let mut uses = vec![troubled(1, 29_000), troubled(2, 30_000), troubled(3, 0)];
    uses.extend((0..4).map(|who| used("10.0.9.0/24", who, Way::Udp)));
    uses.extend((0..3).map(|who| used("10.0.2.0/24", who, Way::TurnTcp)));
    let found = networks(uses);
    let told: Vec<_> = found.iter().map(|one| (one.subnet.as_str(), one.advice)).collect();
    let expect = [
        ("10.0.2.0/24", Advice::NoUdp),
        ("10.0.1.0/24", Advice::Lossy { count: 1 }),
        ("10.0.9.0/24", Advice::Fine),
    ];
    assert_eq!(told, expect);
}

struct Kit {
    _dir: tempfile::TempDir,
    store: Store,
    ops: Ops,
    links: mpsc::Sender<LinkReport>,
    lesson: LessonId,
    identity: Identity,
}

async fn kit() -> Kit {
    let dir = tempfile::tempdir().expect("a directory can be made");
    let store = Store::open(&dir.path().join("belfry.db")).expect("a database can be made");
    let now = belfry_session::now();
    let district = store.create_district("d".to_owned(), now).await.expect("a district");
    let school = store.create_school(district, "s".to_owned(), now).await.expect("a school");
    let new = belfry_store::NewPerson {
        school,
        username: Pii::new("lee".to_owned()),
        name: Pii::new("Lee".to_owned()),
        role: belfry_model::Role::Teacher,
        password_hash: "x".to_owned(),
        must_change: false,
        disabled: false,
    };
    let person = store.create_person(new, now).await.expect("a person");
    let new = NewLesson {
        school,
        class: None,
        name: "Parents".to_owned(),
        band: Band::K5,
        started_by: person,
        guest_code: Pii::new("code".to_owned()),
    };
    let (lesson, _) = store.start_lesson(new, now).await.expect("a lesson");
    let (links, receiver) = mpsc::channel(64);
    let asked = Arc::new(AtomicU32::new(30));
    let ops = Ops::start(Config {
        store: store.clone(),
        district,
        links: receiver,
        keep_days: Box::new(move || asked.load(Ordering::Relaxed)),
        reach: Reach::default(),
    });
    let identity = format!("p{person}").into();
    Kit { _dir: dir, store, ops, links, lesson: lesson.id, identity }
}

impl Kit {
    fn told(&self, samples: &str, now: Timestamp) -> Result<(), Refused> {
        let address = Pii::new(IpAddr::from([10, 4, 7, 9]));
        let body = format!(
            r#"{{"lesson":"{}","device":{{"browser":"firefox","major":153,"system":"windows","memory":"unknown","cores":"8"}},"samples":[{samples}]}}"#,
            self.lesson
        );
        let report = REPORTS.parse(Outside::new(body.as_bytes())).expect("a report");
        self.ops.report(&self.identity, &address, report, now)
    }

    async fn link(&self, at: Timestamp, event: LinkEvent) {
        let (lesson, identity) = (self.lesson, self.identity.clone());
        let report = LinkReport { lesson, identity, sid: "PA_1".into(), at, event };
        self.links.send(report).await.expect("ops listens");
    }
}

#[tokio::test]
async fn both_sides_become_one_presence_that_is_kept_when_the_appliance_stops() {
    let kit = kit().await;
    let now = belfry_session::now();
    assert!(!kit.ops.follows(kit.lesson, &kit.identity));
    let tls = r#"{"ago_ms":9000,"why":"joined","down":{"way":"turn_tls"}}"#;
    kit.told(&format!("{tls},{}", r#"{"ago_ms":0,"why":"timer","down":{"way":"turn_tls","packets_received":900,"packets_lost":100}}"#), now)
        .expect("it is taken");
    assert!(kit.ops.follows(kit.lesson, &kit.identity));
    let live = kit.ops.live_of(&kit.identity, now);
    assert_eq!((live.len(), live[0].recent.len(), live[0].holds.len()), (1, 2, 1));
    let path = LinkEvent::Path {
        role: PeerRole::Subscriber,
        path: Path::TurnTls,
        address: Pii::new(IpAddr::from([10, 4, 8, 1])),
    };
    kit.link(now, path).await;
    kit.ops.stop().await;
    let school = kit.store.lesson(kit.lesson).await.expect("read").expect("there").school;
    let kept = kit.store.presences_of(school, kit.identity.clone()).await.expect("read");
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].device.as_deref(), Some("firefox 153, windows"));
    assert_eq!(kept[0].ended_at.since_ms(kept[0].began_at), 9_000);
    assert_eq!(kept[0].troubles.lossy_ms, 9_000);
    let subnets: Vec<_> = kept[0].ways.iter().map(|way| way.subnet.as_str()).collect();
    assert_eq!(subnets, ["10.4.7.0/24", "10.4.8.0/24"], "the client's own, then the media plane's");
    assert_eq!(kept[0].ways[0].used_ms, 9_000);
    let timeline: Vec<Interval> = serde_json::from_str(&kept[0].timeline).expect("it reads back");
    let causes: Vec<_> = timeline.iter().map(|one| one.cause.as_str()).collect();
    assert_eq!(causes, ["joined", "loss", "vanished"]);
}

#[tokio::test]
async fn a_page_that_is_loaded_again_begins_a_presence_of_its_own() {
    let kit = kit().await;
    let now = belfry_session::now();
    let joined = r#"{"ago_ms":0,"why":"joined","down":{"way":"udp"}}"#;
    let left = r#"{"ago_ms":0,"why":"left"}"#;
    kit.told(joined, now.plus_ms(-60_000)).expect("it is taken");
    kit.told(left, now.plus_ms(-30_000)).expect("it is taken");
    kit.link(now.plus_ms(-29_000), LinkEvent::Left).await;
    kit.told(joined, now.plus_ms(-28_000)).expect("it is taken");
    kit.told(left, now).expect("it is taken");
    kit.ops.stop().await;
    let school = kit.store.lesson(kit.lesson).await.expect("read").expect("there").school;
    let kept = kit.store.presences_of(school, kit.identity.clone()).await.expect("read");
    let lasted: Vec<_> = kept.iter().map(|one| one.ended_at.since_ms(one.began_at)).collect();
    assert_eq!(lasted, [28_000, 30_000]);
}

#[tokio::test]
async fn what_the_media_plane_says_of_somebody_who_is_gone_begins_nothing() {
    let kit = kit().await;
    let (at, seen) = downlink(0, MediaCarried::All, MediaCause::None, 0);
    let Seen::Downlink(downlink) = seen else { panic!("it is one") };
    kit.link(at, LinkEvent::Downlink(downlink)).await;
    kit.link(at, LinkEvent::Left).await;
    kit.ops.stop().await;
    assert!(kit.ops.live(at).is_empty());
}

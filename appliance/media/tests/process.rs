//! The media process as its parent sees it. This test binary is its own media process.
#![allow(clippy::unwrap_used, reason = "a test's helper may fail by panicking")]
#![allow(clippy::print_stdout, reason = "this is its own test runner")]

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use belfry_media_api::{Command, Configure, Event, PeerRole};
use belfry_model::{ParticipantSid, RoomSid};
use belfry_workers::{Commands, End, Report};
use tokio::sync::mpsc::Receiver;

/// The longest that any single expectation may take.
const PATIENCE: Duration = Duration::from_secs(20);

type Reports = Receiver<Report<Event>>;
type Case = (&'static str, fn() -> std::pin::Pin<Box<dyn Future<Output = ()>>>);

macro_rules! cases {
    ($($name:ident)*) => { &[$((stringify!($name), || Box::pin($name()))),*] };
}

const CASES: &[Case] = cases! {
    it_says_where_it_listens_and_ends_when_its_parent_lets_go
    a_participant_is_offered_its_data_channels
    a_taken_port_is_a_sentence
    a_killed_process_is_replaced_and_serves_again
};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some("media") => {
            let ended = belfry_media::run();
            std::process::exit(i32::from(ended.is_err()));
        }
        // The list that test runners ask for.
        Some("--list") => {
            for (name, _) in CASES {
                println!("{name}: test");
            }
            return;
        }
        _ => {}
    }
    let only = args.iter().skip(1).find(|arg| !arg.starts_with('-'));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut passed_count = 0;
    for (name, case) in CASES {
        if only.is_none_or(|only| name.contains(only.as_str())) {
            runtime.block_on(async {
                tokio::time::timeout(3 * PATIENCE, case()).await.expect(name);
            });
            println!("test {name} ... ok");
            passed_count += 1;
        }
    }
    println!("\ntest result: ok. {passed_count} passed; 0 failed");
}

fn start(port: u16) -> (Commands<Command>, Reports) {
    let listen = vec![([127, 0, 0, 1], port).into()];
    let configure = Configure { listen, shards: 2, ..Configure::default() };
    belfry_media::supervise(None, vec!["media".into()], configure, None)
}

/// The next report but counters, which come every second.
async fn next(reports: &mut Reports) -> Report<Event> {
    loop {
        let report = tokio::time::timeout(PATIENCE, reports.recv()).await.expect("in time");
        match report.expect("a report") {
            Report::Message(Event::Counters { .. }) => {}
            report => return report,
        }
    }
}

/// The process's id and its port.
async fn expect_ready(reports: &mut Reports) -> (u32, u16) {
    let Report::Started { process_id } = next(reports).await else { panic!("a start") };
    match next(reports).await {
        Report::Message(Event::Ready { listening }) => (process_id.unwrap(), listening[0].port()),
        other => panic!("expected readiness, got {other:?}"),
    }
}

async fn expect_offer(commands: &Commands<Command>, reports: &mut Reports) {
    let participant = ParticipantSid::new("PA_1");
    commands
        .send(Command::OpenParticipant { room: RoomSid::new("RM_1"), participant })
        .await
        .unwrap();
    loop {
        match next(reports).await {
            Report::Message(Event::SubscriberOffer { sdp, mids, .. }) => {
                assert!(sdp.contains("m=application 9 UDP/DTLS/SCTP webrtc-datachannel"));
                assert!(mids.is_empty());
                return;
            }
            Report::Message(Event::OfferRefused { role: PeerRole::Subscriber, .. })
            | Report::Ended(_)
            | Report::GaveUp => panic!("no offer"),
            _ => {}
        }
    }
}

fn runs(process_id: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{process_id}/stat"))
        .is_ok_and(|stat| !stat.rsplit(") ").next().unwrap().starts_with('Z'))
}

async fn it_says_where_it_listens_and_ends_when_its_parent_lets_go() {
    let (commands, mut reports) = start(0);
    let (process_id, port) = expect_ready(&mut reports).await;
    assert_ne!(port, 0);
    assert!(UdpSocket::bind(("127.0.0.1", port)).is_err(), "the port is really taken");
    drop(commands);
    while reports.recv().await.is_some() {}
    let start = Instant::now();
    while runs(process_id) {
        assert!(start.elapsed() < PATIENCE, "the process is still there");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(UdpSocket::bind(("127.0.0.1", port)).is_ok());
}

async fn a_participant_is_offered_its_data_channels() {
    let (commands, mut reports) = start(0);
    expect_ready(&mut reports).await;
    expect_offer(&commands, &mut reports).await;
}

async fn a_taken_port_is_a_sentence() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let (_commands, mut reports) = start(port);
    assert!(matches!(next(&mut reports).await, Report::Started { .. }));
    match next(&mut reports).await {
        Report::Message(Event::Unusable { sentence }) => {
            assert!(sentence.contains(&port.to_string()), "{sentence}");
            assert!(!sentence.contains('\n'), "{sentence}");
        }
        other => panic!("expected a sentence, got {other:?}"),
    }
}

async fn a_killed_process_is_replaced_and_serves_again() {
    let (commands, mut reports) = start(0);
    let (process_id, _) = expect_ready(&mut reports).await;
    expect_offer(&commands, &mut reports).await;
    let killed = Instant::now();
    let killing = std::process::Command::new("kill")
        .args(["-KILL", &process_id.to_string()])
        .status()
        .unwrap();
    assert!(killing.success());
    loop {
        if let Report::Ended(end) = next(&mut reports).await {
            assert!(matches!(end, End::Died { .. }));
            break;
        }
    }
    let (replaced, _) = expect_ready(&mut reports).await;
    assert_ne!(replaced, process_id);
    expect_offer(&commands, &mut reports).await;
    assert!(killed.elapsed() < Duration::from_secs(5), "{:?}", killed.elapsed());
}

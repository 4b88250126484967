//! Supervision with real processes: this test binary is its own worker.
#![allow(clippy::unwrap_used, reason = "a test's helper may fail by panicking")]
#![allow(clippy::print_stdout, reason = "this is its own test runner")]

use std::error::Error;
use std::time::{Duration, Instant};

use belfry_model::Outside;
use belfry_workers::sandbox::{Enforced, Files, Network};
use belfry_workers::{Commands, End, Report, Restarts, Spec, Vocabulary, link, sandbox, supervise};
use tokio::sync::mpsc;

/// The longest that any single expectation may take.
const PATIENCE: Duration = Duration::from_secs(20);

type Reports = mpsc::Receiver<Report<String>>;
type Case = (&'static str, fn() -> std::pin::Pin<Box<dyn Future<Output = ()>>>);

macro_rules! cases {
    ($($name:ident)*) => { &[$((stringify!($name), || Box::pin($name()))),*] };
}

const CASES: &[Case] = cases! {
    a_worker_answers_and_stops_when_nobody_needs_it
    a_worker_that_dies_is_replaced_at_once_and_greeted_again
    what_a_dying_worker_said_last_is_heard
    a_worker_that_falls_silent_is_killed_and_replaced
    a_sign_of_life_is_enough
    a_worker_that_talks_nonsense_is_killed
    a_worker_that_fails_too_often_is_given_up
    a_flood_both_ways_does_not_lock_up
    a_worker_that_ignores_the_end_of_its_link_is_killed
    a_worker_ends_with_the_process_that_started_it
    a_worker_cannot_open_files_or_start_without_its_parent
    a_worker_makes_the_calls_that_its_kind_needs_and_no_others
};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some("worker") => return worker(),
        Some("parent") => return parent(),
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

/// The child: does as it is told.
fn worker() {
    let (mut receiving, mut sending) = link::take().unwrap();
    assert!(link::take().is_err(), "the link is taken once");
    while let Some(frame) = receiving.receive().unwrap() {
        let command = String::from_utf8(frame).unwrap();
        match command.as_str() {
            "die" => std::process::exit(3),
            "last words" => {
                sending.send(b"goodbye").unwrap();
                std::process::exit(0);
            }
            "wedge" => loop {
                std::thread::park();
            },
            "beat" => {
                for _ in 0..20 {
                    std::thread::sleep(Duration::from_millis(50));
                    sending.beat().unwrap();
                }
                sending.send(b"still here").unwrap();
            }
            "nonsense" => sending.send(&[0xFF]).unwrap(),
            "flood" => {
                let block = vec![b'x'; 60_000];
                for _ in 0..100 {
                    sending.send(&block).unwrap();
                }
                sending.send(b"flooded").unwrap();
            }
            "stay" => {
                assert!(sandbox::enter(&Files::default(), Network::None).dies_with_parent);
                sending.send(b"staying").unwrap();
                receiving.receive().unwrap();
                loop {
                    std::thread::park();
                }
            }
            "sandbox" => sending.send(try_sandbox().as_bytes()).unwrap(),
            "no network" => sending.send(try_calls(Network::None).as_bytes()).unwrap(),
            "serves" => sending.send(try_calls(Network::Serves).as_bytes()).unwrap(),
            _ => sending.send(format!("heard {command}").as_bytes()).unwrap(),
        }
    }
}

fn try_sandbox() -> String {
    let applied = sandbox::enter(&Files::default(), Network::None);
    let opened = std::fs::read("/etc/passwd").is_ok();
    let limits = applied.no_core_dump && applied.no_new_privileges && applied.dies_with_parent;
    format!("{limits} {} {opened}", applied.files != Enforced::Not)
}

/// Tries what a worker may and may not do; says what worked, and which refusals were not `EPERM`.
fn try_calls(network: Network) -> String {
    use std::net::{TcpListener, TcpStream, UdpSocket};
    // Somebody to connect to, from before.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    if !sandbox::enter(&Files::default(), network).calls {
        return "no filter in this kernel".to_owned();
    }
    let mut worked = Vec::new();
    let mut attempt = |name: &str, outcome: std::io::Result<()>| match outcome {
        Ok(()) => worked.push(name.to_owned()),
        Err(error) if error.raw_os_error() == Some(1) => {}
        Err(error) => worked.push(format!("{name} failed by {error}")),
    };
    attempt("exec", std::process::Command::new("/bin/true").status().map(drop));
    attempt("open", std::fs::File::open("/proc/self/status").map(drop));
    attempt("create", std::fs::File::create("/dev/shm/belfry-sandbox").map(drop));
    attempt("connect", TcpStream::connect(address).map(drop));
    attempt("unix", std::os::unix::net::UnixDatagram::unbound().map(drop));
    let udp = UdpSocket::bind("127.0.0.1:0");
    match &udp {
        Ok(_) => attempt("udp", Ok(())),
        Err(error) => {
            attempt("udp", Err(std::io::Error::from_raw_os_error(error.raw_os_error().unwrap())));
        }
    }
    attempt(
        "listen",
        TcpListener::bind("[::1]:0").map(drop).or_else(|error| match error.raw_os_error() {
            // A machine without IPv6.
            Some(97 | 99) => Ok(()),
            _ => Err(error),
        }),
    );
    attempt(
        "thread",
        std::thread::Builder::new().spawn(|| ()).map(|thread| thread.join().unwrap()),
    );
    if let Ok(udp) = udp {
        udp.set_nonblocking(true).unwrap();
        udp.send_to(b"x", udp.local_addr().unwrap()).unwrap();
        assert!(sandbox::seal());
        attempt("udp after all", UdpSocket::bind("127.0.0.1:0").map(drop));
        attempt("receive", udp.recv_from(&mut [0; 9]).map(drop));
        let elsewhere = std::thread::spawn(|| UdpSocket::bind("127.0.0.1:0").map(drop));
        attempt("udp elsewhere", elsewhere.join().unwrap());
    }
    worked.join(", ")
}

/// A process that starts a worker and is then killed by the test.
fn parent() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (_commands, mut reports) = start("stay", spec());
        let Some(Report::Started { process_id }) = reports.recv().await else { panic!() };
        expect_message(&mut reports, "staying").await;
        println!("{}", process_id.unwrap());
        std::future::pending::<()>().await;
    });
}

fn spec() -> Spec {
    Spec {
        name: "obedient",
        program: None,
        args: vec!["worker".into()],
        silence_max: PATIENCE,
        listener: None,
        stop_max: Duration::from_secs(1),
    }
}

fn decode(frame: Outside<'_>) -> Result<String, Box<dyn Error + Send + Sync>> {
    static TEXT: belfry_model::outside::Parser<String, std::str::Utf8Error> =
        belfry_model::outside::Parser::new("obedient worker", 1 << 20, b"heard", |bytes| {
            std::str::from_utf8(bytes).map(str::to_owned)
        });
    TEXT.parse(frame).map_err(Into::into)
}

fn start(greeting: &str, spec: Spec) -> (Commands<String>, Reports) {
    let vocabulary = Vocabulary { encode: |text: &String| text.clone().into_bytes(), decode };
    supervise(spec, Restarts::default(), vocabulary, greeting.to_owned(), 16)
}

async fn next(reports: &mut Reports) -> Report<String> {
    tokio::time::timeout(PATIENCE, reports.recv()).await.expect("in time").expect("a report")
}

async fn expect_started(reports: &mut Reports) -> u32 {
    match next(reports).await {
        Report::Started { process_id } => process_id.expect("it runs"),
        other => panic!("expected a start, got {other:?}"),
    }
}

async fn expect_message(reports: &mut Reports, text: &str) {
    match next(reports).await {
        Report::Message(message) => assert_eq!(message, text),
        other => panic!("expected {text}, got {other:?}"),
    }
}

/// A process of this number is there and no zombie.
fn runs(process_id: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{process_id}/stat"))
        .is_ok_and(|stat| !stat.rsplit(") ").next().unwrap().starts_with('Z'))
}

async fn wait_until_gone(process_id: u32) {
    let start = Instant::now();
    while runs(process_id) {
        assert!(start.elapsed() < PATIENCE, "the process is still there");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn a_worker_answers_and_stops_when_nobody_needs_it() {
    let (commands, mut reports) = start("hello", spec());
    let process_id = expect_started(&mut reports).await;
    expect_message(&mut reports, "heard hello").await;
    commands.send("again".to_owned()).await.unwrap();
    expect_message(&mut reports, "heard again").await;
    drop(commands);
    assert!(reports.recv().await.is_none(), "no replacement");
    wait_until_gone(process_id).await;
}

async fn a_worker_that_dies_is_replaced_at_once_and_greeted_again() {
    let (commands, mut reports) = start("hello", spec());
    expect_started(&mut reports).await;
    expect_message(&mut reports, "heard hello").await;
    commands.send("die".to_owned()).await.unwrap();
    let asked = Instant::now();
    match next(&mut reports).await {
        Report::Ended(End::Died { status }) => assert_eq!(status.unwrap().code(), Some(3)),
        other => panic!("expected an end, got {other:?}"),
    }
    expect_started(&mut reports).await;
    expect_message(&mut reports, "heard hello").await;
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}

async fn what_a_dying_worker_said_last_is_heard() {
    let (commands, mut reports) = start("hello", spec());
    expect_started(&mut reports).await;
    expect_message(&mut reports, "heard hello").await;
    commands.send("last words".to_owned()).await.unwrap();
    commands.send("too late".to_owned()).await.unwrap();
    expect_message(&mut reports, "goodbye").await;
    assert!(matches!(next(&mut reports).await, Report::Ended(End::Died { .. })));
}

async fn a_worker_that_falls_silent_is_killed_and_replaced() {
    let spec = Spec { silence_max: Duration::from_secs(2), ..spec() };
    let (commands, mut reports) = start("hello", spec);
    let process_id = expect_started(&mut reports).await;
    expect_message(&mut reports, "heard hello").await;
    commands.send("wedge".to_owned()).await.unwrap();
    assert!(matches!(next(&mut reports).await, Report::Ended(End::Wedged)));
    wait_until_gone(process_id).await;
    expect_started(&mut reports).await;
    expect_message(&mut reports, "heard hello").await;
}

async fn a_sign_of_life_is_enough() {
    let spec = Spec { silence_max: Duration::from_millis(700), ..spec() };
    let (_commands, mut reports) = start("beat", spec);
    expect_started(&mut reports).await;
    expect_message(&mut reports, "still here").await;
}

async fn a_worker_that_talks_nonsense_is_killed() {
    let (commands, mut reports) = start("hello", spec());
    let process_id = expect_started(&mut reports).await;
    expect_message(&mut reports, "heard hello").await;
    commands.send("nonsense".to_owned()).await.unwrap();
    assert!(matches!(next(&mut reports).await, Report::Ended(End::Nonsense(_))));
    wait_until_gone(process_id).await;
}

async fn a_worker_that_fails_too_often_is_given_up() {
    let vocabulary = Vocabulary { encode: |text: &String| text.clone().into_bytes(), decode };
    let restarts =
        Restarts { count_max: 2, delay_min: Duration::from_millis(1), ..Restarts::default() };
    let (commands, mut reports) = supervise(spec(), restarts, vocabulary, "die".to_owned(), 16);
    for _ in 0..3 {
        expect_started(&mut reports).await;
        assert!(matches!(next(&mut reports).await, Report::Ended(End::Died { .. })));
    }
    assert!(matches!(next(&mut reports).await, Report::GaveUp));
    assert!(reports.recv().await.is_none());
    assert!(commands.is_gone());
}

async fn a_flood_both_ways_does_not_lock_up() {
    let (commands, mut reports) = start("flood", spec());
    expect_started(&mut reports).await;
    let block = "y".repeat(60_000);
    let sending = tokio::spawn(async move {
        for _ in 0..100 {
            commands.send(block.clone()).await.unwrap();
        }
        commands
    });
    let mut echoes = 0;
    let mut flooded = false;
    while !(flooded && echoes == 100) {
        match next(&mut reports).await {
            Report::Message(text) if text.starts_with("heard ") => echoes += 1,
            Report::Message(text) => flooded |= text == "flooded",
            other => panic!("expected a message, got {other:?}"),
        }
    }
    drop(sending.await.unwrap());
}

async fn a_worker_that_ignores_the_end_of_its_link_is_killed() {
    let (commands, mut reports) = start("stay", spec());
    let process_id = expect_started(&mut reports).await;
    expect_message(&mut reports, "staying").await;
    drop(commands);
    wait_until_gone(process_id).await;
}

async fn a_worker_ends_with_the_process_that_started_it() {
    use std::io::BufRead;
    let mut parent = std::process::Command::new(std::env::current_exe().unwrap())
        .arg("parent")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let worker: u32 = line.trim().parse().unwrap();
    assert!(runs(worker));
    parent.kill().unwrap();
    parent.wait().unwrap();
    // It ignores the end of its link, so it is the kernel's death signal that ends it.
    wait_until_gone(worker).await;
}

async fn a_worker_cannot_open_files_or_start_without_its_parent() {
    let (_commands, mut reports) = start("sandbox", spec());
    expect_started(&mut reports).await;
    let Report::Message(text) = next(&mut reports).await else { panic!("a message") };
    // On a kernel without Landlock the files stay open, and the report says so.
    assert!(text == "true true false" || text == "true false true", "{text}");
    let alone = std::process::Command::new(std::env::current_exe().unwrap())
        .arg("worker")
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(!alone.success());
}

async fn a_worker_makes_the_calls_that_its_kind_needs_and_no_others() {
    for (kind, expected) in [("no network", "thread"), ("serves", "udp, listen, thread, receive")] {
        let (_commands, mut reports) = start(kind, spec());
        expect_started(&mut reports).await;
        expect_message(&mut reports, expected).await;
    }
}

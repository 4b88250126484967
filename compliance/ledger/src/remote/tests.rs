use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use belfry_audit::{Actor, Detail, Event, Person, Scope};
use tokio::runtime::{Builder, Runtime};

use super::{Peers, serve};
use crate::writer::Fault;
use crate::{Error, Ledger, Search};

/// The record's process, in this one: what it holds is gone when it is dropped.
struct Process {
    runtime: Option<Runtime>,
    ledger: Ledger,
}

impl Process {
    fn start(place: &Place) -> Self {
        let ledger = Ledger::open(&place.record).unwrap();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        // Left behind by a process that was killed.
        let _ = std::fs::remove_file(&place.socket);
        let listener = {
            let _inside = runtime.enter();
            tokio::net::UnixListener::bind(&place.socket).unwrap()
        };
        runtime.spawn(serve(ledger.clone(), listener, Peers::default()));
        Self { runtime: Some(runtime), ledger }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }
}

struct Place {
    _dir: tempfile::TempDir,
    record: PathBuf,
    socket: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let [record, socket] = ["audit.db", "ledger.sock"].map(|name| dir.path().join(name));
        Self { _dir: dir, record, socket }
    }

    fn client(&self) -> Ledger {
        Ledger::connect(&self.record, SocketAddr::from_pathname(&self.socket).unwrap()).unwrap()
    }
}

fn signed_in(person: i64) -> Event {
    Event {
        at_ms: 1_000,
        scope: Scope::school(1, 1),
        actor: Actor::Person(Person(person)),
        detail: Detail::SignedIn { person: Person(person) },
    }
}

fn until(what: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !what() {
        assert!(Instant::now() < deadline, "it never came true");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// How often each person's event is recorded.
fn recorded(record: &Path) -> BTreeMap<i64, u32> {
    let raw = rusqlite::Connection::open(record).unwrap();
    let mut bodies = raw.prepare("SELECT body FROM entry ORDER BY seq").unwrap();
    let mut counts = BTreeMap::new();
    for body in bodies.query_map([], |row| row.get::<_, String>(0)).unwrap() {
        let body: serde_json::Value = serde_json::from_str(&body.unwrap()).unwrap();
        assert!(body["via"].is_u64(), "the kernel says whose process sent it: {body}");
        *counts.entry(body["act"]["id"].as_i64().unwrap_or(-1)).or_default() += 1;
    }
    counts
}

fn each_once(record: &Path, people: std::ops::Range<i64>) {
    let expected: BTreeMap<i64, u32> = people.map(|person| (person, 1)).collect();
    assert_eq!(recorded(record), expected);
}

#[test]
fn what_is_sent_is_recorded_and_says_whose_process_sent_it() {
    let place = Place::new();
    let process = Process::start(&place);
    let ledger = place.client();
    let first = ledger.append_blocking(signed_in(0)).unwrap();
    let second = ledger.append_with_blocking(signed_in(1), &[("name", "Zoë")]).unwrap();
    ledger.enqueue(signed_in(2));
    until(|| ledger.health().entries == 3);
    assert_eq!((first.seq(), second.seq()), (1, 2));
    let newest = ledger.search_blocking(&Search::default(), 10).unwrap();
    assert_eq!(newest.entries[1].leaf, *second.hash());
    let note = ledger.checkpoint_blocking().unwrap().expect("there are entries");
    assert_eq!(note.lines().nth(1), Some("3"));
    until(|| ledger.health().published == 3 || ledger.checkpoint_blocking().is_err());
    let erased = ledger.erase_blocking(2_000, Scope::district(1), Actor::Console, vec![2]).unwrap();
    assert_eq!(erased.seq(), 4);
    drop((ledger, process));
    assert!(crate::verify(&place.record, &[note], || false).is_ok());
}

#[test]
fn what_is_kept_is_recorded_once_however_often_the_process_ends() {
    let place = Place::new();
    let mut process = Process::start(&place);
    let ledger = place.client();
    let mut person = 0;
    for life in 0..12 {
        for _ in 0..200 {
            ledger.enqueue(signed_in(person));
            person += 1;
        }
        // In another moment each time: before the group, in it, after it.
        until(|| ledger.health().entries >= person as u64 - 200 + life * 17);
        drop(process);
        ledger.enqueue(signed_in(person));
        person += 1;
        assert!(
            matches!(ledger.append_blocking(signed_in(-1)), Err(Error::Fatal { .. } | Error::Late)),
            "nobody waits for a process that is not there"
        );
        process = Process::start(&place);
    }
    until(|| ledger.health().entries == person as u64);
    drop((ledger, process));
    each_once(&place.record, 0..person);
}

#[test]
fn a_commit_that_failed_and_is_yet_in_the_file_is_not_sent_again() {
    for fault in [
        Fault::Persisted,
        Fault::NotPersisted,
        Fault::PersistedThenDown(2),
        Fault::NotPersistedThenDown(2),
    ] {
        let place = Place::new();
        let process = Process::start(&place);
        let ledger = place.client();
        ledger.append_blocking(signed_in(0)).unwrap();
        process.ledger.inject(fault);
        (1..20).for_each(|person| ledger.enqueue(signed_in(person)));
        until(|| ledger.health().entries == 20);
        assert!(ledger.append_blocking(signed_in(20)).is_ok(), "{fault:?}");
        assert_eq!(ledger.health().failing, None);
        drop((ledger, process));
        each_once(&place.record, 0..21);
    }
}

#[test]
fn a_damaged_record_refuses_whoever_waits_and_keeps_the_rest() {
    let place = Place::new();
    drop(Process::start(&place).ledger.append_blocking(signed_in(0)));
    let raw = rusqlite::Connection::open(&place.record).unwrap();
    raw.execute_batch("DROP TRIGGER head_never_goes; DELETE FROM head;").unwrap();
    drop(raw);
    let process = Process::start(&place);
    let ledger = place.client();
    until(|| ledger.health().damaged.is_some());
    let refused = ledger.append_blocking(signed_in(1)).unwrap_err();
    assert!(refused.is_fatal(), "{refused}");
    ledger.enqueue(signed_in(2));
    assert_eq!(ledger.health().buffered, 1);
    drop((ledger, process));
}

#[test]
fn whoever_talks_nonsense_is_hung_up_on_and_the_others_are_served() {
    let place = Place::new();
    let process = Process::start(&place);
    let ledger = place.client();
    for nonsense in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0, 0, 0, 2, 9, 9], &[0, 0, 0, 3, 1, 0, 0]] {
        let mut line = UnixStream::connect(&place.socket).unwrap();
        line.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        line.write_all(nonsense).unwrap();
        line.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = [0; 1];
        match line.read(&mut answer) {
            Ok(0) => {}
            // It had not read all of it.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
            other => panic!("{other:?}: {answer:?}"),
        }
    }
    ledger.append_blocking(signed_in(0)).unwrap();
    drop((ledger, process));
    each_once(&place.record, 0..1);
}

#[test]
fn more_than_a_frame_holds_goes_in_parts() {
    let place = Place::new();
    let process = Process::start(&place);
    let ledger = place.client();
    let long = "x".repeat(6_000);
    let waiting: Vec<_> = (0..400)
        .map(|person| {
            let (ledger, long) = (ledger.clone(), long.clone());
            std::thread::spawn(move || {
                ledger.append_with_blocking(signed_in(person), &[("name", &long)]).map(drop)
            })
        })
        .collect();
    for waiting in waiting {
        waiting.join().unwrap().unwrap();
    }
    let huge = "x".repeat(2 * super::wire::FRAME_BYTES_MAX);
    let refused = ledger.append_with_blocking(signed_in(400), &[("name", &huge)]).unwrap_err();
    assert!(refused.to_string().contains("too long"), "{refused}");
    drop((ledger, process));
    each_once(&place.record, 0..400);
}

#[test]
fn nobody_waits_for_ever_at_the_end_for_a_record_that_cannot_be_written() {
    let place = Place::new();
    let process = Process::start(&place);
    let unsettled = place.client();
    process.ledger.inject(Fault::NotPersistedThenDown(u32::MAX));
    unsettled.enqueue(signed_in(0));
    until(|| unsettled.health().failing.is_some());
    let refused = place.client();
    refused.enqueue(signed_in(1));
    until(|| refused.health().failing.is_some());
    let begun = Instant::now();
    drop((unsettled, refused, process));
    let alone = place.client();
    alone.enqueue(signed_in(2));
    drop(alone);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

use std::path::Path;
use std::time::{Duration, Instant};

use belfry_audit::{
    Actor, Class, Detail, Event, EventKind, Holding, Lesson, Masked, Participant, Person,
    PersonRole, RefusedBecause, Scope, Word,
};

use crate::queue::Queue;
use crate::writer::Fault;
use crate::{About, Error, Ledger, OpenError, Search};

fn signed_in(person: i64) -> Event {
    Event {
        at_ms: 1_000 + person,
        scope: Scope::school(1, 1),
        actor: Actor::Person(Person(person)),
        detail: Detail::SignedIn { person: Person(person) },
    }
}

fn append_all(ledger: &Ledger, people: std::ops::Range<i64>) {
    for person in people {
        ledger.append_blocking(signed_in(person)).unwrap();
    }
}

fn recorded(ledger: &Ledger) -> Vec<i64> {
    let mut entries = ledger.page_blocking(None, 500, None).unwrap().entries;
    entries.reverse();
    entries.iter().map(|entry| entry.at_ms - 1_000).collect()
}

/// Waits, within a bound, until something is true of the ledger.
fn until(ledger: &Ledger, what: impl Fn(&Ledger) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !what(ledger) {
        assert!(Instant::now() < deadline, "never came true: {:?}", ledger.health());
        std::thread::yield_now();
    }
}

fn in_dir(check: impl FnOnce(&Path)) {
    let dir = tempfile::tempdir().unwrap();
    check(&dir.path().join("audit.db"));
}

#[test]
fn a_receipt_is_for_an_entry_that_is_there_after_reopening() {
    in_dir(|path| {
        let ledger = Ledger::open(path).unwrap();
        let first = ledger.append_blocking(signed_in(1)).unwrap();
        ledger.enqueue(signed_in(2));
        let third = ledger.append_blocking(signed_in(3)).unwrap();
        assert_eq!((first.seq(), third.seq(), third.kind()), (1, 3, EventKind::SignedIn));
        drop(ledger);
        let ledger = Ledger::open(path).unwrap();
        assert_eq!(recorded(&ledger), [1, 2, 3]);
        let page = ledger.page_blocking(None, 10, None).unwrap();
        assert_eq!(page.entries[0].leaf, *third.hash());
        assert_eq!(ledger.append_blocking(signed_in(4)).unwrap().seq(), 4);
    });
}

#[test]
fn entries_are_found_by_what_they_are_about_and_nothing_else_is() {
    in_dir(|path| {
        let ledger = Ledger::open(path).unwrap();
        let event =
            |at_ms, actor, detail| Event { at_ms, scope: Scope::school(1, 1), actor, detail };
        let (class, lesson) = (Class(7), Lesson(9));
        let joined =
            |who: &str| Detail::ParticipantJoined { lesson, participant: Participant::new(who) };
        let shown =
            |holding, object| Detail::Disclosing { holding, route: Word::new("/x"), object };
        let details = [
            joined("p7"),
            joined("p70"),
            Detail::EnrolmentAdded { class, person: Person(8), role: PersonRole::Student },
            shown(Holding::People, Some(7)),
            shown(Holding::Rosters, Some(7)),
            Detail::SignInRefused {
                person: Some(Person(7)),
                because: RefusedBecause::WrongPassword,
            },
        ];
        for (at, detail) in (1..).zip(details) {
            ledger.append_blocking(event(at, Actor::Appliance, detail)).unwrap();
        }
        let by = Detail::ClassCreated { class: Class(3) };
        ledger.append_blocking(event(7, Actor::Person(Person(7)), by)).unwrap();
        let found = |search: Search| -> Vec<u64> {
            let page = ledger.search_blocking(&search, 100).unwrap();
            page.entries.iter().map(|entry| entry.seq).collect()
        };
        let about = |about| found(Search { about: Some(about), ..Search::default() });
        assert_eq!(about(About::Person(7)), [7, 6, 4, 1]);
        assert_eq!(about(About::Class(7)), [5, 3]);
        assert_eq!(about(About::Lesson(9)), [2, 1]);
        assert_eq!(found(Search { refused: true, ..Search::default() }), [6]);
        let kinds = vec![EventKind::ParticipantJoined, EventKind::ClassCreated];
        assert_eq!(found(Search { kinds, before: Some(7), ..Search::default() }), [2, 1]);
        let (since_ms, until_ms) = (Some(3), Some(5));
        assert_eq!(found(Search { since_ms, until_ms, ..Search::default() }), [4, 3]);
    });
}

#[test]
fn what_was_enqueued_is_written_before_the_last_clone_is_gone() {
    in_dir(|path| {
        let ledger = Ledger::open(path).unwrap();
        (0..2_000).for_each(|person| ledger.enqueue(signed_in(person)));
        drop(ledger);
        let ledger = Ledger::open(path).unwrap();
        assert_eq!(ledger.health().entries, 2_000);
    });
}

#[tokio::test]
async fn appends_from_many_tasks_each_get_their_own_place() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&dir.path().join("audit.db")).unwrap();
    let tasks: Vec<_> = (0..100)
        .map(|person| {
            let ledger = ledger.clone();
            tokio::spawn(async move { ledger.append(signed_in(person)).await.unwrap().seq() })
        })
        .collect();
    let mut places = Vec::new();
    for task in tasks {
        places.push(task.await.unwrap());
    }
    places.sort_unstable();
    assert_eq!(places, (1..=100).collect::<Vec<_>>());
}

#[test]
fn a_write_that_failed_and_is_not_in_the_file_is_refused_and_not_recorded() {
    in_dir(|path| {
        let ledger = Ledger::open(path).unwrap();
        ledger.append_blocking(signed_in(1)).unwrap();
        ledger.inject(Fault::NotPersisted);
        assert!(matches!(ledger.append_blocking(signed_in(2)), Err(Error::Fatal { .. })));
        assert_eq!(ledger.append_blocking(signed_in(3)).unwrap().seq(), 2);
        assert_eq!(recorded(&ledger), [1, 3]);
        assert_eq!(ledger.health().failing, None);
    });
}

#[test]
fn a_write_that_failed_but_is_in_the_file_is_acknowledged_once() {
    in_dir(|path| {
        let ledger = Ledger::open(path).unwrap();
        ledger.inject(Fault::Persisted);
        let receipt = ledger.append_blocking(signed_in(1)).unwrap();
        assert_eq!(receipt.seq(), 1);
        ledger.append_blocking(signed_in(2)).unwrap();
        assert_eq!(recorded(&ledger), [1, 2]);
    });
}

#[test]
fn enqueued_events_survive_a_failed_write_whichever_way_it_went_and_are_there_once() {
    for fault in [
        Fault::NotPersisted,
        Fault::Persisted,
        Fault::NotPersistedThenDown(1),
        Fault::PersistedThenDown(2),
    ] {
        in_dir(|path| {
            let ledger = Ledger::open(path).unwrap();
            ledger.inject(fault);
            (0..50).for_each(|person| ledger.enqueue(signed_in(person)));
            until(&ledger, |ledger| ledger.health().entries == 50);
            assert_eq!(recorded(&ledger), (0..50).collect::<Vec<_>>(), "{fault:?}");
        });
    }
}

#[test]
fn while_the_file_cannot_be_opened_nobody_waits_and_health_says_why() {
    in_dir(|path| {
        let ledger = Ledger::open(path).unwrap();
        ledger.inject(Fault::NotPersistedThenDown(2));
        let refused = ledger.append_blocking(signed_in(1)).unwrap_err();
        assert!(matches!(refused, Error::Late), "only the file knows: {refused}");
        assert!(ledger.health().failing.is_some());
        ledger.enqueue(signed_in(2));
        until(&ledger, |ledger| ledger.health().entries == 1);
        until(&ledger, |ledger| ledger.health().failing.is_none());
        assert_eq!(recorded(&ledger), [2]);
    });
}

#[test]
fn an_overflow_is_counted_and_the_count_is_recorded() {
    in_dir(|path| {
        let ledger = Ledger::open_with(path, Queue::with_buffer_max(10)).unwrap();
        ledger.inject(Fault::NotPersistedThenDown(1));
        ledger.append_blocking(signed_in(0)).unwrap_err();
        (1..=15).for_each(|person| ledger.enqueue(signed_in(person)));
        assert_eq!((ledger.health().buffered, ledger.health().dropped), (10, 5));
        until(&ledger, |ledger| ledger.health().entries == 11);
        let page = ledger.page_blocking(None, 1, Some(EventKind::RecordGap)).unwrap();
        let fields: Vec<_> =
            page.entries[0].fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(fields, [("count", "5"), ("first_at_ms", "1011"), ("last_at_ms", "1015")]);
        ledger.enqueue(signed_in(16));
        until(&ledger, |ledger| ledger.health().entries == 12);
        assert_eq!(ledger.health().dropped, 0);
    });
}

#[test]
fn a_really_full_file_is_fatal_and_loses_nothing_acknowledged() {
    in_dir(|path| {
        let ledger = Ledger::open(path).unwrap();
        ledger.append_blocking(signed_in(1)).unwrap();
        drop(ledger);
        let (mut connection, tail) = crate::disk::open(path).unwrap();
        connection.pragma_update(None, "max_page_count", 30).unwrap();
        let kept = |person| {
            crate::queue::Waiting::kept(signed_in(person), crate::opening::Beside::Nothing, None)
        };
        let events: Vec<_> = (2..500).map(kept).collect();
        let (sealed, after) = crate::disk::seal(tail, &[0; 32], events.iter());
        let error = crate::disk::write(&mut connection, &sealed, &after).unwrap_err();
        assert!(Error::from_write(&error).is_fatal(), "{error}");
        drop(connection);
        let ledger = Ledger::open(path).unwrap();
        assert_eq!(recorded(&ledger), [1]);
    });
}

#[test]
fn entries_never_change_and_never_go() {
    in_dir(|path| {
        let ledger = Ledger::open(path).unwrap();
        append_all(&ledger, 0..3);
        drop(ledger);
        let (connection, _) = crate::disk::open(path).unwrap();
        for statement in [
            "UPDATE entry SET body = '{}' WHERE seq = 2",
            "DELETE FROM entry WHERE seq = 3",
            "INSERT OR REPLACE INTO entry SELECT 2, at_ms, kind, district, school, body, leaf, chain FROM entry WHERE seq = 1",
            "INSERT INTO entry SELECT 9, at_ms, kind, district, school, body, leaf, chain FROM entry WHERE seq = 1",
            "PRAGMA writable_schema = 1; DELETE FROM sqlite_schema WHERE type = 'trigger'",
        ] {
            assert!(connection.execute_batch(statement).is_err(), "{statement}");
        }
    });
}

#[test]
fn a_tail_that_was_tampered_with_is_named() {
    in_dir(|path| {
        let ledger = Ledger::open(path).unwrap();
        append_all(&ledger, 0..5);
        drop(ledger);
        let raw = rusqlite::Connection::open(path).unwrap();
        raw.execute_batch(
            "DROP TRIGGER entry_never_changes; UPDATE entry SET body = replace(body, '1002', '1003') WHERE seq = 3",
        )
        .unwrap();
        drop(raw);
        let ledger = Ledger::open(path).unwrap();
        let damaged = ledger.health().damaged.unwrap();
        assert!(damaged.contains("at entry 3"), "{damaged}");
    });
}

#[test]
fn a_page_shows_fields_but_no_secret() {
    in_dir(|path| {
        let ledger = Ledger::open(path).unwrap();
        let changed = Event {
            detail: Detail::SettingChanged {
                setting: Word::new("demo.key"),
                from: Masked::Unset,
                to: Masked::Hidden,
            },
            ..signed_in(7)
        };
        ledger.append_blocking(changed).unwrap();
        append_all(&ledger, 0..5);
        let first = ledger.page_blocking(None, 4, None).unwrap();
        assert_eq!((first.entries.len(), first.before), (4, Some(3)));
        let rest = ledger.page_blocking(first.before, 4, None).unwrap();
        assert_eq!((rest.entries.len(), rest.before), (2, None));
        let entry = &rest.entries[1];
        assert_eq!(
            (entry.kind, entry.actor_id.as_deref()),
            (Some(EventKind::SettingChanged), Some("7"))
        );
        let fields: Vec<_> = entry.fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(fields, [("from", ""), ("setting", "demo.key"), ("to", "(masked)")]);
    });
}

#[test]
fn a_missing_directory_and_a_newer_form_are_one_sentence_each() {
    let error = Ledger::open(Path::new("/nonexistent/audit.db")).unwrap_err();
    assert!(error.to_string().contains("check that the directory exists"), "{error}");
    in_dir(|path| {
        drop(Ledger::open(path).unwrap());
        let raw = rusqlite::Connection::open(path).unwrap();
        raw.pragma_update(None, "user_version", 9).unwrap();
        drop(raw);
        assert!(matches!(Ledger::open(path).unwrap_err(), OpenError::Newer { found: 9, .. }));
    });
}

//! What is erased from among many leaves no bytes, wherever SQLite has moved it meanwhile.

use std::fs;
use std::path::Path;

use belfry_audit::{Actor, Detail, Event, Person, Scope};

use crate::{Ledger, verify};

/// Whose personal data stands beside how many entries.
const PEOPLE: i64 = 120;
const EACH: usize = 6;

fn event(person: i64) -> Event {
    Event {
        at_ms: 7,
        scope: Scope::district(1),
        actor: Actor::Person(Person(9)),
        detail: Detail::PersonChanged { person: Person(person) },
    }
}

/// Of different lengths, so that pages do not fill evenly.
fn name(person: i64) -> String {
    format!("Quillon{person:05}y{}", "e".repeat((person % 37).unsigned_abs() as usize))
}

/// Whose names stand in the files of the record.
fn named(path: &Path) -> Vec<i64> {
    let log = path.with_file_name("audit.db-wal");
    let bytes = [fs::read(path).unwrap_or_default(), fs::read(log).unwrap_or_default()].concat();
    let found = |person: &i64| {
        let name = format!("Quillon{person:05}y");
        bytes.windows(name.len()).any(|window| window == name.as_bytes())
    };
    (0..PEOPLE).filter(found).collect()
}

#[test]
fn an_opening_that_was_moved_leaves_nothing_behind_when_it_is_erased() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.db");
    let ledger = Ledger::open(&path).unwrap();
    for _ in 0..EACH {
        for person in 0..PEOPLE {
            let id = person.to_string();
            let members: [(&str, &str); 2] = [("name", &name(person)), ("person", &id)];
            ledger.append_with_blocking(event(person), &members).unwrap();
        }
    }
    assert!(named(&path).into_iter().eq(0..PEOPLE), "every name was written");
    // In no order, and most of them: pages empty, merge and are used again.
    let gone: Vec<i64> = (0..PEOPLE).map(|at| at * 53 % PEOPLE).filter(|at| at % 5 != 0).collect();
    for person in &gone {
        let openings = ledger.openings_of_blocking(*person, "nobody").unwrap();
        assert_eq!(openings.len(), EACH);
        let actor = Actor::Person(Person(9));
        ledger.erase_blocking(7, Scope::district(1), actor, openings).unwrap();
        let left = named(&path);
        assert!(!left.contains(person), "{person} is left while the record is in use");
    }
    ledger.checkpoint_blocking().unwrap();
    drop(ledger);
    let stay: Vec<i64> = (0..PEOPLE).filter(|at| at % 5 == 0).collect();
    assert_eq!(named(&path), stay);
    assert!(verify(&path, &[], || false).is_ok());
}

//! The tree, its checkpoints, and a record that is not what it was.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use belfry_audit::{
    Actor, Detail, Event, EventKind, Frontier, Hash, Person, Scope, SignedNote, Verifier, Word,
    check_consistency, check_inclusion, consistency_proof, inclusion_proof, leaf_hash,
};

use crate::keeper::{key_path, lock_path};
use crate::{
    About, Error, Fork, ForkError, Ledger, Openings, Search, Unverified, disk, export, fork,
    newest_checkpoint, verify,
};

fn event(person: i64) -> Event {
    Event {
        at_ms: 1_000 + person,
        scope: Scope::school(1, 1),
        actor: Actor::Person(Person(person)),
        detail: Detail::SignedIn { person: Person(person) },
    }
}

fn in_dir(check: impl FnOnce(&Path)) {
    let dir = tempfile::tempdir().unwrap();
    check(&dir.path().join("audit.db"));
}

/// A closed record of this many entries.
fn made(path: &Path, count: i64) {
    let ledger = Ledger::open(path).unwrap();
    (0..count).for_each(|person| ledger.enqueue(event(person)));
}

fn whole(path: &Path) -> Result<crate::Verified, Unverified> {
    verify(path, &[], || false)
}

fn finding(path: &Path) -> crate::Finding {
    match whole(path) {
        Err(Unverified::Bad(finding)) => finding,
        other => panic!("nothing was found: {other:?}"),
    }
}

fn about(whom: About) -> Search {
    Search { about: Some(whom), ..Search::default() }
}

/// As somebody who owns the machine changes it.
fn change(path: &Path, sql: &str) {
    let raw = rusqlite::Connection::open(path).unwrap();
    raw.execute_batch(sql).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap();
}

#[test]
fn what_a_closed_record_holds_is_under_a_published_checkpoint() {
    in_dir(|path| {
        made(path, 700);
        let verified = whole(path).unwrap();
        assert_eq!(verified.entries, 700);
        let (note, vkey) = newest_checkpoint(path).unwrap();
        let note = SignedNote::parse(&note).unwrap();
        let checkpoint = note.verified_by(&Verifier::parse(&vkey).unwrap()).unwrap().clone();
        assert_eq!((checkpoint.size, checkpoint.root), (700, verified.root));
        assert_eq!(
            fs::read_to_string(lock_path(path)).unwrap(),
            newest_checkpoint(path).unwrap().0
        );
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let (key, lock) = (key_path(path), lock_path(path));
        assert_eq!([mode(&key), mode(&lock), mode(path)], [0o600; 3]);
        crate::share(path).unwrap();
        assert_eq!([mode(&key), mode(&lock), mode(path)], [0o600, 0o640, 0o640]);
        assert!(!fs::read_to_string(path.with_extension("pub")).unwrap().contains("PRIVATE"));
    });
}

#[test]
fn proofs_for_any_size_come_from_what_is_stored() {
    in_dir(|path| {
        made(path, 1_300);
        let connection = disk::open_for_reading(path).unwrap();
        let get = |at| disk::subtree(&connection, at);
        let root = |size| disk::stored_root(&connection, size).unwrap();
        let mut frontier = Frontier::default();
        for person in 0..1_300 {
            frontier.push(leaf_hash(event(person).canonical().as_bytes()), |_, _| {});
            assert_eq!(root(frontier.size()), frontier.root());
        }
        for (index, size) in [(0, 1), (0, 1_300), (511, 512), (512, 513), (1_299, 1_300), (7, 769)]
        {
            let leaf = leaf_hash(event(i64::try_from(index).unwrap()).canonical().as_bytes());
            let proof = inclusion_proof(index, size, get).unwrap();
            check_inclusion(&leaf, index, size, &proof, &root(size)).unwrap();
        }
        for old in [1, 255, 256, 257, 512, 1_000, 1_299] {
            let proof = consistency_proof(old, 1_300, get).unwrap();
            check_consistency(old, 1_300, &proof, &root(old), &root(1_300)).unwrap();
        }
    });
}

/// A record as form 1 was: the table of entries alone.
fn form_1(path: &Path, count: i64) -> Hash {
    let raw = rusqlite::Connection::open(path).unwrap();
    let fresh = tempfile::tempdir().unwrap();
    drop(Ledger::open(&fresh.path().join("audit.db")).unwrap());
    let present = rusqlite::Connection::open(fresh.path().join("audit.db")).unwrap();
    let mut statement = present
        .prepare("SELECT sql FROM sqlite_schema WHERE tbl_name = 'entry' AND sql IS NOT NULL")
        .unwrap();
    let parts: Vec<String> =
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(parts.len(), 5, "a table, an index, three triggers");
    raw.execute_batch(&parts.join(";\n")).unwrap();
    raw.pragma_update(None, "user_version", 1).unwrap();
    let mut chain = Hash::default();
    for person in 0..count {
        let body = event(person).canonical();
        let leaf = leaf_hash(body.as_bytes());
        chain = belfry_audit::chain_hash(&chain, &leaf);
        raw.execute(
            "INSERT INTO entry VALUES (?1, ?2, 'auth.signed_in', 1, 1, ?3, ?4, ?5)",
            rusqlite::params![person + 1, 1_000 + person, body, leaf.0, chain.0],
        )
        .unwrap();
    }
    chain
}

#[test]
fn a_record_of_form_1_becomes_one_of_form_2_and_loses_nothing() {
    in_dir(|path| {
        let chain = form_1(path, 600);
        let ledger = Ledger::open(path).unwrap();
        assert_eq!((ledger.health().entries, ledger.health().damaged), (600, None));
        assert_eq!(ledger.append_blocking(event(600)).unwrap().seq(), 601);
        let history = ledger.search_blocking(&about(About::Person(5)), 10).unwrap();
        assert_eq!(history.entries.len(), 1);
        drop(ledger);
        let verified = whole(path).unwrap();
        assert_eq!(verified.entries, 601);
        let last = leaf_hash(event(600).canonical().as_bytes());
        assert_eq!(verified.chain, belfry_audit::chain_hash(&chain, &last));
    });
}

#[test]
fn a_record_of_form_1_that_was_changed_is_named_and_left_as_it_is() {
    in_dir(|path| {
        form_1(path, 600);
        change(
            path,
            "DROP TRIGGER entry_never_changes; UPDATE entry SET body = '{}' WHERE seq = 300",
        );
        let ledger = Ledger::open(path).unwrap();
        assert!(ledger.health().damaged.unwrap().contains("at entry 300"));
        let raw = rusqlite::Connection::open(path).unwrap();
        let form: i64 = raw.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(form, 1);
    });
}

#[test]
fn a_damaged_record_refuses_disclosures_and_keeps_what_teaching_leaves() {
    in_dir(|path| {
        made(path, 20);
        change(
            path,
            "DROP TRIGGER entry_never_changes; UPDATE entry SET body = '{}' WHERE seq = 19",
        );
        let ledger = Ledger::open(path).unwrap();
        assert!(matches!(ledger.append_blocking(event(1)), Err(Error::Fatal { .. })));
        ledger.enqueue(event(2));
        let health = ledger.health();
        assert_eq!((health.buffered, health.entries), (1, 0));
        assert!(health.damaged.is_some());
        drop(ledger);
        assert_eq!(finding(path).index, None, "the trigger is missing");
    });
}

#[tokio::test]
async fn what_teaching_needs_goes_on_without_a_receipt() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.db");
    let ledger = Ledger::open(&path).unwrap();
    assert_eq!(ledger.record(event(1)).await.unwrap().seq(), 1);
    drop(ledger);
    fs::remove_file(lock_path(&path)).unwrap();
    let ledger = Ledger::open(&path).unwrap();
    assert_eq!(ledger.record(event(2)).await, None);
    assert!(ledger.append(event(3)).await.is_err());
    assert_eq!(ledger.health().buffered, 1);
}

#[test]
fn damage_in_the_middle_is_found_in_the_background() {
    in_dir(|path| {
        made(path, 2_000);
        change(path, "DROP TRIGGER entry_never_changes; UPDATE entry SET body = replace(body, '1004', '1005') WHERE seq = 5;
            CREATE TRIGGER entry_never_changes BEFORE UPDATE ON entry
        BEGIN SELECT raise(ABORT, 'entries never change'); END");
        let ledger = Ledger::open(path).unwrap();
        let deadline = Instant::now() + Duration::from_mins(1);
        while ledger.health().damaged.is_none() {
            assert!(Instant::now() < deadline, "never found");
            std::thread::yield_now();
        }
        assert_eq!(ledger.health().damaged.as_deref(), Some("entry 5: its text was changed"));
        assert!(ledger.append_blocking(event(1)).is_err());
        drop(ledger);
        assert_eq!(finding(path).index, Some(4));
    });
}

fn two_persons() -> Fork {
    Fork {
        at_ms: 5,
        district: 1,
        by: [Person(1), Person(2)],
        reason: "the machine was put back to Friday's snapshot".to_owned(),
    }
}

#[test]
fn a_snapshot_put_back_is_noticed_and_two_persons_can_go_on_from_it() {
    in_dir(|path| {
        made(path, 10);
        let old = path.with_extension("old");
        copy(path, &old);
        assert!(matches!(fork(path, &two_persons()), Err(ForkError::NotNeeded)));
        made(path, 25);
        let published = newest_checkpoint(path).unwrap().0;
        copy(&old, path);
        let ledger = Ledger::open(path).unwrap();
        let damaged = ledger.health().damaged.unwrap();
        assert!(damaged.contains("it has 10 entries, and 35 were published"), "{damaged}");
        drop(ledger);
        let mut one = two_persons();
        one.by[1] = one.by[0];
        assert!(matches!(fork(path, &one), Err(ForkError::OnePerson)));
        let receipt = fork(path, &two_persons()).unwrap();
        assert_eq!((receipt.seq(), receipt.kind()), (11, EventKind::RecordForked));
        let ledger = Ledger::open(path).unwrap();
        assert_eq!(ledger.health().damaged, None);
        assert_eq!(ledger.append_blocking(event(3)).unwrap().seq(), 12);
        let page = ledger.page_blocking(None, 1, Some(EventKind::RecordForked)).unwrap();
        assert!(page.entries[0].fields.contains(&("lost_at_least".to_owned(), "25".to_owned())));
        drop(ledger);
        assert_eq!(whole(path).unwrap().entries, 12);
        let folder = path.with_extension("export");
        export(path, 0, Openings::All, &folder).unwrap();
        let epochs = fs::read_to_string(folder.join("epochs.jsonl")).unwrap();
        let line: serde_json::Value = serde_json::from_str(epochs.lines().nth(1).unwrap()).unwrap();
        assert_eq!(line["previous"]["witnessed"], published);
        assert!(newest_checkpoint(path).unwrap().0.lines().next().unwrap().ends_with("/e2"));
    });
}

#[test]
fn a_fork_whose_lock_was_not_yet_replaced_is_brought_to_its_end() {
    in_dir(|path| {
        made(path, 10);
        let old = path.with_extension("old");
        copy(path, &old);
        made(path, 25);
        let lock = fs::read(lock_path(path)).unwrap();
        copy(&old, path);
        fork(path, &two_persons()).unwrap();
        fs::write(lock_path(path), lock).unwrap();
        assert_eq!(Ledger::open(path).unwrap().health().damaged, None);
        assert!(fs::read_to_string(lock_path(path)).unwrap().contains("/e2\n11\n"));
    });
}

#[test]
fn a_lost_key_needs_a_new_epoch_and_the_old_one_stays_provable() {
    in_dir(|path| {
        made(path, 10);
        fs::remove_file(key_path(path)).unwrap();
        let damaged = Ledger::open(path).unwrap().health().damaged.unwrap();
        assert!(damaged.starts_with("the key of epoch 1 is not in"), "{damaged}");
        fork(path, &two_persons()).unwrap();
        made(path, 3);
        assert_eq!(whole(path).unwrap().entries, 14);
    });
}

#[test]
fn another_writer_is_noticed_at_the_next_checkpoint() {
    in_dir(|path| {
        let ledger = Ledger::open(path).unwrap();
        ledger.append_blocking(event(1)).unwrap();
        let first = ledger.checkpoint_blocking().unwrap().unwrap();
        fs::write(lock_path(path), first.replace("\n1\n", "\n2\n")).unwrap();
        ledger.append_blocking(event(2)).unwrap();
        assert!(ledger.checkpoint_blocking().is_err());
        assert!(ledger.health().damaged.unwrap().contains("somebody else"));
        assert!(ledger.append_blocking(event(3)).is_err());
    });
}

#[test]
fn a_checkpoint_comes_after_a_thousand_entries_without_being_asked_for() {
    in_dir(|path| {
        let ledger = Ledger::open(path).unwrap();
        (0..1_500).for_each(|person| ledger.enqueue(event(person)));
        let deadline = Instant::now() + Duration::from_secs(30);
        while ledger.health().published < 1_000 {
            assert!(Instant::now() < deadline, "{:?}", ledger.health());
            std::thread::yield_now();
        }
    });
}

#[test]
fn a_checkpoint_kept_outside_betrays_a_record_that_was_written_anew() {
    in_dir(|path| {
        made(path, 30);
        let outside = newest_checkpoint(path).unwrap().0;
        let key = fs::read(key_path(path)).unwrap();
        assert!(verify(path, std::slice::from_ref(&outside), || false).is_ok());
        let appliance: String = rusqlite::Connection::open(path)
            .unwrap()
            .query_row("SELECT appliance FROM identity", [], |row| row.get(0))
            .unwrap();
        // With the key in hand: a record of the same name that tells another story.
        fs::remove_file(path).unwrap();
        fs::remove_file(lock_path(path)).unwrap();
        drop(crate::disk::open(path).unwrap());
        change(path, &format!("UPDATE identity SET appliance = '{appliance}'"));
        fs::write(key_path(path), key).unwrap();
        made(path, 29);
        assert!(whole(path).is_ok(), "nothing inside betrays it");
        let found = verify(path, &[outside], || false).unwrap_err().to_string();
        assert!(found.contains("from outside is of 30 entries: the end was cut off"), "{found}");
    });
}

#[test]
fn what_is_erased_leaves_no_bytes_and_the_tree_as_it_was() {
    in_dir(|path| {
        let ledger = Ledger::open(path).unwrap();
        let name = "Wilhelmina Featherstonehaugh";
        let kept = ledger.append_with_blocking(event(1), &[("name", "Ann")]).unwrap();
        let receipt = ledger.append_with_blocking(event(2), &[("name", name)]).unwrap();
        ledger.checkpoint_blocking().unwrap();
        let before = whole(path).unwrap();
        let found = |path: &Path| {
            let bytes = fs::read(path).unwrap_or_default();
            bytes.windows(name.len()).any(|window| window == name.as_bytes())
        };
        let log = path.with_extension("db-wal");
        assert!(found(path) || found(&log));
        let actor = Actor::Person(Person(9));
        ledger.erase_blocking(7, Scope::district(1), actor, vec![receipt.seq()]).unwrap();
        drop(ledger);
        assert!(!found(path) && !found(&log));
        assert_eq!(whole(path).unwrap().entries, before.entries + 1);
        let connection = disk::open_for_reading(path).unwrap();
        assert_eq!(disk::stored_root(&connection, before.entries).unwrap(), before.root);
        let left: Vec<i64> = connection
            .prepare("SELECT seq FROM opening")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(left, [i64::try_from(kept.seq()).unwrap()]);
    });
}

#[test]
fn a_history_holds_what_somebody_did_and_what_was_done_to_them() {
    in_dir(|path| {
        let ledger = Ledger::open(path).unwrap();
        ledger.append_blocking(event(1)).unwrap();
        ledger.append_blocking(event(2)).unwrap();
        let by_another = Event {
            actor: Actor::Person(Person(2)),
            detail: Detail::PasswordReset { person: Person(1) },
            ..event(3)
        };
        ledger.append_blocking(by_another).unwrap();
        let stopped =
            Event { actor: Actor::Appliance, detail: Detail::ApplianceStopped {}, ..event(4) };
        ledger.append_blocking(stopped).unwrap();
        let of = |whom| {
            let page = ledger.search_blocking(&about(whom), 10).unwrap();
            page.entries.iter().map(|entry| entry.seq).collect::<Vec<_>>()
        };
        assert_eq!(of(About::Person(1)), [3, 1]);
        assert_eq!(of(About::Person(2)), [3, 2]);
        assert_eq!(of(About::Lesson(1)), Vec::<u64>::new());
    });
}

#[test]
fn an_export_begins_at_a_checkpoint_and_holds_what_leads_there() {
    in_dir(|path| {
        assert!(newest_checkpoint(path).is_err());
        made(path, 300);
        made(path, 400);
        let ledger = Ledger::open(path).unwrap();
        let worker = Detail::WorkerEnded { worker: Word::new("media") };
        let with = Event { detail: worker, ..event(700) };
        ledger.append_with_blocking(with, &[("b", "\"two\""), ("a", "Zoë")]).unwrap();
        drop(ledger);
        let folder = path.with_extension("export");
        let exported = export(path, 350, Openings::All, &folder).unwrap();
        assert_eq!((exported.first, exported.size), (300, 701));
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(read("entries.jsonl").lines().count(), 401);
        assert_eq!(fs::metadata(folder.join("leaves.bin")).unwrap().len(), 401 * 32);
        let prefix: serde_json::Value = serde_json::from_str(&read("prefix.json")).unwrap();
        // 300 = 256 + 32 + 8 + 4.
        assert_eq!(
            (&prefix["first"], prefix["frontier"].as_array().unwrap().len()),
            (&300.into(), 4)
        );
        let sizes: Vec<_> = read("checkpoints.jsonl")
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["size"].clone())
            .collect();
        assert_eq!(sizes, [300, 700, 701]);
        let opening = read("openings.jsonl");
        assert!(opening.starts_with(r#"{"block":{"a":"Zoë","b":"\"two\""},"index":700,"salt":""#));
        let again = export(path, 0, Openings::None, &folder).unwrap_err().to_string();
        assert!(again.contains("check that the folder is empty"), "{again}");
        let past = export(path, 701, Openings::None, &path.with_extension("x")).unwrap_err();
        assert!(past.to_string().contains("past the newest"), "{past}");
    });
}

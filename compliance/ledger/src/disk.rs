//! The file: its schema, its tail, and writing one group of entries.

use std::path::Path;
use std::time::Duration;

use belfry_audit::{Event, EventKind, Hash, chain_hash, leaf_hash};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};

use crate::error::OpenError;

/// `PRAGMA user_version` of the form below.
const FORM: i64 = 1;

/// How long a reader of the file (a backup) may hold the lock.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// Entries whose hashes are checked at opening: the last ones.
const TAIL_CHECKED: i64 = 256;

/// The triggers stop mistakes, not somebody who owns the machine.
const SCHEMA: &str = "
    CREATE TABLE entry (
        seq      INTEGER PRIMARY KEY,
        at_ms    INTEGER NOT NULL,
        kind     TEXT NOT NULL,
        district INTEGER NOT NULL,
        school   INTEGER,
        -- The canonical form: what the leaf is the hash of.
        body     TEXT NOT NULL,
        leaf     BLOB NOT NULL CHECK (length(leaf) = 32),
        chain    BLOB NOT NULL CHECK (length(chain) = 32)
    ) STRICT;
    CREATE INDEX entry_by_kind ON entry (kind, seq);
    CREATE TRIGGER entry_never_changes BEFORE UPDATE ON entry
        BEGIN SELECT raise(ABORT, 'entries never change'); END;
    CREATE TRIGGER entry_never_goes BEFORE DELETE ON entry
        BEGIN SELECT raise(ABORT, 'entries never go'); END;
    CREATE TRIGGER entry_leaves_no_gap BEFORE INSERT ON entry
        WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM entry)
        BEGIN SELECT raise(ABORT, 'entries leave no gap'); END;
";

/// Where the record ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Tail {
    pub(crate) seq: u64,
    pub(crate) chain: Hash,
}

/// An event with its place and its hashes.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) seq: u64,
    pub(crate) kind: EventKind,
    pub(crate) leaf: Hash,
    at_ms: i64,
    district: i64,
    school: Option<i64>,
    body: String,
    chain: Hash,
}

/// Gives the events their places after `tail`; the new tail comes along.
pub(crate) fn seal<'a>(
    mut tail: Tail,
    events: impl Iterator<Item = &'a Event>,
) -> (Vec<Sealed>, Tail) {
    let sealed = events
        .map(|event| {
            let body = event.canonical();
            let leaf = leaf_hash(body.as_bytes());
            tail = Tail { seq: tail.seq + 1, chain: chain_hash(&tail.chain, &leaf) };
            Sealed {
                seq: tail.seq,
                kind: event.kind(),
                leaf,
                at_ms: event.at_ms,
                district: event.scope.district,
                school: event.scope.school,
                body,
                chain: tail.chain,
            }
        })
        .collect();
    (sealed, tail)
}

/// Opens the file for writing, makes it if there is none, checks its tail.
pub(crate) fn open(path: &Path) -> Result<(Connection, Tail), OpenError> {
    make_private(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)
        .map_err(|source| OpenError::from_sqlite(path, source))?;
    configure(&connection).map_err(|source| OpenError::from_sqlite(path, source))?;
    let form: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|source| OpenError::from_sqlite(path, source))?;
    match form {
        0 => create(&mut connection).map_err(|source| OpenError::from_sqlite(path, source))?,
        FORM => {}
        found => return Err(OpenError::Newer { path: path.to_owned(), found }),
    }
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)
        .map_err(|source| OpenError::from_sqlite(path, source))?;
    let tail = checked_tail(&connection, path)?;
    Ok((connection, tail))
}

/// Opens the file for reading pages.
pub(crate) fn open_for_reading(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(LOCK_WAIT)?;
    Ok(connection)
}

/// Writes a group, all or nothing. After an error nobody knows which, until the file was opened
/// anew.
pub(crate) fn write(connection: &mut Connection, group: &[Sealed]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut insert = transaction.prepare_cached(
            "INSERT INTO entry (seq, at_ms, kind, district, school, body, leaf, chain)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?;
        for entry in group {
            insert.execute(params![
                i64::try_from(entry.seq).expect("fewer entries than 2^63"),
                entry.at_ms,
                entry.kind.name(),
                entry.district,
                entry.school,
                entry.body,
                entry.leaf.0,
                entry.chain.0,
            ])?;
        }
    }
    transaction.commit()
}

fn make_private(path: &Path) -> Result<(), OpenError> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(|source| match source.kind() {
            std::io::ErrorKind::StorageFull => OpenError::DiskFull { path: path.to_owned() },
            _ => OpenError::unreadable(path, source),
        })
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(LOCK_WAIT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    // Without it INSERT OR REPLACE deletes past the trigger.
    connection.pragma_update(None, "recursive_triggers", true)
}

fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    transaction.execute_batch(SCHEMA)?;
    transaction.pragma_update(None, "user_version", FORM)?;
    transaction.commit()
}

/// The tail, after the hashes of the last entries were computed anew.
fn checked_tail(connection: &Connection, path: &Path) -> Result<Tail, OpenError> {
    let failed = |source| OpenError::from_sqlite(path, source);
    let last: Option<i64> =
        connection.query_row("SELECT max(seq) FROM entry", [], |row| row.get(0)).map_err(failed)?;
    let Some(last) = last else { return Ok(Tail::default()) };
    let first = (last - TAIL_CHECKED + 1).max(1);
    let mut tail = Tail { seq: first.unsigned_abs() - 1, chain: Hash::default() };
    if first > 1 {
        tail.chain = connection
            .query_row("SELECT chain FROM entry WHERE seq = ?1", [first - 1], |row| row.get(0))
            .optional()
            .map_err(failed)?
            .map(Hash)
            .ok_or(OpenError::Broken { path: path.to_owned(), seq: tail.seq })?;
    }
    let mut statement = connection
        .prepare("SELECT seq, body, leaf, chain FROM entry WHERE seq >= ?1 ORDER BY seq")
        .map_err(failed)?;
    let mut rows = statement.query([first]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let read = || -> rusqlite::Result<(i64, String, [u8; 32], [u8; 32])> {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        };
        let (seq, body, leaf, chain) = read().map_err(failed)?;
        let computed = leaf_hash(body.as_bytes());
        tail = Tail { seq: tail.seq + 1, chain: chain_hash(&tail.chain, &computed) };
        if seq.unsigned_abs() != tail.seq || leaf != computed.0 || chain != tail.chain.0 {
            return Err(OpenError::Broken { path: path.to_owned(), seq: tail.seq });
        }
    }
    Ok(tail)
}

//! The file: its tail, and writing one group of entries.

use std::path::Path;
use std::time::Duration;

use belfry_audit::{
    EventKind, Frontier, Hash, SUBJECT_BYTES, Subtree, chain_hash, commitment, leaf_hash,
    node_hash, root_at,
};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};

use crate::error::OpenError;
use crate::keeper::PRIVATE_MODE;
use crate::opening::Beside;
use crate::queue::{Origin, Waiting};
use crate::remote::wire::Written;
use crate::schema::{self, FORM, Failed};
use crate::steps::{Step, step};
use crate::subjects;

/// How long a reader of the file (a backup) may hold the lock.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// Entries whose hashes are checked at opening: the last ones.
const TAIL_CHECKED: u64 = 256;

/// Levels of complete subtrees that are stored: of 256, 65536, 2^24 and 2^32 leaves.
pub(crate) const STORED_LEVELS: [u32; 4] = [8, 16, 24, 32];

/// Lives of sending processes of which it is known what was written last: those of long ago ask no more.
const SENDERS_MAX: u32 = 64;

/// Where the record ends.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Tail {
    /// Entries, and the place of the last.
    pub(crate) seq: u64,
    pub(crate) chain: Hash,
    pub(crate) frontier: Frontier,
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
    subtrees: Vec<(Subtree, Hash)>,
    words: Vec<[u8; SUBJECT_BYTES]>,
    beside: Beside,
    origin: Option<Origin>,
}

/// Gives the events their places after `tail`; the new tail comes along.
pub(crate) fn seal<'a>(
    mut tail: Tail,
    subject_key: &[u8; 32],
    events: impl Iterator<Item = &'a Waiting>,
) -> (Vec<Sealed>, Tail) {
    let sealed = events
        .map(|Waiting { event, beside, origin, .. }| {
            let committed = match beside {
                Beside::Opens(opening) => Some(commitment(&opening.salt, opening.block.as_bytes())),
                Beside::Nothing | Beside::Erases(_) => None,
            };
            let body = event.canonical_via(committed.as_ref(), origin.map(|origin| origin.user));
            let leaf = leaf_hash(body.as_bytes());
            let mut subtrees = Vec::new();
            tail.seq += 1;
            tail.chain = chain_hash(&tail.chain, &leaf);
            tail.frontier.push(leaf, |at, hash| {
                if STORED_LEVELS.contains(&at.level) {
                    subtrees.push((at, *hash));
                }
            });
            Sealed {
                seq: tail.seq,
                kind: event.kind(),
                leaf,
                at_ms: event.at_ms,
                district: event.scope.district,
                school: event.scope.school,
                words: subjects::words(subject_key, &body),
                body,
                chain: tail.chain,
                subtrees,
                beside: beside.clone(),
                origin: *origin,
            }
        })
        .collect();
    (sealed, tail)
}

/// Opens the file for writing, makes it if there is none, checks its tail.
pub(crate) fn open(path: &Path) -> Result<(Connection, Tail), OpenError> {
    let (connection, tail) = open_checked(path)?;
    if !fold(&connection).unwrap_or(false) {
        tracing::info!("the write-ahead log stays until its readers are done");
    }
    Ok((connection, tail))
}

fn open_checked(path: &Path) -> Result<(Connection, Tail), OpenError> {
    make_private(path)?;
    let failed = |source| OpenError::from_sqlite(path, source);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    configure(&connection).map_err(failed)?;
    let form: i64 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    let made = match form {
        0 => schema::create(&mut connection),
        1 => schema::from_form_1(&mut connection),
        2 => schema::from_form_2(&mut connection),
        FORM => Ok(()),
        found => return Err(OpenError::Newer { path: path.to_owned(), found }),
    };
    made.map_err(|source| match source {
        Failed::Sqlite(source) => failed(source),
        Failed::Broken(seq) => OpenError::Broken { path: path.to_owned(), seq },
    })?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true).map_err(failed)?;
    let tail = checked_tail(&connection, path)?;
    Ok((connection, tail))
}

/// [`open`] after a failure. A sync that failed may have left pages in the write-ahead log that the kernel
/// shows to whoever reads and will never write: what is built upon them is lost with the power. So all of
/// the log goes into the file, is synced there, and the log begins anew.
pub(crate) fn open_again(path: &Path) -> Result<(Connection, Tail), OpenError> {
    let (connection, tail) = open_checked(path)?;
    if fold(&connection).map_err(|source| OpenError::from_sqlite(path, source))? {
        return Ok((connection, tail));
    }
    Err(OpenError::unreadable(path, "a reader has to be done first"))
}

/// Empties the write-ahead log into the file. `false`: a reader holds it up.
fn fold(connection: &Connection) -> rusqlite::Result<bool> {
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
        .map(|busy: i64| busy == 0)
}

/// Opens the file for reading.
pub(crate) fn open_for_reading(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(LOCK_WAIT)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

/// Writes a group and the tail after it, all or nothing. After an error nobody knows which, until the
/// file was opened anew.
pub(crate) fn write(
    connection: &mut Connection,
    group: &[Sealed],
    after: &Tail,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    put_entries(&transaction, group)?;
    put_written(&transaction, group)?;
    put_head(&transaction, after)?;
    transaction.commit()?;
    if group.iter().any(|entry| matches!(entry.beside, Beside::Erases(_))) {
        forget_log(connection);
    }
    Ok(())
}

/// What was erased from the pages is also in the write-ahead log, until that begins anew. A reader may
/// hold it up; then the next checkpoint of SQLite's does it.
fn forget_log(connection: &Connection) {
    if !fold(connection).unwrap_or(false) {
        tracing::warn!("what was erased stays in the write-ahead log until its readers are done");
    }
}

/// Within the caller's transaction.
pub(crate) fn put_entries(connection: &Connection, group: &[Sealed]) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO entry (seq, at_ms, kind, district, school, body, leaf, chain)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    let mut open =
        connection.prepare_cached("INSERT INTO opening (seq, salt, block) VALUES (?1, ?2, ?3)")?;
    let mut erase = connection.prepare_cached("DELETE FROM opening WHERE seq = ?1")?;
    for entry in group {
        let seq = row_id(entry.seq);
        insert.execute(params![
            seq,
            entry.at_ms,
            entry.kind.name(),
            entry.district,
            entry.school,
            entry.body,
            entry.leaf.0,
            entry.chain.0,
        ])?;
        match &entry.beside {
            Beside::Nothing => {}
            Beside::Opens(opening) => {
                open.execute(params![seq, opening.salt, opening.block])?;
            }
            Beside::Erases(entries) => {
                for erased in entries {
                    erase.execute([row_id(*erased)])?;
                }
            }
        }
        put_subtrees(connection, &entry.subtrees)?;
        put_subjects(connection, entry.seq, &entry.words)?;
    }
    Ok(())
}

/// Notes what of the groups that other processes sent is in the record with this transaction.
fn put_written(connection: &Connection, group: &[Sealed]) -> rusqlite::Result<()> {
    let sent = || group.iter().filter_map(|entry| Some((entry.seq, entry.origin?)));
    let mut clients: Vec<u64> = sent().map(|(_, origin)| origin.client).collect();
    clients.dedup();
    for client in clients {
        let mut written = written(connection, client)?;
        let mut last = 0;
        for (seq, origin) in sent().filter(|(_, origin)| origin.client == client) {
            let of_group = written.take().filter(|written| written.first == origin.group);
            let mut now = of_group.unwrap_or(Written { first: origin.group, bits: Vec::new() });
            now.put(origin.place);
            (written, last) = (Some(now), seq);
        }
        let Some(Written { first, bits }) = written else { continue };
        connection
            .prepare_cached(
                "INSERT INTO sender (client, first, written, seq) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET first = ?2, written = ?3, seq = ?4",
            )?
            .execute(params![client.cast_signed(), first.cast_signed(), bits, row_id(last)])?;
        connection
            .prepare_cached(
                "DELETE FROM sender WHERE client NOT IN
                 (SELECT client FROM sender ORDER BY seq DESC LIMIT ?1)",
            )?
            .execute([SENDERS_MAX])?;
    }
    Ok(())
}

/// The last group of a client of which anything is in the record.
pub(crate) fn written(connection: &Connection, client: u64) -> rusqlite::Result<Option<Written>> {
    connection
        .prepare_cached("SELECT first, written FROM sender WHERE client = ?1")?
        .query_row([client.cast_signed()], |row| {
            Ok(Written { first: row.get::<_, i64>(0)?.cast_unsigned(), bits: row.get(1)? })
        })
        .optional()
}

pub(crate) fn put_head(connection: &Connection, tail: &Tail) -> rusqlite::Result<()> {
    let frontier: Vec<u8> = tail.frontier.roots().iter().flat_map(|root| root.0).collect();
    connection
        .prepare_cached(
            "INSERT INTO head (id, size, chain, frontier) VALUES (1, ?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET size = ?1, chain = ?2, frontier = ?3",
        )?
        .execute(params![row_id(tail.seq), tail.chain.0, frontier])
        .map(drop)
}

pub(crate) fn put_subtrees(
    connection: &Connection,
    subtrees: &[(Subtree, Hash)],
) -> rusqlite::Result<()> {
    let mut insert = connection
        .prepare_cached("INSERT INTO subtree (level, place, hash) VALUES (?1, ?2, ?3)")?;
    for (at, hash) in subtrees {
        insert.execute(params![at.level, row_id(at.index), hash.0])?;
    }
    Ok(())
}

pub(crate) fn put_subjects(
    connection: &Connection,
    seq: u64,
    words: &[[u8; SUBJECT_BYTES]],
) -> rusqlite::Result<()> {
    let mut insert =
        connection.prepare_cached("INSERT INTO subject (word, seq) VALUES (?1, ?2)")?;
    for word in words {
        insert.execute(params![word, row_id(seq)])?;
    }
    Ok(())
}

/// SQLite's integers are signed; a record has fewer entries than 2^63.
pub(crate) fn row_id(number: u64) -> i64 {
    i64::try_from(number).expect("fewer entries than 2^63")
}

/// A complete subtree's hash from what is stored: at most 256 hashes are read.
pub(crate) fn subtree(connection: &Connection, at: Subtree) -> rusqlite::Result<Hash> {
    let below = STORED_LEVELS.into_iter().rev().find(|level| *level <= at.level);
    let base = below.unwrap_or(0);
    let first = at.first() >> base;
    let count = 1_u64 << (at.level - base);
    let hashes: Vec<Hash> = if below.is_some() {
        connection
            .prepare_cached(
                "SELECT hash FROM subtree WHERE level = ?1 AND place >= ?2 AND place < ?3 ORDER BY place",
            )?
            .query_map(params![base, row_id(first), row_id(first + count)], |row| {
                row.get(0).map(Hash)
            })?
            .collect::<Result<_, _>>()?
    } else {
        connection
            .prepare_cached("SELECT leaf FROM entry WHERE seq > ?1 AND seq <= ?2 ORDER BY seq")?
            .query_map([row_id(first), row_id(first + count)], |row| row.get(0).map(Hash))?
            .collect::<Result<_, _>>()?
    };
    if hashes.len() as u64 != count {
        return Err(rusqlite::Error::QueryReturnedNoRows);
    }
    let mut level = hashes;
    while level.len() > 1 {
        level = level.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
    }
    level.first().copied().ok_or(rusqlite::Error::QueryReturnedNoRows)
}

/// The hash that is stored for a subtree of one of [`STORED_LEVELS`].
pub(crate) fn stored_subtree(
    connection: &Connection,
    at: Subtree,
) -> rusqlite::Result<Option<Hash>> {
    connection
        .prepare_cached("SELECT hash FROM subtree WHERE level = ?1 AND place = ?2")?
        .query_row(params![at.level, row_id(at.index)], |row| row.get(0).map(Hash))
        .optional()
}

/// The root when there were `size` entries, from what is stored.
pub(crate) fn stored_root(connection: &Connection, size: u64) -> rusqlite::Result<Hash> {
    root_at(size, |at| subtree(connection, at))
}

/// Whether rows that ought to be there are not.
pub(crate) fn is_missing(source: &rusqlite::Error) -> bool {
    matches!(source, rusqlite::Error::QueryReturnedNoRows)
}

fn make_private(path: &Path) -> Result<(), OpenError> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(PRIVATE_MODE);
    step(&Step::Create { file: path, empty: false }, || options.open(path).map(drop))
        .map_err(|source| OpenError::from_file(path, source))
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(LOCK_WAIT)?;
    begin_write_ahead(connection)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    // What is erased leaves no bytes in the file's pages.
    connection.pragma_update(None, "secure_delete", true)?;
    // Without it INSERT OR REPLACE deletes past the trigger.
    connection.pragma_update(None, "recursive_triggers", true)
}

/// To the end of the statement: its commit comes after its row, and who only takes the row does not hear that
/// it failed. Then SQLite would go on with a journal that is removed without a sync, for which FULL is not enough.
fn begin_write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("PRAGMA journal_mode = WAL")?;
    let mut rows = statement.query([])?;
    let mut mode = String::new();
    while let Some(row) = rows.next()? {
        mode = row.get(0)?;
    }
    if mode == "wal" {
        return Ok(());
    }
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR);
    Err(rusqlite::Error::SqliteFailure(code, Some("no write-ahead log".to_owned())))
}

/// The head as it is stored.
pub(crate) fn head(connection: &Connection) -> rusqlite::Result<Option<Tail>> {
    let row: Option<(i64, [u8; 32], Vec<u8>)> = connection
        .query_row("SELECT size, chain, frontier FROM head WHERE id = 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    Ok(row.and_then(|(size, chain, frontier)| {
        let seq = size.unsigned_abs();
        let frontier = schema::frontier(seq, &frontier)?;
        Some(Tail { seq, chain: Hash(chain), frontier })
    }))
}

/// The tail, after the hashes of the last entries were computed anew and the head was compared with
/// them and with the stored subtrees.
fn checked_tail(connection: &Connection, path: &Path) -> Result<Tail, OpenError> {
    let failed = |source| OpenError::from_sqlite(path, source);
    let broken = |seq| OpenError::Broken { path: path.to_owned(), seq };
    let last: Option<i64> =
        connection.query_row("SELECT max(seq) FROM entry", [], |row| row.get(0)).map_err(failed)?;
    let last = last.unwrap_or(0).unsigned_abs();
    let head = head(connection).map_err(failed)?.ok_or_else(|| broken(last))?;
    if head.seq != last {
        return Err(broken(head.seq.min(last) + 1));
    }
    let mut seq = last.saturating_sub(TAIL_CHECKED);
    let mut running = Hash::default();
    if seq > 0 {
        running = connection
            .query_row("SELECT chain FROM entry WHERE seq = ?1", [row_id(seq)], |row| row.get(0))
            .optional()
            .map_err(failed)?
            .map(Hash)
            .ok_or_else(|| broken(seq))?;
    }
    let mut statement = connection
        .prepare("SELECT seq, body, leaf, chain FROM entry WHERE seq > ?1 ORDER BY seq")
        .map_err(failed)?;
    let mut rows = statement.query([row_id(seq)]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let read = || -> rusqlite::Result<(i64, String, [u8; 32], [u8; 32])> {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        };
        let (stored, body, leaf, chain) = read().map_err(failed)?;
        let computed = leaf_hash(body.as_bytes());
        (seq, running) = (seq + 1, chain_hash(&running, &computed));
        if stored.unsigned_abs() != seq || leaf != computed.0 || chain != running.0 {
            return Err(broken(seq));
        }
    }
    let roots =
        Frontier::subtrees(last).map(|at| subtree(connection, at)).collect::<Result<_, _>>();
    let roots: Vec<Hash> = match roots {
        Err(source) if is_missing(&source) => return Err(broken(last)),
        other => other.map_err(failed)?,
    };
    if seq != last || head.chain != running || roots != head.frontier.roots() {
        return Err(broken(last));
    }
    Ok(head)
}

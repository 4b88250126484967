//! Recomputes a whole record from its bodies and holds everything that is stored against that.
//!
//! Nothing that is stored is trusted: not the leaves, not the tree, not the index, not the columns
//! beside a body. What is left to believe is the key and what others outside have kept.

use std::path::Path;

use belfry_audit::{
    Frontier, Hash, SignedNote, Subtree, Verifier, chain_hash, commitment, leaf_hash,
};
use rusqlite::{Connection, OptionalExtension, Row};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::disk::{self, STORED_LEVELS, row_id};
use crate::keeper;
use crate::schema::{self, random};
use crate::subjects;

/// Entries between two looks at whether to stop.
const STOP_EVERY: u64 = 4_096;

/// A record in which nothing is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub entries: u64,
    pub checkpoints: u64,
    pub root: Hash,
    pub chain: Hash,
}

/// What is wrong first.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{what}", index.map(|index| format!("entry {}: ", index + 1)).unwrap_or_default())]
pub struct Finding {
    /// The place in the tree, from 0; `None` if it is not about an entry.
    pub index: Option<u64>,
    pub what: String,
}

/// Why a record is not verified.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Unverified {
    #[error("{0}")]
    Bad(Finding),
    /// Nothing can be said: a file that cannot be opened, a lock held for too long.
    #[error("the record cannot be read: {0}")]
    Unreadable(String),
    #[error("stopped")]
    Stopped,
}

impl From<rusqlite::Error> for Unverified {
    fn from(source: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match source.sqlite_error_code() {
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::OutOfMemory
                | ErrorCode::SystemIoFailure,
            ) => Self::Unreadable(source.to_string()),
            _ => bad(None, format!("the file is damaged: {source}")),
        }
    }
}

fn bad(index: Option<u64>, what: impl Into<String>) -> Unverified {
    Unverified::Bad(Finding { index, what: what.into() })
}

/// Verifies the record at `path`, also while it is written to. `outside` are signed notes that somebody
/// else has kept: each must be of a tree that this one continues.
pub fn file(
    path: &Path,
    outside: &[String],
    stop: impl Fn() -> bool,
) -> Result<Verified, Unverified> {
    let unreadable = |error: crate::OpenError| Unverified::Unreadable(error.to_string());
    // First what is outside the database: it may be behind the entries, never before them.
    let lock = keeper::read_lock(path).map_err(unreadable)?;
    let keys = keeper::known_keys(path).map_err(unreadable)?;
    let connection = disk::open_for_reading(path)?;
    // One moment of the file for all that follows.
    connection.execute_batch("BEGIN")?;
    check_schema(&connection)?;
    let epochs = epochs(&connection, &keys)?;
    let mut notes = Notes::of(&connection, &epochs)?;
    if let Some(lock) = &lock {
        notes.expect(lock, &epochs, "the last published checkpoint")?;
    } else if !notes.expected.is_empty() {
        // Unless the first was published since we looked for it: then there is one now.
        return match keeper::read_lock(path).map_err(unreadable)? {
            Some(_) => file(path, outside, stop),
            None => Err(bad(None, "the last published checkpoint is gone")),
        };
    }
    for note in outside {
        notes.expect(note, &epochs, "a checkpoint from outside")?;
    }
    notes.expected.sort_by_key(|expected| expected.size);
    let verified = Pass::new(&connection)?.run(&connection, notes, &stop)?;
    let integrity: String =
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if integrity != "ok" {
        return Err(bad(None, format!("the file is damaged: {integrity}")));
    }
    Ok(verified)
}

/// Tables, indices and triggers are those that this release makes.
fn check_schema(connection: &Connection) -> Result<(), Unverified> {
    let read = |connection: &Connection| -> rusqlite::Result<Vec<(String, Option<String>)>> {
        connection
            .prepare("SELECT name, sql FROM sqlite_schema ORDER BY type, name")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect()
    };
    let form: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let mut fresh = Connection::open_in_memory()?;
    match schema::create(&mut fresh) {
        Ok(()) => {}
        Err(schema::Failed::Sqlite(source)) => return Err(source.into()),
        Err(schema::Failed::Broken(_)) => return Err(bad(None, "no schema can be made")),
    }
    if form != schema::FORM || read(connection)? != read(&fresh)? {
        return Err(bad(None, "tables or triggers are not those of a record"));
    }
    Ok(())
}

struct Epoch {
    first: u64,
    key: Verifier,
}

fn epochs(connection: &Connection, keys: &[Verifier]) -> Result<Vec<Epoch>, Unverified> {
    let appliance: String =
        connection
            .query_row("SELECT appliance FROM identity WHERE id = 1", [], |row| row.get(0))?;
    let mut epochs = Vec::new();
    for (place, epoch) in (1..).zip(keeper::Epoch::all(connection)?) {
        let number = epoch.number;
        let key = Verifier::parse(&epoch.vkey)
            .map_err(|why| bad(None, format!("epoch {number}: {why}")))?;
        let named = key.name() == keeper::origin(&appliance, number);
        if number != place || !named || !keys.contains(&key) {
            return Err(bad(None, format!("epoch {number} is not one of this record's keys")));
        }
        epochs.push(Epoch { first: epoch.first, key });
    }
    if epochs.first().is_some_and(|epoch| epoch.first != 0)
        || epochs.windows(2).any(|pair| pair[0].first > pair[1].first)
    {
        return Err(bad(None, "the epochs do not follow each other"));
    }
    Ok(epochs)
}

/// A root that the tree must have had at a size.
struct Expected {
    size: u64,
    root: Hash,
    chain: Option<Hash>,
    what: &'static str,
}

struct Notes {
    expected: Vec<Expected>,
    checkpoints: u64,
}

impl Notes {
    /// The checkpoints of the file.
    fn of(connection: &Connection, epochs: &[Epoch]) -> Result<Self, Unverified> {
        let mut notes = Self { expected: Vec::new(), checkpoints: 0 };
        let mut statement =
            connection.prepare("SELECT size, chain, note FROM checkpoint ORDER BY size")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (size, chain): (i64, Hash) = (row.get(0)?, Hash(row.get(1)?));
            notes.expect(&row.get::<_, String>(2)?, epochs, "a checkpoint")?;
            let last = notes.expected.last_mut().expect("it was just put there");
            if last.size != size.unsigned_abs() {
                return Err(bad(
                    None,
                    format!("the checkpoint of {size} entries is of another size"),
                ));
            }
            last.chain = Some(chain);
            notes.checkpoints += 1;
        }
        Ok(notes)
    }

    /// `note` is by the key of the epoch that its size falls into.
    fn expect(
        &mut self,
        note: &str,
        epochs: &[Epoch],
        what: &'static str,
    ) -> Result<(), Unverified> {
        let parsed = SignedNote::parse(note).map_err(|why| bad(None, format!("{what}: {why}")))?;
        let mut ends = epochs.iter().skip(1).map(|next| next.first).chain([u64::MAX]);
        let signed = epochs.iter().find_map(|epoch| {
            let end = ends.next().unwrap_or(u64::MAX);
            let checkpoint = parsed.verified_by(&epoch.key).ok()?;
            (epoch.first..=end).contains(&checkpoint.size).then(|| checkpoint.clone())
        });
        let Some(signed) = signed else {
            return Err(bad(None, format!("{what} is not signed by the key of its epoch")));
        };
        self.expected.push(Expected { size: signed.size, root: signed.root, chain: None, what });
        Ok(())
    }
}

/// One way through all entries.
struct Pass {
    subject_key: [u8; 32],
    /// Fresh for each verification: nobody can choose rows whose sums agree.
    sum_key: [u8; 32],
    words: u128,
    openings: u64,
    frontier: Frontier,
    chain: Hash,
}

impl Pass {
    fn new(connection: &Connection) -> Result<Self, Unverified> {
        let subject_key =
            connection
                .query_row("SELECT subject_key FROM identity WHERE id = 1", [], |row| row.get(0))?;
        Ok(Self {
            subject_key,
            sum_key: random(),
            words: 0,
            openings: 0,
            frontier: Frontier::default(),
            chain: Hash::default(),
        })
    }

    fn run(
        mut self,
        connection: &Connection,
        notes: Notes,
        stop: &impl Fn() -> bool,
    ) -> Result<Verified, Unverified> {
        let mut expected = notes.expected.into_iter().peekable();
        let mut statement = connection.prepare(
            "SELECT seq, body, leaf, chain, at_ms, kind, district, school FROM entry ORDER BY seq",
        )?;
        let mut rows = statement.query([])?;
        loop {
            while let Some(here) = expected.next_if(|next| next.size == self.frontier.size()) {
                self.meets(&here)?;
            }
            let Some(row) = rows.next().map_err(|source| self.located(source))? else { break };
            self.take(connection, row)?;
            if self.frontier.size().is_multiple_of(STOP_EVERY) && stop() {
                return Err(Unverified::Stopped);
            }
        }
        let entries = self.frontier.size();
        if let Some(later) = expected.next() {
            let what = format!("{} is of {} entries: the end was cut off", later.what, later.size);
            return Err(bad(Some(entries), what));
        }
        self.check_rest(connection)?;
        let root = self.frontier.root();
        Ok(Verified { entries, checkpoints: notes.checkpoints, root, chain: self.chain })
    }

    /// A row that cannot be read is the one after the last that could.
    fn located(&self, source: rusqlite::Error) -> Unverified {
        match Unverified::from(source) {
            Unverified::Bad(finding) => bad(Some(self.frontier.size()), finding.what),
            other => other,
        }
    }

    fn meets(&self, expected: &Expected) -> Result<(), Unverified> {
        let right = expected.root == self.frontier.root()
            && expected.chain.is_none_or(|chain| chain == self.chain);
        let what = || format!("{} of {} entries is of another tree", expected.what, expected.size);
        right.then_some(()).ok_or_else(|| bad(expected.size.checked_sub(1), what()))
    }

    fn take(&mut self, connection: &Connection, row: &Row<'_>) -> Result<(), Unverified> {
        let index = self.frontier.size();
        let read = || -> rusqlite::Result<(i64, String, [u8; 32], [u8; 32])> {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        };
        let (seq, body, stored_leaf, stored_chain) =
            read().map_err(|source| self.located(source))?;
        if seq.unsigned_abs() != index + 1 {
            return Err(bad(Some(index), "it is missing"));
        }
        let leaf = leaf_hash(body.as_bytes());
        if leaf.0 != stored_leaf {
            return Err(bad(Some(index), "its text was changed"));
        }
        self.chain = chain_hash(&self.chain, &leaf);
        if self.chain.0 != stored_chain {
            return Err(bad(Some(index), "what came before it was changed"));
        }
        let mut completed: Vec<(Subtree, Hash)> = Vec::new();
        self.frontier.push(leaf, |at, hash| {
            if STORED_LEVELS.contains(&at.level) {
                completed.push((at, *hash));
            }
        });
        for (at, hash) in completed {
            if disk::stored_subtree(connection, at)? != Some(hash) {
                return Err(bad(Some(index), "the stored tree was changed"));
            }
        }
        let line: Value = serde_json::from_str(&body)
            .map_err(|_| bad(Some(index), "its text is not of the canonical form"))?;
        let columns = row.get::<_, i64>(4).ok() == line["at"].as_i64().or_else(|| row.get(4).ok())
            && row.get::<_, String>(5).ok().as_deref() == line["op"].as_str()
            && row.get::<_, i64>(6).ok() == line["dist"].as_i64()
            && row.get::<_, Option<i64>>(7).ok() == Some(line["sch"].as_i64());
        if !columns {
            return Err(bad(Some(index), "what is stored beside its text was changed"));
        }
        self.check_opening(connection, index, &line)?;
        for word in subjects::words_of(&self.subject_key, &line) {
            self.words = self.words.wrapping_add(self.summand(&word, index + 1));
        }
        Ok(())
    }

    fn check_opening(
        &mut self,
        connection: &Connection,
        index: u64,
        line: &Value,
    ) -> Result<(), Unverified> {
        // Only an entry that commits to something is looked up: the others are counted at the end.
        let Some(committed) = line["pii"].as_str() else { return Ok(()) };
        let opening: Option<([u8; 32], String)> = connection
            .prepare_cached("SELECT salt, block FROM opening WHERE seq = ?1")?
            .query_row([row_id(index + 1)], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((salt, block)) = opening else { return Ok(()) };
        self.openings += 1;
        let right = commitment(&salt, block.as_bytes()).to_string() == committed;
        right.then_some(()).ok_or_else(|| bad(Some(index), "what it commits to was changed"))
    }

    fn summand(&self, word: &[u8], seq: u64) -> u128 {
        let whole = Sha256::new()
            .chain_update(self.sum_key)
            .chain_update(word)
            .chain_update(seq.to_be_bytes())
            .finalize();
        u128::from_be_bytes(std::array::from_fn(|at| whole[at]))
    }

    /// What is stored beside the entries: head, index of subjects, openings, subtrees.
    fn check_rest(&self, connection: &Connection) -> Result<(), Unverified> {
        let head = disk::head(connection)?;
        let right = head.is_some_and(|head| {
            head.seq == self.frontier.size()
                && head.chain == self.chain
                && head.frontier == self.frontier
        });
        if !right {
            return Err(bad(None, "the stored end of the tree was changed"));
        }
        let mut sum = 0_u128;
        let mut statement = connection.prepare("SELECT word, seq FROM subject")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (word, seq): ([u8; 16], i64) = (row.get(0)?, row.get(1)?);
            sum = sum.wrapping_add(self.summand(&word, seq.unsigned_abs()));
        }
        if sum != self.words {
            return Err(bad(None, "the index of persons and objects was changed"));
        }
        let count = |table: &str| -> rusqlite::Result<u64> {
            let sql = format!("SELECT count(*) FROM {table}");
            connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs)
        };
        if count("opening")? != self.openings {
            return Err(bad(None, "there is personal data that no entry commits to"));
        }
        let size = self.frontier.size();
        let subtrees: u64 = STORED_LEVELS.iter().map(|level| size >> level).sum();
        if count("subtree")? != subtrees || count("head")? != 1 || count("identity")? != 1 {
            return Err(bad(None, "there is more or less of the stored tree than entries make"));
        }
        Ok(())
    }
}

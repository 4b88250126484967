//! The forms of the file, and how an old one becomes the present one.

use belfry_audit::{Frontier, Hash, chain_hash, leaf_hash};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use crate::disk::{STORED_LEVELS, Tail, put_head, put_subjects, put_subtrees};
use crate::subjects;

/// `PRAGMA user_version` of the present form.
pub(crate) const FORM: i64 = 3;

/// The triggers stop mistakes, not somebody who owns the machine.
const ENTRIES: &str = "
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

/// Since form 2.
const TREE: &str = "
    -- Who this record is: the random part of its origin, and the key of its index of subjects.
    CREATE TABLE identity (
        id          INTEGER PRIMARY KEY CHECK (id = 1),
        appliance   TEXT NOT NULL,
        subject_key BLOB NOT NULL CHECK (length(subject_key) = 32)
    ) STRICT;
    -- Where the tree ends; changes in the transaction of the entries.
    CREATE TABLE head (
        id       INTEGER PRIMARY KEY CHECK (id = 1),
        size     INTEGER NOT NULL,
        chain    BLOB NOT NULL CHECK (length(chain) = 32),
        -- RFC 6962: the roots of the complete subtrees, largest first.
        frontier BLOB NOT NULL CHECK (length(frontier) % 32 = 0)
    ) STRICT;
    -- Complete subtrees of 256, 65536, ... leaves, so that a proof reads at most 255 hashes a level.
    CREATE TABLE subtree (
        level INTEGER NOT NULL,
        place INTEGER NOT NULL,
        hash  BLOB NOT NULL CHECK (length(hash) = 32),
        PRIMARY KEY (level, place)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE checkpoint (
        size  INTEGER PRIMARY KEY,
        at_ms INTEGER NOT NULL,
        chain BLOB NOT NULL CHECK (length(chain) = 32),
        note  TEXT NOT NULL
    ) STRICT;
    CREATE TABLE epoch (
        number   INTEGER PRIMARY KEY,
        first    INTEGER NOT NULL,
        vkey     TEXT NOT NULL,
        -- JSON: what was known when it began; null for the first.
        previous TEXT
    ) STRICT;
    -- Personal data beside an entry: may go, and leaves no bytes (secure_delete).
    CREATE TABLE opening (
        seq   INTEGER PRIMARY KEY,
        salt  BLOB NOT NULL CHECK (length(salt) = 32),
        block TEXT NOT NULL
    ) STRICT;
    -- Whom and what an entry is about, by a keyed hash.
    CREATE TABLE subject (
        word BLOB NOT NULL CHECK (length(word) = 16),
        seq  INTEGER NOT NULL,
        PRIMARY KEY (word, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE TRIGGER subtree_never_changes BEFORE UPDATE ON subtree
        BEGIN SELECT raise(ABORT, 'subtrees never change'); END;
    CREATE TRIGGER subtree_never_goes BEFORE DELETE ON subtree
        BEGIN SELECT raise(ABORT, 'subtrees never go'); END;
    CREATE TRIGGER checkpoint_never_changes BEFORE UPDATE ON checkpoint
        BEGIN SELECT raise(ABORT, 'checkpoints never change'); END;
    CREATE TRIGGER checkpoint_never_goes BEFORE DELETE ON checkpoint
        BEGIN SELECT raise(ABORT, 'checkpoints never go'); END;
    CREATE TRIGGER epoch_never_changes BEFORE UPDATE ON epoch
        BEGIN SELECT raise(ABORT, 'epochs never change'); END;
    CREATE TRIGGER epoch_never_goes BEFORE DELETE ON epoch
        BEGIN SELECT raise(ABORT, 'epochs never go'); END;
    CREATE TRIGGER head_never_goes BEFORE DELETE ON head
        BEGIN SELECT raise(ABORT, 'the head never goes'); END;
";

/// Since form 3.
const SENDERS: &str = "
    -- What of the last group of a process that sends entries is recorded: changes with the entries.
    CREATE TABLE sender (
        client  INTEGER PRIMARY KEY,
        first   INTEGER NOT NULL,
        -- A bit an entry, the lowest first.
        written BLOB NOT NULL,
        -- The last entry of it.
        seq     INTEGER NOT NULL
    ) STRICT;
";

/// Why a file did not get the present form.
pub(crate) enum Failed {
    Sqlite(rusqlite::Error),
    /// This entry is not what its hashes say: nothing was changed.
    Broken(u64),
}

impl From<rusqlite::Error> for Failed {
    fn from(source: rusqlite::Error) -> Self {
        Self::Sqlite(source)
    }
}

/// Makes an empty file one of the present form.
pub(crate) fn create(connection: &mut Connection) -> Result<(), Failed> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    transaction.execute_batch(ENTRIES)?;
    add_tree(&transaction)?;
    Ok(transaction.commit()?)
}

/// Form 2 to form 3: what is recorded stays as it is.
pub(crate) fn from_form_2(connection: &mut Connection) -> Result<(), Failed> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    transaction.execute_batch(SENDERS)?;
    transaction.pragma_update(None, "user_version", FORM)?;
    Ok(transaction.commit()?)
}

/// Form 1 to the present one, all or nothing: entries stay as they are; tree and index are computed from their
/// bodies.
pub(crate) fn from_form_1(connection: &mut Connection) -> Result<(), Failed> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    add_tree(&transaction)?;
    Ok(transaction.commit()?)
}

/// Also takes in the entries that are there.
fn add_tree(transaction: &Transaction<'_>) -> Result<(), Failed> {
    transaction.execute_batch(TREE)?;
    transaction.execute_batch(SENDERS)?;
    let key: [u8; 32] = random();
    let appliance = format!("{:016x}", u64::from_ne_bytes(random()));
    transaction.execute(
        "INSERT INTO identity (id, appliance, subject_key) VALUES (1, ?1, ?2)",
        params![appliance, key],
    )?;
    let mut tail = Tail::default();
    put_head(transaction, &tail)?;
    let mut statement =
        transaction.prepare("SELECT seq, body, leaf, chain FROM entry ORDER BY seq")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (seq, body): (i64, String) = (row.get(0)?, row.get(1)?);
        let leaf = leaf_hash(body.as_bytes());
        let mut subtrees = Vec::new();
        let (chain, mut frontier) = (chain_hash(&tail.chain, &leaf), tail.frontier);
        frontier.push(leaf, |at, hash| {
            if STORED_LEVELS.contains(&at.level) {
                subtrees.push((at, *hash));
            }
        });
        tail = Tail { seq: tail.seq + 1, chain, frontier };
        let stored = (Hash(row.get(2)?), Hash(row.get(3)?));
        if seq.unsigned_abs() != tail.seq || stored != (leaf, tail.chain) {
            return Err(Failed::Broken(tail.seq));
        }
        put_subtrees(transaction, &subtrees)?;
        put_subjects(transaction, tail.seq, &subjects::words(&key, &body))?;
    }
    put_head(transaction, &tail)?;
    transaction.pragma_update(None, "user_version", FORM)?;
    Ok(())
}

/// Where the frontier of the file stands; `None` if what is stored is no frontier.
pub(crate) fn frontier(size: u64, bytes: &[u8]) -> Option<Frontier> {
    let (roots, rest) = bytes.as_chunks::<32>();
    rest.is_empty()
        .then(|| Frontier::from_parts(size, roots.iter().copied().map(Hash).collect()))?
}

/// Random bytes from the operating system.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    rand::random()
}

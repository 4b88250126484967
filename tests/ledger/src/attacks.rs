//! What somebody who owns the machine, its disk and the key can do.
//!
//! After each attack the record is verified as it stands, with a checkpoint that somebody outside has
//! kept. Every attack must be found. One is beyond any log: an event that never happened, appended by
//! whoever holds the key; it is answered by who may append, not here.

use std::fs;

use anyhow::{Result, ensure};
use belfry_audit::{Signer, chain_hash, leaf_hash};

use crate::record::Record;

const ENTRIES: i64 = 600;

/// A name, and what is done.
type Attack = (&'static str, fn(&Record) -> Result<()>);

const ATTACKS: &[Attack] = &[
    ("a body is edited", |r| {
        r.sql("UPDATE entry SET body = replace(body, 'auth.signed_in', 'auth.signed_on') WHERE seq = 301")
    }),
    ("a body is edited and its leaf with it", |r| edit(r, 301, false)),
    ("a body is edited, leaf and chain are computed anew", |r| edit(r, 301, true)),
    ("the same, with tree and checkpoints signed by the stolen key", |r| {
        edit(r, 301, true)?;
        sign_anew(r)
    }),
    ("a body is replaced by that of another entry", |r| {
        r.sql("UPDATE entry SET body = (SELECT body FROM entry WHERE seq = 4) WHERE seq = 1")
    }),
    ("two entries change places", |r| {
        r.sql("UPDATE entry SET seq = -1 WHERE seq = 5; UPDATE entry SET seq = 5 WHERE seq = 6; UPDATE entry SET seq = 6 WHERE seq = -1")
    }),
    ("an entry in the middle is deleted", |r| r.sql("DELETE FROM entry WHERE seq = 300")),
    ("an entry in the middle is deleted and the rest renumbered", |r| {
        r.sql("DELETE FROM entry WHERE seq = 300")?;
        renumber(r)
    }),
    ("the same, with all hashes computed anew", |r| {
        r.sql("DELETE FROM entry WHERE seq = 300")?;
        renumber(r)?;
        rehash(r)
    }),
    ("the first entry is deleted and all computed anew", |r| {
        r.sql("DELETE FROM entry WHERE seq = 1")?;
        renumber(r)?;
        rehash(r)
    }),
    ("an entry is put in between and all computed anew", |r| {
        insert(r, 300)?;
        rehash(r)
    }),
    ("the end is cut off", |r| r.sql("DELETE FROM entry WHERE seq > 590")),
    ("the end is cut off, and the head set back", |r| {
        r.sql("DELETE FROM entry WHERE seq > 590")?;
        rehash(r)
    }),
    ("the end is cut off, with its checkpoints and its lock", cut_with_checkpoints),
    ("everything is wiped", |r| {
        r.sql("DELETE FROM entry; DELETE FROM subtree; DELETE FROM checkpoint; DELETE FROM subject; DELETE FROM opening; UPDATE head SET size = 0, frontier = x''")
    }),
    ("a leaf is changed", |r| r.sql("UPDATE entry SET leaf = zeroblob(32) WHERE seq = 100")),
    ("the chain is changed", |r| r.sql("UPDATE entry SET chain = zeroblob(32) WHERE seq = 100")),
    ("a stored subtree is changed", |r| {
        r.sql("UPDATE subtree SET hash = zeroblob(32) WHERE place = 1")
    }),
    ("a stored subtree is deleted", |r| r.sql("DELETE FROM subtree WHERE place = 0")),
    ("a stored subtree is added", |r| r.sql("INSERT INTO subtree VALUES (16, 9, zeroblob(32))")),
    ("the frontier is changed", |r| r.sql("UPDATE head SET frontier = zeroblob(length(frontier))")),
    ("the head is set back", |r| r.sql("UPDATE head SET size = size - 1")),
    ("a checkpoint is changed", |r| {
        r.sql("UPDATE checkpoint SET note = replace(note, '/e1', '/e2') WHERE size = (SELECT min(size) FROM checkpoint)")
    }),
    ("a checkpoint's size is changed", |r| {
        r.sql(
            "UPDATE checkpoint SET size = size - 1 WHERE size = (SELECT min(size) FROM checkpoint)",
        )
    }),
    ("a checkpoint's chain is changed", |r| r.sql("UPDATE checkpoint SET chain = zeroblob(32)")),
    ("the lock is deleted", |r| Ok(fs::remove_file(r.lock())?)),
    ("the lock is emptied", |r| Ok(fs::write(r.lock(), "")?)),
    ("the lock is of another key", |r| Ok(fs::write(r.lock(), foreign(r)?)?)),
    ("the key is replaced", |r| Ok(fs::write(r.key(), other_key(r)?.skey())?)),
    ("the key of the epoch is replaced in file and table", |r| {
        let key = other_key(r)?;
        fs::write(r.key(), key.skey())?;
        r.sql(&format!("UPDATE epoch SET vkey = '{}'", key.verifier().vkey()))
    }),
    ("an epoch is added", |r| r.sql("INSERT INTO epoch SELECT 2, 300, vkey, NULL FROM epoch")),
    ("the epoch begins later", |r| r.sql("UPDATE epoch SET first = 10")),
    ("an opening tells of another name", |r| {
        r.sql("UPDATE opening SET block = '{\"name\":\"Bob Ray\"}'")
    }),
    ("an opening has another salt", |r| r.sql("UPDATE opening SET salt = zeroblob(32)")),
    ("an opening is given to another entry", |r| {
        r.sql("UPDATE opening SET seq = 3 WHERE seq = (SELECT min(seq) FROM opening)")
    }),
    ("a person's history is hidden", |r| {
        r.sql("DELETE FROM subject WHERE word = (SELECT word FROM subject LIMIT 1)")
    }),
    ("an entry is put into another's history", |r| {
        r.sql("INSERT INTO subject SELECT word, 9999 FROM subject LIMIT 1")
    }),
    ("the key of the index is changed", |r| {
        r.sql("UPDATE identity SET subject_key = zeroblob(32)")
    }),
    ("the record takes another name", |r| {
        r.sql("UPDATE identity SET appliance = '0000000000000000'")
    }),
    ("a column beside a body lies about the time", |r| {
        r.sql("UPDATE entry SET at_ms = 0 WHERE seq = 77")
    }),
    ("a column beside a body lies about the kind", |r| {
        r.sql("UPDATE entry SET kind = 'record.read' WHERE seq = 77")
    }),
    ("a column beside a body lies about the school", |r| {
        r.sql("UPDATE entry SET school = NULL WHERE seq = 77")
    }),
    ("a trigger is dropped", |r| {
        Ok(rusqlite::Connection::open(r.path())?.execute_batch("DROP TRIGGER entry_never_goes")?)
    }),
    ("a trigger does nothing", |r| {
        Ok(rusqlite::Connection::open(r.path())?.execute_batch("DROP TRIGGER entry_never_goes; CREATE TRIGGER entry_never_goes BEFORE DELETE ON entry BEGIN SELECT 1; END")?)
    }),
    ("the file is cut in half", |r| {
        let bytes = fs::read(r.path())?;
        Ok(fs::write(r.path(), &bytes[..bytes.len() / 2])?)
    }),
    ("the file is no database", |r| {
        Ok(fs::write(
            r.path(),
            "nothing to see here, nothing at all, and that more than sixteen bytes of it",
        )?)
    }),
    ("the form is set back", |r| r.sql("PRAGMA user_version = 1")),
];

pub(crate) fn run() -> Result<()> {
    let whole = Record::of(ENTRIES)?;
    let outside = [whole.checkpoint()?.0];
    ensure!(whole.finds(&outside).is_none(), "unharmed: {:?}", whole.finds(&outside));
    let elsewhere = whole.judged_elsewhere()?;
    ensure!(elsewhere.findings.is_empty(), "unharmed, elsewhere: {:?}", elsewhere.findings);
    let mut missed = Vec::new();
    for (name, attack) in ATTACKS {
        let record = whole.copy()?;
        attack(&record)?;
        match record.finds(&outside) {
            Some(found) => println!("{name}: {found}"),
            None => missed.push(*name),
        }
    }
    // The oldest trick: the file as it was, with the lock that lies beside it.
    let record = Record::of(ENTRIES)?;
    let old = record.copy()?;
    record.extend(ENTRIES, ENTRIES + 50)?;
    fs::copy(old.path(), record.path())?;
    ensure!(record.finds(&[]).is_some(), "a file that was put back was not found");
    ensure!(record.start_finds().is_some(), "the start does not see a file that was put back");
    let outside = [record_after(&old)?];
    ensure!(old.finds(&outside).is_some(), "file and lock that were put back were not found");
    println!("figure ledger_attacks {} attacks", ATTACKS.len() + 2);
    ensure!(missed.is_empty(), "not found: {}", missed.join("; "));
    Ok(())
}

/// A checkpoint that this record published after it was copied.
fn record_after(old: &Record) -> Result<String> {
    let later = old.copy()?;
    later.extend(ENTRIES, ENTRIES + 50)?;
    Ok(later.checkpoint()?.0)
}

/// What is needed to prove that this suite is worth something: a verifier that believes the stored
/// leaves, and is otherwise complete, must miss attacks.
pub(crate) fn trusting() -> Result<()> {
    let whole = Record::of(ENTRIES)?;
    ensure!(trusted(&whole)?, "it has to pass what is unharmed");
    let mut missed = 0;
    for (name, attack) in &ATTACKS[..4] {
        let record = whole.copy()?;
        attack(&record)?;
        if trusted(&record)? {
            println!("a trusting verifier misses: {name}");
            missed += 1;
        }
    }
    ensure!(missed > 0, "no attack tells a verifier that recomputes from one that believes");
    Ok(())
}

/// Chain and tree over the stored leaves against the newest checkpoint: what the leaves are of is not
/// looked at.
fn trusted(record: &Record) -> Result<bool> {
    let raw = rusqlite::Connection::open(record.path())?;
    let mut frontier = belfry_audit::Frontier::default();
    let mut chain = belfry_audit::Hash::default();
    let mut statement = raw.prepare("SELECT leaf, chain FROM entry ORDER BY seq")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let leaf = belfry_audit::Hash(row.get(0)?);
        chain = chain_hash(&chain, &leaf);
        frontier.push(leaf, |_, _| {});
        if chain.0 != row.get::<_, [u8; 32]>(1)? {
            return Ok(false);
        }
    }
    let (note, vkey) = record.checkpoint()?;
    let key = belfry_audit::Verifier::parse(&vkey)?;
    let note = belfry_audit::SignedNote::parse(&note)?;
    Ok(note.verified_by(&key)?.root == frontier.root())
}

/// Bodies stay; leaves, chain, subtrees and head are computed from them.
fn rehash(record: &Record) -> Result<()> {
    use std::fmt::Write;
    let raw = rusqlite::Connection::open(record.path())?;
    let bodies: Vec<(i64, String)> = raw
        .prepare("SELECT seq, body FROM entry ORDER BY seq")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    drop(raw);
    let (mut frontier, mut chain) =
        (belfry_audit::Frontier::default(), belfry_audit::Hash::default());
    let mut sql = "BEGIN; DELETE FROM subtree;".to_owned();
    for (seq, body) in &bodies {
        let leaf = leaf_hash(body.as_bytes());
        chain = chain_hash(&chain, &leaf);
        write!(sql, "UPDATE entry SET leaf = x'{leaf}', chain = x'{chain}' WHERE seq = {seq};")?;
        frontier.push(leaf, |at, hash| {
            if at.level == 8 {
                let place = at.index;
                let _ = write!(sql, "INSERT INTO subtree VALUES (8, {place}, x'{hash}');");
            }
        });
    }
    let roots: String = frontier.roots().iter().map(ToString::to_string).collect();
    let size = frontier.size();
    write!(
        sql,
        "UPDATE head SET size = {size}, chain = x'{chain}', frontier = x'{roots}'; COMMIT;"
    )?;
    record.sql(&sql)
}

fn edit(record: &Record, seq: i64, all: bool) -> Result<()> {
    record.sql(&format!("UPDATE entry SET body = replace(body, '\"dist\":1', '\"dist\":9'), district = 9 WHERE seq = {seq}"))?;
    if all {
        return rehash(record);
    }
    let raw = rusqlite::Connection::open(record.path())?;
    let sql = format!("SELECT body FROM entry WHERE seq = {seq}");
    let body: String = raw.query_row(&sql, [], |row| row.get(0))?;
    drop(raw);
    let leaf = leaf_hash(body.as_bytes());
    record.sql(&format!("UPDATE entry SET leaf = x'{leaf}' WHERE seq = {seq}"))
}

fn renumber(record: &Record) -> Result<()> {
    record.sql(
        "CREATE TABLE moved AS SELECT row_number() OVER (ORDER BY seq) AS place, seq FROM entry;
         UPDATE entry SET seq = -(SELECT place FROM moved WHERE moved.seq = entry.seq);
         UPDATE entry SET seq = -seq; DROP TABLE moved;",
    )
}

fn insert(record: &Record, at: i64) -> Result<()> {
    record.sql(&format!(
        "UPDATE entry SET seq = -seq - 1 WHERE seq >= {at}; UPDATE entry SET seq = -seq WHERE seq < 0;
         INSERT INTO entry SELECT {at}, at_ms, kind, district, school, body, leaf, chain FROM entry WHERE seq = 4;"
    ))
}

fn signer(record: &Record) -> Result<Signer> {
    Ok(Signer::parse(fs::read_to_string(record.key())?.trim())?)
}

/// With the stolen key: one checkpoint over what is there now, published as the last.
fn sign_anew(record: &Record) -> Result<()> {
    let raw = rusqlite::Connection::open(record.path())?;
    let (mut frontier, mut chain) =
        (belfry_audit::Frontier::default(), belfry_audit::Hash::default());
    let mut statement = raw.prepare("SELECT leaf FROM entry ORDER BY seq")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let leaf = belfry_audit::Hash(row.get(0)?);
        chain = chain_hash(&chain, &leaf);
        frontier.push(leaf, |_, _| {});
    }
    drop(rows);
    drop(statement);
    drop(raw);
    let note = signer(record)?.sign(frontier.size(), frontier.root());
    fs::write(record.lock(), &note)?;
    let size = frontier.size();
    record.sql(&format!(
        "DELETE FROM checkpoint; INSERT INTO checkpoint VALUES ({size}, 0, x'{chain}', '{note}')"
    ))
}

fn cut_with_checkpoints(record: &Record) -> Result<()> {
    record.sql("DELETE FROM checkpoint WHERE size > 530; DELETE FROM entry WHERE seq > (SELECT max(size) FROM checkpoint); DELETE FROM opening WHERE seq > (SELECT max(seq) FROM entry); DELETE FROM subject WHERE seq > (SELECT max(seq) FROM entry)")?;
    rehash(record)?;
    let note = record.checkpoint()?.0;
    Ok(fs::write(record.lock(), note)?)
}

fn other_key(record: &Record) -> Result<Signer> {
    Ok(Signer::from_seed(signer(record)?.verifier().name(), [3; 32])?)
}

fn foreign(record: &Record) -> Result<String> {
    Ok(other_key(record)?.sign(600, belfry_audit::empty_root()))
}

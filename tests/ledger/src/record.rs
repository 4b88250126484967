//! Records to be attacked, and what is thought of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use belfry_audit::{Actor, Detail, Event, Lesson, Participant, Person, Scope};
use belfry_ledger::{Ledger, Openings, export, newest_checkpoint, verify};
use belfry_verify::{Options, Vkey};

pub(crate) fn event(n: i64) -> Event {
    let person = Person(n % 97);
    let detail = match n % 3 {
        0 => Detail::SignedIn { person },
        1 => Detail::ParticipantJoined {
            lesson: Lesson(n % 11),
            participant: Participant::new(&format!("p{}", n % 97)),
        },
        _ => Detail::SignedOut { person: Some(person) },
    };
    let at_ms = 1_790_000_000_000 + n;
    Event { at_ms, scope: Scope::school(1, 2), actor: Actor::Person(person), detail }
}

fn in_memory() -> std::io::Result<tempfile::TempDir> {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }
}

/// A record with its key and its lock, in a folder of its own.
pub(crate) struct Record {
    folder: tempfile::TempDir,
}

impl Record {
    /// On a disk.
    pub(crate) fn empty() -> Result<Self> {
        Ok(Self { folder: tempfile::tempdir()? })
    }

    /// Where nothing is asked about durability.
    pub(crate) fn in_memory() -> Result<Self> {
        Ok(Self { folder: in_memory()? })
    }

    /// Of what is left after a power cut.
    pub(crate) fn left(files: &BTreeMap<String, Vec<u8>>) -> Result<Self> {
        let record = Self::in_memory()?;
        for (name, content) in files {
            fs::write(record.folder.path().join(name), content)?;
        }
        Ok(record)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The leaf of each entry by the time that it says it is of; a time may be there only once.
    pub(crate) fn leaves(&self) -> Result<BTreeMap<i64, (u64, String)>> {
        let raw = rusqlite::Connection::open(self.path())?;
        let mut all = BTreeMap::new();
        let mut entries = raw.prepare("SELECT at_ms, seq, lower(hex(leaf)) FROM entry")?;
        let mut rows = entries.query([])?;
        while let Some(row) = rows.next()? {
            let (at_ms, seq): (i64, i64) = (row.get(0)?, row.get(1)?);
            let twice = all.insert(at_ms, (seq.unsigned_abs(), row.get(2)?));
            ensure!(twice.is_none(), "the event of {at_ms} is there twice");
        }
        Ok(all)
    }

    /// Closed, with checkpoints on the way and two erasable openings.
    pub(crate) fn of(entries: i64) -> Result<Self> {
        let record = Self::in_memory()?;
        record.extend(0, entries)?;
        Ok(record)
    }

    pub(crate) fn extend(&self, from: i64, to: i64) -> Result<()> {
        let ledger = Ledger::open(&self.path())?;
        for n in from..to {
            match n % 50 {
                7 => {
                    ledger.append_with_blocking(event(n), &[("name", "Ann Lee")])?;
                }
                20 => {
                    ledger.checkpoint_blocking()?;
                    ledger.enqueue(event(n));
                }
                _ => ledger.enqueue(event(n)),
            }
        }
        Ok(())
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("audit.db")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.folder.path().join("audit.checkpoint")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.folder.path().join("audit.key")
    }

    pub(crate) fn copy(&self) -> Result<Self> {
        let copy = Self::in_memory()?;
        for file in fs::read_dir(self.folder.path())? {
            let file = file?;
            if file.file_type()?.is_file() {
                fs::copy(file.path(), copy.folder.path().join(file.file_name()))?;
            }
        }
        Ok(copy)
    }

    /// As somebody who owns the machine changes it; triggers and all are put back.
    pub(crate) fn sql(&self, sql: &str) -> Result<()> {
        let raw = rusqlite::Connection::open(self.path())?;
        let triggers: Vec<(String, String)> = raw
            .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        for (name, _) in &triggers {
            raw.execute_batch(&format!("DROP TRIGGER {name}"))?;
        }
        raw.execute_batch(sql)?;
        for (_, text) in &triggers {
            raw.execute_batch(text)?;
        }
        Ok(())
    }

    /// Everything in the one file: what is in the write-ahead log would hide what is done to that.
    pub(crate) fn fold(&self) -> Result<()> {
        let raw = rusqlite::Connection::open(self.path())?;
        let busy: i64 = raw.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        ensure!(busy == 0, "somebody reads the record");
        Ok(())
    }

    /// What the record's own verification finds, with what somebody outside has kept.
    pub(crate) fn finds(&self, outside: &[String]) -> Option<String> {
        verify(&self.path(), outside, || false).err().map(|error| error.to_string())
    }

    /// What the start finds.
    pub(crate) fn start_finds(&self) -> Option<String> {
        match Ledger::open(&self.path()) {
            Ok(ledger) => ledger.health().damaged,
            Err(error) => Some(error.to_string()),
        }
    }

    pub(crate) fn checkpoint(&self) -> Result<(String, String)> {
        Ok(newest_checkpoint(&self.path())?)
    }

    /// Exports all and lets the independent verifier judge it.
    pub(crate) fn judged_elsewhere(&self) -> Result<belfry_verify::Report> {
        let folder = in_memory()?;
        let log = folder.path().join("log");
        export(&self.path(), 0, Openings::All, &log)?;
        let key = Vkey::parse(&self.checkpoint()?.1).ok_or_else(|| anyhow!("the key line"))?;
        Ok(belfry_verify::verify(&log, &Options { vkeys: vec![key], ..Options::default() }))
    }

    /// All that the record says: entries and signed notes, without times of publishing.
    pub(crate) fn says(&self) -> Result<Vec<u8>> {
        let folder = in_memory()?;
        let log = folder.path().join("log");
        export(&self.path(), 0, Openings::All, &log)?;
        let mut all = Vec::new();
        for name in ["entries.jsonl", "leaves.bin", "checkpoint", "openings.jsonl", "epochs.jsonl"]
        {
            all.extend(fs::read(log.join(name))?);
        }
        let notes = fs::read_to_string(log.join("checkpoints.jsonl"))?;
        for line in notes.lines() {
            let line: serde_json::Value = serde_json::from_str(line)?;
            all.extend(line["note"].as_str().context("a note")?.as_bytes());
        }
        Ok(all)
    }
}

/// Order is the index, never the time.
pub(crate) fn clock_jumps() -> Result<()> {
    const TEN_YEARS_MS: i64 = 10 * 365 * 24 * 3_600 * 1_000;
    let record = Record::empty()?;
    for step in [0, TEN_YEARS_MS, -TEN_YEARS_MS, 1 - 1_790_000_000_000] {
        let ledger = Ledger::open(&record.path())?;
        for n in 0..40 {
            let plain = event(n);
            ledger.append_blocking(Event { at_ms: plain.at_ms + step, ..plain })?;
        }
        drop(ledger);
        ensure!(record.start_finds().is_none(), "the start finds {:?}", record.start_finds());
        ensure!(record.finds(&[]).is_none(), "{:?}", record.finds(&[]));
    }
    let elsewhere = record.judged_elsewhere()?;
    ensure!(elsewhere.findings.is_empty(), "the other verifier: {:?}", elsewhere.findings);
    Ok(())
}

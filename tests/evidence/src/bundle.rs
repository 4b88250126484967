//! A bundle of the synthetic year. Its receipt comes from a ledger that recorded the export.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use belfry_audit::{Actor, Detail, Event, Person, Scope, Word};
use belfry_evidence::{Account, Key, Level, Request, Sampling, Setting, Summary, controls};
use belfry_ledger::{Ledger, Receipt};

use crate::year;

const AT_MS: i64 = 1_782_864_000_000;

pub(crate) fn key() -> Key {
    Key::from_seed(&[9; 32])
}

fn receipt(level: Level) -> Result<Receipt> {
    let folder = tempfile::tempdir()?;
    let ledger = Ledger::open(&folder.path().join("audit.db"))?;
    let detail = Detail::EvidenceExporting { first: 0, size: 1, level: Word::new(level.as_str()) };
    let event =
        Event { at_ms: AT_MS, scope: Scope::district(1), actor: Actor::Person(Person(1)), detail };
    Ok(ledger.append_blocking(event)?)
}

fn level(text: &str) -> Result<Level> {
    [Level::Full, Level::Auditor, Level::Public]
        .into_iter()
        .find(|level| level.as_str() == text)
        .with_context(|| format!("no level {text}"))
}

/// Writes a bundle of the log folder; `nonce` in hex, or `-` for no sample.
pub(crate) fn write(log: &Path, out: &Path, level_name: &str, nonce: &str) -> Result<()> {
    let level = level(level_name)?;
    let account = |id: i64| Account {
        id,
        name: if id == 3 { "=HYPERLINK(\"x\")".to_owned() } else { format!("Pupil {id} Ünïque") },
        role: if id < 4 {
            "admin"
        } else if id < 64 {
            "teacher"
        } else {
            "student"
        }
        .to_owned(),
        school: (id > 3).then_some(id % 3 + 1),
        enabled: id % 50 != 0,
    };
    let setting = |key: &str, value: &str, secret| Setting {
        key: key.to_owned(),
        value: value.to_owned(),
        secret,
    };
    let request = Request {
        district: "district.example".to_owned(),
        at_ms: AT_MS,
        generator: "belfry 0.1.0".to_owned(),
        level,
        pseudonym_key: [5; 32],
        vkeys: year::vkeys(),
        witnesses: vec![year::witness().vkey()],
        accounts: (1..=1_260).map(account).collect(),
        settings: vec![
            setting("lesson.waiting_room", "on", false),
            setting("mail.password", "correct horse battery staple", true),
        ],
        controls: controls(),
        sampling: match nonce {
            "-" => None,
            hex => Some(Sampling { nonce: unhex(hex)?, count: 25 }),
        },
        known_gaps: vec![
            "The appliance was offline from 2026-02-02 to 2026-02-03; the record shows it."
                .to_owned(),
        ],
    };
    let file = BufWriter::new(File::create(out)?);
    let Summary { bytes, files, fingerprint, .. } =
        belfry_evidence::write(receipt(level)?, &request, &key(), log, file)?;
    writeln!(
        std::io::stderr(),
        "{level_name}: {files} files, {bytes} bytes, signed with {fingerprint}"
    )?;
    Ok(())
}

fn unhex(hex: &str) -> Result<Vec<u8>> {
    if !hex.is_ascii() || !hex.len().is_multiple_of(2) {
        bail!("a nonce is hex");
    }
    let pairs = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16));
    Ok(pairs.collect::<Result<_, _>>()?)
}

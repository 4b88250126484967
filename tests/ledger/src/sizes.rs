//! The same tree, four times: the writer's frontier, what it stores, the verifier that shares no code
//! with it, and the definition in RFC 6962 section 2.1 on a list.

use std::fs;

use anyhow::{Context, Result, ensure};
use belfry_audit::{SignedNote, Verifier};
use belfry_ledger::{Ledger, Openings, export};
use sha2::{Digest, Sha256};

use crate::record::{Record, event};
use crate::same;

const SIZES_MAX: i64 = 1_025;

/// MTH(D[n]).
fn definition(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => Sha256::digest([]).into(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            let both = [&[1][..], &definition(left), &definition(right)].concat();
            Sha256::digest(both).into()
        }
    }
}

pub(crate) fn run() -> Result<()> {
    let record = Record::in_memory()?;
    let ledger = Ledger::open(&record.path())?;
    same(&ledger.checkpoint_blocking()?, &None, "an empty record publishes nothing")?;
    same(&definition(&[]), &belfry_audit::empty_root().0, "the empty tree")?;
    for n in 0..SIZES_MAX {
        ledger.append_blocking(event(n))?;
        ledger.checkpoint_blocking()?;
    }
    drop(ledger);
    ensure!(record.finds(&[]).is_none(), "{:?}", record.finds(&[]));
    let elsewhere = record.judged_elsewhere()?;
    ensure!(elsewhere.findings.is_empty(), "the other verifier: {:?}", elsewhere.findings);
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log");
    export(&record.path(), 0, Openings::None, &log)?;
    let key = Verifier::parse(&record.checkpoint()?.1)?;
    let lines = fs::read_to_string(log.join("entries.jsonl"))?;
    let leaves: Vec<[u8; 32]> = lines
        .lines()
        .map(|line| Sha256::digest([b"\0", line.as_bytes()].concat()).into())
        .collect();
    let notes = fs::read_to_string(log.join("checkpoints.jsonl"))?;
    let mut sizes = 0;
    for line in notes.lines() {
        let line: serde_json::Value = serde_json::from_str(line)?;
        let note = SignedNote::parse(line["note"].as_str().context("a note")?)?;
        let checkpoint = note.verified_by(&key)?;
        sizes += 1;
        same(&checkpoint.size, &sizes, "a checkpoint of each size")?;
        let root = definition(&leaves[..usize::try_from(checkpoint.size)?]);
        same(&checkpoint.root.0, &root, &format!("the root of {sizes}"))?;
    }
    same(&sizes, &SIZES_MAX.unsigned_abs(), "all sizes")
}

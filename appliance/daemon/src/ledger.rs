//! The record, for a person at the console.

#![allow(clippy::print_stdout, reason = "this is the console")]

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::args::{Data, LedgerVerify};

/// Where the record is; it has to be there.
fn record(data: &Data) -> Result<PathBuf> {
    let settings = belfry_settings::Settings::load(None, &[], |name| {
        if name == belfry_settings::env_name("data.dir") {
            data.given().or_else(|| std::env::var(name).ok())
        } else {
            None
        }
    })?;
    let record = settings.data_dir().join("audit.db");
    let there = record.is_file();
    ensure!(there, "there is no record at {}: name its directory with --data", record.display());
    Ok(record)
}

pub(crate) fn verify(asked: &LedgerVerify) -> Result<()> {
    let record = record(&asked.data)?;
    let read = |file: &PathBuf| {
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
    };
    let outside: Vec<String> = asked.outside.iter().map(read).collect::<Result<_>>()?;
    let verified =
        belfry_ledger::verify(&record, &outside, || false).context("the record is not verified")?;
    println!(
        "The record is whole: {} entries, {} checkpoints.",
        verified.entries, verified.checkpoints
    );
    if outside.is_empty() {
        println!(
            "Whoever has the machine and its key could have written it anew: to rule that out, give a checkpoint that was kept elsewhere with --outside."
        );
    } else {
        println!("It continues each checkpoint that was kept elsewhere.");
    }
    Ok(())
}

pub(crate) fn checkpoint(data: &Data) -> Result<()> {
    let (note, vkey) = belfry_ledger::newest_checkpoint(&record(data)?)?;
    println!("{note}\n{vkey}");
    Ok(())
}

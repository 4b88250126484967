//! The record, for a person at the console.

#![allow(clippy::print_stdout, reason = "this is the console")]

use std::ffi::OsString;
use std::fs;
use std::os::unix::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use belfry_ledger::Ledger;
use belfry_recorder::Process;
use belfry_settings::Settings;

use crate::args::{Data, LedgerServe, LedgerVerify};

fn settings(data: &Data) -> Result<Settings> {
    let settings = Settings::load(None, &[], |name| {
        if name == belfry_settings::env_name("data.dir") {
            data.given().or_else(|| std::env::var(name).ok())
        } else {
            None
        }
    })?;
    Ok(settings)
}

/// Where the record is; it has to be there.
fn record(data: &Data) -> Result<PathBuf> {
    let record = settings(data)?.ledger_record();
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

/// The process that writes the record.
pub(crate) fn serve(asked: LedgerServe) -> Result<()> {
    let record = settings(&asked.data)?.ledger_record();
    match asked.socket {
        None => belfry_recorder::run(&record)?,
        Some(socket) => {
            belfry_recorder::run_alone(&record, &socket, asked.may.into_iter().collect())?;
        }
    }
    Ok(())
}

/// The record, by the process that writes it: the one that the settings name, or one of our own, which
/// is to be stopped last.
pub(crate) async fn open(settings: &Settings) -> Result<(Ledger, Option<Process>)> {
    let record = settings.ledger_record();
    if let Some(socket) = settings.ledger_socket() {
        let address = SocketAddr::from_pathname(socket).context("ledger.socket")?;
        return Ok((Ledger::connect(&record, address)?, None));
    }
    let words = ["ledger", "serve", "--data"].map(OsString::from);
    let args = words.into_iter().chain([settings.data_dir().into()]).collect();
    let (ledger, process) = belfry_recorder::start(None, args, &record).await?;
    Ok((ledger, Some(process)))
}

pub(crate) fn checkpoint(data: &Data) -> Result<()> {
    let (note, vkey) = belfry_ledger::newest_checkpoint(&record(data)?)?;
    println!("{note}\n{vkey}");
    Ok(())
}

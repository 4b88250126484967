//! The suite of the record: what somebody who owns the machine can do to it, what a crash can, and how
//! fast it is.
//!
//!   ledger-suite [--full] [ledger.N...]
//!   ledger-suite appender RECORD    appends until it is killed, and prints what was acknowledged
#![allow(clippy::print_stdout, reason = "its output is its result")]

mod attacks;
mod cuts;
mod disk;
mod faults;
mod figures;
mod flips;
mod kill;
mod mutants;
mod record;
mod sizes;

use std::process::ExitCode;

use anyhow::{Result, ensure};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [word, record] = args.as_slice()
        && word == kill::APPENDER
    {
        return match kill::append_for_ever(record.as_ref()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                println!("{error:#}");
                ExitCode::FAILURE
            }
        };
    }
    let full = args.iter().any(|arg| arg == "--full");
    let outcomes = [
        scenario(
            "ledger.1",
            "each attack by root on the file, its key and its lock is found",
            attacks::run,
        ),
        scenario(
            "ledger.2",
            "a verifier that trusts stored leaves would not find them",
            attacks::trusting,
        ),
        scenario(
            "ledger.3",
            "each byte that was flipped is found, or changes nothing that is recorded",
            || flips::run(if full { 100_000 } else { 10_000 }),
        ),
        scenario(
            "ledger.4",
            "trees of 0, 1, 2 to 1025 entries agree: writer, verifier, definition",
            sizes::run,
        ),
        scenario("ledger.5", "kill -9 loses nothing that was acknowledged", || {
            kill::run(if full { 1_000 } else { 100 })
        }),
        scenario("ledger.6", "clocks that jump ten years change nothing", record::clock_jumps),
        scenario(
            "ledger.7",
            "appending is measured beside what the disk can do, verifying and a history too",
            || figures::run(full),
        ),
        scenario(
            "ledger.8",
            "after a power cut nothing is lost that was acknowledged, and nothing raises a false alarm",
            || cuts::run(if full { 1_000 } else { 100 }),
        ),
        scenario(
            "ledger.9",
            "a disk that lies about its syncs is found out by the same cuts",
            cuts::lying,
        ),
        scenario(
            "ledger.10",
            "each step of writing fails, done and not done: nothing lost, nothing twice, and it heals",
            || faults::run(full),
        ),
        scenario("ledger.11", "on a disk that hangs nobody waits for ever", faults::hanging),
        scenario(
            "ledger.12",
            "each mistake that is built into belfry-verify lets an attack pass: the suite would fail",
            || mutants::run(full),
        ),
    ];
    if outcomes.iter().all(|passed| *passed) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs it, unless others were asked for.
fn scenario(id: &str, title: &str, run: impl FnOnce() -> Result<()>) -> bool {
    let mut asked = std::env::args().filter(|arg| arg.starts_with("ledger.")).peekable();
    if asked.peek().is_some() && !asked.any(|asked| asked == id) {
        return true;
    }
    let start = std::time::Instant::now();
    let outcome = run();
    println!("{id}: {:.1} s", start.elapsed().as_secs_f64());
    if let Err(error) = &outcome {
        println!("{error:#}");
    }
    let verdict = if outcome.is_ok() { "ok" } else { "FAIL" };
    println!("\nscenario {id} {verdict} {title}");
    outcome.is_ok()
}

/// As `assert_eq`, for a scenario.
fn same<T: PartialEq + std::fmt::Debug>(left: &T, right: &T, what: &str) -> Result<()> {
    ensure!(left == right, "{what}: {left:?} is not {right:?}");
    Ok(())
}

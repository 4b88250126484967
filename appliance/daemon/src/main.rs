//! The `belfry` binary: both processes start here.
//!
//! **Invariant:** nothing but wiring: what decides lives in the crates below.

mod args;
mod certificates;
mod console;
mod https;
mod ledger;
mod lessons;
mod media;
mod names;
mod open;
mod ready;
mod refusals;
mod relay;
mod serve;
mod split;
#[cfg(test)]
mod walk;
mod ways_in;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::args::{Args, Command};

fn main() -> ExitCode {
    // Both processes: the media process inherits it. If it fails, the limits of connections follow.
    let _raised = belfry_workers::open_files::raise();
    let outcome = match Args::parse().command {
        Command::Media => {
            log();
            belfry_media::run().map_err(Into::into)
        }
        Command::Serve(serve) => {
            log();
            serve::run(&serve)
        }
        Command::DemoSignIns(data) => console::demo_sign_ins(&data),
        Command::WaysIn => {
            ways_in::print();
            Ok(())
        }
        Command::Ledger(args::Ledger::Verify(verify)) => ledger::verify(&verify),
        Command::Ledger(args::Ledger::Checkpoint(data)) => ledger::checkpoint(&data),
        Command::Ledger(args::Ledger::Serve(serve)) => {
            log();
            ledger::serve(serve)
        }
        Command::Settings => {
            console::settings();
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::failed(&error);
            ExitCode::FAILURE
        }
    }
}

/// What happens is told on standard error, by both processes alike.
fn log() {
    // The crates below us say more than an operator wants to read, some of it once per packet.
    let filter = EnvFilter::try_from_env("BELFRY_LOG")
        .unwrap_or_else(|_| EnvFilter::new("warn,belfry=info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

//! The `belfry` binary: both processes start here.
//!
//! **Invariant:** nothing but wiring: what decides lives in the crates below.

mod args;
mod certificates;
mod console;
mod https;
mod lessons;
mod media;
mod names;
mod open;
mod ready;
mod refusals;
mod relay;
mod routes;
mod serve;
mod split;
#[cfg(test)]
mod walk;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};

fn main() -> ExitCode {
    // Both processes: the media process inherits it. If it fails, the limits of connections follow.
    let _raised = belfry_workers::open_files::raise();
    let outcome = match Args::parse().command {
        Command::Media => belfry_media::run().map_err(Into::into),
        Command::Serve(serve) => serve::run(&serve),
        Command::DemoSignIns(data) => console::demo_sign_ins(&data),
        Command::Routes => {
            routes::print();
            Ok(())
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

//! A seeded link emulator over two TUN devices, and the measure of itself.

mod bench;
mod check;
mod direction;
mod link;
mod middlebox;
mod random;
mod settings;
mod system;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use crate::link::Device;
use crate::settings::Settings;

/// A link between two network namespaces.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs a link until standard input ends.
    ///
    /// It makes both devices; give them addresses when it has said `{"ready":true}`. Each line of input is one order, and is
    /// answered with a line: {"set": {"down": {"rate_bps": 400000}}}, {"schedule": [{"at_s": 10, "up": {...}}]},
    /// {"cut": true}, {"middlebox": "tls_only443"}, {"mark": "joined"}, "report".
    /// The log has a JSON line for each direction every 100 ms: rate, queue, offered, delivered, and dropped by cause.
    Link {
        /// JSON: {"seed": 1, "up": {...}, "down": {...}, "middlebox": "open", "schedule": [...]}; up is from A to B.
        #[arg(long)]
        settings: PathBuf,
        #[arg(long)]
        log: PathBuf,
        /// The clients' end, NAMESPACE:DEVICE.
        #[arg(long)]
        a: Device,
        /// The other end.
        #[arg(long)]
        b: Device,
    },
    /// Measures links against their own settings, in namespaces of its own.
    Check,
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Link { settings, log, a, b } => {
            let text = std::fs::read_to_string(&settings)
                .with_context(|| format!("reading {}", settings.display()))?;
            link::run(&Settings::parse(&text)?, &a, &b, &log)
        }
        Command::Check => check::run(),
    }
}

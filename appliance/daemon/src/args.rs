//! The command line.

use std::net::IpAddr;
use std::path::PathBuf;

use belfry_audit::{Declared, EventKind, no_audit};
use clap::{Args as ClapArgs, Parser, Subcommand};

/// A virtual classroom that a school district owns.
#[derive(Debug, Parser)]
#[command(name = "belfry", version)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serves lessons until it is told to stop
    Serve(Serve),
    /// Prints the sign-ins of the demo school: role, user name and password, one a line
    DemoSignIns(Data),
    /// Prints every way in (routes, messages, commands), who may take it and what it leaves in the record
    WaysIn,
    /// Looks after the record of who did and saw what
    #[command(subcommand)]
    Ledger(Ledger),
    /// Prints all settings with their defaults
    Settings,
    /// The media process; started by `serve`
    #[command(hide = true)]
    Media,
}

impl Command {
    /// The commands and what each leaves in the record.
    pub(crate) fn all() -> Vec<(&'static str, Declared)> {
        let nothing = || Data { data: None };
        let serve = Serve {
            data: nothing(),
            settings: None,
            https_address: None,
            https_port: None,
            media_port: None,
            demo: false,
        };
        let commands = [
            Self::Serve(serve),
            Self::DemoSignIns(nothing()),
            Self::WaysIn,
            Self::Ledger(Ledger::Verify(LedgerVerify { data: nothing(), outside: Vec::new() })),
            Self::Ledger(Ledger::Checkpoint(nothing())),
            Self::Ledger(Ledger::Serve(LedgerServe {
                data: nothing(),
                socket: None,
                may: Vec::new(),
            })),
            Self::Settings,
            Self::Media,
        ];
        commands.iter().map(Self::declared).collect()
    }

    fn declared(&self) -> (&'static str, Declared) {
        match self {
            Self::Serve(_) => ("serve", Declared::Audited(EventKind::ApplianceStarted)),
            Self::DemoSignIns(_) => (
                "demo-sign-ins",
                no_audit!(
                    "made up again from a key of the demo school, in which there are no people"
                ),
            ),
            Self::WaysIn => ("ways-in", no_audit!("prints what this release is made of")),
            Self::Ledger(Ledger::Verify(_)) => (
                "ledger verify",
                no_audit!("says whether the record is whole, and shows nothing of it"),
            ),
            Self::Ledger(Ledger::Checkpoint(_)) => {
                ("ledger checkpoint", no_audit!("a size and a hash, made to be given to others"))
            }
            Self::Ledger(Ledger::Serve(_)) => (
                "ledger serve",
                no_audit!("what it is sent is recorded, with the user that sent it"),
            ),
            Self::Settings => ("settings", no_audit!("prints what this release is made of")),
            Self::Media => {
                ("media", no_audit!("a worker of the appliance, which records its start"))
            }
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Ledger {
    /// Recomputes the whole record and names the first entry that is not as it was; also while it is in use
    Verify(LedgerVerify),
    /// Prints the last published checkpoint and the key that signs it: keep both elsewhere
    Checkpoint(Data),
    /// Writes the record for `serve`, which starts it; with --socket as a service under a user of its own
    Serve(LedgerServe),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct LedgerServe {
    #[command(flatten)]
    pub(crate) data: Data,
    /// Where to listen; `serve` finds it by the setting `ledger.socket`
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// A user, by number, whose processes may have something recorded; may be given repeatedly
    #[arg(long, value_name = "USER")]
    pub(crate) may: Vec<u32>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct LedgerVerify {
    #[command(flatten)]
    pub(crate) data: Data,
    /// A checkpoint that was kept elsewhere, which the record has to continue; may be given repeatedly
    #[arg(long, value_name = "FILE")]
    pub(crate) outside: Vec<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Data {
    /// The one directory that holds databases, keys and certificates
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

/// What may be said on the command line instead of in the settings file or the environment.
#[derive(Debug, ClapArgs)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) data: Data,
    /// A settings file (TOML)
    #[arg(long, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) https_address: Option<IpAddr>,
    #[arg(long, value_name = "PORT")]
    pub(crate) https_port: Option<u16>,
    #[arg(long, value_name = "PORT")]
    pub(crate) media_port: Option<u16>,
    /// Makes a small demo school, if there is no school yet, and prints sign-ins
    #[arg(long)]
    pub(crate) demo: bool,
}

impl Serve {
    /// The value given for a setting, by the setting's key.
    pub(crate) fn given(&self, key: &str) -> Option<String> {
        match key {
            "data.dir" => self.data.given(),
            "https.address" => self.https_address.map(|address| address.to_string()),
            "https.port" => self.https_port.map(|port| port.to_string()),
            "media.port" => self.media_port.map(|port| port.to_string()),
            _ => None,
        }
    }
}

impl Data {
    pub(crate) fn given(&self) -> Option<String> {
        // Settings hold absolute paths; a command line may say it shorter.
        let path = self.data.as_deref()?;
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Some(path.to_string_lossy().into_owned())
    }
}

//! What the suite `evidence` stands on: a synthetic school year, bundles of it, and broken ones.
//!
//!   evidence year FOLDER ENTRIES FIRST      a log folder, and beside it what an auditor brings along
//!   evidence bundle LOG OUT LEVEL NONCE     a bundle (NONCE: hex, or - for none)
//!   evidence fingerprint                    of the key that signs bundles
//!   evidence broken BUNDLE FOLDER           broken bundles, and which exit code each must give

mod broken;
mod bundle;
mod raw;
mod sign;
mod tree;
mod year;

use std::io::Write;
use std::path::Path;

use anyhow::{Result, bail};

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["year", folder, entries, first] => {
            year::write(Path::new(folder), entries.parse()?, first.parse()?)
        }
        ["bundle", log, out, level, nonce] => {
            bundle::write(Path::new(log), Path::new(out), level, nonce)
        }
        ["fingerprint"] => Ok(writeln!(std::io::stdout(), "{}", bundle::key().fingerprint())?),
        ["broken", bundle, folder] => broken::write(Path::new(bundle), Path::new(folder)),
        _ => bail!("see the head of this program's main.rs"),
    }
}

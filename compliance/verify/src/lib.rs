//! The verifier of Belfry's record and of evidence bundles, for a laptop that has nothing else of ours.
//!
//! It imports no crate of the workspace: every hash, every form and every rule is written here a second time, from the
//! specifications (RFC 6962, RFC 8785, C2SP signed-note, tlog-checkpoint, tlog-cosignature and tlog-proof, OpenSSH's
//! PROTOCOL.sshsig). A third time in `verify.html`, for an auditor's browser.
//!
//! **Invariant:** a leaf is computed from its entry's bytes; what is stored beside them is never believed.
//! **Invariant:** input of any form ends in a [`Report`], never in a panic, and memory does not grow with the log.
//! **Invariant:** every limit is a constant of [`limits`].

mod bundle;
mod canonical;
mod entry;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod hash;
pub mod limits;
mod lines;
mod log;
mod names;
mod note;
mod options;
mod population;
mod proof;
mod prune;
mod report;
mod side;
mod source;
mod sshsig;
#[cfg(test)]
mod testing;
mod tree;
mod zip;

use std::path::Path;

pub use hash::unhex_any;
pub use note::Vkey;
pub use options::Options;
pub use report::{Code, Counts, Finding, Report, Sample};

/// Verifies a bundle (a ZIP file or its folder) or a bare log folder.
pub fn verify(path: &Path, options: &Options) -> Report {
    let mut report = Report::default();
    let Some(source) = report.keep(source::Source::open(path)) else { return report };
    if bundle::is_bundle(&source) {
        bundle::check(&source, options, &mut report);
    } else {
        let checked = log::check(&source, "", options, &mut log::Watch::default(), &mut report);
        if let Some(checked) = report.keep(checked)
            && !options.vkeys.contains(&checked.epochs.newest().key)
        {
            let says = if options.vkeys.is_empty() {
                "nothing says whose log this is; give the printed key with --vkey"
            } else {
                "it is signed with another key than the one that was given"
            };
            report.findings.push(Finding::new(Code::Untrusted, "epochs.jsonl", says));
        }
    }
    report
}

//! What a worker gives up before it reads the first byte from outside.

mod calls;

use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus,
};

/// The newest rules that are asked for; a kernel without them enforces those that it has.
const LANDLOCK: ABI = ABI::V5;

/// The files that stay reachable; all others cannot be opened, read, listed or executed.
/// Descriptors that are open already stay usable.
#[derive(Clone, Debug, Default)]
pub struct Files {
    pub readable: Vec<PathBuf>,
    pub writable: Vec<PathBuf>,
}

/// What the work has to do with the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Nothing: no socket but the link to the parent.
    None,
    /// It takes streams on a socket that its parent has opened.
    Accepts,
    /// It opens sockets of the internet families and is spoken to; it connects to nobody.
    Serves,
}

/// What the kernel enforces now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is one measure that took or did not")]
pub struct Applied {
    pub no_new_privileges: bool,
    pub dies_with_parent: bool,
    pub no_core_dump: bool,
    pub files: Enforced,
    /// System calls, the network rule with them.
    pub calls: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforced {
    Fully,
    /// An older kernel: some rights are not known to it.
    Partly,
    Not,
}

/// Applies all measures to this thread and the threads that it starts from now on, so it comes
/// first in a worker's `main`. Best effort: a measure that the kernel lacks is said in the log.
pub fn enter(files: &Files, network: Network) -> Applied {
    let applied = Applied {
        no_new_privileges: crate::sys::no_new_privileges().is_ok(),
        dies_with_parent: crate::sys::die_with_parent().is_ok(),
        no_core_dump: crate::sys::no_core_dump().is_ok(),
        files: confine(files).unwrap_or(Enforced::Not),
        // Last: the measures before need calls that are refused from here on.
        calls: calls::allow_only_needed(network, !files.writable.is_empty()).is_ok(),
    };
    let Applied { no_new_privileges, dies_with_parent, no_core_dump, files, calls } = applied;
    let limits = no_new_privileges && dies_with_parent && no_core_dump;
    if limits && calls && files == Enforced::Fully {
        tracing::info!("worker is sandboxed");
    } else {
        tracing::warn!(
            no_new_privileges,
            dies_with_parent,
            no_core_dump,
            ?files,
            calls,
            "worker is sandboxed in part"
        );
    }
    applied
}

/// Refuses this process to open anything further to listen on; for a worker whose sockets are all
/// open. `false` if the kernel cannot.
pub fn seal() -> bool {
    let sealed = calls::refuse_opening();
    if let Err(error) = &sealed {
        tracing::warn!(%error, "sockets can still be opened");
    }
    sealed.is_ok()
}

fn confine(files: &Files) -> Result<Enforced, landlock::RulesetError> {
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(LANDLOCK))?
        .create()?;
    let readable = files.readable.iter().map(|path| (path, AccessFs::from_read(LANDLOCK)));
    let writable = files.writable.iter().map(|path| (path, AccessFs::from_all(LANDLOCK)));
    for (path, access) in readable.chain(writable) {
        // A path that is not there needs no rule.
        if let Ok(opened) = PathFd::new(path) {
            rules = rules.add_rule(PathBeneath::new(opened, access))?;
        }
    }
    Ok(match rules.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced => Enforced::Fully,
        RulesetStatus::PartiallyEnforced => Enforced::Partly,
        RulesetStatus::NotEnforced => Enforced::Not,
    })
}

//! What a route leaves in the audit log.

/// A route's audit declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declared {
    Events(&'static [&'static str]),
    None(&'static str),
}

/// Declares that a route writes nothing to the audit log, and why.
pub const fn no_audit(reason: &'static str) -> Declared {
    Declared::None(reason)
}

//! What a route, a socket message or a command says about its place in the record.

use crate::{EventKind, Holding};

/// Every way into the appliance carries one of these in its type: either the event that it
/// records, or the reason why it records none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Declared {
    /// Whoever serves this records at least one event of this kind.
    Audited(EventKind),
    /// It shows what is kept about people: [`EventKind::Disclosing`] is durable before its first byte,
    /// and [`EventKind::Disclosed`] says how many bytes there were.
    Discloses(Holding),
    /// Nothing is recorded; made by [`no_audit`] only.
    NotAudited(Reason),
}

/// Why something is not recorded. Never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reason(&'static str);

impl Reason {
    pub const fn as_str(&self) -> &'static str {
        self.0
    }
}

/// Declares that nothing is recorded, and why.
///
/// In a constant (a route table, a `static`, `const { ... }`) an empty reason does not compile;
/// the macro [`no_audit!`](crate::no_audit!) forces that everywhere.
pub const fn no_audit(reason: &'static str) -> Declared {
    assert!(!reason.is_empty(), "no_audit needs a reason");
    Declared::NotAudited(Reason(reason))
}

/// [`no_audit`](fn@no_audit), evaluated while compiling wherever it stands.
///
/// ```
/// let declared = belfry_audit::no_audit!("a static file");
/// assert_eq!(declared.reason(), Some("a static file"));
/// ```
/// ```compile_fail
/// belfry_audit::no_audit!("");
/// ```
#[macro_export]
macro_rules! no_audit {
    ($reason:expr) => {
        const { $crate::no_audit($reason) }
    };
}

impl Declared {
    /// The event, if one is recorded.
    pub const fn kind(&self) -> Option<EventKind> {
        match self {
            Self::Audited(kind) => Some(*kind),
            Self::Discloses(_) => Some(EventKind::Disclosing),
            Self::NotAudited(_) => None,
        }
    }

    /// The reason, if none is recorded.
    pub const fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Audited(_) | Self::Discloses(_) => None,
            Self::NotAudited(reason) => Some(reason.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Declared, no_audit};
    use crate::EventKind;

    #[test]
    fn a_declaration_names_its_event_or_its_reason() {
        const QUIET: Declared = no_audit("shows the sign-in form");
        assert_eq!((QUIET.kind(), QUIET.reason()), (None, Some("shows the sign-in form")));
        let loud = Declared::Audited(EventKind::SignedIn);
        assert_eq!((loud.kind(), loud.reason()), (Some(EventKind::SignedIn), None));
    }
}

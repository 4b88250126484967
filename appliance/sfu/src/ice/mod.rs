//! ICE-lite (RFC 8445, section 2.5): the server only answers; the client checks and nominates.
//!
//! **Invariant:** a binding request that carries our credentials is answered at once, whatever the
//! state of the connection; nothing is learnt from one that does not.

mod binding;
mod credentials;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

pub(crate) use self::binding::BINDINGS;
use self::{
    binding::{Binding, Fault},
    credentials::Credentials,
};
pub use self::{
    binding::{answer_binding, route},
    credentials::Route,
};
use crate::{
    connection::Refused,
    outbox::{Destination, Outbox},
};

/// Without an authenticated check for so long, the client's consent is gone (RFC 7675, section 5.1).
pub(crate) const CONSENT: Duration = Duration::from_secs(30);
/// A selected path on which the client stopped checking gives way to one on which it did not.
/// libwebrtc checks every 2.5 s, Firefox every 5 s.
const SELECTED_SILENT: Duration = Duration::from_secs(8);
/// Paths of one connection whose source is remembered. A client has a handful of interfaces, each
/// with two families.
const PATHS_MAX: usize = 16;

/// A path on which the client proved that it knows our password.
#[derive(Clone, Copy, Debug)]
struct Path {
    destination: Destination,
    checked: Instant,
}

/// What a check did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    Taken {
        /// A path that had to make room.
        forget: Option<Destination>,
    },
    Refused(Refused),
}

/// The ICE side of one connection.
#[derive(Debug)]
pub(crate) struct Ice {
    route: Route,
    local: Credentials,
    /// Taken during a restart, until the client uses the new ones.
    previous: Option<Credentials>,
    remote_ufrag: Option<String>,
    remote_pwd: Option<String>,
    paths: Vec<Path>,
    selected: Option<Destination>,
}

impl Ice {
    pub(crate) fn new(route: Route) -> Self {
        Self {
            route,
            local: Credentials::generate(route),
            previous: None,
            remote_ufrag: None,
            remote_pwd: None,
            paths: Vec::new(),
            selected: None,
        }
    }

    pub(crate) fn ufrag(&self) -> &str {
        &self.local.ufrag
    }

    pub(crate) fn pwd(&self) -> &str {
        &self.local.pwd
    }

    /// Whether these differ from the remote's credentials so far: an ICE restart
    /// (RFC 8445, section 9).
    pub(crate) fn is_restart(&self, ufrag: &str, pwd: &str) -> bool {
        self.remote_ufrag.as_deref().is_some_and(|known| known != ufrag)
            || self.remote_pwd.as_deref().is_some_and(|known| known != pwd)
    }

    pub(crate) fn set_remote(&mut self, ufrag: &str, pwd: &str) {
        self.remote_ufrag = Some(ufrag.to_owned());
        self.remote_pwd = Some(pwd.to_owned());
    }

    /// New local credentials. Media stays where it is until the client nominates with them.
    pub(crate) fn restart(&mut self) {
        let fresh = Credentials::generate(self.route);
        self.previous = Some(std::mem::replace(&mut self.local, fresh));
    }

    /// Where DTLS and media go.
    pub(crate) fn selected(&self) -> Option<Destination> {
        self.selected
    }

    /// The client is at `to` now and not any more where media went so far. Consent lasts no longer
    /// by that.
    pub(crate) fn moved(&mut self, to: Destination) {
        let selected = self.selected.replace(to);
        let path = self.paths.iter_mut().find(|path| Some(path.destination) == selected);
        if let Some(path) = path {
            path.destination = to;
        }
    }

    /// Whether the client checked this path.
    pub(crate) fn knows(&self, from: Destination) -> bool {
        self.selected == Some(from) || self.paths.iter().any(|path| path.destination == from)
    }

    /// When consent ends unless another check comes.
    pub(crate) fn consent_until(&self) -> Option<Instant> {
        self.paths.iter().map(|path| path.checked).max().map(|last| last + CONSENT)
    }

    /// Answers a STUN message from `from`.
    pub(crate) fn receive(
        &mut self,
        from: Destination,
        datagram: &[u8],
        now: Instant,
        outbox: &mut Outbox,
    ) -> Checked {
        let Ok(mut binding) = BINDINGS.parse(belfry_model::Outside::new(datagram)) else {
            return Checked::Refused(Refused::Malformed);
        };
        if !binding.is_request() {
            // Indications keep a NAT open and want no answer; responses answer nothing of ours.
            return Checked::Refused(Refused::Unknown);
        }
        let Some(pwd) = self.authenticate(&mut binding) else {
            binding.refuse(Fault::Unauthorised, None, from, outbox);
            return Checked::Refused(Refused::Authentication);
        };
        if binding.has_unknown_attributes() {
            binding.refuse(Fault::UnknownAttributes, Some(&pwd), from, outbox);
            return Checked::Refused(Refused::Malformed);
        }
        if binding.controlled {
            // We are lite and so never controlling: the client has to switch
            // (RFC 8445, section 7.3.1.1).
            binding.refuse(Fault::RoleConflict, Some(&pwd), from, outbox);
            return Checked::Refused(Refused::Malformed);
        }
        binding.succeed(&pwd, from, outbox);
        let forget = self.remember(from, now);
        self.select(from, binding.nominates, now);
        Checked::Taken { forget }
    }

    /// The password under which the request is authentic.
    fn authenticate(&mut self, binding: &mut Binding) -> Option<String> {
        let ufrag = binding.local_ufrag()?.to_owned();
        if ufrag == self.local.ufrag {
            if binding.is_authentic(&self.local.pwd) {
                self.previous = None;
                return Some(self.local.pwd.clone());
            }
            return None;
        }
        let previous = self.previous.as_ref()?;
        (ufrag == previous.ufrag && binding.is_authentic(&previous.pwd))
            .then(|| previous.pwd.clone())
    }

    /// Remembers a path; returns one that had to make room: the longest unchecked.
    fn remember(&mut self, destination: Destination, now: Instant) -> Option<Destination> {
        if let Some(path) = self.paths.iter_mut().find(|path| path.destination == destination) {
            path.checked = now;
            return None;
        }
        let mut forgotten = None;
        if self.paths.len() >= PATHS_MAX {
            let stalest = (0..self.paths.len())
                .filter(|&index| self.path(index) != self.selected)
                .min_by_key(|&index| self.paths.get(index).map(|path| path.checked));
            if let Some(index) = stalest {
                forgotten = Some(self.paths.swap_remove(index).destination);
            }
        }
        self.paths.push(Path { destination, checked: now });
        forgotten
    }

    fn path(&self, index: usize) -> Option<Destination> {
        self.paths.get(index).map(|path| path.destination)
    }

    /// Follows the client: every nomination counts, the first one and later ones. Before the
    /// first, the path of the first check carries the DTLS handshake.
    fn select(&mut self, from: Destination, nominates: bool, now: Instant) {
        if nominates {
            self.selected = Some(from);
            return;
        }
        let silent = self
            .paths
            .iter()
            .find(|path| Some(path.destination) == self.selected)
            .is_none_or(|path| now.saturating_duration_since(path.checked) > SELECTED_SILENT);
        if silent {
            self.selected = Some(from);
        }
    }
}

//! Which of our addresses a datagram came in on, as the small number that `sfu` carries about.
//! An answer must leave from the address that was asked: a socket that listens on all of them is
//! told so for each datagram.

use std::{collections::HashMap, net::IpAddr};

/// Addresses of ours over the life of a process; an interface that keeps changing its address
/// reuses none, so there is an end to it.
const LOCALS_MAX: usize = 1_024;

/// The local addresses of one shard. The first ones are the sockets themselves.
#[derive(Debug)]
pub(crate) struct Locals {
    entries: Vec<(usize, Option<IpAddr>)>,
    indices: HashMap<(usize, IpAddr), u16>,
}

impl Locals {
    pub(crate) fn new(socket_count: usize) -> Self {
        Self {
            entries: (0..socket_count).map(|socket| (socket, None)).collect(),
            indices: HashMap::new(),
        }
    }

    /// The number of this address of this socket.
    pub(crate) fn index(&mut self, socket: usize, address: Option<IpAddr>) -> u16 {
        let Some(address) = address else { return socket as u16 };
        if let Some(&known) = self.indices.get(&(socket, address)) {
            return known;
        }
        if self.entries.len() >= LOCALS_MAX {
            return socket as u16;
        }
        let index = self.entries.len() as u16;
        self.entries.push((socket, Some(address)));
        self.indices.insert((socket, address), index);
        index
    }

    /// The socket and the address to send from.
    pub(crate) fn get(&self, index: u16) -> Option<(usize, Option<IpAddr>)> {
        self.entries.get(usize::from(index)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::Locals;

    #[test]
    fn an_address_keeps_its_number_and_leads_back_to_its_socket() {
        let mut locals = Locals::new(2);
        let address = Some([10, 0, 0, 1].into());
        let index = locals.index(1, address);
        assert_eq!(locals.index(1, address), index);
        assert_ne!(locals.index(0, address), index);
        assert_eq!(locals.get(index), Some((1, address)));
        let unknown = locals.index(1, None);
        assert_eq!(locals.get(unknown), Some((1, None)));
        assert_eq!(locals.get(999), None);
    }
}

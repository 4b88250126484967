//! The datagrams that one batch of work wants to send: bytes in one reused arena, a descriptor
//! for each. Connections write into it, `transport` drains it at the end of the batch.
//!
//! **Invariant:** a packet costs no allocation once the arena has grown to its working size.

use std::net::{IpAddr, SocketAddr};

use belfry_media_api::Path;

/// The largest datagram that is ever sent: an Ethernet frame's worth of UDP payload.
pub const DATAGRAM_BYTES_MAX: usize = 1_500;

/// Where a datagram comes from and goes to, as this machine sees it: the 5-tuple without the
/// protocol, which the variant names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Destination {
    /// `local` is the index of the listening address in `Configure::listen`.
    Udp { local: u16, remote: SocketAddr },
    /// Something carries the datagram that is not a media socket: an ICE-TCP stream, or an
    /// allocation at the relay. `local` is the number of the address of ours that the client sends
    /// to, `remote` the one that stands for the client, `client` the client's own.
    Via { carrier: u32, local: u16, path: Path, client: IpAddr, remote: SocketAddr },
}

impl Destination {
    pub fn udp(local: u16, remote: SocketAddr) -> Self {
        Self::Udp { local, remote }
    }

    /// The address of the other end.
    pub fn remote(self) -> SocketAddr {
        match self {
            Self::Udp { remote, .. } | Self::Via { remote, .. } => remote,
        }
    }

    /// How the datagram travels, and the client's own address.
    pub fn path(self) -> (Path, IpAddr) {
        match self {
            Self::Udp { remote, .. } => (Path::Udp, remote.ip().to_canonical()),
            Self::Via { path, client, .. } => (path, client.to_canonical()),
        }
    }
}

/// One outgoing datagram: where to, and where its bytes lie in the arena.
#[derive(Clone, Copy, Debug)]
struct Descriptor {
    destination: Destination,
    start: u32,
    len: u32,
}

/// Outgoing datagrams in the order in which they were written.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    descriptors: Vec<Descriptor>,
}

impl Outbox {
    /// An outbox that holds `datagrams` of full size before it allocates again.
    pub fn with_capacity(datagrams: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(datagrams * DATAGRAM_BYTES_MAX),
            descriptors: Vec::with_capacity(datagrams),
        }
    }

    /// Forgets all datagrams and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.descriptors.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.descriptors.is_empty()
    }

    /// How many datagrams wait.
    pub fn len(&self) -> usize {
        self.descriptors.len()
    }

    /// The sum of their lengths.
    pub fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes a datagram of `len` zero bytes and lends its place to be written.
    pub fn push(&mut self, destination: Destination, len: usize) -> &mut [u8] {
        let start = self.bytes.len();
        self.bytes.resize(start + len, 0);
        self.descriptors.push(Descriptor { destination, start: start as u32, len: len as u32 });
        self.bytes.get_mut(start..).unwrap_or_default()
    }

    /// Takes a copy of `datagram`.
    pub fn push_copy(&mut self, destination: Destination, datagram: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(datagram);
        let len = datagram.len() as u32;
        self.descriptors.push(Descriptor { destination, start: start as u32, len });
    }

    /// Takes back the datagram that was written last: it could not be sealed.
    pub fn pop(&mut self) {
        if let Some(last) = self.descriptors.pop() {
            self.bytes.truncate(last.start as usize);
        }
    }

    /// Takes back all but the first `len` datagrams: what wrote the others failed half-way.
    pub fn truncate(&mut self, len: usize) {
        if let Some(first) = self.descriptors.get(len) {
            self.bytes.truncate(first.start as usize);
            self.descriptors.truncate(len);
        }
    }

    /// The datagram at `index`, in the order of writing.
    pub fn get(&self, index: usize) -> Option<(Destination, &[u8])> {
        let descriptor = self.descriptors.get(index)?;
        let start = descriptor.start as usize;
        let bytes = self.bytes.get(start..start + descriptor.len as usize)?;
        Some((descriptor.destination, bytes))
    }

    /// All datagrams in the order of writing.
    pub fn iter(&self) -> impl Iterator<Item = (Destination, &[u8])> {
        (0..self.descriptors.len()).filter_map(|index| self.get(index))
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::{Destination, Outbox};

    fn to(port: u16) -> Destination {
        Destination::udp(0, SocketAddr::from(([127, 0, 0, 1], port)))
    }

    #[test]
    fn datagrams_come_out_as_and_in_the_order_they_went_in() {
        let mut outbox = Outbox::with_capacity(2);
        outbox.push(to(1), 3).copy_from_slice(b"abc");
        outbox.push_copy(to(2), b"defg");
        outbox.push_copy(to(3), b"unwanted");
        outbox.truncate(2);
        let all: Vec<_> = outbox.iter().collect();
        assert_eq!(all, [(to(1), b"abc".as_slice()), (to(2), b"defg".as_slice())]);
        assert_eq!((outbox.len(), outbox.bytes_len()), (2, 7));
        outbox.clear();
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_datagram_taken_back_leaves_no_trace() {
        let mut outbox = Outbox::default();
        outbox.push(to(1), 3).copy_from_slice(b"abc");
        outbox.push(to(1), 5);
        outbox.pop();
        outbox.push(to(2), 1).copy_from_slice(b"x");
        assert_eq!(outbox.get(1), Some((to(2), b"x".as_slice())));
        assert_eq!(outbox.bytes_len(), 4);
    }
}

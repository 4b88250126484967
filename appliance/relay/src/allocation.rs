//! What the packet path knows of an allocation: read without a lock, written by the control part.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use belfry_media_api::Path;

/// Media addresses that a client may send to.
pub const PEERS_MAX: usize = 32;

/// Of one peer: the channel that is bound to it (0: none), and whether the client may send to it.
#[derive(Debug, Default)]
struct Way {
    channel: AtomicU16,
    permitted: AtomicBool,
}

/// A client's place at the relay.
#[derive(Debug)]
pub struct Allocation {
    /// How the client reaches us.
    pub path: Path,
    /// The client's own address.
    pub client: SocketAddr,
    /// The virtual address that the media sees as the client's.
    pub relayed: SocketAddr,
    peers: Arc<[SocketAddr]>,
    ways: Box<[Way]>,
    closed: AtomicBool,
}

impl Allocation {
    pub(crate) fn new(
        path: Path,
        client: SocketAddr,
        relayed: SocketAddr,
        peers: Arc<[SocketAddr]>,
    ) -> Self {
        let ways = peers.iter().map(|_| Way::default()).collect();
        Self { path, client, relayed, peers, ways, closed: AtomicBool::new(false) }
    }

    /// The peer with this number, as the client addresses it.
    pub fn peer(&self, number: u16) -> Option<SocketAddr> {
        self.peers.get(usize::from(number)).copied()
    }

    /// The number of a peer that the client has a permission for.
    pub fn permitted(&self, peer: SocketAddr) -> Option<u16> {
        let number = self.peers.iter().position(|known| *known == peer)?;
        self.ways.get(number)?.permitted.load(Ordering::Relaxed).then_some(number as u16)
    }

    /// The number of the peer that a channel is bound to.
    pub fn peer_of(&self, channel: u16) -> Option<u16> {
        let bound = |way: &Way| way.channel.load(Ordering::Relaxed) == channel;
        self.ways.iter().position(bound).map(|number| number as u16)
    }

    /// The channel that is bound to a peer.
    pub fn channel_of(&self, number: u16) -> Option<u16> {
        let channel = self.ways.get(usize::from(number))?.channel.load(Ordering::Relaxed);
        (channel != 0).then_some(channel)
    }

    /// Nothing goes through it any more.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn permit(&self, number: usize, permitted: bool) {
        if let Some(way) = self.ways.get(number) {
            way.permitted.store(permitted, Ordering::Relaxed);
        }
    }

    /// 0 unbinds.
    pub(crate) fn bind(&self, number: usize, channel: u16) {
        if let Some(way) = self.ways.get(number) {
            way.channel.store(channel, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use belfry_media_api::Path;

    use super::Allocation;

    #[test]
    fn a_peer_is_found_by_its_channel_and_its_permission_until_they_end() {
        let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let peers = [address("192.0.2.1:3478"), address("192.0.2.2:3478")];
        let client = address("198.51.100.7:5");
        let allocation =
            Allocation::new(Path::TurnTcp, client, address("192.0.2.1:50000"), peers.into());
        assert_eq!(allocation.permitted(peers[1]), None);
        assert_eq!(allocation.peer_of(0x4001), None);
        allocation.permit(1, true);
        allocation.bind(1, 0x4001);
        assert_eq!(allocation.permitted(peers[1]), Some(1));
        assert_eq!(allocation.permitted(address("192.0.2.2:22")), None);
        assert_eq!((allocation.peer_of(0x4001), allocation.channel_of(1)), (Some(1), Some(0x4001)));
        allocation.bind(1, 0);
        allocation.permit(1, false);
        assert_eq!((allocation.permitted(peers[1]), allocation.channel_of(1)), (None, None));
    }
}

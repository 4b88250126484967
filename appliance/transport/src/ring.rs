//! The ways into a shard from other threads. Datagrams that came in on the wrong shard
//! (SO_REUSEPORT spreads by a hash of the addresses and knows nothing of rooms) cost one hop to
//! their owner, which also answers; so does what a stream or the relay brings.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    ops::Range,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
};

use crate::{carrier::Carrier, sys::Waker};

/// Messages on their way to one shard. More is lost, as in any full queue.
const RING_MESSAGES_MAX: usize = 1_024;
/// Sources that belong to another shard: two connections of three addresses for every participant
/// that one box can have. Beyond, all are learnt again from the next checks.
const SOURCES_MAX: usize = 16_384;
/// Method and class of a Binding request (RFC 8489 section 5).
const BINDING_REQUEST: [u8; 2] = [0, 1];

#[derive(Debug)]
pub(crate) enum Strayed {
    /// From a socket of another shard.
    Datagram { socket: usize, local: Option<IpAddr>, source: SocketAddr, bytes: Vec<u8> },
    /// What a carrier brought: for each datagram the number of the address that it is for, and its
    /// place in `bytes`.
    Carried { carrier: Arc<Carrier>, bytes: Vec<u8>, datagrams: Vec<(u16, Range<usize>)> },
    /// To be sent as it is: the relay's answer.
    Answer { socket: usize, local: Option<IpAddr>, to: SocketAddr, bytes: Vec<u8> },
    /// From now on the datagrams of this client are the relay's.
    Relayed(Arc<Carrier>),
}

/// The way to one shard.
#[derive(Clone, Debug)]
pub(crate) struct Inlet {
    sender: SyncSender<Strayed>,
    waker: Waker,
}

impl Inlet {
    pub(crate) fn new(waker: Waker) -> (Self, Receiver<Strayed>) {
        let (sender, receiver) = sync_channel(RING_MESSAGES_MAX);
        (Self { sender, waker }, receiver)
    }

    /// Never waits; `false` if it was lost.
    pub(crate) fn send(&self, strayed: Strayed) -> bool {
        let sent = self.sender.try_send(strayed).is_ok();
        if sent {
            self.waker.wake();
        }
        sent
    }
}

/// Knows which sources belong to other shards.
#[derive(Debug)]
pub(crate) struct Demux {
    shard: u8,
    inlets: Vec<Inlet>,
    foreign: HashMap<SocketAddr, u8>,
    pub(crate) lost: u64,
}

impl Demux {
    pub(crate) fn new(shard: u8, inlets: Vec<Inlet>) -> Self {
        Self { shard, inlets, foreign: HashMap::new(), lost: 0 }
    }

    pub(crate) fn shard(&self) -> u8 {
        self.shard
    }

    /// The way to the shard that a datagram belongs to; `None` if it is for this one.
    fn owner(&mut self, source: SocketAddr, bytes: &[u8]) -> Option<&Inlet> {
        if self.inlets.len() < 2 {
            return None;
        }
        if let Some(owner) = owner_by_check(bytes) {
            self.learn(source, owner);
        }
        let owner = *self.foreign.get(&source)?;
        self.inlets.get(usize::from(owner))
    }

    /// Sends a datagram on if it belongs to another shard; `false` if it is for this one.
    pub(crate) fn pass_on(
        &mut self,
        socket: usize,
        local: Option<IpAddr>,
        source: SocketAddr,
        bytes: &[u8],
    ) -> bool {
        let Some(inlet) = self.owner(source, bytes) else { return false };
        let sent = inlet.send(Strayed::Datagram { socket, local, source, bytes: bytes.to_vec() });
        self.lost += u64::from(!sent);
        true
    }

    /// The same for what came through a carrier.
    pub(crate) fn pass_on_carried(
        &mut self,
        carrier: &Arc<Carrier>,
        local: u16,
        bytes: &[u8],
    ) -> bool {
        let Some(inlet) = self.owner(carrier.remote(), bytes) else { return false };
        let carrier = Arc::clone(carrier);
        let (bytes, datagrams) = (bytes.to_vec(), vec![(local, 0..bytes.len())]);
        let sent = inlet.send(Strayed::Carried { carrier, bytes, datagrams });
        self.lost += u64::from(!sent);
        true
    }

    fn learn(&mut self, source: SocketAddr, owner: u8) {
        if owner == self.shard {
            self.foreign.remove(&source);
            return;
        }
        if self.foreign.len() >= SOURCES_MAX {
            self.foreign.clear();
        }
        self.foreign.insert(source, owner);
    }
}

/// Whether this is a Binding request of somebody who names no connection of ours: all that is
/// answered without a key.
pub(crate) fn is_plain_binding(bytes: &[u8]) -> bool {
    bytes.starts_with(&BINDING_REQUEST) && belfry_sfu::ice::route(bytes).is_none()
}

/// STUN (RFC 7983 for the first byte) says by its username whose it is.
pub(crate) fn owner_by_check(bytes: &[u8]) -> Option<u8> {
    let is_stun = bytes.first().is_some_and(|first| *first < 4);
    is_stun.then(|| belfry_sfu::ice::route(bytes)).flatten().map(|route| route.shard)
}

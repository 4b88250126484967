//! Datagrams that came in on the wrong shard: SO_REUSEPORT spreads by a hash of the addresses and
//! knows nothing of rooms. They cost one hop to their owner, which also answers.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
};

use crate::sys::Waker;

/// Datagrams on their way to one shard. More is lost, as in any full queue.
const RING_DATAGRAMS_MAX: usize = 1_024;
/// Sources that belong to another shard: two connections of three addresses for every participant
/// that one box can have. Beyond, all are learnt again from the next checks.
const SOURCES_MAX: usize = 16_384;

#[derive(Debug)]
pub(crate) struct Strayed {
    pub(crate) socket: usize,
    pub(crate) local: Option<IpAddr>,
    pub(crate) source: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

/// The way to one shard.
#[derive(Clone, Debug)]
pub(crate) struct Inlet {
    sender: SyncSender<Strayed>,
    waker: Waker,
}

impl Inlet {
    pub(crate) fn new(waker: Waker) -> (Self, Receiver<Strayed>) {
        let (sender, receiver) = sync_channel(RING_DATAGRAMS_MAX);
        (Self { sender, waker }, receiver)
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

    /// Sends a datagram on if it belongs to another shard; `false` if it is for this one.
    pub(crate) fn pass_on(
        &mut self,
        socket: usize,
        local: Option<IpAddr>,
        source: SocketAddr,
        bytes: &[u8],
    ) -> bool {
        if self.inlets.len() < 2 {
            return false;
        }
        // STUN: its username says whose it is (RFC 7983 for the first byte).
        if bytes.first().is_some_and(|first| *first < 4)
            && let Some(route) = belfry_sfu::ice::route(bytes)
        {
            self.learn(source, route.shard);
        }
        let Some(&owner) = self.foreign.get(&source) else { return false };
        let Some(inlet) = self.inlets.get(usize::from(owner)) else { return false };
        let strayed = Strayed { socket, local, source, bytes: bytes.to_vec() };
        if inlet.sender.try_send(strayed).is_ok() {
            inlet.waker.wake();
        } else {
            self.lost += 1;
        }
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

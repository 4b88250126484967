//! What a shard lends to the work of one room: time, memory, the way out.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use belfry_media_api::{Counters, Event, PeerRole};
use slab::Slab;

use crate::connection::{Connection, ConnectionConfig};
use crate::dtls::Certificate;
use crate::outbox::Outbox;
use crate::rtp::rtcp::Writer;
use crate::rtp::slab::Pool;
use crate::sdp::Local;

/// Whose a connection is. The key in the shard's slab is part of its ufrag.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner {
    pub(crate) room: usize,
    pub(crate) participant: usize,
    pub(crate) role: PeerRole,
}

/// What all rooms of a shard share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) shard: u8,
    pub(crate) candidates: Vec<SocketAddr>,
    pub(crate) tcp_candidates: Vec<SocketAddr>,
    pub(crate) certificate: Arc<Certificate>,
    pub(crate) fingerprint: [u8; 32],
    pub(crate) owners: Slab<Owner>,
    pub(crate) pool: Pool,
    pub(crate) counters: Counters,
    pub(crate) events: VecDeque<Event>,
    /// A pacer kept a packet since the room last looked.
    pub(crate) kept: bool,
    /// Scratch.
    pub(crate) writer: Writer,
    pub(crate) numbers: Vec<u16>,
}

#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) now: Instant,
    pub(crate) shared: &'a mut Shared,
    pub(crate) outbox: &'a mut Outbox,
}

impl Context<'_> {
    pub(crate) fn tell(&mut self, event: Event) {
        self.shared.events.push_back(event);
    }

    /// A new connection and its key.
    pub(crate) fn connect(&mut self, owner: Owner) -> (usize, Connection) {
        let key = self.shared.owners.insert(owner);
        let config = ConnectionConfig {
            shard: self.shared.shard,
            key: key as u32,
            role: owner.role,
            certificate: Arc::clone(&self.shared.certificate),
        };
        (key, Connection::new(config, self.now))
    }
}

impl Shared {
    /// This side of `connection` for a description.
    pub(crate) fn local<'a>(&'a self, connection: &'a Connection) -> Local<'a> {
        Local {
            ufrag: connection.ufrag(),
            pwd: connection.pwd(),
            fingerprint: &self.fingerprint,
            candidates: &self.candidates,
            tcp_candidates: &self.tcp_candidates,
        }
    }
}

//! A shard's side of carriers: who they are, and what goes to them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use belfry_model::Outside;
use belfry_relay::{CHANNELS, SENDS};
use belfry_sfu::outbox::{Destination, Outbox};

use crate::carrier::{Budget, Carrier, Kind};

/// How often carriers that ended are let go.
const SWEEP: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Entry {
    carrier: Arc<Carrier>,
    budget: Budget,
    /// What this batch brings for a stream.
    batch: Vec<u8>,
}

/// The carriers that a shard works for, and the clients of the relay on its sockets.
#[derive(Debug)]
pub(crate) struct Carriers {
    entries: HashMap<u32, Entry>,
    relayed: HashMap<(usize, SocketAddr), Arc<Carrier>>,
    swept: Instant,
    /// Datagrams that nobody could be sent.
    pub(crate) lost: u64,
}

/// What a datagram is to the relay.
#[derive(Debug)]
pub(crate) enum Relayed {
    /// Data for the address of ours with this number.
    Data { carrier: Arc<Carrier>, local: u16, data: std::ops::Range<usize> },
    /// A request, for the relay's control part.
    Request,
    /// Nothing that the client may send.
    Refused,
    /// Not for the relay.
    Other,
}

impl Carriers {
    pub(crate) fn new(now: Instant) -> Self {
        Self { entries: HashMap::new(), relayed: HashMap::new(), swept: now, lost: 0 }
    }

    /// Says what a datagram is that came on socket number `socket`.
    pub(crate) fn classify(&self, socket: usize, source: SocketAddr, datagram: &[u8]) -> Relayed {
        if belfry_relay::is_channel_data(datagram) {
            return self.channel_data(socket, source, datagram).unwrap_or(Relayed::Refused);
        }
        if !belfry_relay::is_turn(datagram) {
            return Relayed::Other;
        }
        let Ok(sending) = SENDS.parse(Outside::new(datagram)) else { return Relayed::Request };
        let carrier = self.relayed.get(&(socket, source));
        let permitted = carrier.and_then(|carrier| {
            let local = carrier.allocation()?.permitted(sending.peer)?;
            Some(Relayed::Data { carrier: Arc::clone(carrier), local, data: sending.data })
        });
        permitted.unwrap_or(Relayed::Refused)
    }

    fn channel_data(&self, socket: usize, source: SocketAddr, datagram: &[u8]) -> Option<Relayed> {
        let carrier = self.relayed.get(&(socket, source))?;
        let (channel, data) = CHANNELS.parse(Outside::new(datagram)).ok()?;
        let local = carrier.allocation()?.peer_of(channel)?;
        Some(Relayed::Data { carrier: Arc::clone(carrier), local, data })
    }

    /// A client of the relay on one of the sockets.
    pub(crate) fn relay(&mut self, carrier: Arc<Carrier>) {
        if let Kind::TurnUdp { socket, .. } = carrier.kind {
            self.relayed.insert((socket, carrier.client), carrier);
        }
    }

    /// Whether this carrier may bring so many bytes now.
    pub(crate) fn admit(&mut self, carrier: &Arc<Carrier>, bytes: usize, now: Instant) -> bool {
        if carrier.is_closed() {
            return false;
        }
        let entry = self.entries.entry(carrier.id).or_insert_with(|| Entry {
            carrier: Arc::clone(carrier),
            budget: Budget::new(now),
            batch: Vec::new(),
        });
        entry.budget.take(bytes, now)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.relayed.is_empty()
    }

    /// Hands what is for streams to them, and puts what is for clients of the relay by UDP into
    /// `wrapped`, to be sent as it is.
    pub(crate) fn dispatch(
        &mut self,
        outbox: &Outbox,
        wrapped: &mut Outbox,
        now: Instant,
        mut number: impl FnMut(usize, Option<std::net::IpAddr>) -> u16,
    ) {
        let mut scratch = Vec::new();
        for (to, datagram) in outbox.iter() {
            let Destination::Via { carrier, local, .. } = to else { continue };
            let entry = self.entries.get_mut(&carrier).filter(|entry| !entry.carrier.is_closed());
            let Some(entry) = entry else {
                self.lost += 1;
                continue;
            };
            if !entry.budget.take(datagram.len(), now) {
                self.lost += 1;
                continue;
            }
            entry.carrier.mark_answered();
            if let Kind::TurnUdp { socket, local: ours, .. } = entry.carrier.kind {
                scratch.clear();
                entry.carrier.wrap(local, datagram, &mut scratch);
                let to = Destination::udp(number(socket, ours), entry.carrier.client);
                if !scratch.is_empty() {
                    wrapped.push_copy(to, &scratch);
                }
            } else {
                entry.carrier.wrap(local, datagram, &mut entry.batch);
            }
        }
        for entry in self.entries.values_mut().filter(|entry| !entry.batch.is_empty()) {
            let batch = std::mem::take(&mut entry.batch);
            if let Kind::IceTcp { queue } | Kind::TurnStream { queue, .. } = &entry.carrier.kind {
                self.lost += u64::from(!queue.push(batch));
            }
        }
    }

    /// Lets go of carriers that ended.
    pub(crate) fn sweep(&mut self, now: Instant) {
        if now.saturating_duration_since(self.swept) < SWEEP {
            return;
        }
        self.swept = now;
        self.entries.retain(|_, entry| !entry.carrier.is_closed());
        self.relayed.retain(|_, carrier| !carrier.is_closed());
    }
}

//! What carries datagrams of a client that does not come by a media socket: an ICE-TCP stream, or
//! an allocation at the relay. Shards and the thread of streams share it; nobody waits for it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use belfry_media_api::Path;
use belfry_relay::{Allocation, channel_header, data_indication, padding};
use belfry_sfu::outbox::Destination;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Bytes that wait for one stream. What is more is lost, as in any full queue: a client that is
/// slower than its media must not be sent what is old.
pub(crate) const QUEUE_BYTES_MAX: usize = 96 * 1024;
/// Batches that wait for one stream.
const QUEUE_BATCHES_MAX: usize = 256;
/// What one carrier may move in a second, both ways together: a lesson at its sharpest, four times.
const BYTES_PER_SECOND_MAX: f64 = 4_000_000.0;
/// RFC 4571 section 2.
const LENGTH_BYTES: usize = 2;

static NEXT_ID: AtomicU32 = AtomicU32::new(0);

/// The way out of a stream.
#[derive(Debug)]
pub(crate) struct Queue {
    batches: Sender<Vec<u8>>,
    waiting: AtomicUsize,
    lost: AtomicU64,
}

impl Queue {
    pub(crate) fn new() -> (Arc<Self>, Receiver<Vec<u8>>) {
        let (batches, receiver) = channel(QUEUE_BATCHES_MAX);
        let (waiting, lost) = (AtomicUsize::new(0), AtomicU64::new(0));
        (Arc::new(Self { batches, waiting, lost }), receiver)
    }

    /// Never waits; `false` if it was lost.
    pub(crate) fn push(&self, batch: Vec<u8>) -> bool {
        let length = batch.len();
        let waiting = self.waiting.fetch_add(length, Ordering::Relaxed);
        let taken = waiting + length <= QUEUE_BYTES_MAX && self.batches.try_send(batch).is_ok();
        if !taken {
            self.waiting.fetch_sub(length, Ordering::Relaxed);
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    /// So many bytes wait besides the batches.
    pub(crate) fn reserve(&self, bytes: usize) {
        self.waiting.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many bytes are with the kernel now.
    pub(crate) fn written(&self, bytes: usize) {
        self.waiting.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Which protocol is around the datagrams, and what it runs on.
#[derive(Debug)]
pub(crate) enum Kind {
    IceTcp { queue: Arc<Queue> },
    TurnStream { queue: Arc<Queue>, allocation: Arc<Allocation> },
    TurnUdp { socket: usize, local: Option<IpAddr>, allocation: Arc<Allocation> },
}

#[derive(Debug)]
pub(crate) struct Carrier {
    pub(crate) id: u32,
    pub(crate) kind: Kind,
    /// The client's own address, as its socket shows it.
    pub(crate) client: SocketAddr,
    closed: AtomicBool,
    answered: AtomicBool,
}

impl Carrier {
    pub(crate) fn new(kind: Kind, client: SocketAddr) -> Arc<Self> {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let (closed, answered) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self { id, kind, client, closed, answered })
    }

    pub(crate) fn allocation(&self) -> Option<&Allocation> {
        match &self.kind {
            Kind::IceTcp { .. } => None,
            Kind::TurnStream { allocation, .. } | Kind::TurnUdp { allocation, .. } => {
                Some(allocation)
            }
        }
    }

    /// The address that stands for the client.
    pub(crate) fn remote(&self) -> SocketAddr {
        self.allocation().map_or(self.client, |allocation| allocation.relayed)
    }

    /// Where answers to what came to our address number `local` go.
    pub(crate) fn destination(&self, local: u16) -> Destination {
        let path = self.allocation().map_or(Path::IceTcp, |allocation| allocation.path);
        let client = self.client.ip();
        Destination::Via { carrier: self.id, local, path, client, remote: self.remote() }
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed) || self.allocation().is_some_and(Allocation::is_closed)
    }

    /// The media has answered: the client's check was authentic.
    pub(crate) fn is_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    pub(crate) fn mark_answered(&self) {
        if !self.is_answered() {
            self.answered.store(true, Ordering::Relaxed);
        }
    }

    /// Appends a datagram as it goes to the client.
    pub(crate) fn wrap(&self, local: u16, datagram: &[u8], out: &mut Vec<u8>) {
        let Some(allocation) = self.allocation() else {
            let length: [u8; LENGTH_BYTES] = (datagram.len() as u16).to_be_bytes();
            out.extend_from_slice(&length);
            out.extend_from_slice(datagram);
            return;
        };
        if let Some(channel) = allocation.channel_of(local) {
            out.extend_from_slice(&channel_header(channel, datagram.len()));
            out.extend_from_slice(datagram);
            if matches!(self.kind, Kind::TurnStream { .. }) {
                out.resize(out.len() + padding(datagram.len()), 0);
            }
        } else if let Some(peer) = allocation.peer(local).filter(|peer| {
            // Without a permission nothing goes to the client (RFC 8656 section 11.3).
            allocation.permitted(*peer).is_some()
        }) {
            data_indication(out, peer, rand::random(), datagram);
        }
    }
}

/// A carrier's share, kept by the shard that works for it.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes: f64,
    filled: Instant,
}

impl Budget {
    pub(crate) fn new(now: Instant) -> Self {
        Self { bytes: BYTES_PER_SECOND_MAX, filled: now }
    }

    /// Whether so many bytes may go now.
    pub(crate) fn take(&mut self, bytes: usize, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.bytes = (self.bytes + passed * BYTES_PER_SECOND_MAX).min(BYTES_PER_SECOND_MAX);
        self.filled = now;
        let allowed = self.bytes >= bytes as f64;
        if allowed {
            self.bytes -= bytes as f64;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{BYTES_PER_SECOND_MAX, Budget, Carrier, Kind, QUEUE_BYTES_MAX, Queue};

    #[test]
    fn a_stream_that_does_not_take_its_bytes_loses_them_beyond_a_limit() {
        let (queue, mut receiver) = Queue::new();
        let batch = || vec![0; 32 * 1024];
        assert!(queue.push(batch()) && queue.push(batch()) && queue.push(batch()));
        assert!(!queue.push(vec![0]), "{QUEUE_BYTES_MAX} bytes wait");
        let taken = receiver.try_recv().expect("the first");
        assert!(!queue.push(vec![0]), "taken is not written");
        queue.written(taken.len());
        assert!(queue.push(vec![0]));
    }

    #[test]
    fn a_budget_fills_up_with_time() {
        let now = Instant::now();
        let mut budget = Budget::new(now);
        assert!(budget.take(BYTES_PER_SECOND_MAX as usize, now));
        assert!(!budget.take(1, now));
        let later = now + Duration::from_millis(500);
        assert!(budget.take(BYTES_PER_SECOND_MAX as usize / 2, later));
        assert!(!budget.take(1, later));
    }

    #[test]
    fn a_datagram_over_a_plain_stream_has_its_length_before_it() {
        let (queue, _receiver) = Queue::new();
        let carrier = Carrier::new(Kind::IceTcp { queue }, ([192, 0, 2, 1], 5).into());
        let mut out = Vec::new();
        carrier.wrap(0, b"abc", &mut out);
        assert_eq!(out, b"\0\x03abc");
    }
}

//! One shard: a thread with its sockets and its `Sfu`. It sleeps until a datagram, a command or a
//! deadline, works a batch off and sends what that made.
//!
//! **Invariant:** nothing on this thread waits for another thread, a file or a full socket.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    os::fd::AsRawFd,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, TryRecvError},
    },
    time::{Duration, Instant},
};

use belfry_media_api::{Command, Event};
use belfry_relay::{Rate, Throttle};
use belfry_sfu::outbox::{Destination, Outbox};

use crate::{
    Core,
    batch::{self, Order},
    carrier::Carrier,
    carriers::{Carriers, Relayed},
    local::Locals,
    ring::{self, Demux, Strayed},
    streams::{Asked, Door},
    sys::{Datagrams, RECEIVE_BATCH_MAX, Sender, Sent, Waker, wait},
};

/// Even an idle shard shows that it lives.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Batches taken from one socket before the others, and what was made of them, get their turn.
const BATCHES_IN_A_ROW_MAX: usize = 4;
/// Answers to whoever asks for his address without being in a lesson: a school behind one address,
/// 500 people, whose browsers ask from a few ports when they join and every ten seconds after.
const BINDINGS: Rate = Rate { burst_max: 4_000.0, per_second: 400.0 };
const COMMANDS_IN_A_ROW_MAX: usize = 256;
/// Datagrams that a batch makes before they are sent: a packet to each of a full room, a few times.
const OUTBOX_DATAGRAMS: usize = 1_024;

/// Takes the events of all shards. Called on the shard's thread: it must not wait.
pub type Report = Arc<dyn Fn(Event) + Send + Sync>;

/// What a shard is made of, apart from its `Sfu`, which is made on its thread.
pub(crate) struct Parts {
    pub(crate) sockets: Arc<[UdpSocket]>,
    pub(crate) waker: Waker,
    pub(crate) commands: Receiver<Command>,
    pub(crate) strayed: Receiver<Strayed>,
    pub(crate) demux: Demux,
    /// To the relay, if there is one.
    pub(crate) door: Option<Door>,
    pub(crate) heartbeat: Arc<AtomicU64>,
    pub(crate) report: Report,
}

struct Shard<C> {
    sfu: C,
    parts: Parts,
    senders: Vec<Sender>,
    locals: Locals,
    outbox: Outbox,
    carriers: Carriers,
    /// Datagrams to clients of the relay, in its protocol.
    wrapped: Outbox,
    order: Order,
    sent: Sent,
    /// Datagrams that the relay did not take, and questions that were too many.
    refused: u64,
    /// Answers to plain questions of STUN.
    bindings: Throttle,
    /// Set when the process that gave the commands is gone.
    orphaned: bool,
}

/// Runs until the commands end.
pub(crate) fn run(sfu: impl Core, parts: Parts) {
    let mut shard = Shard::new(sfu, parts);
    let mut fds = shard.descriptors();
    let mut datagrams = Datagrams::new();
    while !shard.orphaned {
        wait(&mut fds, shard.sleep());
        if fds.first().is_some_and(|fd| fd.revents != 0) {
            shard.parts.waker.clear();
        }
        shard.take_commands();
        shard.take_strayed();
        for (socket, fd) in fds.iter().skip(1).enumerate() {
            if fd.revents != 0 {
                shard.take_datagrams(socket, &mut datagrams);
            }
        }
        shard.take_time();
        shard.flush();
        shard.carriers.sweep(Instant::now());
        shard.parts.heartbeat.fetch_add(1, Ordering::Relaxed);
    }
}

impl<C: Core> Shard<C> {
    fn new(sfu: C, parts: Parts) -> Self {
        Self {
            sfu,
            senders: parts.sockets.iter().map(Sender::new).collect(),
            locals: Locals::new(parts.sockets.len()),
            outbox: Outbox::with_capacity(OUTBOX_DATAGRAMS),
            carriers: Carriers::new(Instant::now()),
            wrapped: Outbox::default(),
            order: Order::default(),
            sent: Sent::default(),
            refused: 0,
            bindings: Throttle::new(BINDINGS, Instant::now()),
            orphaned: false,
            parts,
        }
    }

    fn descriptors(&self) -> Vec<libc::pollfd> {
        let sockets = self.parts.sockets.iter().map(AsRawFd::as_raw_fd);
        std::iter::once(self.parts.waker.fd())
            .chain(sockets)
            .map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 })
            .collect()
    }

    fn sleep(&self) -> Duration {
        let until = self.sfu.deadline().map(|at| at.saturating_duration_since(Instant::now()));
        until.unwrap_or(HEARTBEAT).min(HEARTBEAT)
    }

    /// Calls into the `Sfu`. A panic ends the room that was being worked on, and what it had
    /// written, perhaps not sealed yet, is not sent.
    fn guarded(&mut self, work: impl FnOnce(&mut C, Instant, &mut Outbox)) {
        let written = self.outbox.len();
        let now = Instant::now();
        let Self { sfu, outbox, .. } = self;
        if catch_unwind(AssertUnwindSafe(|| work(sfu, now, outbox))).is_err() {
            self.outbox.truncate(written);
            let abandoned = catch_unwind(AssertUnwindSafe(|| self.sfu.abandon_room()));
            if let Ok(Some(room)) = abandoned {
                tracing::error!(%room, "a room failed inside and was ended");
            } else {
                // No room to blame: nothing that the shard holds can be trusted. Its silence makes
                // the supervisor replace the process.
                tracing::error!(shard = self.parts.demux.shard(), "a shard failed inside");
                self.orphaned = true;
            }
        }
    }

    fn take_commands(&mut self) {
        for _ in 0..COMMANDS_IN_A_ROW_MAX {
            match self.parts.commands.try_recv() {
                Ok(command) => self.guarded(|sfu, now, outbox| sfu.command(command, now, outbox)),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.orphaned = true;
                    return;
                }
            }
        }
        // There are more: do not sleep on them.
        self.parts.waker.wake();
    }

    fn take_strayed(&mut self) {
        for _ in 0..RECEIVE_BATCH_MAX {
            let Ok(strayed) = self.parts.strayed.try_recv() else { return };
            match strayed {
                Strayed::Datagram { socket, local, source, mut bytes } => {
                    let local = self.locals.index(socket, local);
                    self.receive(local, source, &mut bytes);
                }
                Strayed::Carried { carrier, mut bytes, datagrams } => {
                    for (local, place) in datagrams {
                        if let Some(datagram) = bytes.get_mut(place) {
                            self.receive_carried(&carrier, local, datagram);
                        }
                    }
                }
                Strayed::Answer { socket, local, to, bytes } => {
                    let local = self.locals.index(socket, local);
                    self.outbox.push_copy(Destination::udp(local, to), &bytes);
                }
                Strayed::Relayed(carrier) => self.carriers.relay(carrier),
            }
        }
        self.parts.waker.wake();
    }

    fn take_datagrams(&mut self, socket: usize, datagrams: &mut Datagrams) {
        let sockets = Arc::clone(&self.parts.sockets);
        let Some(own) = sockets.get(socket) else { return };
        for _ in 0..BATCHES_IN_A_ROW_MAX {
            let count = datagrams.receive(own, |datagram| {
                let (source, local) = (datagram.source, datagram.local);
                if self.parts.door.is_some()
                    && self.take_relayed(socket, local, source, datagram.bytes)
                {
                    return;
                }
                if ring::is_plain_binding(datagram.bytes)
                    && !self.bindings.allows(source.ip(), Instant::now())
                {
                    self.refused += 1;
                } else if !self.parts.demux.pass_on(socket, local, source, datagram.bytes) {
                    let local = self.locals.index(socket, local);
                    self.receive(local, source, datagram.bytes);
                }
            });
            self.flush();
            if count < RECEIVE_BATCH_MAX {
                return;
            }
        }
    }

    fn receive(&mut self, local: u16, source: SocketAddr, bytes: &mut [u8]) {
        let from = Destination::udp(local, source);
        self.guarded(|sfu, now, outbox| sfu.receive_from(from, bytes, now, outbox));
    }

    /// Takes a datagram if it is for the relay; `false` if it is not.
    fn take_relayed(
        &mut self,
        socket: usize,
        local: Option<IpAddr>,
        source: SocketAddr,
        bytes: &mut [u8],
    ) -> bool {
        match self.carriers.classify(socket, source, bytes) {
            Relayed::Other => return false,
            Relayed::Refused => self.refused += 1,
            Relayed::Request => {
                let asked = Asked { socket, local, source, bytes: bytes.to_vec() };
                let shard = self.parts.demux.shard();
                let taken = self.parts.door.as_ref().is_some_and(|door| door.ask(shard, asked));
                self.refused += u64::from(!taken);
            }
            Relayed::Data { carrier, local, data } => {
                let Some(datagram) = bytes.get_mut(data) else { return true };
                if !self.parts.demux.pass_on_carried(&carrier, local, datagram) {
                    self.receive_carried(&carrier, local, datagram);
                }
            }
        }
        true
    }

    fn receive_carried(&mut self, carrier: &Arc<Carrier>, local: u16, bytes: &mut [u8]) {
        if self.carriers.admit(carrier, bytes.len(), Instant::now()) {
            let from = carrier.destination(local);
            self.guarded(|sfu, now, outbox| sfu.receive_from(from, bytes, now, outbox));
        } else {
            self.refused += 1;
        }
    }

    fn take_time(&mut self) {
        if self.sfu.deadline().is_some_and(|at| at <= Instant::now()) {
            self.guarded(C::timeout);
        }
    }

    /// Sends what waits and tells what happened.
    fn flush(&mut self) {
        if !self.outbox.is_empty() {
            if !self.carriers.is_empty() {
                let Self { carriers, outbox, wrapped, locals, .. } = self;
                carriers.dispatch(outbox, wrapped, Instant::now(), |socket, ours| {
                    locals.index(socket, ours)
                });
            }
            let outbox = std::mem::take(&mut self.outbox);
            self.outbox = self.send(outbox);
            let wrapped = std::mem::take(&mut self.wrapped);
            self.wrapped = self.send(wrapped);
        }
        while let Some(mut event) = self.sfu.poll_event() {
            if let Event::Counters { shard, counters } = &mut event {
                counters.send_failed = self.sent.failed + self.carriers.lost;
                counters.refused += self.parts.demux.lost + self.refused;
                if let Some(door) = self.parts.door.as_ref().filter(|_| *shard == 0) {
                    let refused = door.refused();
                    counters.streams_refused = refused.streams;
                    counters.relay = refused.relay;
                }
            }
            (self.parts.report)(event);
        }
    }
}

impl<C: Core> Shard<C> {
    /// Sends all that is for sockets, and gives the emptied outbox back.
    fn send(&mut self, mut outbox: Outbox) -> Outbox {
        if outbox.is_empty() {
            return outbox;
        }
        self.order.arrange(&outbox);
        let sockets = self.parts.sockets.iter().zip(&mut self.senders).enumerate();
        for (index, (socket, sender)) in sockets {
            let segments_max = sender.segments_max();
            let socket_of = |local| self.locals.get(local);
            batch::batches(&outbox, &self.order, segments_max, index, socket_of, |batch| {
                self.sent.add(sender.send(socket, &batch.messages, &batch.segments));
            });
        }
        outbox.clear();
        outbox
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::SocketAddr,
        sync::{Arc, atomic::AtomicU64, mpsc::sync_channel},
        time::Instant,
    };

    use belfry_sfu::{Certificate, Sfu, SfuConfig, outbox::Destination};

    use super::{Parts, Shard};
    use crate::{
        ring::{Demux, Inlet},
        sys::Waker,
    };

    fn shard() -> Shard<Sfu> {
        let certificate = Arc::new(Certificate::generate().expect("aws-lc makes keys"));
        let config =
            SfuConfig { shard: 0, candidates: Vec::new(), tcp_candidates: Vec::new(), certificate };
        let waker = Waker::new().expect("eventfd");
        let (inlet, strayed) = Inlet::new(waker.clone());
        let (_sender, commands) = sync_channel(1);
        let parts = Parts {
            sockets: Arc::from([]),
            waker,
            commands,
            strayed,
            demux: Demux::new(0, vec![inlet]),
            door: None,
            heartbeat: Arc::new(AtomicU64::new(0)),
            report: Arc::new(|_event| {}),
        };
        Shard::new(Sfu::new(config, Instant::now()), parts)
    }

    #[test]
    fn what_a_panic_left_half_written_is_not_sent() {
        let mut shard = shard();
        let to = Destination::udp(0, SocketAddr::from(([127, 0, 0, 1], 9)));
        shard.guarded(|_sfu, _now, outbox| outbox.push_copy(to, b"sealed"));
        shard.guarded(|_sfu, _now, outbox| {
            outbox.push_copy(to, b"not sealed yet");
            panic!("as a bug would");
        });
        assert_eq!(shard.outbox.iter().count(), 1);
        assert!(shard.orphaned, "no room was at work: the shard itself is to blame");
    }

    #[test]
    fn a_shard_ends_when_nobody_commands_it_any_more() {
        let mut shard = shard();
        shard.take_commands();
        assert!(shard.orphaned);
    }
}

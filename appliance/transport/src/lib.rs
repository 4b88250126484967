//! Media sockets: batched UDP, demux, one shard thread per core.
//!
//! [`Transport::start`] opens the sockets and starts the shards. Commands go in by
//! [`Transport::command`], events come out of the callback given at the start.

mod addresses;
mod batch;
mod local;
mod ring;
mod routes;
mod shard;
mod sys;

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::Instant,
};

use belfry_media_api::{Command, Configure, Event};
use belfry_sfu::{Certificate, CertificateError, Sfu, SfuConfig};

pub use crate::shard::Report;
use crate::{
    ring::{Demux, Inlet},
    routes::Routes,
    sys::{Waker, open_udp},
};

/// Commands that wait for one shard. A shard that does not come round to so many is wedged.
const COMMANDS_MAX: usize = 4_096;
/// More shards than this bring nothing on the machines that a school has.
const SHARDS_MAX: usize = 4;
const LISTEN_MAX: usize = 16;

#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    #[error("UDP port {} of {} is already in use; another program, or another Belfry, has it", .address.port(), .address.ip())]
    PortTaken { address: SocketAddr },
    #[error("listening on UDP {address} is not allowed for this user")]
    NotAllowed { address: SocketAddr },
    #[error("this machine does not have the address {}", .address.ip())]
    NoSuchAddress { address: SocketAddr },
    #[error("UDP {address} cannot be opened")]
    Open {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("between 1 and {LISTEN_MAX} addresses to listen on are needed, not {count}")]
    ListenCount { count: usize },
    #[error("the addresses of this machine cannot be listed")]
    Interfaces(#[source] io::Error),
    #[error("a media thread cannot be started")]
    Thread(#[source] io::Error),
    #[error("the media core cannot be started")]
    Core(#[source] CertificateError),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("shard {shard} does not take commands any more")]
pub struct Wedged {
    pub shard: usize,
}

#[derive(Debug)]
struct ShardHandle {
    commands: SyncSender<Command>,
    waker: Waker,
    heartbeat: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

/// The running shards. Dropping it ends them.
#[derive(Debug)]
pub struct Transport {
    shards: Vec<ShardHandle>,
    routes: Arc<Mutex<Routes>>,
    listening: Vec<SocketAddr>,
}

impl Transport {
    /// Opens the sockets, starts the shards and returns; `report` is told every event, on the
    /// shards' threads, and must not wait.
    pub fn start(
        configure: &Configure,
        report: impl Fn(Event) + Send + Sync + 'static,
    ) -> Result<Self, TransportError> {
        let shard_count = shard_count(configure.shards);
        let all = [configure.listen.as_slice(), configure.stun.as_slice()].concat();
        let (sockets, listening) = open_all(&all, shard_count)?;
        let media = listening.get(..configure.listen.len()).unwrap_or_default();
        let candidates = addresses::candidates(media, &configure.advertise)
            .map_err(TransportError::Interfaces)?;
        let certificate = Arc::new(Certificate::generate().map_err(TransportError::Core)?);
        let routes = Arc::new(Mutex::new(Routes::new(shard_count)));
        let report = observing(&routes, report);
        let mut wakers = Vec::new();
        let mut inlets = Vec::new();
        let mut outlets = Vec::new();
        for _ in 0..shard_count {
            let waker = Waker::new().map_err(TransportError::Thread)?;
            let (inlet, outlet) = Inlet::new(waker.clone());
            wakers.push(waker);
            inlets.push(inlet);
            outlets.push(outlet);
        }
        let mut shards = Vec::new();
        for (index, ((sockets, waker), strayed)) in
            sockets.into_iter().zip(wakers).zip(outlets).enumerate()
        {
            let (commands, receiver) = sync_channel(COMMANDS_MAX);
            let heartbeat = Arc::new(AtomicU64::new(0));
            let parts = shard::Parts {
                sockets: sockets.into(),
                waker: waker.clone(),
                commands: receiver,
                strayed,
                demux: Demux::new(index as u8, inlets.clone()),
                heartbeat: Arc::clone(&heartbeat),
                report: Arc::clone(&report),
            };
            let config = SfuConfig {
                shard: index as u8,
                candidates: candidates.clone(),
                tcp_candidates: Vec::new(),
                certificate: Arc::clone(&certificate),
            };
            let sfu = Sfu::new(config, Instant::now());
            let thread = std::thread::Builder::new()
                .name(format!("shard-{index}"))
                .spawn(move || shard::run(sfu, parts))
                .map_err(TransportError::Thread)?;
            shards.push(ShardHandle { commands, waker, heartbeat, thread });
        }
        Ok(Self { shards, routes, listening })
    }

    /// The addresses that the sockets have, with the ports that were free for port 0.
    pub fn listening(&self) -> &[SocketAddr] {
        &self.listening
    }

    /// Hands a command to the shard that has the room. One about something that went in the
    /// meantime is dropped.
    pub fn command(&self, command: Command) -> Result<(), Wedged> {
        let routed = self.routes.lock().unwrap_or_else(PoisonError::into_inner).route(command);
        for (index, command) in routed {
            let Some(shard) = self.shards.get(index) else { continue };
            shard.commands.try_send(command).map_err(|_full| Wedged { shard: index })?;
            shard.waker.wake();
        }
        Ok(())
    }

    /// One counter for each shard; it rises at least once a second while the shard lives.
    pub fn heartbeats(&self) -> Vec<u64> {
        self.shards.iter().map(|shard| shard.heartbeat.load(Ordering::Relaxed)).collect()
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        for shard in self.shards.drain(..) {
            drop(shard.commands);
            shard.waker.wake();
            // A shard that panicked has said so; there is nothing to add.
            let _panicked = shard.thread.join();
        }
    }
}

/// Forgets the routes of a room that failed inside, before the event goes on.
fn observing(
    routes: &Arc<Mutex<Routes>>,
    report: impl Fn(Event) + Send + Sync + 'static,
) -> Report {
    let routes = Arc::clone(routes);
    Arc::new(move |event| {
        if let Event::RoomFailed { room } = &event {
            routes.lock().unwrap_or_else(PoisonError::into_inner).close_room(room);
        }
        report(event);
    })
}

fn shard_count(wanted: u8) -> usize {
    match wanted {
        0 => {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            cores.saturating_sub(1).clamp(1, SHARDS_MAX)
        }
        count => usize::from(count),
    }
}

/// The sockets of each shard, and their addresses.
fn open_all(
    listen: &[SocketAddr],
    shard_count: usize,
) -> Result<(Vec<Vec<UdpSocket>>, Vec<SocketAddr>), TransportError> {
    if listen.is_empty() || listen.len() > LISTEN_MAX {
        return Err(TransportError::ListenCount { count: listen.len() });
    }
    let mut sockets: Vec<Vec<UdpSocket>> = (0..shard_count).map(|_| Vec::new()).collect();
    let mut listening = Vec::new();
    for &address in listen {
        // Sockets that share a port would let a second Belfry take half of the datagrams: one that
        // does not share finds out first.
        let probe = open(address, false)?;
        let bound =
            probe.local_addr().map_err(|source| TransportError::Open { address, source })?;
        listening.push(bound);
        if let [only] = sockets.as_mut_slice() {
            only.push(probe);
            continue;
        }
        drop(probe);
        for shard in &mut sockets {
            shard.push(open(bound, true)?);
        }
    }
    Ok((sockets, listening))
}

fn open(address: SocketAddr, shared: bool) -> Result<UdpSocket, TransportError> {
    open_udp(address, shared).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => TransportError::PortTaken { address },
        io::ErrorKind::PermissionDenied => TransportError::NotAllowed { address },
        io::ErrorKind::AddrNotAvailable => TransportError::NoSuchAddress { address },
        _ => TransportError::Open { address, source },
    })
}

//! Media sockets: batched UDP, demux, one shard thread per core; streams and the relay beside them.
//!
//! [`Transport::start`] opens the sockets and starts the shards. Commands go in by
//! [`Transport::command`], events come out of the callback given at the start.

mod addresses;
mod batch;
mod carrier;
mod carriers;
mod core;
mod local;
mod ring;
mod routes;
mod shard;
mod streams;
mod sys;

use std::{
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
    os::unix::net::UnixListener,
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

pub use crate::core::Core;
pub use crate::shard::Report;
pub use crate::streams::{HANDED_HEADER_BYTES, PARSERS, handed_header};
use crate::{
    ring::{Demux, Inlet, Strayed},
    routes::Routes,
    streams::{Streams, door},
    sys::{Waker, open_udp},
};
pub use belfry_sfu::outbox;

/// Commands that wait for one shard. A shard that does not come round to so many is wedged.
const COMMANDS_MAX: usize = 4_096;
/// More shards than this bring nothing on the machines that a school has.
const SHARDS_MAX: usize = 4;
const LISTEN_MAX: usize = 16;

/// What an address is listened on for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Udp,
    Tcp,
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        })
    }
}

#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    #[error("{protocol} port {} of {} is already in use; another program, or another Belfry, has it", .address.port(), .address.ip())]
    PortTaken { protocol: Protocol, address: SocketAddr },
    #[error("listening on {protocol} {address} is not allowed for this user")]
    NotAllowed { protocol: Protocol, address: SocketAddr },
    #[error("this machine does not have the address {}", .address.ip())]
    NoSuchAddress { address: SocketAddr },
    #[error("{protocol} {address} cannot be opened")]
    Open {
        protocol: Protocol,
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
    /// The number after the last shard's is that of the thread of streams.
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
    streams: Option<Streams>,
    routes: Arc<Mutex<Routes>>,
    listening: Vec<SocketAddr>,
    streams_listening: Vec<SocketAddr>,
}

impl Transport {
    /// Opens the sockets, starts the threads and returns; `report` is told every event, on the
    /// shards' threads, and must not wait. On `handed` come the streams that the control process
    /// took out of TLS, each after its [`handed_header`].
    pub fn start(
        configure: &Configure,
        handed: Option<UnixListener>,
        report: impl Fn(Event) + Send + Sync + 'static,
    ) -> Result<Self, TransportError> {
        Self::start_with(configure, handed, report, Sfu::new)
    }

    /// The same, around another core than the [`Sfu`].
    pub fn start_with<C: Core>(
        configure: &Configure,
        handed: Option<UnixListener>,
        report: impl Fn(Event) + Send + Sync + 'static,
        core: impl Fn(SfuConfig, Instant) -> C,
    ) -> Result<Self, TransportError> {
        let shard_count = shard_count(configure.shards);
        let all = [configure.listen.as_slice(), configure.stun.as_slice()].concat();
        let (sockets, listening) = open_all(&all, shard_count)?;
        let media = listening.get(..configure.listen.len()).unwrap_or_default();
        let candidates = addresses::candidates(media, &configure.advertise)
            .map_err(TransportError::Interfaces)?;
        let (ice_tcp, ice_tcp_listening) = open_tcp(&configure.ice_tcp)?;
        let tcp_candidates = addresses::candidates(&ice_tcp_listening, &configure.advertise)
            .map_err(TransportError::Interfaces)?;
        let turn_tcp = configure.relay.as_ref().map_or(&[][..], |relay| &relay.tcp);
        let (turn_tcp, turn_tcp_listening) = open_tcp(turn_tcp)?;
        let routes = Arc::new(Mutex::new(Routes::new(shard_count)));
        let report = observing(&routes, report);
        let mut ways = Ways::new(shard_count).map_err(TransportError::Thread)?;
        let (door, asked) = door();
        let certificate = Arc::new(Certificate::generate().map_err(TransportError::Core)?);
        let config =
            SfuConfig { shard: 0, candidates: candidates.clone(), tcp_candidates, certificate };
        let mut shards = Vec::new();
        for (index, sockets) in sockets.into_iter().enumerate() {
            let relay_door = configure.relay.as_ref().map(|_| door.clone());
            let config = SfuConfig { shard: index as u8, ..config.clone() };
            let way = ways.take(index);
            let core = core(config, Instant::now());
            shards.push(start_shard(core, sockets, way, relay_door, &report)?);
        }
        let relay = configure.relay.as_ref().map(|relay| belfry_relay::Config {
            realm: relay.realm.clone(),
            secret: relay.secret.clone(),
            peers: candidates,
        });
        let streams = if relay.is_some() || !ice_tcp.is_empty() {
            let inlets = ways.inlets;
            let handed = handed.filter(|_| relay.is_some());
            let parts = streams::Parts { ice_tcp, turn_tcp, handed, relay, inlets, asked, door };
            Some(Streams::start(parts).map_err(TransportError::Thread)?)
        } else {
            None
        };
        let streams_listening = [ice_tcp_listening, turn_tcp_listening].concat();
        Ok(Self { shards, streams, routes, listening, streams_listening })
    }

    /// The addresses that the sockets have, with the ports that were free for port 0.
    pub fn listening(&self) -> &[SocketAddr] {
        &self.listening
    }

    /// The same for TCP: those of ICE-TCP, then those of TURN.
    pub fn streams_listening(&self) -> &[SocketAddr] {
        &self.streams_listening
    }

    /// Hands a command to the shard that has the room. One about something that went in the
    /// meantime is dropped.
    pub fn command(&self, command: Command) -> Result<(), Wedged> {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let notice = self.streams.as_ref().and_then(|_| routes.notice(&command));
        let routed = routes.route(command);
        drop(routes);
        if let (Some(streams), Some(notice)) = (&self.streams, notice)
            && !streams.notice(notice)
        {
            return Err(Wedged { shard: self.shards.len() });
        }
        for (index, command) in routed {
            let Some(shard) = self.shards.get(index) else { continue };
            shard.commands.try_send(command).map_err(|_full| Wedged { shard: index })?;
            shard.waker.wake();
        }
        Ok(())
    }

    /// One counter for each shard, and one for the thread of streams if there is one; each rises at
    /// least once a second while its thread lives.
    pub fn heartbeats(&self) -> Vec<u64> {
        let shards = self.shards.iter().map(|shard| shard.heartbeat.load(Ordering::Relaxed));
        shards.chain(self.streams.as_ref().map(Streams::heartbeat)).collect()
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
        if let Some(streams) = self.streams.take() {
            streams.stop();
        }
    }
}

/// The ways into the shards.
struct Ways {
    inlets: Vec<Inlet>,
    ends: Vec<Option<(Waker, std::sync::mpsc::Receiver<Strayed>)>>,
}

/// What a shard is told by, and whom it tells.
struct Way {
    waker: Waker,
    strayed: std::sync::mpsc::Receiver<Strayed>,
    demux: Demux,
}

impl Ways {
    fn new(count: usize) -> io::Result<Self> {
        let (mut inlets, mut ends) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let waker = Waker::new()?;
            let (inlet, outlet) = Inlet::new(waker.clone());
            inlets.push(inlet);
            ends.push(Some((waker, outlet)));
        }
        Ok(Self { inlets, ends })
    }

    fn take(&mut self, index: usize) -> Way {
        let end = self.ends.get_mut(index).and_then(Option::take);
        let (waker, strayed) = end.expect("each shard takes its own once");
        Way { waker, strayed, demux: Demux::new(index as u8, self.inlets.clone()) }
    }
}

fn start_shard(
    core: impl Core,
    sockets: Vec<UdpSocket>,
    way: Way,
    door: Option<streams::Door>,
    report: &Report,
) -> Result<ShardHandle, TransportError> {
    let (commands, receiver) = sync_channel(COMMANDS_MAX);
    let heartbeat = Arc::new(AtomicU64::new(0));
    let waker = way.waker.clone();
    let parts = shard::Parts {
        sockets: sockets.into(),
        waker: way.waker,
        commands: receiver,
        strayed: way.strayed,
        demux: way.demux,
        door,
        heartbeat: Arc::clone(&heartbeat),
        report: Arc::clone(report),
    };
    let name = format!("shard-{}", parts.demux.shard());
    let thread = std::thread::Builder::new()
        .name(name)
        .spawn(move || shard::run(core, parts))
        .map_err(TransportError::Thread)?;
    Ok(ShardHandle { commands, waker, heartbeat, thread })
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
        let bound = probe.local_addr().map_err(|error| unusable(Protocol::Udp, address, error))?;
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
    open_udp(address, shared).map_err(|error| unusable(Protocol::Udp, address, error))
}

/// Listeners that do not block, and their addresses.
fn open_tcp(listen: &[SocketAddr]) -> Result<(Vec<TcpListener>, Vec<SocketAddr>), TransportError> {
    if listen.len() > LISTEN_MAX {
        return Err(TransportError::ListenCount { count: listen.len() });
    }
    let open = |address: &SocketAddr| {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    let opened = listen
        .iter()
        .map(|address| open(address).map_err(|error| unusable(Protocol::Tcp, *address, error)));
    Ok(opened.collect::<Result<Vec<_>, _>>()?.into_iter().unzip())
}

fn unusable(protocol: Protocol, address: SocketAddr, source: io::Error) -> TransportError {
    match source.kind() {
        io::ErrorKind::AddrInUse => TransportError::PortTaken { protocol, address },
        io::ErrorKind::PermissionDenied => TransportError::NotAllowed { protocol, address },
        io::ErrorKind::AddrNotAvailable => TransportError::NoSuchAddress { address },
        _ => TransportError::Open { protocol, address, source },
    }
}

//! The thread of streams: TURN over TCP, TURN streams that the control process took out of TLS,
//! ICE-TCP, and the relay's control part for all transports. It does no media: datagrams go to
//! their shard by its ring and come back by a bounded queue of each stream.
//!
//! **Invariant:** a stream holds at most one read and one queue; what does not fit is lost.

mod framing;
mod handed;
mod socket;
mod stream;

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener as StdTcpListener};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use belfry_media_api::{Path, RelayRefused};
use belfry_model::outside::Target;
use belfry_model::{Outside, ParticipantSid};
use belfry_relay::{Client, Control, Now, Places, PlacesMax, Relayed};
use belfry_workers::open_files;
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{Mutex, MutexGuard};

use crate::carrier::{Carrier, Kind};
use crate::ring::{Inlet, Strayed};
use socket::Socket;
use stream::Protocol;

/// Requests of clients by UDP that wait. A flood loses what is more.
const ASKED_MAX: usize = 1_024;
/// Participants that came or went and that the thread has not been told of.
const NOTICES_MAX: usize = 4_096;
/// Streams at the same time: four for each of 500 people, and as many again.
const STREAMS_MAX: usize = 4_096;
/// From one address: a whole school may share one.
const ADDRESS_STREAMS_MAX: usize = 2_048;
/// From one address, of those that have not shown that they belong here.
const ADDRESS_UNPROVED_MAX: usize = 256;
/// How often what ran out is ended.
const SWEEP: Duration = Duration::from_secs(1);
/// After an `accept` that failed because file descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The parsers of outside bytes in this crate.
pub static PARSERS: &[&dyn Target] = &[&framing::DATAGRAMS, &handed::HEADERS];

pub use handed::{HEADER_BYTES as HANDED_HEADER_BYTES, header as handed_header};

/// A request to the relay by UDP.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) socket: usize,
    pub(crate) local: Option<IpAddr>,
    pub(crate) source: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

/// A shard's way to the relay.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    asked: Sender<(u8, Asked)>,
    refused: Arc<std::sync::Mutex<Refused>>,
}

/// What streams and the relay refused so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Refused {
    pub(crate) streams: u64,
    pub(crate) relay: RelayRefused,
}

impl Door {
    /// Never waits; `false` if it was lost.
    pub(crate) fn ask(&self, shard: u8, asked: Asked) -> bool {
        self.asked.try_send((shard, asked)).is_ok()
    }

    /// As of the last sweep. Both sides hold the lock for a copy only.
    pub(crate) fn refused(&self) -> Refused {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who the relay's credentials are good for.
#[derive(Debug)]
pub(crate) enum Notice {
    Open(ParticipantSid),
    Close(Vec<ParticipantSid>),
}

/// The running thread.
#[derive(Debug)]
pub(crate) struct Streams {
    notices: Sender<Notice>,
    heartbeat: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

/// What the thread is made of.
pub(crate) struct Parts {
    pub(crate) ice_tcp: Vec<StdTcpListener>,
    pub(crate) turn_tcp: Vec<StdTcpListener>,
    /// Where the control process hands streams over.
    pub(crate) handed: Option<StdUnixListener>,
    pub(crate) relay: Option<belfry_relay::Config>,
    pub(crate) inlets: Vec<Inlet>,
    pub(crate) asked: Receiver<(u8, Asked)>,
    pub(crate) door: Door,
}

/// The shards' way to the relay, and the thread's end of it.
pub(crate) fn door() -> (Door, Receiver<(u8, Asked)>) {
    let (asked, receiver) = channel(ASKED_MAX);
    (Door { asked, refused: Arc::default() }, receiver)
}

/// What the tasks of the thread share.
pub(crate) struct Shared {
    control: Option<Mutex<Control>>,
    inlets: Vec<Inlet>,
    places: Places,
    refused: AtomicU64,
}

impl Streams {
    pub(crate) fn start(parts: Parts) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (notices, noticed) = channel(NOTICES_MAX);
        let heartbeat = Arc::new(AtomicU64::new(0));
        let beat = Arc::clone(&heartbeat);
        let thread = std::thread::Builder::new()
            .name("streams".to_owned())
            .spawn(move || run(&runtime, parts, noticed, &beat))?;
        Ok(Self { notices, heartbeat, thread })
    }

    /// `false`: the thread does not take notices any more.
    pub(crate) fn notice(&self, notice: Notice) -> bool {
        self.notices.try_send(notice).is_ok()
    }

    pub(crate) fn heartbeat(&self) -> u64 {
        self.heartbeat.load(Ordering::Relaxed)
    }

    pub(crate) fn stop(self) {
        drop(self.notices);
        // A thread that panicked has said so.
        let _panicked = self.thread.join();
    }
}

fn run(runtime: &Runtime, parts: Parts, noticed: Receiver<Notice>, beat: &AtomicU64) {
    runtime.block_on(async {
        let control = parts.relay.map(|config| Mutex::new(Control::new(config, Instant::now())));
        let shared = Arc::new(Shared {
            control,
            inlets: parts.inlets,
            places: Places::new(PlacesMax {
                all: open_files::connections_max(STREAMS_MAX, 1),
                address: ADDRESS_STREAMS_MAX,
                address_unproved: ADDRESS_UNPROVED_MAX,
            }),
            refused: AtomicU64::new(0),
        });
        for listener in parts.ice_tcp {
            spawn_listener(listener, Protocol::IceTcp, &shared);
        }
        for listener in parts.turn_tcp {
            spawn_listener(listener, Protocol::Turn(Path::TurnTcp), &shared);
        }
        if let Some(listener) = parts.handed {
            match UnixListener::from_std(listener) {
                Ok(listener) => drop(tokio::spawn(take_handed(listener, Arc::clone(&shared)))),
                Err(error) => tracing::error!(%error, "streams of TLS cannot be taken"),
            }
        }
        work(&shared, noticed, parts.asked, &parts.door, beat).await;
    });
}

/// Serves requests by UDP and the passing of time until nobody commands any more.
async fn work(
    shared: &Arc<Shared>,
    mut noticed: Receiver<Notice>,
    mut asked: Receiver<(u8, Asked)>,
    door: &Door,
    beat: &AtomicU64,
) {
    let mut sweep = tokio::time::interval(SWEEP);
    loop {
        tokio::select! {
            biased;
            notice = noticed.recv() => match notice {
                Some(notice) => shared.notice(notice).await,
                None => return,
            },
            _ = sweep.tick() => {
                beat.fetch_add(1, Ordering::Relaxed);
                shared.sweep(door).await;
            }
            Some((shard, asked)) = asked.recv() => shared.answer(shard, asked).await,
        }
    }
}

fn spawn_listener(listener: StdTcpListener, protocol: Protocol, shared: &Arc<Shared>) {
    match TcpListener::from_std(listener) {
        Ok(listener) => drop(tokio::spawn(accept(listener, protocol, Arc::clone(shared)))),
        Err(error) => tracing::error!(%error, "streams cannot be taken"),
    }
}

async fn accept(listener: TcpListener, protocol: Protocol, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, client)) => shared.begin(Socket::tcp(stream), protocol, client),
            Err(error) => {
                tracing::warn!(%error, "a stream could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn take_handed(listener: UnixListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            if let Some((client, stream)) = handed::take(stream).await {
                shared.begin(Socket::Unix(stream), Protocol::Turn(Path::TurnTls), client);
            }
        });
    }
}

impl Shared {
    /// Serves a stream, if there is a place for it.
    fn begin(self: &Arc<Self>, socket: Socket, protocol: Protocol, client: SocketAddr) {
        if let Some(place) = self.places.take(client.ip()) {
            tokio::spawn(stream::serve(socket, protocol, client, place, Arc::clone(self)));
        } else {
            self.refuse();
        }
    }

    fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    async fn control(&self) -> Option<MutexGuard<'_, Control>> {
        match &self.control {
            Some(control) => Some(control.lock().await),
            None => None,
        }
    }

    async fn notice(&self, notice: Notice) {
        let Some(mut control) = self.control().await else { return };
        match notice {
            Notice::Open(participant) => control.open_participant(participant),
            Notice::Close(participants) => {
                for participant in participants {
                    control.close_participant(&participant).await;
                }
            }
        }
    }

    async fn sweep(&self, door: &Door) {
        let mut relay = RelayRefused::default();
        if let Some(mut control) = self.control().await {
            control.sweep(Instant::now());
            relay = control.counts().refused;
        }
        let streams = self.refused.load(Ordering::Relaxed);
        *door.refused.lock().unwrap_or_else(PoisonError::into_inner) = Refused { streams, relay };
    }

    /// Answers a request by UDP, by the shard that it came to.
    async fn answer(&self, shard: u8, asked: Asked) {
        let Asked { socket, local, source, bytes } = asked;
        let client = Client { path: Path::TurnUdp, socket: socket as u16, local, remote: source };
        let Some(mut control) = self.control().await else { return };
        let answer = control.take(client, Outside::new(&bytes), now()).await;
        drop(control);
        if let Some(Relayed::Made(allocation)) = answer.relayed {
            let carrier = Carrier::new(Kind::TurnUdp { socket, local, allocation }, source);
            for inlet in &self.inlets {
                if !inlet.send(Strayed::Relayed(Arc::clone(&carrier))) {
                    self.refuse();
                }
            }
        }
        let inlet = self.inlets.get(usize::from(shard));
        if let (Some(bytes), Some(inlet)) = (answer.bytes, inlet)
            && !inlet.send(Strayed::Answer { socket, local, to: source, bytes })
        {
            self.refuse();
        }
    }
}

fn now() -> Now {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { instant: Instant::now(), unix_seconds: unix.as_secs() }
}

//! The measure of the relay: CPU time for 1,000,000 packets of 1100 B, beside coturn's by the same
//! client in the same run. Four clients send by channels to a peer that sends each packet back; a
//! packet is one that crosses the relay, either way.
//!
//! coturn reaches its peer, `turnutils_peer`, by a socket for each client, as it would reach a media
//! server. Belfry's relay reaches no peer but the media of its own process; so here its transport,
//! as it ships, is put around a core that sends each packet back instead of the SFU. That such
//! packets need no second socket is what the design is for, and part of what is measured.
//!
//! The client is ours, for both. `turnutils_uclient` insists on EVEN-PORT (RFC 8656 section 18.7),
//! with `-c` too, and Belfry answers 420 to that: a port that is on no network has no neighbour, and
//! the `turn` crate would keep a reservation for each such request.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use belfry_media_api::{Command as Order, Configure, Event, Relay};
use belfry_model::{ParticipantSid, Pii, RoomSid};
use belfry_transport::outbox::{Destination, Outbox};
use belfry_transport::{Core, Transport};

use crate::process::cpu_time;
use crate::wire::{Kind, Place, REALM, SECRET, Wire};

/// The argument by which this program is the relay that is measured.
pub(crate) const SERVE: &str = "relay";
const CLIENTS: usize = 4;
const PACKET_BYTES: usize = 1_100;
/// Between two packets of one client.
const INTERVAL: Duration = Duration::from_millis(2);
/// Nothing comes back any more.
const SILENCE: Duration = Duration::from_secs(1);
/// The cost of a relay that loses more is no figure.
const LOSS_PERCENT_MAX: f64 = 1.0;
/// What the client sleeps, so that it leaves the processor to the relay.
const NAP: Duration = Duration::from_micros(300);
const PARTICIPANT: &str = "PA_bench";
/// An address for documentation (RFC 5737) stands for the media's: nothing is sent to it.
const MEDIA_ADDRESS: [u8; 4] = [192, 0, 2, 1];
/// How long a server may take to listen.
const START_MAX: Duration = Duration::from_secs(20);

/// A relay that runs, and where its clients and their peer are.
struct Server {
    process: Running,
    relay: SocketAddr,
    peer: SocketAddr,
    /// The peer's process, if it has one.
    _peer_process: Option<Running>,
    _input: Option<ChildStdin>,
    _database: Option<Database>,
}

/// A file that is removed when dropped.
struct Database(PathBuf);

impl Drop for Database {
    fn drop(&mut self) {
        // One that was never made needs no removal.
        let _removed = std::fs::remove_file(&self.0);
    }
}

/// A process that ends when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One that ended already is only reaped.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

struct Measured {
    cpu_s_per_million: f64,
    loss_percent: f64,
}

/// Measures both relays over both transports; the lines of the figures. One that fails leaves the
/// others theirs.
pub(crate) fn measure(full: bool) -> Vec<String> {
    let mut figures = Vec::new();
    println!("\n| relay | transport | CPU-s per 1M | loss % |\n|---|---|---:|---:|");
    let measured = Duration::from_secs(if full { 20 } else { 6 });
    for (transport, kind) in [("udp", Kind::TurnUdp), ("tcp", Kind::TurnTcp)] {
        for (name, start) in [("belfry", belfry as fn() -> _), ("coturn", coturn)] {
            let one = start().and_then(|server: Server| run(&server, kind, measured));
            let Measured { cpu_s_per_million, loss_percent } = match one {
                Ok(measured) => measured,
                Err(error) => {
                    println!("FAILED relay {name} over {transport}: {error:#}");
                    continue;
                }
            };
            println!("| {name} | {transport} | {cpu_s_per_million:.2} | {loss_percent:.2} |");
            let name = format!("relay_{name}_{transport}");
            figures.push(format!("figure {name}_cpu {cpu_s_per_million:.2} CPU-s per 1M packets"));
            figures.push(format!("figure {name}_loss {loss_percent:.3} percent"));
        }
    }
    figures
}

/// One run: all clients sign in, then send and receive for as long as is measured.
fn run(server: &Server, kind: Kind, measured: Duration) -> anyhow::Result<Measured> {
    let (relay, candidate) = (server.relay, server.peer);
    let handed = String::new();
    let place = Place { media: relay, ice_tcp: relay, turn_tcp: relay, handed, candidate };
    let participant = ParticipantSid::new(PARTICIPANT);
    let mut wires: Vec<Wire> =
        (0..CLIENTS).map(|_| Wire::open(kind, &place, &participant)).collect();
    let packet = [0x90; PACKET_BYTES];
    let before = cpu_time(server.process.0.id())?;
    let begun = Instant::now();
    let (mut sent, mut back) = (0_u64, 0_u64);
    let (mut next, mut heard) = (begun, begun);
    while begun.elapsed() < measured || heard.elapsed() < SILENCE {
        if begun.elapsed() < measured && Instant::now() >= next {
            for wire in &mut wires {
                wire.send(&packet, candidate);
                sent += 1;
            }
            next += INTERVAL;
        }
        for wire in &mut wires {
            while let Some((datagram, _from)) = wire.receive() {
                anyhow::ensure!(datagram == packet, "something else came back");
                back += 1;
                heard = Instant::now();
            }
        }
        std::thread::sleep(NAP);
    }
    let cpu = cpu_time(server.process.0.id())?.saturating_sub(before);
    anyhow::ensure!(back > 0 && cpu > Duration::ZERO, "nothing came back of {sent}");
    let loss_percent = 100.0 * (1.0 - back as f64 / sent as f64);
    anyhow::ensure!(loss_percent <= LOSS_PERCENT_MAX, "{loss_percent:.2} % of {sent} were lost");
    Ok(Measured { cpu_s_per_million: cpu.as_secs_f64() * 1e6 / (sent + back) as f64, loss_percent })
}

/// Our relay, in a process of its own.
fn belfry() -> anyhow::Result<Server> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg(SERVE)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (input, output) = (child.stdin.take(), child.stdout.take().context("its output")?);
    let process = Running(child);
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    let relay: SocketAddr = line.trim().parse().with_context(|| format!("it said {line:?}"))?;
    let peer = SocketAddr::from((MEDIA_ADDRESS, relay.port()));
    Ok(Server { process, relay, peer, _peer_process: None, _input: input, _database: None })
}

/// What the process does: serves until its input ends, which is when who started it ends.
pub(crate) fn serve() -> anyhow::Result<()> {
    let listen = free()?;
    let configure = Configure {
        listen: vec![listen],
        advertise: vec![MEDIA_ADDRESS.into()],
        shards: 1,
        relay: Some(Relay {
            // A client looks for both on one port.
            tcp: vec![listen],
            realm: REALM.to_owned(),
            secret: Pii::new(SECRET.to_vec()),
        }),
        ..Configure::default()
    };
    let transport = Transport::start_with(&configure, None, |_event| {}, |_config, _now| Echo)?;
    let (room, participant) = (RoomSid::new("RM_bench"), ParticipantSid::new(PARTICIPANT));
    transport.command(Order::OpenParticipant { room, participant })?;
    println!("{listen}");
    std::io::stdout().flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Sends each packet back.
struct Echo;

impl Core for Echo {
    fn command(&mut self, _command: Order, _now: Instant, _outbox: &mut Outbox) {}

    fn receive_from(
        &mut self,
        from: Destination,
        datagram: &mut [u8],
        _now: Instant,
        outbox: &mut Outbox,
    ) {
        outbox.push_copy(from, datagram);
    }

    fn timeout(&mut self, _now: Instant, _outbox: &mut Outbox) {}

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn poll_event(&mut self) -> Option<Event> {
        None
    }

    fn abandon_room(&mut self) -> Option<RoomSid> {
        None
    }
}

/// coturn with as many threads as our relay has for media, and its peer.
fn coturn() -> anyhow::Result<Server> {
    let (relay, peer) = (free()?, free()?);
    let secret = std::str::from_utf8(SECRET)?;
    // A database in which it cannot make its tables has it refuse the secret of its options, too.
    let file = format!("belfry-bench-{}-{}.db", std::process::id(), relay.port());
    let database = Database(std::env::temp_dir().join(file));
    let quiet = |program: &str| {
        let mut command = Command::new(program);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let peer_process = Running(
        quiet("turnutils_peer")
            .args(["-L", &peer.ip().to_string(), "-p", &peer.port().to_string()])
            .spawn()
            .context("turnutils_peer")?,
    );
    let mut process = Running(
        quiet("turnserver")
            .args(["-n", "--no-cli", "--no-tls", "--no-dtls", "--allow-loopback-peers", "-m", "1"])
            .args(["--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", "--log-file=stdout"])
            .args([format!("--listening-port={}", relay.port()), format!("--realm={REALM}")])
            .args(["--use-auth-secret".to_owned(), format!("--static-auth-secret={secret}")])
            .args(["--pidfile=/dev/null".to_owned(), format!("--userdb={}", database.0.display())])
            .spawn()
            .context("turnserver")?,
    );
    let begun = Instant::now();
    while TcpStream::connect(relay).is_err() || !is_bound(relay)? || !is_bound(peer)? {
        anyhow::ensure!(process.0.try_wait()?.is_none(), "turnserver ended");
        anyhow::ensure!(begun.elapsed() < START_MAX, "turnserver or its peer does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(Server {
        process,
        relay,
        peer,
        _peer_process: Some(peer_process),
        _input: None,
        _database: Some(database),
    })
}

/// Whether somebody has this port for UDP. A look that would bind it itself might be in the way.
fn is_bound(address: SocketAddr) -> anyhow::Result<bool> {
    let sockets = std::fs::read_to_string("/proc/net/udp")?;
    let port = format!(":{:04X} ", address.port());
    // Its own address comes first; that of a socket that is connected to nobody has port 0.
    Ok(sockets.lines().any(|line| line.contains(&port)))
}

/// An address of this machine that is free for UDP and TCP.
fn free() -> anyhow::Result<SocketAddr> {
    loop {
        let address = UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
}

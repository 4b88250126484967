//! The measure of the relay: CPU time for 1,000,000 packets of 1100 B, beside coturn's by the same
//! client in the same run: `turnutils_uclient` of coturn itself, whose four clients send by channels
//! to a peer that sends each packet back. A packet is one that crosses the relay, either way.
//!
//! coturn reaches its peer, `turnutils_peer`, by a socket for each client, as it would reach a media
//! server. Belfry's relay reaches no peer but the media of its own process; so here its transport,
//! as it ships, is put around a core that sends each packet back instead of the SFU. That packets
//! never leave the process on that side is what the design is for; the measure has it so for both.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use belfry_media_api::{Command as Order, Configure, Event, Relay};
use belfry_model::{ParticipantSid, Pii, RoomSid};
use belfry_transport::outbox::{Destination, Outbox};
use belfry_transport::{Core, Transport};

use crate::process::cpu_time;

/// The argument by which this program is the relay that is measured.
pub(crate) const SERVE: &str = "relay";
const CLIENTS: u32 = 4;
const PACKET_BYTES: u32 = 1_100;
/// Between two packets of one client.
const INTERVAL_MS: u32 = 2;
/// Packets of each client, there and back.
const PACKETS: u32 = 3_000;
const PACKETS_FULL: u32 = 15_000;
const REALM: &str = "belfry";
const SECRET: &str = "the secret of a measure";
const PARTICIPANT: &str = "PA_bench";
/// An address for documentation (RFC 5737) stands for the media's: nothing is sent to it.
const MEDIA_ADDRESS: [u8; 4] = [192, 0, 2, 1];
/// How long a server may take to listen.
const START_MAX: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Udp,
    Tcp,
}

/// A relay that runs, and where its clients and their peer are.
struct Server {
    process: Running,
    relay: SocketAddr,
    peer: SocketAddr,
    /// The peer's process, if it has one.
    _peer_process: Option<Running>,
    _input: Option<ChildStdin>,
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

/// Measures both relays over both transports; the lines of the figures.
pub(crate) fn measure(full: bool) -> anyhow::Result<Vec<String>> {
    let mut figures = Vec::new();
    println!("\n| relay | transport | CPU-s per 1M | loss % |\n|---|---|---:|---:|");
    for (transport, way) in [("udp", Way::Udp), ("tcp", Way::Tcp)] {
        for (name, start) in [("belfry", belfry as fn(Way) -> _), ("coturn", coturn)] {
            let server = start(way).with_context(|| format!("{name} over {transport}"))?;
            let Measured { cpu_s_per_million, loss_percent } = run(&server, way, full)?;
            println!("| {name} | {transport} | {cpu_s_per_million:.2} | {loss_percent:.2} |");
            let name = format!("relay_{name}_{transport}");
            figures.push(format!("figure {name}_cpu {cpu_s_per_million:.2} CPU-s per 1M packets"));
            figures.push(format!("figure {name}_loss {loss_percent:.3} percent"));
        }
    }
    Ok(figures)
}

/// One run of the client.
fn run(server: &Server, way: Way, full: bool) -> anyhow::Result<Measured> {
    let number = |option: &str, value: u32| [option.to_owned(), value.to_string()];
    let mut client = Command::new("turnutils_uclient");
    // No connections for RTCP; an IPv4 address is asked for.
    client.args(["-c", "-X"]).args((way == Way::Tcp).then_some("-t"));
    client.args(number("-m", CLIENTS)).args(number("-l", PACKET_BYTES));
    client.args(number("-z", INTERVAL_MS));
    client.args(number("-n", if full { PACKETS_FULL } else { PACKETS }));
    client.args(["-e", &server.peer.ip().to_string()]);
    client.args(number("-r", server.peer.port().into()));
    client.args(number("-p", server.relay.port().into()));
    client.args(["-u", PARTICIPANT, "-W", SECRET]).arg(server.relay.ip().to_string());
    let before = cpu_time(server.process.0.id())?;
    let output = client.stdin(Stdio::null()).output().context("turnutils_uclient")?;
    let cpu = cpu_time(server.process.0.id())?.saturating_sub(before);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let counted = |what: &str| last_number(&said, what).with_context(|| format!("{what}: {said}"));
    let (sent, back) = (counted("tot_send_msgs=")?, counted("tot_recv_msgs=")?);
    anyhow::ensure!(output.status.success(), "the client ended with {}: {said}", output.status);
    anyhow::ensure!(back > 0.0 && cpu > Duration::ZERO, "nothing came back: {said}");
    Ok(Measured {
        cpu_s_per_million: cpu.as_secs_f64() * 1e6 / (sent + back),
        loss_percent: 100.0 * (1.0 - back / sent),
    })
}

/// The number after the last `what`.
fn last_number(text: &str, what: &str) -> Option<f64> {
    let (_, rest) = text.rsplit_once(what)?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Our relay, in a process of its own.
fn belfry(_way: Way) -> anyhow::Result<Server> {
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
    Ok(Server { process, relay, peer, _peer_process: None, _input: input })
}

/// What the process does: serves until its input ends, which is when who started it ends.
pub(crate) fn serve() -> anyhow::Result<()> {
    let listen = free(false)?;
    let configure = Configure {
        listen: vec![listen],
        advertise: vec![MEDIA_ADDRESS.into()],
        shards: 1,
        relay: Some(Relay {
            // A client looks for both on one port.
            tcp: vec![listen],
            realm: REALM.to_owned(),
            secret: Pii::new(SECRET.into()),
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
fn coturn(_way: Way) -> anyhow::Result<Server> {
    let (relay, peer) = (free(false)?, free(true)?);
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
            .args(["--use-auth-secret".to_owned(), format!("--static-auth-secret={SECRET}")])
            .args(["--pidfile=/dev/null", "--userdb=/dev/null"])
            .spawn()
            .context("turnserver")?,
    );
    let begun = Instant::now();
    while TcpStream::connect(relay).is_err() || UdpSocket::bind(peer).is_ok() {
        anyhow::ensure!(process.0.try_wait()?.is_none(), "turnserver ended");
        anyhow::ensure!(begun.elapsed() < START_MAX, "turnserver or its peer does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(Server { process, relay, peer, _peer_process: Some(peer_process), _input: None })
}

/// An address of this machine that is free for UDP and TCP. The client uses the port after it, too,
/// for what it has been told not to do.
fn free(even: bool) -> anyhow::Result<SocketAddr> {
    loop {
        let address = UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
        if TcpListener::bind(address).is_ok() && !(even && address.port() % 2 == 1) {
            return Ok(address);
        }
    }
}

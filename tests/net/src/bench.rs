//! A link between two namespaces of its own, with a sender and a receiver of numbered datagrams.

use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::system;

/// IP and UDP headers.
pub(crate) const HEADERS_V4: usize = 28;
pub(crate) const HEADERS_V6: usize = 48;
const PORT: u16 = 4000;
const RECEIVE_BUFFER: i32 = 8 << 20;
/// The receiver ends when nothing has come for so long.
const SILENCE: Duration = Duration::from_millis(1500);

static NAMESPACES: Mutex<()> = Mutex::new(());

/// A datagram that arrived; times since the beginning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) number: u32,
    pub(crate) sent: Duration,
    pub(crate) arrived: Duration,
}

impl Arrival {
    pub(crate) fn delay_ms(&self) -> f64 {
        (self.arrived.as_secs_f64() - self.sent.as_secs_f64()) * 1e3
    }
}

/// What to send: `count` datagrams of `payload` bytes, `gap` apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blast {
    pub(crate) count: u32,
    pub(crate) payload: usize,
    pub(crate) gap: Duration,
    pub(crate) v6: bool,
    /// From B to A.
    pub(crate) down: bool,
}

#[derive(Debug)]
pub(crate) struct Bench {
    namespaces: [String; 2],
    link: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    folder: PathBuf,
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .context("starting ip (Debian package iproute2)")?;
    ensure!(
        output.status.success(),
        "ip {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn without_v6(namespace: &str) -> Result<()> {
    thread::scope(|scope| {
        let setting = scope.spawn(|| {
            system::enter(namespace)?;
            std::fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1")
        });
        setting
            .join()
            .map_err(|_| anyhow::anyhow!("the thread panicked"))?
            .context("turning IPv6 off")
    })
}

impl Bench {
    /// A link for IPv4 alone: nothing but our own datagrams crosses it, so their numbers are the emulator's, too.
    pub(crate) fn new(name: &str, settings: &Value) -> Result<Self> {
        Self::make(name, settings, false)
    }

    pub(crate) fn with_v6(name: &str, settings: &Value) -> Result<Self> {
        Self::make(name, settings, true)
    }

    fn make(name: &str, settings: &Value, v6: bool) -> Result<Self> {
        let id = std::process::id();
        let namespaces = ["a", "b"].map(|end| format!("bn{id}{name}{end}"));
        let folder = std::env::temp_dir().join(format!("belfry-net-{id}-{name}"));
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("settings"), settings.to_string())?;
        for namespace in &namespaces {
            {
                // Two that make the first namespace of a machine at once disturb each other.
                let _alone = NAMESPACES.lock();
                ip(&["netns", "add", namespace])?;
            }
            if !v6 {
                without_v6(namespace)?;
            }
        }
        let mut link = Command::new(std::env::current_exe()?)
            .arg("link")
            .arg("--settings")
            .arg(folder.join("settings"))
            .arg("--log")
            .arg(folder.join("log"))
            .args([
                "--a",
                &format!("{}:eth0", namespaces[0]),
                "--b",
                &format!("{}:eth0", namespaces[1]),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let answers = BufReader::new(link.stdout.take().context("the link's output")?);
        let orders = link.stdin.take();
        let mut bench = Self { namespaces, link, orders, answers, folder };
        let ready = bench.answer()?;
        ensure!(ready["ready"] == true, "the link did not start: {ready}");
        for (index, namespace) in bench.namespaces.iter().enumerate() {
            let end = index + 1;
            ip(&["-n", namespace, "address", "add", &format!("10.9.0.{end}/24"), "dev", "eth0"])?;
            if v6 {
                ip(&[
                    "-n",
                    namespace,
                    "address",
                    "add",
                    &format!("fd09::{end}/64"),
                    "dev",
                    "eth0",
                    "nodad",
                ])?;
            }
            ip(&["-n", namespace, "link", "set", "eth0", "txqueuelen", "5000", "up"])?;
        }
        Ok(bench)
    }

    fn answer(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("the link said {line:?}"))
    }

    pub(crate) fn order(&mut self, order: &Value) -> Result<Value> {
        let orders = self.orders.as_mut().context("the link has ended")?;
        writeln!(orders, "{order}")?;
        self.answer()
    }

    /// The lines of the log; ends the link.
    pub(crate) fn log(mut self) -> Result<Vec<Value>> {
        drop(self.orders.take());
        self.link.wait()?;
        let text = std::fs::read_to_string(self.folder.join("log"))?;
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// Sends and receives; in the order of arrival.
    pub(crate) fn blast(&self, plan: Blast) -> Result<Vec<Arrival>> {
        let start = Instant::now();
        let [from, to] = if plan.down { [1, 0] } else { [0, 1] };
        let address = |end: usize| {
            if plan.v6 { format!("fd09::{}", end + 1) } else { format!("10.9.0.{}", end + 1) }
        };
        let (sender, receiver) = (self.namespaces[from].clone(), self.namespaces[to].clone());
        let (source, target) = ((address(from), 0), (address(to), PORT));
        thread::scope(|scope| {
            let (bound, is_bound) = std::sync::mpsc::channel();
            let receiving = scope.spawn({
                let target = target.clone();
                move || -> Result<Vec<Arrival>> {
                    system::enter(&receiver)?;
                    system::run_first();
                    let socket = UdpSocket::bind((target.0.as_str(), target.1))?;
                    system::set_receive_buffer(&socket, RECEIVE_BUFFER)?;
                    bound.send(()).context("the sender waits")?;
                    receive(&socket, start, plan)
                }
            });
            let sending = scope.spawn(move || -> Result<()> {
                system::enter(&sender)?;
                system::run_first();
                is_bound.recv().context("the receiver does not run")?;
                let socket = UdpSocket::bind((source.0.as_str(), source.1))?;
                socket.connect((target.0.as_str(), target.1))?;
                send(&socket, start, plan)
            });
            sending.join().map_err(|_| anyhow::anyhow!("the sender panicked"))??;
            receiving.join().map_err(|_| anyhow::anyhow!("the receiver panicked"))?
        })
    }
}

fn send(socket: &UdpSocket, start: Instant, plan: Blast) -> Result<()> {
    let begin = start.elapsed();
    let mut datagram = vec![0; plan.payload];
    for number in 0..plan.count {
        let due = begin + plan.gap * number;
        thread::sleep(due.saturating_sub(start.elapsed()));
        datagram[..4].copy_from_slice(&number.to_be_bytes());
        datagram[4..12].copy_from_slice(&(start.elapsed().as_nanos() as u64).to_be_bytes());
        socket.send(&datagram)?;
    }
    Ok(())
}

fn receive(socket: &UdpSocket, start: Instant, plan: Blast) -> Result<Vec<Arrival>> {
    socket.set_read_timeout(Some(SILENCE))?;
    let mut datagram = vec![0; plan.payload + 1];
    let mut arrivals = Vec::new();
    while let Ok(length) = socket.recv(&mut datagram) {
        let arrived = start.elapsed();
        ensure!(length == plan.payload, "a datagram of {length} B");
        let number = u32::from_be_bytes(datagram[..4].try_into()?);
        let sent = Duration::from_nanos(u64::from_be_bytes(datagram[4..12].try_into()?));
        arrivals.push(Arrival { number, sent, arrived });
    }
    Ok(arrivals)
}

impl Drop for Bench {
    fn drop(&mut self) {
        drop(self.orders.take());
        // What cannot be tidied up any more is not worth a panic.
        let _ = self.link.wait();
        for namespace in &self.namespaces {
            let _ = ip(&["netns", "delete", namespace]);
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

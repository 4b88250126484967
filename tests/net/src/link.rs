//! A running link: two TUN devices, one thread, one log.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::direction::{Counts, Direction};
use crate::middlebox::{Middlebox, Policy};
use crate::random::Source;
use crate::settings::{Change, Settings};
use crate::system;

/// Bytes of the largest packet that a TUN device of default MTU hands over, and room to spare.
const PACKET_MAX: usize = 4096;
/// Packets that are read from one device before the other's turn comes.
const READ_MAX: usize = 64;
const LOG_INTERVAL: Duration = Duration::from_millis(100);
/// Bytes of one read of orders.
const ORDERS_MAX: usize = 65_536;

/// A device to make: in which namespace, with which name.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl std::str::FromStr for Device {
    type Err = String;
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (namespace, name) = text.split_once(':').ok_or("a device is NAMESPACE:NAME")?;
        Ok(Self { namespace: namespace.into(), name: name.into() })
    }
}

/// What the test says while the link runs; one JSON value a line.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Order {
    /// At once, or after `at_s`.
    Set(Change),
    Schedule(Vec<Change>),
    Cut(bool),
    Middlebox(Policy),
    /// A word in the log.
    Mark(String),
    Report,
}

/// One direction in one interval of the log.
#[derive(Serialize)]
struct Line<'a> {
    unix_ms: u64,
    way: &'a str,
    /// None: unlimited. 0: cut.
    rate_bps: Option<u64>,
    queue_ms: f64,
    #[serde(flatten)]
    counts: Counts,
}

#[derive(Serialize)]
struct Totals {
    up: Counts,
    down: Counts,
}

struct Link {
    start: Instant,
    /// From A to B, from B to A.
    ways: [Direction; 2],
    middlebox: Middlebox,
    /// With the time when they are due.
    changes: Vec<(u64, Change)>,
    logged: [Counts; 2],
    log: BufWriter<File>,
}

/// Runs until standard input ends. Says `{"ready":true}` when the devices are there.
pub(crate) fn run(settings: &Settings, a: &Device, b: &Device, log: &Path) -> Result<()> {
    let devices = [open(a)?, open(b)?];
    let mut link = Link {
        start: Instant::now(),
        ways: [
            Direction::new(settings.up.clone(), Source::new(settings.seed, 0)),
            Direction::new(settings.down.clone(), Source::new(settings.seed, 1)),
        ],
        middlebox: Middlebox::new(settings.middlebox),
        changes: Vec::new(),
        logged: [Counts::default(); 2],
        log: BufWriter::new(
            File::create(log).with_context(|| format!("the log {}", log.display()))?,
        ),
    };
    link.plan(settings.schedule.clone())?;
    let on_time = system::run_first();
    say(&serde_json::json!({ "ready": true, "on_time": on_time }))?;
    link.serve(&devices)
}

fn open(device: &Device) -> Result<OwnedFd> {
    system::enter(&device.namespace)
        .with_context(|| format!("the namespace {}", device.namespace))?;
    system::tun(&device.name).with_context(|| format!("the device {}", device.name))
}

fn say(value: &impl Serialize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(value)?)?;
    Ok(out.flush()?)
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

impl Link {
    fn serve(&mut self, devices: &[OwnedFd; 2]) -> Result<()> {
        let mut input = std::io::stdin().lock();
        let mut orders = Vec::new();
        let mut buffer = [0; PACKET_MAX];
        let mut log_ns = self.now_ns() + LOG_INTERVAL.as_nanos() as u64;
        loop {
            let now_ns = self.now_ns();
            self.make_changes(now_ns)?;
            for (way, to) in [(0, 1), (1, 0)] {
                while let Some(packet) = self.ways[way].arrived(now_ns) {
                    system::write(&devices[to], &packet);
                }
            }
            if now_ns >= log_ns {
                self.write_log(now_ns)?;
                log_ns += LOG_INTERVAL.as_nanos() as u64;
            }
            let next_ns = self.deadline_ns().map_or(log_ns, |at| at.min(log_ns));
            let wait = Duration::from_nanos(next_ns.saturating_sub(self.now_ns()));
            let ready = system::wait(
                [devices[0].as_raw_fd(), devices[1].as_raw_fd(), input.as_raw_fd()],
                wait,
            )?;
            let now_ns = self.now_ns();
            for (way, device) in devices.iter().enumerate().filter(|(way, _)| ready[*way]) {
                for _ in 0..READ_MAX {
                    let Some(length) = system::read(device, &mut buffer) else { break };
                    self.take(way, now_ns, &buffer[..length]);
                }
            }
            if ready[2] && !self.obey(&mut input, &mut orders)? {
                self.write_log(now_ns)?;
                return Ok(());
            }
        }
    }

    fn take(&mut self, way: usize, now_ns: u64, packet: &[u8]) {
        if self.middlebox.passes(way == 0, packet) {
            self.ways[way].offer(now_ns, packet.to_vec());
        } else {
            self.ways[way].refuse(packet.len());
        }
    }

    fn now_ns(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    fn deadline_ns(&self) -> Option<u64> {
        let change = self.changes.iter().map(|(at, _)| *at);
        change.chain(self.ways.iter().filter_map(Direction::deadline_ns)).min()
    }

    /// Changes to come; refused as a whole when one of them is none.
    fn plan(&mut self, changes: Vec<Change>) -> Result<()> {
        for change in &changes {
            for (way, fields) in self.ways.iter().zip([&change.up, &change.down]) {
                way.way().with(fields)?;
            }
        }
        let now_ns = self.now_ns();
        self.changes.extend(
            changes.into_iter().map(|change| (now_ns + (change.at_s * 1e9) as u64, change)),
        );
        self.changes.sort_by_key(|(at, _)| *at);
        Ok(())
    }

    fn make_changes(&mut self, now_ns: u64) -> Result<()> {
        let due = self.changes.partition_point(|(at, _)| *at <= now_ns);
        for (at, change) in self.changes.drain(..due).collect::<Vec<_>>() {
            for (way, fields) in self.ways.iter_mut().zip([&change.up, &change.down]) {
                let next = way.way().with(fields)?;
                way.change(at, next);
            }
        }
        Ok(())
    }

    /// Reads orders and answers each; false at the end of the input.
    fn obey(&mut self, input: &mut impl Read, orders: &mut Vec<u8>) -> Result<bool> {
        let mut buffer = vec![0; ORDERS_MAX];
        let count = input.read(&mut buffer)?;
        orders.extend_from_slice(&buffer[..count]);
        while let Some(end) = orders.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = orders.drain(..=end).collect();
            match serde_json::from_slice(&line)
                .map_err(Into::into)
                .and_then(|order| self.order(order))
            {
                Ok(()) => {}
                Err(error) => say(&serde_json::json!({ "error": format!("{error:#}") }))?,
            }
        }
        Ok(count > 0)
    }

    fn order(&mut self, order: Order) -> Result<()> {
        let now_ns = self.now_ns();
        match order {
            Order::Set(change) => self.plan(vec![change])?,
            Order::Schedule(changes) => self.plan(changes)?,
            Order::Cut(cut) => self.ways.iter_mut().for_each(|way| way.set_cut(now_ns, cut)),
            Order::Middlebox(policy) => self.middlebox = Middlebox::new(policy),
            Order::Mark(text) => {
                writeln!(
                    self.log,
                    "{}",
                    serde_json::json!({ "unix_ms": unix_ms(), "mark": text })
                )?;
            }
            Order::Report => {
                return say(&Totals { up: self.ways[0].counts(), down: self.ways[1].counts() });
            }
        }
        self.make_changes(now_ns)?;
        say(&serde_json::json!({ "done": true }))
    }

    fn write_log(&mut self, now_ns: u64) -> Result<()> {
        for ((way, logged), name) in self.ways.iter().zip(&mut self.logged).zip(["up", "down"]) {
            let line = Line {
                unix_ms: unix_ms(),
                way: name,
                rate_bps: if way.is_cut() { Some(0) } else { way.way().rate_bps },
                queue_ms: way.queue_ms(now_ns),
                counts: way.counts() - *logged,
            };
            *logged = way.counts();
            writeln!(self.log, "{}", serde_json::to_string(&line)?)?;
        }
        Ok(self.log.flush()?)
    }
}

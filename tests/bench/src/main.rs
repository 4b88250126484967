//! The measure of the forwarding plane: CPU time of the media process per 1,000,000 RTP packets
//! that its subscribers receive, beside str0m's as a forwarder, in the same run.
//!
//! One publisher sends VP8 of 1080 B payloads in bursts of four; N subscribers receive, each on a
//! socket of its own over loopback, decrypting everything and sending reports and transport-wide
//! feedback. Publisher and subscribers are str0m in RTP mode, in this process; the forwarder is a
//! process of its own, whose utime + stime come from /proc. The rate rises to 1000 packets/s over
//! 12 s. `--full`: 20 s after a warm-up of 3 s. `--relay`: the relay alone, which is in either.
//! `--only N`: this many subscribers at 1000 packets/s, at Belfry alone (for whoever looks for time).
//!
//! Belfry runs as it ships: pacing, bandwidth estimation, retransmission and statistics on, one
//! shard. str0m runs with its defaults (no estimation, no pacing), one thread, one `sendto` a packet.
#![allow(clippy::print_stdout, reason = "its output is its result")]
#![allow(clippy::unwrap_used, reason = "a measure that cannot be taken may end by a panic")]

mod belfry;
mod load;
mod meter;
mod peer;
mod process;
mod publisher;
mod reference;
mod relay;
#[path = "../../../appliance/transport/tests/wire/mod.rs"]
#[allow(dead_code, reason = "the tests of the transport use more of it")]
mod wire;

use std::process::ExitCode;
use std::time::Duration;

use crate::meter::Outcome;

/// Loss beyond this makes a figure meaningless.
const LOSS_PERCENT_MAX: f64 = 0.5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forwarder {
    Belfry,
    Str0m,
}

impl Forwarder {
    fn name(self) -> &'static str {
        match self {
            Self::Belfry => "belfry",
            Self::Str0m => "str0m",
        }
    }
}

/// One measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) subscriber_count: usize,
    pub(crate) packets_per_second: u32,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("media") => {
            return match belfry_media::run() {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    println!("the media process: {:#}", anyhow::Error::new(error));
                    ExitCode::FAILURE
                }
            };
        }
        Some("reference") => {
            reference::run().unwrap();
            return ExitCode::SUCCESS;
        }
        Some(relay::SERVE) => {
            relay::serve().unwrap();
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let relay_alone = args.iter().any(|arg| arg == "--relay");
    let full = args.iter().any(|arg| arg == "--full");
    if cfg!(debug_assertions) {
        println!("note: this is not a release build; its figures say nothing");
    }
    let only = args.iter().position(|arg| arg == "--only").and_then(|at| args.get(at + 1));
    let (cases, forwarders): (_, &[_]) = match only.and_then(|count| count.parse().ok()) {
        Some(count) => (vec![case(count, 1000, full)], &[Forwarder::Belfry]),
        None if relay_alone => (Vec::new(), &[]),
        None => (cases(full), &[Forwarder::Belfry, Forwarder::Str0m]),
    };
    let (mut passed_count, mut failed_count) = (0, 0);
    println!(
        "| forwarder | N | packets/s | CPU-s per 1M | loss % | latency p50 ms | p99 ms | join ms | \
         kB per peer |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    );
    let mut figures = Vec::new();
    for case in cases {
        for &forwarder in forwarders {
            let title = format!(
                "{} N={} at {}/s",
                forwarder.name(),
                case.subscriber_count,
                case.packets_per_second
            );
            let checked = load::measure(forwarder, case).and_then(|outcome| {
                print_row(forwarder, case, &outcome);
                figures.extend(lines(forwarder, case, &outcome));
                check(forwarder, case, &outcome)
            });
            match checked {
                Ok(()) => passed_count += 1,
                Err(error) => {
                    println!("FAILED {title}: {error:#}");
                    failed_count += 1;
                }
            }
        }
    }
    if only.is_none() {
        figures.extend(relay::measure(full));
    }
    for figure in figures {
        println!("{figure}");
    }
    println!("{passed_count} passed, {failed_count} failed");
    if failed_count == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn cases(full: bool) -> Vec<Case> {
    let counts: &[usize] = if full { &[10, 50] } else { &[10] };
    counts.iter().flat_map(|count| [case(*count, 120, full), case(*count, 1000, full)]).collect()
}

fn case(subscriber_count: usize, packets_per_second: u32, full: bool) -> Case {
    let (warm_up, measured) = if full { (3, 20) } else { (1, 4) };
    let (warm_up, measured) = (Duration::from_secs(warm_up), Duration::from_secs(measured));
    Case { subscriber_count, packets_per_second, warm_up, measured }
}

fn print_row(forwarder: Forwarder, case: Case, outcome: &Outcome) {
    println!(
        "| {} | {} | {} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {} |",
        forwarder.name(),
        case.subscriber_count,
        case.packets_per_second,
        outcome.cpu_s_per_million,
        outcome.loss_percent,
        outcome.latency_p50_ms,
        outcome.latency_p99_ms,
        outcome.join_cpu_ms,
        outcome.memory_kb_per_peer,
    );
}

fn lines(forwarder: Forwarder, case: Case, outcome: &Outcome) -> Vec<String> {
    let case =
        format!("{}_n{}_{}pps", forwarder.name(), case.subscriber_count, case.packets_per_second);
    vec![
        format!("figure {case}_cpu {:.2} CPU-s per 1M packets", outcome.cpu_s_per_million),
        format!("figure {case}_loss {:.3} percent", outcome.loss_percent),
        format!("figure {case}_latency_p50 {:.2} ms", outcome.latency_p50_ms),
        format!("figure {case}_latency_p99 {:.2} ms", outcome.latency_p99_ms),
        format!("figure {case}_join_cpu {:.2} ms per peer", outcome.join_cpu_ms),
        format!("figure {case}_memory {} kB per peer", outcome.memory_kb_per_peer),
    ]
}

/// The figure is one of the load that was meant, not of less.
fn check(forwarder: Forwarder, case: Case, outcome: &Outcome) -> anyhow::Result<()> {
    let nominal = f64::from(case.packets_per_second)
        * case.measured.as_secs_f64()
        * case.subscriber_count as f64;
    let received = outcome.received_count as f64;
    anyhow::ensure!(received > 0.9 * nominal, "{received} packets of {nominal} arrived");
    // A forwarder that is not ours is only reported.
    anyhow::ensure!(
        forwarder != Forwarder::Belfry || outcome.loss_percent < LOSS_PERCENT_MAX,
        "{:.2} % were lost",
        outcome.loss_percent
    );
    anyhow::ensure!(outcome.cpu_s_per_million > 0.0, "no CPU time was seen");
    Ok(())
}

//! Links measured against their own settings: what arrives, when, and how much of it.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

use crate::bench::{Arrival, Bench, Blast, HEADERS_V4, HEADERS_V6};

const MS: Duration = Duration::from_millis(1);
/// Of the rate.
const RATE_ERROR_MAX: f64 = 0.03;
/// What the two ends' scheduling may add to a delay, on the median.
const LATE_MS_MAX: f64 = 3.0;
/// Standard errors of a share that was drawn often: 1 in 10,000 seeds would be outside.
const SIGMAS_MAX: f64 = 3.9;

type Check = fn() -> Result<Vec<(&'static str, f64, &'static str)>>;

const CHECKS: [(&str, Check); 11] = [
    ("rates up to 20 Mbit/s within 3 %", rates),
    ("IPv6 as IPv4", rate_of_v6),
    ("the delay", delay),
    ("jitter: distribution, bounds, order", jitter),
    ("random loss within the bounds of its binomial distribution", loss),
    ("burst loss: share and length of the runs", bursts),
    ("reordering and duplicates", reordering),
    ("the queue's length, and what it drops", queue),
    ("the schedule", schedule),
    ("a cut at once, and the mend", cut),
    ("the same seed loses the same packets, another does not", seeds),
];

/// Checks that run at the same time; together they need a quarter of a core.
const WORKERS: usize = 4;

/// Runs all checks; fails after the last one when one of them has failed.
pub(crate) fn run() -> Result<()> {
    let next = AtomicUsize::new(0);
    let failed = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some((title, check)) = CHECKS.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if !told(title, check()) {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner();
    ensure!(failed == 0, "{failed} of {} checks failed", CHECKS.len());
    Ok(())
}

/// Prints how a check ended; true if well. Nobody reads on when the output is closed.
fn told(title: &str, ended: Result<Vec<(&'static str, f64, &'static str)>>) -> bool {
    let mut out = std::io::stdout().lock();
    match ended {
        Ok(figures) => {
            let _ = writeln!(out, "ok    {title}");
            for (name, value, unit) in figures {
                let _ = writeln!(out, "figure {name} {value:.2} {unit}");
            }
            true
        }
        Err(error) => {
            let _ = writeln!(out, "WRONG {title}: {error:#}");
            false
        }
    }
}

fn paced(count: u32, payload: usize, gap: Duration) -> Blast {
    Blast { count, payload, gap, v6: false, down: true }
}

/// Bits of IP packets in a second, between the first and the last arrival.
fn rate_bps(arrivals: &[Arrival], packet: usize) -> Result<f64> {
    let [first, .., last] = arrivals else { bail!("{} arrivals", arrivals.len()) };
    Ok((arrivals.len() - 1) as f64 * packet as f64 * 8.0
        / (last.arrived.as_secs_f64() - first.arrived.as_secs_f64()))
}

fn within(what: &str, value: f64, wanted: f64, error: f64) -> Result<()> {
    ensure!(
        (value - wanted).abs() <= error,
        "{what}: {value:.3} instead of {wanted:.3} ± {error:.3}"
    );
    Ok(())
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn delays(arrivals: &[Arrival]) -> Vec<f64> {
    arrivals.iter().map(Arrival::delay_ms).collect()
}

/// Sends half as much again as the link carries; the sink measures the link.
fn measured_rate(name: &str, rate: u32, v6: bool) -> Result<f64> {
    let make = if v6 { Bench::with_v6 } else { Bench::new };
    let bench = make(name, &json!({ "seed": 1, "down": { "rate_bps": rate, "queue_ms": 100 } }))?;
    let payload = if rate < 1_000_000 { 500 } else { 1200 };
    let packet = payload + if v6 { HEADERS_V6 } else { HEADERS_V4 };
    let gap = Duration::from_secs_f64(packet as f64 * 8.0 / (f64::from(rate) * 1.5));
    let count = (3.0 / gap.as_secs_f64()) as u32;
    let measured = rate_bps(&bench.blast(Blast { v6, ..paced(count, payload, gap) })?, packet)?;
    within(
        &format!("rate at {rate} bit/s"),
        measured,
        rate.into(),
        f64::from(rate) * RATE_ERROR_MAX,
    )?;
    Ok((measured / f64::from(rate) - 1.0) * 100.0)
}

fn rates() -> Result<Vec<(&'static str, f64, &'static str)>> {
    Ok(vec![
        ("net_rate_error_300k", measured_rate("r1", 300_000, false)?, "%"),
        ("net_rate_error_2M", measured_rate("r2", 2_000_000, false)?, "%"),
        ("net_rate_error_20M", measured_rate("r3", 20_000_000, false)?, "%"),
    ])
}

fn rate_of_v6() -> Result<Vec<(&'static str, f64, &'static str)>> {
    Ok(vec![("net_rate_error_2M_IPv6", measured_rate("r6", 2_000_000, true)?, "%")])
}

fn delay() -> Result<Vec<(&'static str, f64, &'static str)>> {
    let bench = Bench::new("d", &json!({ "up": { "delay_ms": 30 }, "down": { "delay_ms": 80 } }))?;
    let mut medians = Vec::new();
    for (down, wanted) in [(false, 30.0), (true, 80.0)] {
        let arrivals = bench.blast(Blast { down, ..paced(300, 200, 5 * MS) })?;
        ensure!(arrivals.len() == 300, "{} of 300 arrived", arrivals.len());
        let delays = sorted(delays(&arrivals));
        ensure!(delays[0] >= wanted, "one arrived after {} ms already", delays[0]);
        within("median delay", quantile(&delays, 0.5), wanted, LATE_MS_MAX)?;
        medians.push(quantile(&delays, 0.5) - wanted);
    }
    Ok(vec![("net_delay_late_median", medians[1], "ms")])
}

fn jitter() -> Result<Vec<(&'static str, f64, &'static str)>> {
    // Packets further apart than the jitter is wide: the order binds nobody, and the distribution shows.
    let settings = json!({ "seed": 3, "down": { "delay_ms": 40, "jitter_ms": 10 } });
    let arrivals = Bench::new("j", &settings)?.blast(paced(250, 100, 20 * MS))?;
    ensure!(
        arrivals.windows(2).all(|pair| pair[0].number < pair[1].number),
        "jitter changed the order"
    );
    let delays = sorted(delays(&arrivals));
    ensure!(delays[0] >= 30.0, "one arrived after {} ms", delays[0]);
    within("the 98th percentile", quantile(&delays, 0.98), 50.0, LATE_MS_MAX)?;
    let middle = mean(&delays);
    within("mean", middle, 40.0, LATE_MS_MAX)?;
    let deviation =
        mean(&delays.iter().map(|delay| (delay - middle).powi(2)).collect::<Vec<_>>()).sqrt();
    within("deviation", deviation, 5.0, 1.0)?;
    Ok(vec![("net_jitter_deviation_of_5ms", deviation, "ms")])
}

/// Three standard errors and more of `share` among `count`.
fn binomial_error(share: f64, count: f64) -> f64 {
    SIGMAS_MAX * (share * (1.0 - share) / count).sqrt()
}

fn lost(arrivals: &[Arrival], count: u32) -> Vec<u32> {
    let mut there = vec![false; count as usize];
    for arrival in arrivals {
        there[arrival.number as usize] = true;
    }
    (0..count).filter(|number| !there[*number as usize]).collect()
}

fn loss() -> Result<Vec<(&'static str, f64, &'static str)>> {
    let mut bench = Bench::new("l", &json!({ "seed": 5, "down": { "loss_percent": 10 } }))?;
    let count = 5_000;
    let missing = lost(&bench.blast(paced(count, 100, MS / 2))?, count).len();
    let share = missing as f64 / f64::from(count);
    within("share of losses", share, 0.1, binomial_error(0.1, count.into()))?;
    let report = bench.order(&json!("report"))?;
    ensure!(
        report["down"]["lost"] == missing,
        "the emulator counts {}, the receiver misses {missing}",
        report["down"]
    );
    Ok(vec![("net_loss_of_10", share * 100.0, "%")])
}

fn bursts() -> Result<Vec<(&'static str, f64, &'static str)>> {
    let settings = json!({ "seed": 6, "down": { "burst": { "percent": 10, "length": 5 } } });
    let count = 8_000;
    let missing = lost(&Bench::new("b", &settings)?.blast(paced(count, 100, MS / 2))?, count);
    let runs = 1 + missing.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
    let (share, length) =
        (missing.len() as f64 / f64::from(count), missing.len() as f64 / runs as f64);
    // Losses of one run are one event: fewer events, wider bounds.
    within("share of losses", share, 0.1, binomial_error(0.1, f64::from(count) / 5.0) * 1.5)?;
    within("length of a run", length, 5.0, SIGMAS_MAX * (20.0 / runs as f64).sqrt())?;
    Ok(vec![
        ("net_burst_share_of_10", share * 100.0, "%"),
        ("net_burst_length_of_5", length, "packets"),
    ])
}

fn reordering() -> Result<Vec<(&'static str, f64, &'static str)>> {
    let settings = json!({ "seed": 7, "down": { "reorder_percent": 5, "reorder_ms": 15, "duplicate_percent": 3 } });
    let mut bench = Bench::new("o", &settings)?;
    let count = 3_000;
    let arrivals = bench.blast(paced(count, 100, MS))?;
    let report = bench.order(&json!("report"))?["down"].clone();
    let (reordered, duplicated) =
        (report["reordered"].as_f64().unwrap_or(0.0), report["duplicated"].as_f64().unwrap_or(0.0));
    within(
        "share held back",
        reordered / f64::from(count),
        0.05,
        binomial_error(0.05, count.into()),
    )?;
    within(
        "share doubled",
        duplicated / f64::from(count),
        0.03,
        binomial_error(0.03, count.into()),
    )?;
    ensure!(
        (arrivals.len() as f64 - f64::from(count) - duplicated).abs() < 0.5,
        "{} arrived",
        arrivals.len()
    );
    let mut newest = 0;
    let mut late = std::collections::HashSet::new();
    for arrival in &arrivals {
        if arrival.number < newest {
            late.insert(arrival.number);
        }
        newest = newest.max(arrival.number);
    }
    // The last ones have nobody behind them that could pass.
    ensure!(
        late.len() as f64 > reordered * 0.8 && late.len() as f64 <= reordered,
        "{} of {reordered} came late",
        late.len()
    );
    Ok(vec![("net_reordered_of_5", reordered / f64::from(count) * 100.0, "%")])
}

fn queue() -> Result<Vec<(&'static str, f64, &'static str)>> {
    let settings = json!({ "down": { "rate_bps": 1_000_000, "queue_ms": 150, "delay_ms": 10 } });
    let mut bench = Bench::new("q", &settings)?;
    let packet = 1_000 + HEADERS_V4;
    let arrivals = bench.blast(paced(1_000, 1_000, 4 * MS))?;
    let longest = delays(&arrivals).into_iter().fold(0.0, f64::max);
    // The queue, the delay, and one packet that is being sent.
    within("longest delay", longest, 160.0, packet as f64 * 8.0 / 1e3 + LATE_MS_MAX)?;
    let report = bench.order(&json!("report"))?["down"].clone();
    let dropped = report["queue_full"].as_u64().unwrap_or(0);
    ensure!(
        dropped + arrivals.len() as u64 == 1_000,
        "{dropped} dropped, {} arrived",
        arrivals.len()
    );
    let log = bench.log()?;
    let queued = log.iter().filter_map(|line| line["queue_ms"].as_f64()).fold(0.0, f64::max);
    within("longest queue in the log", queued, 150.0, packet as f64 * 8.0 / 1e3 + LATE_MS_MAX)?;
    Ok(vec![("net_queue_of_160ms", longest, "ms")])
}

fn schedule() -> Result<Vec<(&'static str, f64, &'static str)>> {
    let mut bench = Bench::new("s", &json!({ "down": { "rate_bps": 2_000_000, "queue_ms": 50 } }))?;
    let steps = json!([{ "at_s": 2, "down": { "rate_bps": 400_000 } }, { "at_s": 4, "down": { "rate_bps": 2_000_000 } }]);
    let packet = 500 + HEADERS_V4;
    let refused = bench.order(&json!({ "schedule": [{ "at_s": 1, "down": { "speed": 1 } }] }));
    ensure!(refused?["error"].is_string(), "a misspelt order was taken");
    bench.order(&json!({ "schedule": steps }))?;
    let arrivals = bench.blast(paced(4_000, 500, MS * 3 / 2))?;
    // Away from the steps by more than the queue is long.
    for (from, to, wanted) in [(0.3, 1.8, 2e6), (2.5, 3.9, 4e5), (4.5, 5.8, 2e6)] {
        let part: Vec<Arrival> = arrivals
            .iter()
            .filter(|arrival| (from..to).contains(&arrival.arrived.as_secs_f64()))
            .copied()
            .collect();
        within(
            &format!("rate from {from} to {to} s"),
            rate_bps(&part, packet)?,
            wanted,
            wanted * RATE_ERROR_MAX,
        )?;
    }
    Ok(Vec::new())
}

fn cut() -> Result<Vec<(&'static str, f64, &'static str)>> {
    let mut bench = Bench::new("c", &json!({}))?;
    let blast = paced(100, 100, MS);
    bench.order(&json!({ "cut": true }))?;
    ensure!(bench.blast(blast)?.is_empty(), "a cut link delivered");
    bench.order(&json!({ "cut": false }))?;
    ensure!(bench.blast(blast)?.len() == 100, "a mended link lost some");
    let log = bench.log()?;
    let cut: u64 = log.iter().filter_map(|line| line["cut"].as_u64()).sum();
    ensure!(cut == 100, "the log counts {cut} as cut");
    Ok(Vec::new())
}

fn seeds() -> Result<Vec<(&'static str, f64, &'static str)>> {
    let count = 1_000;
    let run = |name: &str, seed: u32| -> Result<Vec<u32>> {
        let settings: Value = json!({ "seed": seed, "down": { "loss_percent": 20, "burst": { "percent": 5, "length": 3 } } });
        Ok(lost(&Bench::new(name, &settings)?.blast(paced(count, 100, MS))?, count))
    };
    let first = run("s1", 11)?;
    ensure!(first == run("s2", 11)?, "the same seed lost others");
    ensure!(first != run("s3", 12)?, "another seed lost the same");
    Ok(Vec::new())
}

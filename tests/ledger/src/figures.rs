//! How fast: appends beside what the disk itself can do, verification, a person's history.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use belfry_ledger::{About, Ledger, Search, verify};

use crate::record::{Record, event};

/// Of a load that an appliance at the bell may have.
const STEADY_PER_S: u32 = 500;

pub(crate) fn run(full: bool) -> Result<()> {
    let seconds = Duration::from_secs(if full { 10 } else { 2 });
    println!("figure ledger_raw_fdatasync {:.0} writes/s", raw(seconds)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build()?;
    for batch in [1, 32, 512] {
        let record = Record::empty()?;
        let ledger = Ledger::open(&record.path())?;
        let rate = runtime.block_on(appends(&ledger, batch, seconds))?;
        println!("figure ledger_appends_batch_{batch} {rate:.0} events/s");
    }
    let record = Record::empty()?;
    let ledger = Ledger::open(&record.path())?;
    let p99 = runtime.block_on(steady(&ledger, seconds))?;
    println!("figure ledger_append_p99_at_{STEADY_PER_S} {:.1} ms", p99.as_secs_f64() * 1_000.0);
    drop(ledger);
    history(if full { 10_000_000 } else { 100_000 })
}

/// Blocks of 4 KiB at the end of a file, each synced.
fn raw(seconds: Duration) -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("raw");
    let file = OpenOptions::new().create_new(true).write(true).open(path)?;
    let (start, mut writes) = (Instant::now(), 0_u32);
    while start.elapsed() < seconds {
        file.write_all_at(&[7; 4_096], u64::from(writes) * 4_096)?;
        file.sync_data()?;
        writes += 1;
    }
    Ok(f64::from(writes) / start.elapsed().as_secs_f64())
}

/// `batch` events at a time, the next when all of them are on the disk.
async fn appends(ledger: &Ledger, batch: i64, seconds: Duration) -> Result<f64> {
    let (start, mut events) = (Instant::now(), 0_u32);
    while start.elapsed() < seconds {
        let asked: Vec<_> = (0..batch)
            .map(|n| {
                let ledger = ledger.clone();
                tokio::spawn(async move { ledger.append(event(n)).await })
            })
            .collect();
        for one in asked {
            one.await??;
            events += 1;
        }
    }
    Ok(f64::from(events) / start.elapsed().as_secs_f64())
}

async fn steady(ledger: &Ledger, seconds: Duration) -> Result<Duration> {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / STEADY_PER_S);
    let (start, mut asked) = (Instant::now(), Vec::new());
    while start.elapsed() < seconds {
        ticks.tick().await;
        let ledger = ledger.clone();
        asked.push(tokio::spawn(async move {
            let start = Instant::now();
            ledger.append(event(1)).await.map(|_| start.elapsed())
        }));
    }
    let mut took = Vec::new();
    for one in asked {
        took.push(one.await??);
    }
    took.sort_unstable();
    Ok(took[took.len() * 99 / 100])
}

fn history(entries: i64) -> Result<()> {
    let record = Record::empty()?;
    let ledger = Ledger::open(&record.path())?;
    for n in 0..entries {
        // As fast as they can be written, and none dropped.
        while ledger.health().buffered > 50_000 {
            std::thread::yield_now();
        }
        ledger.enqueue(event(n));
    }
    drop(ledger);
    let start = Instant::now();
    let verified = verify(&record.path(), &[], || false)?;
    let rate = verified.entries as f64 / start.elapsed().as_secs_f64();
    ensure!(verified.entries == entries.unsigned_abs(), "{} entries", verified.entries);
    println!("figure ledger_verify {rate:.0} events/s");
    let ledger = Ledger::open(&record.path())?;
    let mut search = Search { about: Some(About::Person(5)), ..Search::default() };
    let (start, mut found) = (Instant::now(), 0);
    loop {
        let page = ledger.search_blocking(&search, 500)?;
        found += page.entries.len();
        search.before = page.before;
        // The first ten pages are what somebody looks at.
        if search.before.is_none() || found >= 5_000 {
            break;
        }
    }
    let took = start.elapsed().as_secs_f64();
    println!("figure ledger_history_of_{entries} {:.0} ms for {found} entries", took * 1_000.0);
    ensure!(found > 0, "nothing was found");
    Ok(())
}

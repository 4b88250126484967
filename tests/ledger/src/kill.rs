//! A process that appends is killed at any moment; what it had acknowledged is there.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use belfry_ledger::{Ledger, verify};
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::record::{Record, event};

pub(crate) const APPENDER: &str = "appender";

/// Tasks that append at the same time.
const AT_ONCE: i64 = 16;

/// The longest that an appender lives after its first acknowledgement.
const LIFE_MS_MAX: u64 = 60;

/// Prints the place of each entry as soon as its receipt is there.
pub(crate) fn append_for_ever(record: &Path) -> Result<()> {
    let ledger = Ledger::open(record)?;
    let appenders: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let ledger = ledger.clone();
            std::thread::spawn(move || -> Result<()> {
                for n in 0.. {
                    ledger.enqueue(event(n));
                    let receipt = ledger.append_blocking(event(n))?;
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "{} {}", receipt.seq(), receipt.hash())?;
                    out.flush()?;
                }
                Ok(())
            })
        })
        .collect();
    for appender in appenders {
        appender.join().map_err(|_| anyhow::anyhow!("an appender panicked"))??;
    }
    Ok(())
}

pub(crate) fn run(times: u32) -> Result<()> {
    let mut random = StdRng::seed_from_u64(9);
    let mut acknowledged_all = 0_usize;
    let mut record = Record::empty()?;
    for time in 0..times {
        // A record that has outlived ten crashes has shown what it can; a new one starts faster.
        if time % 10 == 0 {
            record = Record::empty()?;
        }
        let mut child = Command::new(std::env::current_exe()?)
            .args([APPENDER.as_ref(), record.path().as_os_str()])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("its output")?).lines();
        let first = lines.next().context("it acknowledged nothing")??;
        let life = Duration::from_millis(random.random_range(0..LIFE_MS_MAX));
        let killer = std::thread::spawn(move || -> std::io::Result<()> {
            // Not a wait for anything: the moment of the crash.
            std::thread::sleep(life);
            child.kill()?;
            child.wait().map(drop)
        });
        let mut acknowledged = vec![first];
        // The last line may have been cut by the crash: then it was not acknowledged.
        acknowledged.extend(lines.map_while(Result::ok).filter(|line| line.len() > 64));
        killer.join().map_err(|_| anyhow::anyhow!("the killer panicked"))??;
        acknowledged_all += acknowledged.len();
        let ledger = Ledger::open(&record.path())?;
        ensure!(ledger.health().damaged.is_none(), "crash {time}: {:?}", ledger.health());
        drop(ledger);
        verify(&record.path(), &[], || false).with_context(|| format!("crash {time}"))?;
        check(&record, &acknowledged).with_context(|| format!("crash {time}"))?;
    }
    println!(
        "figure ledger_kills {times} crashes\nfigure ledger_kills_acknowledged {acknowledged_all} events"
    );
    Ok(())
}

fn check(record: &Record, acknowledged: &[String]) -> Result<()> {
    let raw = rusqlite::Connection::open(record.path())?;
    let mut entry = raw.prepare("SELECT lower(hex(leaf)) FROM entry WHERE seq = ?1")?;
    for line in acknowledged {
        let (seq, leaf) = line.split_once(' ').context("a line of two words")?;
        let there: String = entry
            .query_row([seq.parse::<i64>()?], |row| row.get(0))
            .with_context(|| format!("entry {seq} was acknowledged and is lost"))?;
        ensure!(there == leaf, "entry {seq} is not the one that was acknowledged");
    }
    Ok(())
}

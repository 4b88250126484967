//! A disk on which one step of writing fails, or hangs.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use belfry_audit::{Actor, Scope};
use belfry_ledger::{APPEND_WAIT, Ledger, RECORD_WAIT, THREAD_WAIT};

use crate::cuts::Promises;
use crate::disk::{Disk, EIO, ENOSPC, Fault, Lies};
use crate::record::Record;

/// Runs at the same time: they wait for the record's own pauses, not for the machine.
const AT_ONCE: usize = 24;

/// A record that does not heal by then never does.
const HEALS_WITHIN: Duration = Duration::from_mins(1);

/// What is more than a limit: a loaded machine.
const SLACK: Duration = Duration::from_secs(5);

/// How a step fails.
#[derive(Clone, Copy, Debug)]
struct Way {
    errno: i32,
    kept: bool,
    lasting: bool,
    /// Every so many steps in the plain form.
    every: u64,
}

const WAYS: [Way; 5] = [
    Way { errno: EIO, kept: false, lasting: false, every: 1 },
    Way { errno: EIO, kept: true, lasting: false, every: 1 },
    Way { errno: ENOSPC, kept: false, lasting: false, every: 3 },
    Way { errno: ENOSPC, kept: true, lasting: false, every: 3 },
    Way { errno: EIO, kept: false, lasting: true, every: 3 },
];

/// A record is made, written, published, erased from, and closed.
struct Run {
    record: Record,
    disk: std::sync::Arc<Disk>,
    promises: Promises,
    /// Times of events that nobody promised and that the record keeps.
    kept: Vec<i64>,
    failed: u32,
    refused: u32,
}

impl Run {
    fn new(seed: u64) -> Result<Self> {
        let record = Record::in_memory()?;
        let disk = Disk::under(record.folder(), seed, Lies::default())?;
        Ok(Self {
            record,
            disk,
            promises: Promises::default(),
            kept: Vec::new(),
            failed: 0,
            refused: 0,
        })
    }

    /// Opens; where that fails it fails without an alarm, and works when the disk does.
    fn open(&mut self) -> Result<Ledger> {
        let until = Instant::now() + HEALS_WITHIN;
        loop {
            match Ledger::open(&self.record.path()) {
                Ok(ledger) => {
                    let damaged = ledger.health().damaged;
                    ensure!(damaged.is_none(), "a false alarm at the start: {damaged:?}");
                    return Ok(ledger);
                }
                Err(error) => {
                    ensure!(!error.is_damage(), "a false alarm: {error}");
                    ensure!(Instant::now() < until, "it does not open again: {error}");
                    self.failed += 1;
                    self.disk.heal();
                }
            }
        }
    }

    /// One of each; what is refused is refused.
    fn write(&mut self, ledger: &Ledger) -> Result<()> {
        for _ in 0..3 {
            let kept = self.promises.event();
            self.kept.push(kept.at_ms);
            ledger.enqueue(kept);
            let event = self.promises.event();
            let at_ms = event.at_ms;
            let opened = ledger.append_with_blocking(event, &[("name", "Ann Lee")]);
            let Ok(receipt) = opened else {
                self.while_it_fails(ledger)?;
                continue;
            };
            self.promises.acknowledged(at_ms, &receipt);
            match ledger.checkpoint_blocking() {
                Ok(note) => self.promises.published(note),
                Err(_) => self.while_it_fails(ledger)?,
            }
            let at_ms = self.promises.event().at_ms;
            let (scope, seqs) = (Scope::district(1), vec![receipt.seq()]);
            match ledger.erase_blocking(at_ms, scope, Actor::Appliance, seqs) {
                Ok(receipt) => self.promises.acknowledged(at_ms, &receipt),
                Err(_) => self.while_it_fails(ledger)?,
            }
        }
        Ok(())
    }

    /// If the disk fails on, what must be recorded is refused, in time, and the record says why; then the disk
    /// is put in order.
    fn while_it_fails(&mut self, ledger: &Ledger) -> Result<()> {
        self.failed += 1;
        if self.disk.fails() {
            let start = Instant::now();
            let refused = ledger.append_blocking(self.promises.event()).is_err();
            let took = start.elapsed();
            ensure!(took < APPEND_WAIT + SLACK, "it was refused after {took:?}");
            // The checkpoint's own file may be all that fails: then entries are written.
            let health = ledger.health();
            ensure!(!refused || health.failing.is_some(), "no alarm: {health:?}");
            self.refused += u32::from(refused);
        }
        self.disk.heal();
        self.heals(ledger)
    }

    fn heals(&mut self, ledger: &Ledger) -> Result<()> {
        let until = Instant::now() + HEALS_WITHIN;
        loop {
            let event = self.promises.event();
            let at_ms = event.at_ms;
            match ledger.append_blocking(event) {
                Ok(receipt) => break self.promises.acknowledged(at_ms, &receipt),
                Err(error) => ensure!(Instant::now() < until, "it does not heal: {error}"),
            }
        }
        let health = ledger.health();
        ensure!(health.damaged.is_none(), "a false alarm: {health:?}");
        ensure!(health.failing.is_none(), "it has healed and says: {health:?}");
        self.promises.published(ledger.checkpoint_blocking().context("a healed disk")?);
        Ok(())
    }

    /// Closed in order, all that was kept is there once; after a power cut, all that was acknowledged.
    fn ends(mut self, ledger: Ledger, with_a_cut: bool) -> Result<()> {
        if with_a_cut {
            self.disk.cut();
            drop(ledger);
            self.record = Record::left(&self.disk.survivors())?;
            return self.promises.check(&self.record).map(drop);
        }
        drop(ledger);
        self.disk.heal();
        let leaves = self.promises.check(&self.record)?;
        for at_ms in &self.kept {
            ensure!(leaves.contains_key(at_ms), "the event of {at_ms} was kept and is lost");
        }
        Ok(())
    }
}

/// `false`: there is no such step any more.
fn one(step: u64, way: Way) -> Result<(bool, u32)> {
    let mut run = Run::new(step)?;
    run.disk.set(Fault::Fails { step, errno: way.errno, kept: way.kept, lasting: way.lasting });
    let ledger = run.open()?;
    run.write(&ledger)?;
    let (met, refused) = (run.disk.steps() >= step, run.refused);
    // Each in another way, and the next step in the other.
    run.ends(ledger, (step + u64::from(way.kept)).is_multiple_of(2))?;
    Ok((met, refused))
}

pub(crate) fn run(full: bool) -> Result<()> {
    let mut runs = 0;
    for way in WAYS {
        let every = if full { 1 } else { way.every };
        let (next, refused, end) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(u64::MAX));
        let broken = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    loop {
                        let step = 1 + every * next.fetch_add(1, Ordering::Relaxed);
                        if step > end.load(Ordering::Relaxed) {
                            return;
                        }
                        match one(step, way) {
                            Ok((met, count)) => {
                                refused.fetch_add(count.into(), Ordering::Relaxed);
                                if !met {
                                    end.fetch_min(step - 1, Ordering::Relaxed);
                                }
                            }
                            Err(error) => {
                                end.fetch_min(step, Ordering::Relaxed);
                                if let Ok(mut broken) = broken.lock() {
                                    broken.push(format!("step {step}: {error:#}"));
                                }
                            }
                        }
                    }
                });
            }
        });
        let steps = end.load(Ordering::Relaxed) / every;
        let refused = refused.load(Ordering::Relaxed);
        println!("{way:?}: {steps} steps, {refused} refused meanwhile");
        let broken = broken.into_inner().unwrap_or_default();
        ensure!(broken.is_empty(), "{way:?}:\n{}", broken.join("\n"));
        ensure!(steps * every > 50, "{way:?} has met too few steps to show anything");
        ensure!(refused > 0 || !way.lasting, "nothing was ever refused");
        runs += steps;
    }
    println!("figure ledger_failing_steps {runs} steps");
    Ok(())
}

/// Nobody is kept longer than the record says, and when the disk goes on so does the record.
pub(crate) fn hanging() -> Result<()> {
    let mut run = Run::new(1)?;
    let ledger = run.open()?;
    run.write(&ledger)?;
    run.disk.set(Fault::Hangs { step: run.disk.steps() + 1 });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build()?;
    let in_time = |what: &str, limit: Duration, act: &mut dyn FnMut() -> bool| -> Result<()> {
        let start = Instant::now();
        let refused = act();
        let took = start.elapsed();
        println!("{what}: {took:.1?}");
        ensure!(refused, "{what} on a disk that hangs");
        ensure!(took < limit + SLACK, "{what} took {took:?}");
        Ok(())
    };
    let (first, second) = (run.promises.event(), run.promises.event());
    let kept = run.promises.event();
    run.kept.extend([second.at_ms, kept.at_ms]);
    in_time("an append is refused", APPEND_WAIT, &mut || {
        runtime.block_on(ledger.append(first.clone())).is_err()
    })?;
    in_time("a join goes on", RECORD_WAIT, &mut || {
        runtime.block_on(ledger.record(second.clone())).is_none()
    })?;
    in_time("nothing is waited for", Duration::ZERO, &mut || {
        ledger.enqueue(kept.clone());
        ledger.health().buffered > 0
    })?;
    let third = run.promises.event();
    in_time("a thread is refused", THREAD_WAIT, &mut || {
        ledger.append_blocking(third.clone()).is_err()
    })?;
    in_time("a checkpoint is refused", THREAD_WAIT, &mut || ledger.checkpoint_blocking().is_err())?;
    run.disk.heal();
    run.heals(&ledger)?;
    if run.promises.count() == 0 {
        bail!("nothing was acknowledged");
    }
    run.ends(ledger, false)
}

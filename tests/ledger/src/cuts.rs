//! The power goes, at any step of writing; what was not synced is there, in part or not at all.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use belfry_audit::{Actor, Event, Scope};
use belfry_ledger::{Ledger, Receipt, verify};
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::disk::{Disk, Fault, Lies};
use crate::record::{Record, event};

/// Of the run; the disk of each cut has one made from it.
const SEED: u64 = 20_261_123;

/// Cuts that one record outlives before a new one begins.
const CUTS_OF_ONE: u32 = 5;

/// Steps that a life has at most: enough for SQLite to fold its log into the file on the way.
const STEPS_MAX: u64 = 2_000;

/// Of a new record, at each of which the power goes once: making it takes about fifty.
const FIRST_STEPS: u64 = 250;

/// Cuts of a disk that lies; the first few of them would do.
const LYING_CUTS: u32 = 40;

/// What the record has promised.
#[derive(Default)]
pub(crate) struct Promises {
    /// By the time in the event, which is its own.
    entries: BTreeMap<i64, (u64, String)>,
    note: Option<String>,
    erased: Vec<u64>,
    events: i64,
}

impl Promises {
    /// An event that no other is like.
    pub(crate) fn event(&mut self) -> Event {
        self.events += 1;
        event(self.events)
    }

    pub(crate) fn acknowledged(&mut self, at_ms: i64, receipt: &Receipt) {
        self.entries.insert(at_ms, (receipt.seq(), receipt.hash().to_string()));
    }

    pub(crate) fn published(&mut self, note: Option<String>) {
        self.note = note.or(self.note.take());
    }

    pub(crate) fn count(&self) -> usize {
        self.entries.len()
    }

    /// Of what was acknowledged, how much is not there.
    fn lost(&self, record: &Record) -> usize {
        // A file that cannot be read has nothing.
        let there = record.leaves().unwrap_or_default();
        self.entries.iter().filter(|(at_ms, promised)| there.get(at_ms) != Some(promised)).count()
    }

    /// Starts the record on a disk without faults and holds it against what was promised.
    pub(crate) fn check(&self, record: &Record) -> Result<BTreeMap<i64, (u64, String)>> {
        if let Some(alarm) = record.start_finds() {
            anyhow::bail!("the start raises an alarm: {alarm}");
        }
        let outside: Vec<String> = self.note.iter().cloned().collect();
        verify(&record.path(), &outside, || false)?;
        let leaves = record.leaves()?;
        for (at_ms, promised) in &self.entries {
            let seq = promised.0;
            let there = leaves.get(at_ms);
            let there =
                there.with_context(|| format!("entry {seq} was acknowledged and is lost"))?;
            ensure!(there == promised, "entry {seq} is not the one that was acknowledged");
        }
        let raw = rusqlite::Connection::open(record.path())?;
        for seq in &self.erased {
            let sql = format!("SELECT count(*) FROM opening WHERE seq = {seq}");
            let left: i64 = raw.query_row(&sql, [], |row| row.get(0))?;
            ensure!(left == 0, "what was erased beside entry {seq} is there again");
        }
        Ok(leaves)
    }
}

/// Appends, publishes and erases until the power is off.
fn live(record: &Record, disk: &Disk, promises: &mut Promises, random: &mut StdRng) {
    let Ok(ledger) = Ledger::open(&record.path()) else { return };
    while !disk.is_dead() {
        // Groups of many sizes.
        for _ in 0..random.random_range(0..20) {
            ledger.enqueue(promises.event());
        }
        let event = promises.event();
        let at_ms = event.at_ms;
        let opened = random.random_range(0..4) == 0;
        let appended = if opened {
            ledger.append_with_blocking(event, &[("name", "Ann Lee")])
        } else {
            ledger.append_blocking(event)
        };
        let Ok(receipt) = appended else { return };
        promises.acknowledged(at_ms, &receipt);
        match random.random_range(0..6) {
            0 | 2 => promises.published(ledger.checkpoint_blocking().ok().flatten()),
            1 if opened => {
                let at_ms = promises.event().at_ms;
                let scope = Scope::district(1);
                let erased = vec![receipt.seq()];
                if let Ok(erasure) = ledger.erase_blocking(at_ms, scope, Actor::Appliance, erased) {
                    promises.acknowledged(at_ms, &erasure);
                    promises.erased.push(receipt.seq());
                }
            }
            _ => {}
        }
    }
}

/// What a cut broke.
struct Broken {
    lost: usize,
    says: String,
}

/// One life on a disk that dies at this step, and what is left of the record.
fn life(
    record: &Record,
    promises: &mut Promises,
    fault: Fault,
    lies: Lies,
    random: &mut StdRng,
) -> Result<Result<Record, Broken>> {
    let seed = random.random();
    let disk = Disk::under(record.folder(), seed, lies)?;
    disk.set(fault);
    live(record, &disk, promises, random);
    disk.cut();
    let left = Record::left(&disk.survivors())?;
    // What the start and the verification do to it is done to a copy: the next life begins with what was left.
    let Err(error) = promises.check(&left.copy()?) else { return Ok(Ok(left)) };
    let lost = promises.lost(&left.copy()?);
    let says = format!("{fault:?}, disk {seed}, {lost} acknowledged events lost: {error:#}");
    Ok(Err(Broken { lost, says }))
}

/// So many cuts; what each of them broke, and how many events were acknowledged in all.
fn cuts(times: u32, lies: Lies) -> Result<(Vec<Broken>, usize)> {
    let mut random = StdRng::seed_from_u64(SEED);
    let (mut record, mut promises) = (Record::in_memory()?, Promises::default());
    let (mut broken, mut acknowledged) = (Vec::new(), 0);
    for time in 0..times {
        if time % CUTS_OF_ONE == 0 {
            acknowledged += promises.count();
            (record, promises) = (Record::in_memory()?, Promises::default());
        }
        // Early ones as often as late ones: a life begins with what is rare later.
        let most = random.random_range(1..=STEPS_MAX);
        let fault = Fault::Cut { step: random.random_range(1..=most) };
        match life(&record, &mut promises, fault, lies, &mut random)? {
            Ok(left) => record = left,
            Err(found) => {
                broken.push(found);
                // It has lost what it promised; a new one goes on.
                (record, promises) = (Record::in_memory()?, Promises::default());
            }
        }
    }
    Ok((broken, acknowledged + promises.count()))
}

/// A cut at each of the first steps of a record, from the making of its file on.
fn first_steps() -> Result<Vec<Broken>> {
    let mut broken = Vec::new();
    for step in 1..=FIRST_STEPS {
        let (record, mut promises) = (Record::in_memory()?, Promises::default());
        let mut random = StdRng::seed_from_u64(SEED);
        let fault = Fault::Cut { step };
        let life = life(&record, &mut promises, fault, Lies::default(), &mut random)?;
        broken.extend(life.err());
    }
    Ok(broken)
}

pub(crate) fn run(times: u32) -> Result<()> {
    println!("seed {SEED}");
    let (mut broken, acknowledged) = cuts(times, Lies::default())?;
    broken.extend(first_steps()?);
    let all = u64::from(times) + FIRST_STEPS;
    println!("figure ledger_cuts {all} power cuts");
    println!("figure ledger_cuts_acknowledged {acknowledged} events");
    let says: Vec<_> = broken.into_iter().map(|broken| broken.says).collect();
    ensure!(says.is_empty(), "{} cuts broke the record:\n{}", says.len(), says.join("\n"));
    ensure!(acknowledged > times as usize, "too little was acknowledged to show anything");
    Ok(())
}

/// The same with a disk that says it has synced and has not: the cuts must find that. Once it lies about the
/// database and its logs, once about the files beside it.
pub(crate) fn lying() -> Result<()> {
    let (broken, _) = cuts(LYING_CUTS, Lies { database: true, beside: false })?;
    let (found, lost): (_, usize) = (broken.len(), broken.iter().map(|broken| broken.lost).sum());
    println!("figure ledger_cuts_lying {found} of {LYING_CUTS} found");
    println!("figure ledger_cuts_lying_lost {lost} events");
    ensure!(lost > 0, "no cut of a disk that syncs nothing has lost an event");
    let (broken, _) = cuts(LYING_CUTS, Lies { database: false, beside: true })?;
    let found = broken.len();
    println!("figure ledger_cuts_lying_beside {found} of {LYING_CUTS} found");
    ensure!(found > 0, "no cut of a disk that does not sync the lock was found");
    Ok(())
}

//! One bit of one byte of the file, its lock or its key, at random.

use std::fs;

use anyhow::{Result, ensure};
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::record::Record;

/// Small, so that a verification takes a millisecond and every kind of page is met often.
const ENTRIES: i64 = 60;

pub(crate) fn run(flips: u32) -> Result<()> {
    let whole = Record::of(ENTRIES)?;
    whole.fold()?;
    let says = whole.says()?;
    ensure!(whole.finds(&[]).is_none(), "unharmed: {:?}", whole.finds(&[]));
    let work = whole.copy()?;
    let file = fs::read(whole.path())?;
    let mut random = StdRng::seed_from_u64(6962);
    let (mut found, mut void) = (0_u32, 0_u32);
    for _ in 0..flips {
        let (at, bit) = (random.random_range(0..file.len()), random.random_range(0..8));
        let mut flipped = file.clone();
        flipped[at] ^= 1 << bit;
        fs::write(work.path(), &flipped)?;
        if work.finds(&[]).is_some() {
            found += 1;
        } else {
            // Nobody finds it: then it says, byte for byte, what it said before.
            let same = work.says().is_ok_and(|now| now == says);
            ensure!(same, "bit {bit} of byte {at} changes what is recorded, and is not found");
            void += 1;
        }
    }
    println!("figure ledger_flips_found {found} flips\nfigure ledger_flips_void {void} flips");
    // The rest is free space of pages, and what SQLite writes for itself.
    ensure!(found > flips / 4, "a part of the file as large as this holds what is recorded");
    for path in [whole.lock(), whole.key()] {
        let bytes = fs::read(&path)?;
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            fs::write(&path, &flipped)?;
            let name = path.display();
            ensure!(whole.finds(&[]).is_some(), "byte {at} of {name} is not found");
        }
        fs::write(&path, bytes)?;
    }
    Ok(())
}

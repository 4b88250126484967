//! A disk that forgets: between the record and its files, below SQLite.
//!
//! Everything that is written goes on to real files, so that whoever reads sees what the kernel would show.
//! Beside them is kept what would be on the medium: of each file what was synced, what was written since, and
//! the same of the names in the folder. When the power goes, of what was not synced each sector and each name
//! is there or is not, by chance; [`Disk::survivors`] is what the next start finds.
//!
//! The same place lets any one step fail, with what it did or without, and lets the disk hang.

mod vfs;

use std::collections::BTreeMap;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Once, PoisonError, Weak};

use belfry_ledger::steps::{Step, stand_between};
use rand::{Rng, SeedableRng, rngs::StdRng};

pub(crate) const EIO: i32 = 5;
pub(crate) const ENOSPC: i32 = 28;

/// That something which was not synced is on the medium all the same.
const ODDS: [f64; 5] = [0.0, 0.1, 0.5, 0.9, 1.0];

static DISKS: Mutex<Vec<Weak<Disk>>> = Mutex::new(Vec::new());

/// What the disk does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The power goes with this step.
    Cut { step: u64 },
    /// This step fails; `kept`: although it was done. `lasting`: as do all after it, until healed.
    Fails { step: u64, errno: i32, kept: bool, lasting: bool },
    /// This step and all after it wait until the disk is healed.
    Hangs { step: u64 },
}

/// What a disk says it has synced, and has not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lies {
    pub(crate) database: bool,
    pub(crate) beside: bool,
}

/// A folder on such a disk.
#[derive(Debug)]
pub(crate) struct Disk {
    folder: PathBuf,
    state: Mutex<State>,
    healed: Condvar,
}

#[derive(Debug)]
struct State {
    random: StdRng,
    sector: usize,
    steps: u64,
    fault: Option<Fault>,
    dead: bool,
    lies: Lies,
    files: Vec<Content>,
    names: BTreeMap<String, usize>,
    names_synced: BTreeMap<String, usize>,
    names_changed: Vec<Named>,
}

#[derive(Debug, Default)]
struct Content {
    synced: Vec<u8>,
    since: Vec<Written>,
}

#[derive(Debug)]
enum Written {
    Sector { at: usize, bytes: Vec<u8> },
    Length(usize),
}

#[derive(Debug)]
enum Named {
    Made(String, usize),
    Gone(String),
    Renamed { from: String, to: String, file: usize },
}

/// A change below the folder, by names and numbers of files.
#[derive(Debug)]
pub(crate) enum Change<'a> {
    Make { name: &'a str, empty: bool },
    Write { file: usize, at: usize, bytes: &'a [u8] },
    Truncate { file: usize, length: usize },
    Sync { file: usize, names: bool, database: bool },
    SyncNames { database: bool },
    Rename { from: &'a str, to: &'a str },
    Remove { name: &'a str, sync: bool },
}

/// What becomes of a step.
enum Verdict {
    Done,
    Fails {
        errno: i32,
        kept: bool,
    },
    /// The power is off.
    Dead,
}

impl Disk {
    /// From now on `folder` is on such a disk; what is in it is on the medium.
    pub(crate) fn under(folder: &Path, seed: u64, lies: Lies) -> Result<Arc<Self>> {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            vfs::register();
            stand_between(between);
        });
        let mut random = StdRng::seed_from_u64(seed);
        let sector = if random.random() { 512 } else { 4_096 };
        let (mut files, mut names) = (Vec::new(), BTreeMap::new());
        for file in std::fs::read_dir(folder)? {
            let file = file?;
            names.insert(file.file_name().to_string_lossy().into_owned(), files.len());
            files.push(Content { synced: std::fs::read(file.path())?, since: Vec::new() });
        }
        let state = State {
            random,
            sector,
            steps: 0,
            fault: None,
            dead: false,
            lies,
            files,
            names_synced: names.clone(),
            names,
            names_changed: Vec::new(),
        };
        let disk = Arc::new(Self {
            folder: folder.to_owned(),
            state: Mutex::new(state),
            healed: Condvar::new(),
        });
        let mut disks = DISKS.lock().unwrap_or_else(PoisonError::into_inner);
        disks.retain(|disk| disk.strong_count() > 0);
        disks.push(Arc::downgrade(&disk));
        Ok(disk)
    }

    /// The disk that a path is on, and its name there.
    pub(crate) fn of(path: &Path) -> Option<(Arc<Self>, &str)> {
        let name = path.file_name()?.to_str()?;
        Some((Self::of_folder(path.parent()?)?, name))
    }

    fn of_folder(folder: &Path) -> Option<Arc<Self>> {
        let disks = DISKS.lock().unwrap_or_else(PoisonError::into_inner);
        disks.iter().filter_map(Weak::upgrade).find(|disk| disk.folder == folder)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Steps are counted from 1.
    pub(crate) fn set(&self, fault: Fault) {
        self.lock().fault = Some(fault);
    }

    pub(crate) fn heal(&self) {
        self.lock().fault = None;
        self.healed.notify_all();
    }

    /// Whether steps fail at present.
    pub(crate) fn fails(&self) -> bool {
        let state = self.lock();
        matches!(state.fault, Some(Fault::Fails { step, .. }) if step <= state.steps)
    }

    pub(crate) fn steps(&self) -> u64 {
        self.lock().steps
    }

    /// The power goes now.
    pub(crate) fn cut(&self) {
        self.lock().dead = true;
        self.healed.notify_all();
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.lock().dead
    }

    /// The number of the file of this name, for the changes to come.
    fn file(&self, name: &str) -> Option<usize> {
        self.lock().names.get(name).copied()
    }

    /// One step: `act` does it to the real files. An error as the kernel would report it.
    pub(crate) fn step(
        &self,
        change: &Change<'_>,
        act: &mut dyn FnMut() -> Result<()>,
    ) -> Result<()> {
        let mut state = self.lock();
        state.steps += 1;
        while matches!(state.fault, Some(Fault::Hangs { step }) if step <= state.steps)
            && !state.dead
        {
            state = self.healed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        match state.verdict() {
            Verdict::Done => {
                act()?;
                state.remember(change);
                Ok(())
            }
            Verdict::Fails { errno, kept } => {
                if kept {
                    act()?;
                    state.remember(change);
                } else if let (Change::Sync { file, .. }, false) = (change, state.dead) {
                    // The kernel says so once, and takes the pages for clean: read they are, written never.
                    state.files[*file].since.clear();
                }
                Err(Error::from_raw_os_error(errno))
            }
            Verdict::Dead => Err(Error::from_raw_os_error(EIO)),
        }
    }

    /// What is on the medium after the power went.
    pub(crate) fn survivors(&self) -> BTreeMap<String, Vec<u8>> {
        let mut state = self.lock();
        let State { random, files, names_synced, names_changed, .. } = &mut *state;
        let mut names = names_synced.clone();
        let odds = ODDS[random.random_range(0..ODDS.len())];
        for changed in names_changed.iter().filter(|_| random.random_bool(odds)) {
            changed.apply(&mut names);
        }
        names
            .into_iter()
            .map(|(name, file)| {
                let odds = ODDS[random.random_range(0..ODDS.len())];
                let mut content = files[file].synced.clone();
                for written in files[file].since.iter().filter(|_| random.random_bool(odds)) {
                    written.apply(&mut content);
                }
                (name, content)
            })
            .collect()
    }
}

impl State {
    fn verdict(&mut self) -> Verdict {
        match self.fault {
            _ if self.dead => Verdict::Dead,
            Some(Fault::Cut { step }) if step == self.steps => {
                self.dead = true;
                // What is written at that moment may be on the medium, or in part.
                Verdict::Fails { errno: EIO, kept: self.random.random() }
            }
            Some(Fault::Fails { step, errno, kept, lasting }) if step <= self.steps => {
                if !lasting {
                    self.fault = None;
                }
                Verdict::Fails { errno, kept: kept && step == self.steps }
            }
            _ => Verdict::Done,
        }
    }

    fn remember(&mut self, change: &Change<'_>) {
        match change {
            Change::Make { name, empty } => match self.names.get(*name) {
                Some(file) if *empty => self.files[*file].since.push(Written::Length(0)),
                Some(_) => {}
                None => {
                    self.named(Named::Made((*name).to_owned(), self.files.len()));
                    self.files.push(Content::default());
                }
            },
            Change::Write { file, at, bytes } => self.write(*file, *at, bytes),
            Change::Truncate { file, length } => {
                self.files[*file].since.push(Written::Length(*length));
            }
            Change::Sync { file, names, database } => {
                if !self.lies(*database) {
                    self.files[*file].sync();
                }
                if *names {
                    self.sync_names(*database);
                }
            }
            Change::SyncNames { database } => self.sync_names(*database),
            Change::Rename { from, to } => {
                if let Some(file) = self.names.get(*from).copied() {
                    let (from, to) = ((*from).to_owned(), (*to).to_owned());
                    self.named(Named::Renamed { from, to, file });
                }
            }
            Change::Remove { name, sync } => {
                self.named(Named::Gone((*name).to_owned()));
                if *sync {
                    self.sync_names(true);
                }
            }
        }
    }

    fn lies(&self, database: bool) -> bool {
        if database { self.lies.database } else { self.lies.beside }
    }

    fn named(&mut self, named: Named) {
        named.apply(&mut self.names);
        self.names_changed.push(named);
    }

    fn sync_names(&mut self, database: bool) {
        if !self.lies(database) {
            self.names_synced = self.names.clone();
            self.names_changed.clear();
        }
    }

    /// In sectors, each of which gets to the medium by itself.
    fn write(&mut self, file: usize, mut at: usize, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = self.sector - at % self.sector;
            let (first, rest) = bytes.split_at(room.min(bytes.len()));
            self.files[file].since.push(Written::Sector { at, bytes: first.to_vec() });
            (at, bytes) = (at + first.len(), rest);
        }
    }
}

impl Content {
    fn sync(&mut self) {
        for written in self.since.drain(..) {
            written.apply(&mut self.synced);
        }
    }
}

impl Written {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Length(length) => content.resize(*length, 0),
            Self::Sector { at, bytes } => {
                let end = at + bytes.len();
                content.resize(content.len().max(end), 0);
                content[*at..end].copy_from_slice(bytes);
            }
        }
    }
}

impl Named {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Made(name, file) => drop(names.insert(name.clone(), *file)),
            Self::Gone(name) => drop(names.remove(name)),
            Self::Renamed { from, to, file } => {
                names.remove(from);
                names.insert(to.clone(), *file);
            }
        }
    }
}

/// The steps of the files beside the database: the lock and the key.
fn between(step: &Step<'_>, act: &mut dyn FnMut() -> Result<()>) -> Result<()> {
    let path = match *step {
        Step::Create { file, .. } | Step::Write { file, .. } | Step::Sync { file } => file,
        Step::Rename { from, .. } => from,
        Step::SyncFolder { folder } => {
            let Some(disk) = Disk::of_folder(folder) else { return act() };
            return disk.step(&Change::SyncNames { database: false }, act);
        }
    };
    let Some((disk, name)) = Disk::of(path) else { return act() };
    let file = || disk.file(name).ok_or(std::io::ErrorKind::NotFound);
    match *step {
        Step::Create { empty, .. } => disk.step(&Change::Make { name, empty }, act),
        // They are written whole, from the beginning.
        Step::Write { bytes, .. } => disk.step(&Change::Write { file: file()?, at: 0, bytes }, act),
        Step::Sync { .. } => {
            let change = Change::Sync { file: file()?, names: false, database: false };
            disk.step(&change, act)
        }
        Step::Rename { to, .. } => {
            let to = to.file_name().and_then(|name| name.to_str());
            let to = to.ok_or(std::io::ErrorKind::InvalidInput)?;
            disk.step(&Change::Rename { from: name, to }, act)
        }
        Step::SyncFolder { .. } => act(),
    }
}

//! The small files beside a log's entries: epochs, the prefix, the history of checkpoints, openings.

use serde::Deserialize;

use crate::canonical;
use crate::hash::{Hash, commitment, unbase64, unbase64_hash, unhex};
use crate::limits::{EPOCHS_MAX, NOTE_BYTES_MAX};
use crate::lines::Lines;
use crate::note::{Checkpoint, Note, Signed, Vkey};
use crate::report::Finding;
use crate::source::{Input, Source};
use crate::tree::Frontier;

/// A time in which one key and one origin hold: a fork or a lost key begins a new one.
#[derive(Clone, Debug)]
pub(crate) struct Epoch {
    pub first: u64,
    pub key: Vkey,
    /// Entries that were lost when it began, at least.
    pub lost: u64,
}

#[derive(Deserialize)]
struct EpochLine {
    epoch: u64,
    first: u64,
    vkey: String,
    previous: Option<Previous>,
}

#[derive(Deserialize)]
struct Previous {
    lost_at_least: u64,
}

/// All epochs of a log, in order.
#[derive(Clone, Debug)]
pub(crate) struct Epochs(Vec<Epoch>);

impl Epochs {
    pub(crate) fn read(source: &Source, file: &str) -> Result<Self, Finding> {
        let mut lines = source.lines(file)?;
        let mut epochs: Vec<Epoch> = Vec::new();
        while let Some(line) = lines.next()? {
            let line: EpochLine = parse(line, file)?;
            let key = Vkey::parse(&line.vkey).filter(|key| !key.is_witness()).ok_or_else(|| {
                Finding::tampered(file, "a key in it is not in the form of a log's key")
            })?;
            let follows = epochs.last().is_none_or(|last| last.first <= line.first);
            if line.epoch != epochs.len() as u64 + 1 || !follows || epochs.len() == EPOCHS_MAX {
                return Err(Finding::tampered(file, "its epochs are not in order"));
            }
            let lost = line.previous.map_or(0, |previous| previous.lost_at_least);
            epochs.push(Epoch { first: line.first, key, lost });
        }
        if epochs.is_empty() {
            return Err(Finding::incomplete(file, "it names no epoch, so no key"));
        }
        Ok(Self(epochs))
    }

    pub(crate) fn newest(&self) -> &Epoch {
        self.0.last().expect("read takes no empty list")
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Vkey> {
        self.0.iter().map(|epoch| &epoch.key)
    }

    /// The epoch of this origin and the one after it.
    pub(crate) fn find(&self, origin: &str) -> Option<(&Epoch, Option<&Epoch>)> {
        let at = self.0.iter().position(|epoch| epoch.key.name == origin)?;
        Some((&self.0[at], self.0.get(at + 1)))
    }

    /// A checkpoint signed by the key of its own epoch, and the note that it came in.
    pub(crate) fn checkpoint(
        &self,
        note: &[u8],
        file: &str,
    ) -> Result<(Checkpoint, Note), Finding> {
        let note =
            Note::parse(note).ok_or_else(|| Finding::tampered(file, "it is no signed note"))?;
        let checkpoint = Checkpoint::parse(&note)
            .ok_or_else(|| Finding::tampered(file, "it is no checkpoint"))?;
        let Some((epoch, _)) = self.find(&checkpoint.origin) else {
            let says = format!(
                "it is of another log, {}: either the wrong file, or the log was replaced",
                checkpoint.origin
            );
            return Err(Finding::tampered(file, says));
        };
        match note.signed_by(&epoch.key) {
            Signed::Yes { .. } => Ok((checkpoint, note)),
            Signed::Wrong => {
                Err(Finding::tampered(file, "the signature on this checkpoint is wrong"))
            }
            Signed::No => {
                Err(Finding::tampered(file, "this checkpoint is not signed with the log's key"))
            }
        }
    }

    /// Whether a checkpoint of the history lies in its epoch.
    pub(crate) fn in_its_time(&self, checkpoint: &Checkpoint) -> bool {
        self.find(&checkpoint.origin).is_some_and(|(epoch, next)| {
            epoch.first <= checkpoint.size && next.is_none_or(|next| checkpoint.size <= next.first)
        })
    }
}

#[derive(Deserialize)]
struct PrefixFile {
    first: u64,
    chain: String,
    frontier: Vec<String>,
}

/// Where the range begins: what is known of the entries before it.
pub(crate) fn prefix(source: &Source, file: &str) -> Result<(Frontier, Hash), Finding> {
    let read: PrefixFile = source.json(file)?;
    let hashes = read.frontier.iter().map(|hash| unbase64_hash(hash)).collect::<Option<Vec<_>>>();
    let tree = hashes.and_then(|hashes| Frontier::resume(read.first, hashes));
    let chain = unhex(&read.chain).filter(|chain| read.first > 0 || *chain == Hash::default());
    tree.zip(chain)
        .ok_or_else(|| Finding::tampered(file, "its hashes do not fit the place that it names"))
}

#[derive(Deserialize)]
struct HistoryLine {
    chain: String,
    note: String,
    size: u64,
}

/// A checkpoint of the history.
#[derive(Debug)]
pub(crate) struct Past {
    pub checkpoint: Checkpoint,
    pub chain: Hash,
}

/// The history, one after the other.
pub(crate) struct History {
    lines: Lines<Input>,
    file: String,
    size: u64,
}

impl History {
    pub(crate) fn open(source: &Source, file: &str) -> Result<Self, Finding> {
        Ok(Self { lines: source.lines(file)?, file: file.to_owned(), size: 0 })
    }

    pub(crate) fn next(&mut self, epochs: &Epochs) -> Result<Option<Past>, Finding> {
        let Some(line) = self.lines.next()? else { return Ok(None) };
        let line: HistoryLine = parse(line, &self.file)?;
        let number = self.lines.count();
        let wrong = |says: &str| Finding::tampered(&self.file, format!("line {number}: {says}"));
        if line.note.len() > NOTE_BYTES_MAX {
            return Err(wrong("the note is too long"));
        }
        let (checkpoint, _) =
            epochs.checkpoint(line.note.as_bytes(), &self.file).map_err(|finding| Finding {
                says: format!("line {number}: {}", finding.says),
                ..finding
            })?;
        if checkpoint.size != line.size
            || checkpoint.size < self.size
            || !epochs.in_its_time(&checkpoint)
        {
            return Err(wrong("its size does not fit its place"));
        }
        self.size = checkpoint.size;
        let chain = unhex(&line.chain).ok_or_else(|| wrong("its chain is no hash"))?;
        Ok(Some(Past { checkpoint, chain }))
    }
}

fn parse<'a, T: Deserialize<'a>>(line: &'a [u8], file: &str) -> Result<T, Finding> {
    serde_json::from_slice(line)
        .map_err(|error| Finding::tampered(file, format!("it is not in its form ({error})")))
}

/// One opening: what its entry's commitment must be.
#[derive(Debug)]
pub(crate) struct Opening {
    pub index: u64,
    pub commitment: Hash,
}

/// The openings, one after the other.
pub(crate) struct Openings {
    lines: Lines<Input>,
    file: String,
    previous: Option<u64>,
}

impl Openings {
    pub(crate) fn open(source: &Source, file: &str) -> Result<Self, Finding> {
        Ok(Self { lines: source.lines(file)?, file: file.to_owned(), previous: None })
    }

    pub(crate) fn next(&mut self) -> Result<Option<Opening>, Finding> {
        let Some(line) = self.lines.next()? else { return Ok(None) };
        let opening = read_opening(line)
            .filter(|opening| self.previous.is_none_or(|previous| previous < opening.index));
        let number = self.lines.count();
        let opening = opening.ok_or_else(|| {
            Finding::tampered(
                &self.file,
                format!("line {number} is no opening in canonical form and in order"),
            )
        })?;
        self.previous = Some(opening.index);
        Ok(Some(opening))
    }
}

/// A line of canonical JSON, so that the block's bytes in it are the block's own canonical form.
pub(crate) fn read_opening(line: &[u8]) -> Option<Opening> {
    let (mut block, mut index, mut salt, mut others) = (None, None, None, 0);
    canonical::object(line, |name, raw| match name {
        "block" => block = Some(raw),
        "index" => index = canonical::count(raw),
        "salt" => salt = canonical::text(raw).and_then(unbase64),
        _ => others += 1,
    })
    .ok()?;
    let (block, salt) = (block.filter(|block| block.starts_with(b"{"))?, salt?.try_into().ok()?);
    (others == 0).then_some(Opening { index: index?, commitment: commitment(&salt, block) })
}

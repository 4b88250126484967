//! The log folder: one pass over its entries, in constant memory.

use std::collections::BTreeMap;
use std::io::Read;

use crate::entry::{Entry, Refused};
use crate::hash::{Hash, chain};
use crate::limits::{NOTE_BYTES_MAX, OUTSIDE_MAX};
use crate::note::{Checkpoint, Note, Signed, Vkey};
use crate::options::Options;
use crate::population::Population;
use crate::prune::{Prunes, Unexplained};
use crate::report::{Code, Counts, Finding, Report};
use crate::side::{Epochs, History, Opening, Openings, Past, prefix};
use crate::source::{Input, Source};
use crate::tree::Frontier;

/// What the bundle around a log wants to know of its entries.
#[derive(Default)]
pub(crate) struct Watch {
    pub populations: Vec<Population>,
    /// Leaves by their index; asked for with zeros.
    pub leaves: BTreeMap<u64, Hash>,
    /// Witnesses' keys that the bundle names.
    pub witnesses: Vec<Vkey>,
}

/// What is known of the log once it was read.
pub(crate) struct Checked {
    pub newest: Note,
    pub size: u64,
    pub root: Hash,
    pub epochs: Epochs,
}

/// A checkpoint that somebody outside kept.
struct Outside {
    file: String,
    checkpoint: Checkpoint,
}

/// Reads the log below `folder` (empty, or with its slash).
pub(crate) fn check(
    source: &Source,
    folder: &str,
    options: &Options,
    watch: &mut Watch,
    report: &mut Report,
) -> Result<Checked, Finding> {
    let file = |name: &str| format!("{folder}{name}");
    let epochs = Epochs::read(source, &file("epochs.jsonl"))?;
    let (checkpoint, newest) = epochs.checkpoint(
        &source.read(&file("checkpoint"), NOTE_BYTES_MAX as u64)?,
        &file("checkpoint"),
    )?;
    if checkpoint.origin != epochs.newest().key.name || !epochs.in_its_time(&checkpoint) {
        return Err(Finding::tampered(&file("checkpoint"), "it is not of the newest epoch"));
    }
    let (tree, running) = prefix(source, &file("prefix.json"))?;
    report.origin = Some(checkpoint.origin.clone());
    (report.first, report.size) = (tree.size(), checkpoint.size);
    if tree.size() > checkpoint.size {
        return Err(Finding::tampered(
            &file("prefix.json"),
            "it begins after the newest checkpoint",
        ));
    }
    let outside = collect_outside(source, folder, options, watch, &epochs, report)?;
    let mut pass = Pass {
        entries: file("entries.jsonl"),
        history_file: file("checkpoints.jsonl"),
        openings_file: file("openings.jsonl"),
        good: tree.size(),
        first: tree.size(),
        target: checkpoint,
        history: History::open(source, &file("checkpoints.jsonl"))?,
        openings: Openings::open(source, &file("openings.jsonl"))?,
        next: None,
        opening: None,
        stored: Stored::open(source, &file("leaves.bin"))?,
        prunes: Prunes::default(),
        unexplained: None,
        outside_good: tree.size(),
        outside: outside.into_iter().peekable(),
        findings: Vec::new(),
        counts: &mut report.counts,
        tree,
        chain: running,
        epochs: &epochs,
        watch,
    };
    let read = pass.run(source);
    let root = pass.tree.root();
    let size = pass.target.size;
    report.findings.append(&mut pass.findings);
    read?;
    report.set_root(&root);
    Ok(Checked { newest, size, root, epochs })
}

const NOTHING_FROM_OUTSIDE: &str = "nothing from outside was compared: this does not show that the keeper of the log's key did not write it anew";

/// Checkpoints given by the auditor and those in the folder `witness`, by their size. One that is of a later time than the
/// log's end shows that the log was rolled back.
fn collect_outside(
    source: &Source,
    folder: &str,
    options: &Options,
    watch: &Watch,
    epochs: &Epochs,
    report: &mut Report,
) -> Result<Vec<Outside>, Finding> {
    let witness = format!("{folder}witness/");
    let mut given: Vec<(String, Vec<u8>, bool)> =
        options.outside.iter().map(|(name, note)| (name.clone(), note.clone(), true)).collect();
    for name in source.names().filter(|name| name.starts_with(&witness)) {
        given.push((name.to_owned(), source.read(name, NOTE_BYTES_MAX as u64)?, false));
    }
    if given.len() > OUTSIDE_MAX {
        return Err(Finding::tampered(
            &witness,
            format!("there are more than {OUTSIDE_MAX} checkpoints from outside"),
        ));
    }
    let mut outside = Vec::new();
    let mut proofs_from_outside = 0;
    for (file, note, from_auditor) in given {
        let Some((checkpoint, note)) = report.keep(epochs.checkpoint(&note, &file)) else {
            continue;
        };
        let independent = cosignatures(&file, &note, options, watch, report);
        if let Some(finding) = beyond(&file, &checkpoint, epochs, report) {
            report.findings.push(finding);
        } else if checkpoint.size < report.first {
            report.notes.push(format!(
                "{file} is of entry {}, before this range; it says nothing about it",
                checkpoint.size
            ));
        } else {
            proofs_from_outside += usize::from(from_auditor || independent);
            outside.push(Outside { file, checkpoint });
        }
    }
    if proofs_from_outside == 0 {
        report.notes.push(NOTHING_FROM_OUTSIDE.to_owned());
    }
    if options.need_outside && proofs_from_outside == 0 {
        let says = "no checkpoint from outside was given that covers this range; give one with --outside (an e-mail, a printed \
                    page, a syslog line) or a witness's key with --witness";
        report.findings.push(Finding::new(Code::Untrusted, &witness, says));
    }
    outside.sort_by_key(|outside| outside.checkpoint.size);
    Ok(outside)
}

/// Counts the cosignatures that hold; whether one is by a witness whose key the auditor gave.
fn cosignatures(
    file: &str,
    note: &Note,
    options: &Options,
    watch: &Watch,
    report: &mut Report,
) -> bool {
    let mut independent = false;
    let named = watch.witnesses.iter().filter(|key| !options.witnesses.contains(key));
    for (key, own) in
        options.witnesses.iter().map(|key| (key, true)).chain(named.map(|key| (key, false)))
    {
        match note.signed_by(key) {
            Signed::Yes { at: Some(at) } => {
                report.counts.cosignatures += 1;
                report
                    .notes
                    .push(format!("{} has seen this log at {at} (seconds since 1970)", key.name));
                independent |= own;
            }
            Signed::Yes { at: None } | Signed::No => {}
            Signed::Wrong => {
                let says = format!("the cosignature of {} is wrong", key.name);
                report.findings.push(Finding::tampered(file, says));
            }
        }
    }
    independent
}

/// A checkpoint that saw more than there is.
fn beyond(
    file: &str,
    checkpoint: &Checkpoint,
    epochs: &Epochs,
    report: &Report,
) -> Option<Finding> {
    let (_, next) = epochs.find(&checkpoint.origin)?;
    let end = next.map_or(report.size, |next| next.first.min(report.size));
    let lost = checkpoint.size.checked_sub(end).filter(|lost| *lost > 0)?;
    let declared = next.is_some_and(|next| next.first <= report.size && lost <= next.lost);
    Some(if declared {
        let says = format!(
            "the {lost} entries after entry {end} were lost; the epoch that follows declares it"
        );
        Finding::incomplete(file, says).between(end..checkpoint.size)
    } else {
        let says = format!(
            "it has seen {} entries, the log has {end} of them: it was rolled back or cut",
            checkpoint.size
        );
        Finding::tampered(file, says).between(end..checkpoint.size)
    })
}

struct Pass<'a> {
    entries: String,
    history_file: String,
    openings_file: String,
    first: u64,
    /// The newest checkpoint: where the range ends.
    target: Checkpoint,
    tree: Frontier,
    chain: Hash,
    /// Up to here the tree agrees with a signed checkpoint, and with one from outside.
    good: u64,
    outside_good: u64,
    epochs: &'a Epochs,
    history: History,
    next: Option<Past>,
    openings: Openings,
    opening: Option<Opening>,
    stored: Option<Stored>,
    prunes: Prunes,
    unexplained: Option<Unexplained>,
    outside: std::iter::Peekable<std::vec::IntoIter<Outside>>,
    findings: Vec<Finding>,
    counts: &'a mut Counts,
    watch: &'a mut Watch,
}

impl Pass<'_> {
    fn run(&mut self, source: &Source) -> Result<(), Finding> {
        self.next = self.history.next(self.epochs)?;
        self.opening = self.openings.next()?;
        if let Some(past) = self.next.as_ref().filter(|past| past.checkpoint.size < self.first) {
            let says = format!(
                "it names the checkpoint of entry {}, before the range",
                past.checkpoint.size
            );
            return Err(Finding::tampered(&self.history_file, says));
        }
        if self.first > 0
            && self.next.as_ref().is_none_or(|past| past.checkpoint.size != self.first)
        {
            return Err(Finding::incomplete(
                &self.history_file,
                "the checkpoint at which the range begins is missing",
            ));
        }
        let mut lines = source.lines(&self.entries)?;
        self.confirm()?;
        while self.tree.size() < self.target.size {
            let index = self.tree.size();
            let Some(line) = lines.next()? else {
                let says = "the log ends before its newest checkpoint; get the missing entries";
                return Err(
                    Finding::incomplete(&self.entries, says).between(index..self.target.size)
                );
            };
            let leaf = self.entry(index, line)?;
            if let Some(stored) = &mut self.stored {
                stored.compare(index, &leaf);
            }
            self.tree.push(leaf);
            self.chain = chain(&self.chain, &leaf);
            self.confirm()?;
        }
        if lines.next()?.is_some() {
            let says = "entries stand after the newest checkpoint, which nobody signed";
            return Err(Finding::tampered(&self.entries, says).at(self.target.size));
        }
        self.end()
    }

    /// One line: what stands there, and its leaf, which is never taken from what is stored beside a body.
    fn entry(&mut self, index: u64, line: &[u8]) -> Result<Hash, Finding> {
        let entry = Entry::read(line).map_err(|refused| self.refused(index, &refused))?;
        let opening = match &self.opening {
            Some(opening) if opening.index == index => {
                let next = self.openings.next()?;
                std::mem::replace(&mut self.opening, next)
            }
            _ => None,
        };
        if let Some(kept) = self.watch.leaves.get_mut(&index) {
            *kept = entry.leaf();
        }
        match entry {
            Entry::Body { op, pii, detail, leaf } => {
                self.counts.entries += 1;
                match self.prunes.event(index, op, detail) {
                    Ok(removed) => self.counts.pruned += removed,
                    Err(unexplained) => self.unexplained(unexplained),
                }
                for population in &mut self.watch.populations {
                    population.entry(index, op);
                }
                match (pii, opening) {
                    (Some(pii), Some(opening)) if opening.commitment == pii => {
                        self.counts.opened += 1;
                    }
                    (Some(_), None) => self.counts.withheld += 1,
                    (_, Some(_)) => self.false_opening(index),
                    (None, None) => {}
                }
                Ok(leaf)
            }
            Entry::Pruned { leaf, by } => {
                if opening.is_some() {
                    self.false_opening(index);
                }
                if self.prunes.removed(index, leaf, by).is_none() {
                    self.unexplained(Unexplained { first: index, count: 1 });
                }
                for population in &mut self.watch.populations {
                    population.pruned(index);
                }
                Ok(leaf)
            }
        }
    }

    fn false_opening(&mut self, index: u64) {
        let says = "the personal data here is not what the entry was made with";
        self.findings.push(Finding::tampered(&self.openings_file, says).at(index));
    }

    fn unexplained(&mut self, unexplained: Unexplained) {
        self.counts.unexplained += unexplained.count;
        let first = self.unexplained.get_or_insert(unexplained).first.min(unexplained.first);
        self.unexplained = Some(Unexplained { first, count: self.counts.unexplained });
    }

    fn refused(&self, index: u64, refused: &Refused) -> Finding {
        let finding = match refused {
            Refused::Version(version) => {
                let says = format!(
                    "it is of version {version}, which this verifier does not know; use a newer one"
                );
                Finding::new(Code::UnknownVersion, &self.entries, says)
            }
            Refused::Form => Finding::tampered(&self.entries, "it is no entry of a log"),
            Refused::NotCanonical(fault) => {
                let says = format!(
                    "it is not in canonical form (byte {}: expected {})",
                    fault.at, fault.expected
                );
                Finding::tampered(&self.entries, says)
            }
        };
        finding.at(self.first_difference().map_or(index, |earlier| earlier.min(index)))
    }

    /// The first entry whose stored leaf is another than its bytes give, if stored leaves came along.
    fn first_difference(&self) -> Option<u64> {
        self.stored.as_ref()?.differs
    }

    /// Compares with every checkpoint of this size.
    fn confirm(&mut self) -> Result<(), Finding> {
        let size = self.tree.size();
        let due = |past: &Past| past.checkpoint.size == size;
        let outside_due =
            self.outside.peek().is_some_and(|outside| outside.checkpoint.size == size);
        if !self.next.as_ref().is_some_and(due) && size != self.target.size && !outside_due {
            return Ok(());
        }
        let root = self.tree.root();
        while let Some(past) = self.next.take_if(|past| due(past)) {
            if past.checkpoint.root != root {
                return Err(self.divergence());
            }
            if past.chain != self.chain {
                let says = "the running chain is another than the entries give";
                return Err(Finding::tampered(&self.history_file, says)
                    .between(self.good..size.max(self.good + 1)));
            }
            self.counts.checkpoints += 1;
            self.next = self.history.next(self.epochs)?;
            if self.next.is_none() && past.checkpoint != self.target {
                return Err(Finding::incomplete(
                    &self.history_file,
                    "the newest checkpoint is not in it",
                ));
            }
        }
        if size == self.target.size && root != self.target.root {
            return Err(self.divergence());
        }
        self.good = size;
        while let Some(outside) = self.outside.next_if(|outside| outside.checkpoint.size == size) {
            if outside.checkpoint.root == root {
                self.outside_good = size;
                self.counts.outside += 1;
            } else {
                let says =
                    "it saw other entries than are here: the log was rewritten and signed again";
                self.findings
                    .push(Finding::tampered(&outside.file, says).between(self.outside_good..size));
            }
        }
        Ok(())
    }

    fn divergence(&self) -> Finding {
        let size = self.tree.size();
        let says = "the entries are not those that were signed";
        let finding = Finding::tampered(&self.entries, says);
        match self.first_difference() {
            Some(index) => finding.at(index),
            None if self.good < size => finding.between(self.good..size),
            None => finding,
        }
    }

    fn end(&mut self) -> Result<(), Finding> {
        if let Some(past) = &self.next {
            let says = format!(
                "it names a checkpoint of entry {}, after the newest",
                past.checkpoint.size
            );
            return Err(Finding::tampered(&self.history_file, says));
        }
        if self.counts.checkpoints == 0 {
            return Err(Finding::incomplete(
                &self.history_file,
                "the newest checkpoint is not in it",
            ));
        }
        if let Some(opening) = &self.opening {
            return Err(Finding::tampered(
                &self.openings_file,
                "it opens an entry that is not here",
            )
            .at(opening.index));
        }
        if let Some(left) = self.prunes.left() {
            self.unexplained(left);
        }
        if let Some(Unexplained { first, count }) = self.unexplained {
            let says = format!("{count} entries were removed, and no event of the log tells of it");
            self.findings.push(Finding::tampered(&self.entries, says).at(first));
        }
        match &mut self.stored {
            Some(stored) => stored.end(),
            None => Ok(()),
        }
    }
}

/// The leaves that were stored beside the entries. Nothing is concluded from them but where to look.
struct Stored {
    file: String,
    input: std::io::BufReader<Input>,
    differs: Option<u64>,
}

impl Stored {
    fn open(source: &Source, file: &str) -> Result<Option<Self>, Finding> {
        if !source.has(file) {
            return Ok(None);
        }
        let input = std::io::BufReader::with_capacity(64 * 1024, source.reader(file)?);
        Ok(Some(Self { file: file.to_owned(), input, differs: None }))
    }

    fn compare(&mut self, index: u64, leaf: &Hash) {
        let mut stored = Hash::default();
        let read = self.input.read_exact(&mut stored);
        if self.differs.is_none() && (read.is_err() || stored != *leaf) {
            self.differs = Some(index);
        }
    }

    fn end(&mut self) -> Result<(), Finding> {
        if let Some(index) = self.differs {
            let says =
                "it is not what the entries give, though the entries are those that were signed";
            return Err(Finding::tampered(&self.file, says).at(index));
        }
        match self.input.read(&mut [0]) {
            Ok(0) => Ok(()),
            _ => Err(Finding::tampered(&self.file, "it is longer than the log")),
        }
    }
}

//! What the verifier found, for people and for programs.

use std::fmt;
use std::ops::Range;

use serde::Serialize;

use crate::hash::hex;

/// The verdict, and the exit code of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// All that was looked at is as it was signed.
    Ok = 0,
    /// Something was changed, added, put in another order or rolled back.
    Tampered = 1,
    /// What is there is right, but something that belongs to it is missing.
    Incomplete = 2,
    /// Made by a later version than this verifier knows.
    UnknownVersion = 3,
    /// Right in itself, but nothing says that it is from whom it claims to be.
    Untrusted = 4,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub code: Code,
    /// The file.
    pub file: String,
    /// The first bad index of the log, or the indices between which it lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entries: Option<Range<u64>>,
    /// In plain words, with what to do where there is something to do.
    pub says: String,
}

impl Finding {
    pub fn new(code: Code, file: &str, says: impl Into<String>) -> Self {
        Self { code, file: file.to_owned(), entries: None, says: says.into() }
    }

    pub fn tampered(file: &str, says: impl Into<String>) -> Self {
        Self::new(Code::Tampered, file, says)
    }

    pub fn incomplete(file: &str, says: impl Into<String>) -> Self {
        Self::new(Code::Incomplete, file, says)
    }

    /// Names the entry.
    #[must_use]
    pub fn at(self, index: u64) -> Self {
        self.between(index..index + 1)
    }

    /// Names the entries between which the first bad one lies.
    #[must_use]
    pub fn between(mut self, entries: Range<u64>) -> Self {
        self.entries = Some(entries);
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        match &self.entries {
            Some(entries) if entries.end == entries.start + 1 => {
                write!(f, ", entry {}", entries.start)?;
            }
            Some(entries) => write!(f, ", entries {} to {}", entries.start, entries.end - 1)?,
            None => {}
        }
        write!(f, ": {}", self.says)
    }
}

/// How much of what was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Entries whose leaf was recomputed from their own bytes.
    pub entries: u64,
    /// Entries whose body was removed under a recorded rule.
    pub pruned: u64,
    /// Entries whose body is missing without one.
    pub unexplained: u64,
    /// Openings that belong to their entry's commitment.
    pub opened: u64,
    /// Entries with personal data whose opening is not here (erased, or left out at this level).
    pub withheld: u64,
    pub checkpoints: u64,
    /// Checkpoints from outside that agree, and cosignatures of witnesses that hold.
    pub outside: u64,
    pub cosignatures: u64,
    pub proofs: u64,
    pub populations: u64,
    pub files: u64,
}

/// Entries picked from one population.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sample {
    pub control: String,
    pub population: u64,
    pub indices: Vec<u64>,
}

/// All that was found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    pub findings: Vec<Finding>,
    /// What is no fault and yet worth knowing.
    pub notes: Vec<String>,
    pub counts: Counts,
    pub origin: Option<String>,
    /// The range of the log, and the root at its end in hex.
    pub first: u64,
    pub size: u64,
    pub root: Option<String>,
    pub samples: Vec<Sample>,
}

impl Report {
    /// Tampered before unknown before incomplete before untrusted.
    pub fn code(&self) -> Code {
        [Code::Tampered, Code::UnknownVersion, Code::Incomplete, Code::Untrusted]
            .into_iter()
            .find(|code| self.findings.iter().any(|finding| finding.code == *code))
            .unwrap_or(Code::Ok)
    }

    /// Keeps what a step found; `None` when it found something wrong.
    pub(crate) fn keep<T>(&mut self, result: Result<T, Finding>) -> Option<T> {
        result.map_err(|finding| self.findings.push(finding)).ok()
    }

    pub(crate) fn set_root(&mut self, root: &[u8; 32]) {
        self.root = Some(hex(root));
    }

    /// The report as one JSON object.
    pub fn json(&self) -> String {
        #[derive(Serialize)]
        struct Whole<'a> {
            code: u8,
            verdict: Code,
            #[serde(flatten)]
            report: &'a Report,
        }
        let whole = Whole { code: self.code() as u8, verdict: self.code(), report: self };
        serde_json::to_string_pretty(&whole).expect("a report has nothing that JSON cannot hold")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}",
            match self.code() {
                Code::Ok => "VERIFIED: everything is as it was signed.",
                Code::Tampered => "TAMPERED: something was changed after it was signed.",
                Code::Incomplete => "INCOMPLETE: what is here is right, but something is missing.",
                Code::UnknownVersion => "UNKNOWN VERSION: a newer verifier is needed.",
                Code::Untrusted =>
                    "TRUST NOT ESTABLISHED: right in itself; who signed it is not confirmed.",
            }
        )?;
        for finding in &self.findings {
            writeln!(f, "  ! {finding}")?;
        }
        if let (Some(origin), Some(root)) = (&self.origin, &self.root) {
            writeln!(f, "Log {origin}")?;
            writeln!(f, "  entries {} to {}, root {root}", self.first, self.size)?;
        }
        let c = &self.counts;
        writeln!(
            f,
            "  {} recomputed, {} pruned under a recorded rule, unexplained {}",
            c.entries, c.pruned, c.unexplained
        )?;
        writeln!(
            f,
            "  personal data: {} opened and matching, {} withheld or erased",
            c.opened, c.withheld
        )?;
        writeln!(
            f,
            "  {} checkpoints, {} from outside, {} witness cosignatures, {} proofs, {} populations, {} files",
            c.checkpoints, c.outside, c.cosignatures, c.proofs, c.populations, c.files
        )?;
        for note in &self.notes {
            writeln!(f, "  - {note}")?;
        }
        for sample in &self.samples {
            let indices: Vec<_> = sample.indices.iter().map(u64::to_string).collect();
            writeln!(
                f,
                "Sample of {} ({} entries): {}",
                sample.control,
                sample.population,
                indices.join(" ")
            )?;
        }
        Ok(())
    }
}

//! The exported log, as the ledger writes it: a folder `log/`.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use belfry_audit::{Hash, leaf_hash};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::Error;

/// The files that a log folder has; witnesses' notes come beside them.
pub(crate) const FILES: [&str; 5] =
    ["checkpoint", "checkpoints.jsonl", "entries.jsonl", "epochs.jsonl", "prefix.json"];
pub(crate) const OPENINGS: &str = "openings.jsonl";

/// One entry of the record, as far as tables and populations need it.
#[derive(Deserialize)]
pub(crate) struct Entry {
    pub(crate) act: Actor,
    pub(crate) at: i64,
    #[serde(default)]
    pub(crate) d: Map<String, Value>,
    pub(crate) op: String,
    pub(crate) out: String,
    pub(crate) sch: Option<i64>,
}

#[derive(Deserialize)]
pub(crate) struct Actor {
    pub(crate) id: Value,
    pub(crate) kind: String,
}

#[derive(Deserialize)]
struct Pruned {
    leaf: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Body(Entry),
    Pruned(Pruned),
}

#[derive(Deserialize)]
struct Prefix {
    first: u64,
    frontier: Vec<String>,
}

/// A log folder.
pub(crate) struct Record {
    folder: PathBuf,
    pub(crate) first: u64,
    pub(crate) frontier: Vec<Hash>,
    pub(crate) checkpoint: String,
    pub(crate) origin: String,
    pub(crate) size: u64,
    /// As the newest checkpoint has it.
    pub(crate) root: Hash,
}

fn hash(base64: &str) -> Option<Hash> {
    STANDARD.decode(base64).ok()?.try_into().ok().map(Hash)
}

impl Record {
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        let prefix: Prefix = serde_json::from_slice(&fs::read(folder.join("prefix.json"))?)?;
        let frontier = prefix.frontier.iter().map(|text| hash(text)).collect::<Option<_>>();
        let checkpoint = fs::read_to_string(folder.join("checkpoint"))?;
        let mut lines = checkpoint.lines();
        let (origin, size, root) = (
            lines.next(),
            lines.next().and_then(|size| size.parse().ok()),
            lines.next().and_then(hash),
        );
        let (Some(origin), Some(size), Some(root)) = (origin, size, root) else {
            return Err(Error::log("checkpoint", "it is no checkpoint"));
        };
        Ok(Self {
            folder: folder.to_owned(),
            first: prefix.first,
            frontier: frontier
                .ok_or_else(|| Error::log("prefix.json", "its hashes are not base64"))?,
            origin: origin.to_owned(),
            size,
            root,
            checkpoint,
        })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Each entry with its index and leaf; `None` where its body was removed.
    pub(crate) fn entries(
        &self,
        mut each: impl FnMut(u64, Hash, Option<Entry>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let file = "entries.jsonl";
        let mut index = self.first;
        self.lines(file, |line| {
            let read = serde_json::from_str(line)
                .map_err(|error| Error::log(file, format!("entry {index}: {error}")))?;
            match read {
                Line::Body(entry) => each(index, leaf_hash(line.as_bytes()), Some(entry))?,
                Line::Pruned(Pruned { leaf }) => {
                    let leaf = hash(&leaf).ok_or_else(|| {
                        Error::log(file, format!("entry {index}: its leaf is no hash"))
                    })?;
                    each(index, leaf, None)?;
                }
            }
            index += 1;
            Ok(())
        })?;
        if index == self.size { Ok(()) } else { Err(Error::Root) }
    }

    pub(crate) fn lines(
        &self,
        file: &str,
        mut each: impl FnMut(&str) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut input = BufReader::new(File::open(self.path(file))?);
        let mut line = String::new();
        while input.read_line(&mut line)? > 0 {
            each(line.trim_end_matches('\n'))?;
            line.clear();
        }
        Ok(())
    }

    /// Names of the witnesses' notes.
    pub(crate) fn witnesses(&self) -> Result<Vec<String>, Error> {
        let folder = self.path("witness");
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if !is_file_name(&name) {
                return Err(Error::Name(name));
            }
            names.push(name);
        }
        names.sort();
        Ok(names)
    }
}

/// What the verifiers take as a file's name.
pub(crate) fn is_file_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 100
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

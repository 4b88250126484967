//! A part of the record as a folder of plain files, for a verifier that shares nothing with us.
//!
//! | file | what |
//! |---|---|
//! | `entries.jsonl` | the canonical lines of the entries `first..size` |
//! | `prefix.json` | chain and frontier of what came before (RFC 6962 compact range) |
//! | `checkpoint` | the newest signed note, of `size` entries |
//! | `checkpoints.jsonl` | all signed notes from `first` to `size` |
//! | `epochs.jsonl` | the key of each epoch, and why the next began |
//! | `openings.jsonl` | personal data that entries commit to, as far as it may go out |
//! | `leaves.bin` | the stored leaf hashes: never trusted, they only help to name a bad entry |

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use belfry_audit::{Frontier, Hash};
use rusqlite::{Connection, OptionalExtension};
use serde_json::{Value, json};

use crate::disk::{self, row_id};
use crate::keeper::Epoch;

/// What goes out of the personal data beside the entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Openings {
    All,
    None,
}

/// What was exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The first entry's place in the tree, from 0.
    pub first: u64,
    /// The size of the tree that the newest checkpoint is of.
    pub size: u64,
    /// The newest signed note.
    pub checkpoint: String,
    /// The keys of the epochs, oldest first (C2SP signed-note).
    pub vkeys: Vec<String>,
}

/// Why nothing was exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("there is no checkpoint yet: the record is empty, or the appliance has just begun it")]
    NoCheckpoint,
    #[error("entries are exported from a checkpoint on; {first} is past the newest, of {size}")]
    Past { first: u64, size: u64 },
    #[error("cannot write {path}: check that the folder is empty, and that there is space")]
    Unwritable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the record cannot be read: {0}")]
    Unreadable(#[from] rusqlite::Error),
}

/// The newest signed note and the line of the key that signed it.
pub fn newest_checkpoint(record: &Path) -> Result<(String, String), ExportError> {
    let connection = disk::open_for_reading(record)?;
    let note = newest(&connection)?.ok_or(ExportError::NoCheckpoint)?.1;
    let epoch = Epoch::newest(&connection)?.ok_or(ExportError::NoCheckpoint)?;
    Ok((note, epoch.vkey))
}

/// Writes the entries from `first` on (from the last checkpoint before it, if it is none) up to the
/// newest checkpoint into `folder`, which is made and must not hold anything. The record may be in use.
pub fn export(
    record: &Path,
    first: u64,
    openings: Openings,
    folder: &Path,
) -> Result<Exported, ExportError> {
    let connection = disk::open_for_reading(record)?;
    // One moment of the record for all files.
    connection.execute_batch("BEGIN")?;
    let (size, checkpoint) = newest(&connection)?.ok_or(ExportError::NoCheckpoint)?;
    if first >= size {
        return Err(ExportError::Past { first, size });
    }
    let first = connection
        .query_row(
            "SELECT coalesce(max(size), 0) FROM checkpoint WHERE size <= ?1",
            [row_id(first)],
            |row| row.get::<_, i64>(0),
        )?
        .unsigned_abs();
    let unwritable = |source| ExportError::Unwritable { path: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(unwritable)?;
    if fs::read_dir(folder).map_err(unwritable)?.next().is_some() {
        return Err(unwritable(std::io::ErrorKind::DirectoryNotEmpty.into()));
    }
    let part = Part { connection: &connection, folder, first, size };
    part.entries()?;
    part.prefix()?;
    part.checkpoints()?;
    let vkeys = part.epochs()?;
    part.openings(openings)?;
    part.file("checkpoint")?.finish(checkpoint.as_bytes())?;
    Ok(Exported { first, size, checkpoint, vkeys })
}

fn newest(connection: &Connection) -> rusqlite::Result<Option<(u64, String)>> {
    connection
        .query_row("SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1", [], |row| {
            Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?))
        })
        .optional()
}

struct Part<'a> {
    connection: &'a Connection,
    folder: &'a Path,
    first: u64,
    size: u64,
}

/// A file being written; errors name it.
struct Out {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Out {
    fn put(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
        self.file.write_all(bytes).map_err(|source| self.unwritable(source))
    }

    /// The last bytes; on the disk when it returns.
    fn finish(mut self, bytes: &[u8]) -> Result<(), ExportError> {
        self.put(bytes)?;
        self.file.flush().map_err(|source| self.unwritable(source))?;
        self.file.get_ref().sync_all().map_err(|source| self.unwritable(source))
    }

    fn unwritable(&self, source: std::io::Error) -> ExportError {
        ExportError::Unwritable { path: self.path.clone(), source }
    }
}

impl Part<'_> {
    fn file(&self, name: &str) -> Result<Out, ExportError> {
        let path = self.folder.join(name);
        match File::create_new(&path) {
            Ok(file) => Ok(Out { path, file: BufWriter::new(file) }),
            Err(source) => Err(ExportError::Unwritable { path, source }),
        }
    }

    fn entries(&self) -> Result<(), ExportError> {
        let (mut lines, mut leaves) = (self.file("entries.jsonl")?, self.file("leaves.bin")?);
        let mut statement = self
            .connection
            .prepare("SELECT body, leaf FROM entry WHERE seq > ?1 AND seq <= ?2 ORDER BY seq")?;
        let mut rows = statement.query([row_id(self.first), row_id(self.size)])?;
        while let Some(row) = rows.next()? {
            lines.put(row.get_ref(0)?.as_bytes().map_err(rusqlite::Error::from)?)?;
            lines.put(b"\n")?;
            leaves.put(&row.get::<_, [u8; 32]>(1)?)?;
        }
        lines.finish(b"")?;
        leaves.finish(b"")
    }

    fn prefix(&self) -> Result<(), ExportError> {
        let chain = match self.first {
            0 => Hash::default(),
            first => self.connection.query_row(
                "SELECT chain FROM entry WHERE seq = ?1",
                [row_id(first)],
                |row| row.get(0).map(Hash),
            )?,
        };
        let frontier = Frontier::subtrees(self.first)
            .map(|at| disk::subtree(self.connection, at).map(|root| STANDARD.encode(root.0)))
            .collect::<Result<Vec<_>, _>>()?;
        let prefix = json!({"chain": chain.to_string(), "first": self.first, "frontier": frontier});
        self.file("prefix.json")?.finish(format!("{prefix}\n").as_bytes())
    }

    fn checkpoints(&self) -> Result<(), ExportError> {
        let mut out = self.file("checkpoints.jsonl")?;
        let mut statement = self.connection.prepare(
            "SELECT size, at_ms, chain, note FROM checkpoint WHERE size BETWEEN ?1 AND ?2 ORDER BY size",
        )?;
        let mut rows = statement.query([row_id(self.first), row_id(self.size)])?;
        while let Some(row) = rows.next()? {
            let (size, at): (i64, i64) = (row.get(0)?, row.get(1)?);
            let (chain, note): (Hash, String) = (Hash(row.get(2)?), row.get(3)?);
            let line = json!({"at": at, "chain": chain.to_string(), "note": note, "size": size});
            out.put(format!("{line}\n").as_bytes())?;
        }
        out.finish(b"")
    }

    /// The keys of the epochs, oldest first.
    fn epochs(&self) -> Result<Vec<String>, ExportError> {
        let mut out = self.file("epochs.jsonl")?;
        let mut vkeys = Vec::new();
        for epoch in Epoch::all(self.connection)? {
            let previous = epoch.previous.as_deref().map(serde_json::from_str::<Value>);
            let previous = previous.transpose().unwrap_or_default();
            let (number, first, vkey) = (epoch.number, epoch.first, epoch.vkey);
            let line =
                json!({"epoch": number, "first": first, "previous": previous, "vkey": &vkey});
            out.put(format!("{line}\n").as_bytes())?;
            vkeys.push(vkey);
        }
        out.finish(b"")?;
        Ok(vkeys)
    }

    fn openings(&self, which: Openings) -> Result<(), ExportError> {
        let mut out = self.file("openings.jsonl")?;
        if which == Openings::All {
            let mut statement = self.connection.prepare(
                "SELECT seq, salt, block FROM opening WHERE seq > ?1 AND seq <= ?2 ORDER BY seq",
            )?;
            let mut rows = statement.query([row_id(self.first), row_id(self.size)])?;
            while let Some(row) = rows.next()? {
                let (seq, salt): (i64, [u8; 32]) = (row.get(0)?, row.get(1)?);
                let (index, salt) = (seq - 1, STANDARD.encode(salt));
                let block: String = row.get(2)?;
                // The block as it was committed to; the other members have no escapes.
                let line = format!("{{\"block\":{block},\"index\":{index},\"salt\":\"{salt}\"}}\n");
                out.put(line.as_bytes())?;
            }
        }
        out.finish(b"")
    }
}

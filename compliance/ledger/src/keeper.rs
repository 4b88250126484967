//! Checkpoints: the key that signs them, the table that keeps them, and the lock beside the file.
//!
//! The lock is the last checkpoint that was published, in a small file outside of `audit.db`. It only
//! ever changes by compare-and-swap: what is there must be what this process saw last. A file that was
//! put back by a snapshot is smaller than its lock, and a second writer is noticed at its first
//! checkpoint.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use belfry_audit::{NOTE_BYTES_MAX, SignedNote, Signer, Verifier};
use rusqlite::{Connection, OptionalExtension, params};

use crate::disk::{self, Tail, is_missing, row_id};
use crate::error::OpenError;
use crate::schema::random;
use crate::steps::{Step, step};

/// A checkpoint is made after this many entries since the last.
pub(crate) const CHECKPOINT_ENTRIES: u64 = 1_000;

/// And after this time, if there is any entry since.
pub(crate) const CHECKPOINT_EVERY: Duration = Duration::from_mins(1);

/// Who may read a record, its lock and its keys: its own user.
pub(crate) const PRIVATE_MODE: u32 = 0o600;

/// Who may read a record that is shared, and its lock: its user and its group.
const SHARED_MODE: u32 = 0o640;

/// Before a record knows its district's domain.
const DOMAIN: &str = "belfry.local";

/// `audit.key`: the key of each epoch, a line each, as Go's `sumdb/note` writes keys.
pub(crate) fn key_path(record: &Path) -> PathBuf {
    record.with_extension("key")
}

/// `audit.checkpoint`: the last that was published.
pub(crate) fn lock_path(record: &Path) -> PathBuf {
    record.with_extension("checkpoint")
}

/// `audit.pub`: the public keys of a record that is shared, for those who may not read the others.
fn public_path(record: &Path) -> PathBuf {
    record.with_extension("pub")
}

/// Who may read a record may read its lock.
pub(crate) fn lock_mode(record: &Path) -> u32 {
    let of_record = fs::metadata(record).map(|found| found.permissions().mode() & SHARED_MODE);
    of_record.unwrap_or(PRIVATE_MODE)
}

/// Lets the group of a record's files read all of them but the private keys: whoever may read can look
/// things up, verify, and take evidence. To be called while the record is open.
pub fn share(record: &Path) -> Result<(), OpenError> {
    let beside = |tail: &str| {
        let mut name = record.as_os_str().to_owned();
        name.push(tail);
        PathBuf::from(name)
    };
    let shared = || fs::Permissions::from_mode(SHARED_MODE);
    for path in [record.to_owned(), beside("-wal"), beside("-shm"), lock_path(record)] {
        match fs::set_permissions(&path, shared()) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                return Err(OpenError::from_file(&path, source));
            }
            _ => {}
        }
    }
    let keys: String = known_keys(record)?.iter().map(|key| key.vkey() + "\n").collect();
    let path = public_path(record);
    write_whole(&path, keys.as_bytes(), SHARED_MODE)
        .map_err(|source| OpenError::from_file(&path, source))
}

/// Milliseconds since 1970, for people; nothing depends on it.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A line of the record's epochs.
pub(crate) struct Epoch {
    pub(crate) number: i64,
    pub(crate) first: u64,
    pub(crate) vkey: String,
    pub(crate) previous: Option<String>,
}

impl Epoch {
    pub(crate) fn all(connection: &Connection) -> rusqlite::Result<Vec<Self>> {
        connection
            .prepare("SELECT number, first, vkey, previous FROM epoch ORDER BY number")?
            .query_map([], |row| {
                Ok(Self {
                    number: row.get(0)?,
                    first: row.get::<_, i64>(1)?.unsigned_abs(),
                    vkey: row.get(2)?,
                    previous: row.get(3)?,
                })
            })?
            .collect()
    }

    pub(crate) fn newest(connection: &Connection) -> rusqlite::Result<Option<Self>> {
        Ok(Self::all(connection)?.pop())
    }

    pub(crate) fn put(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection
            .execute(
                "INSERT INTO epoch (number, first, vkey, previous) VALUES (?1, ?2, ?3, ?4)",
                params![self.number, row_id(self.first), self.vkey, self.previous],
            )
            .map(drop)
    }
}

/// What signs and publishes.
#[derive(Debug)]
pub(crate) struct Keeper {
    record: PathBuf,
    signer: Signer,
    pub(crate) subject_key: [u8; 32],
    /// The lock as this process saw or wrote it last.
    seen: Option<String>,
    /// What a write that failed may have left there.
    tried: Option<String>,
    /// The size of the newest checkpoint.
    pub(crate) published: u64,
}

impl Keeper {
    /// Opens key and lock, makes them for a new record, and holds the record against them.
    pub(crate) fn open(
        record: &Path,
        connection: &mut Connection,
        tail: &Tail,
    ) -> Result<Self, OpenError> {
        let failed = |source| OpenError::from_sqlite(record, source);
        let (appliance, subject_key): (String, [u8; 32]) = connection
            .query_row("SELECT appliance, subject_key FROM identity WHERE id = 1", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .map_err(failed)?;
        let newest: i64 = connection
            .query_row("SELECT coalesce(max(size), 0) FROM checkpoint", [], |row| row.get(0))
            .map_err(failed)?;
        let seen = read_lock(record)?;
        let Some(epoch) = Epoch::newest(connection).map_err(failed)? else {
            let signer = first_key(record, &appliance)?;
            let vkey = signer.verifier().vkey();
            let epoch = Epoch { number: 1, first: 0, vkey, previous: None };
            epoch.put(connection).map_err(failed)?;
            let record = record.to_owned();
            let keeper = Self { record, signer, subject_key, seen, tried: None, published: 0 };
            // A lock beside a record that has never published anything is somebody else's past.
            return match keeper.seen.as_deref().map(claimed_size) {
                Some(published) => Err(keeper.rolled_back(tail, published)),
                None => Ok(keeper),
            };
        };
        let signer = read_keys(record)?
            .into_iter()
            .find(|signer| signer.verifier().vkey() == epoch.vkey)
            .ok_or_else(|| OpenError::KeyGone { path: key_path(record), epoch: epoch.number })?;
        let published = newest.unsigned_abs();
        let record = record.to_owned();
        let mut keeper = Self { record, signer, subject_key, seen, tried: None, published };
        let begun = epoch.number > 1 && tail.seq == epoch.first + 1;
        if begun && keeper.lock_is_the_one_left_behind(epoch.previous.as_deref()) {
            // A fork was decided and written; only its lock had not been replaced yet.
            keeper
                .publish(connection, tail)
                .map_err(|error| error.while_opening(&keeper.record))?;
        }
        keeper.check_lock(connection, tail)?;
        Ok(keeper)
    }

    /// The newest published checkpoint.
    pub(crate) fn newest(&self) -> Option<String> {
        self.seen.clone()
    }

    fn rolled_back(&self, tail: &Tail, published: u64) -> OpenError {
        OpenError::RolledBack { path: self.record.clone(), entries: tail.seq, published }
    }

    fn lock_is_the_one_left_behind(&self, previous: Option<&str>) -> bool {
        let previous =
            previous.and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
        previous.is_some_and(|previous| previous["witnessed"].as_str() == self.seen.as_deref())
    }

    /// The lock must be ours, and our tree must continue it.
    fn check_lock(&self, connection: &Connection, tail: &Tail) -> Result<(), OpenError> {
        let Some(seen) = &self.seen else {
            // Between the first entries and the first checkpoint there is none yet.
            return match self.published {
                0 => Ok(()),
                _ => Err(OpenError::LockGone { path: lock_path(&self.record) }),
            };
        };
        let note = SignedNote::parse(seen);
        let checked = note.and_then(|note| note.verified_by(self.signer.verifier()).cloned());
        let checkpoint =
            checked.map_err(|why| OpenError::LockForeign { path: lock_path(&self.record), why })?;
        if checkpoint.size > tail.seq {
            return Err(self.rolled_back(tail, checkpoint.size));
        }
        match disk::stored_root(connection, checkpoint.size) {
            Ok(root) if root == checkpoint.root => Ok(()),
            Err(source) if !is_missing(&source) => {
                Err(OpenError::from_sqlite(&self.record, source))
            }
            _ => Err(OpenError::Forked { path: self.record.clone(), size: checkpoint.size }),
        }
    }

    /// Signs where the tree ends, publishes it, and keeps it. What is there already stays.
    ///
    /// In this order: after a power cut in between, a lock without its row is the truth; rows without the
    /// first lock would look as if somebody had deleted that.
    pub(crate) fn publish(
        &mut self,
        connection: &Connection,
        tail: &Tail,
    ) -> Result<(), PublishError> {
        let kept: Option<String> = connection
            .query_row("SELECT note FROM checkpoint WHERE size = ?1", [row_id(tail.seq)], |row| {
                row.get(0)
            })
            .optional()?;
        if let Some(note) = kept {
            self.swap(note)?;
        } else {
            let note = self.signer.sign(tail.seq, tail.frontier.root());
            self.swap(note.clone())?;
            put_checkpoint(connection, tail, &note)?;
        }
        self.published = tail.seq;
        Ok(())
    }

    fn swap(&mut self, note: String) -> Result<(), PublishError> {
        if self.seen.as_ref() == Some(&note) {
            return Ok(());
        }
        let path = lock_path(&self.record);
        let there = read_lock(&self.record).map_err(std::io::Error::other)?;
        // An error does not say that nothing was written.
        let ours = there == self.seen || there.is_some() && there == self.tried;
        if !ours {
            return Err(PublishError::Foreign);
        }
        (self.seen, self.tried) = (there, Some(note.clone()));
        write_whole(&path, note.as_bytes(), lock_mode(&self.record))?;
        (self.seen, self.tried) = (Some(note), None);
        Ok(())
    }
}

/// Why a checkpoint was not published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    #[error("somebody else has changed the last published checkpoint")]
    Foreign,
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("{0}")]
    File(#[from] std::io::Error),
}

impl PublishError {
    fn while_opening(self, record: &Path) -> OpenError {
        match self {
            Self::Foreign => OpenError::LockGone { path: lock_path(record) },
            Self::Sqlite(source) => OpenError::from_sqlite(record, source),
            Self::File(source) => OpenError::from_file(&lock_path(record), source),
        }
    }
}

pub(crate) fn put_checkpoint(
    connection: &Connection,
    tail: &Tail,
    note: &str,
) -> rusqlite::Result<()> {
    connection
        .execute(
            "INSERT INTO checkpoint (size, at_ms, chain, note) VALUES (?1, ?2, ?3, ?4)",
            params![row_id(tail.seq), now_ms(), tail.chain.0, note],
        )
        .map(drop)
}

/// The size that a lock claims, whoever signed it; the largest if it says nothing readable.
pub(crate) fn claimed_size(note: &str) -> u64 {
    note.lines().nth(1).and_then(|size| size.parse().ok()).unwrap_or(u64::MAX)
}

pub(crate) fn read_lock(record: &Path) -> Result<Option<String>, OpenError> {
    let path = lock_path(record);
    match fs::read(&path) {
        Ok(bytes) if bytes.len() > NOTE_BYTES_MAX => {
            Ok(Some(String::from_utf8_lossy(&bytes[..NOTE_BYTES_MAX]).into_owned()))
        }
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(source) if source.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(OpenError::from_file(&path, source)),
    }
}

fn key_lines(record: &Path) -> Result<Vec<String>, OpenError> {
    lines_of(&key_path(record))
}

fn lines_of(path: &Path) -> Result<Vec<String>, OpenError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
        Err(source) if source.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(OpenError::from_file(path, source)),
    }
}

/// Whether the private keys are there and not for this user.
fn keys_are_hidden(record: &Path) -> bool {
    File::open(key_path(record)).is_err_and(|why| why.kind() == ErrorKind::PermissionDenied)
}

/// The private keys that are there.
pub(crate) fn read_keys(record: &Path) -> Result<Vec<Signer>, OpenError> {
    Ok(key_lines(record)?.iter().filter_map(|line| Signer::parse(line).ok()).collect())
}

/// The public keys of all epochs: of an epoch whose private key was lost, the public one is kept.
pub(crate) fn known_keys(record: &Path) -> Result<Vec<Verifier>, OpenError> {
    let known = |line: &String| match Signer::parse(line) {
        Ok(signer) => Some(signer.verifier().clone()),
        Err(_) => Verifier::parse(line).ok(),
    };
    let hidden = keys_are_hidden(record);
    let lines = if hidden { lines_of(&public_path(record)) } else { key_lines(record) }?;
    Ok(lines.iter().filter_map(known).collect())
}

/// The origin of an epoch, which is the name of its key.
pub(crate) fn origin(appliance: &str, epoch: i64) -> String {
    format!("{DOMAIN}/audit/{appliance}/e{epoch}")
}

/// The key of the first epoch: the one that a start which did not come to its end has left, or new.
fn first_key(record: &Path, appliance: &str) -> Result<Signer, OpenError> {
    let name = origin(appliance, 1);
    let left = read_keys(record)?;
    match left.into_iter().find(|signer| signer.verifier().name() == name) {
        Some(signer) => Ok(signer),
        None => new_key(record, &name, &[]),
    }
}

/// A new key, behind those of earlier epochs; of those that were lost, the public ones.
pub(crate) fn new_key(record: &Path, name: &str, lost: &[String]) -> Result<Signer, OpenError> {
    let path = key_path(record);
    let signer =
        Signer::from_seed(name, random()).map_err(|why| OpenError::unreadable(&path, why))?;
    let mut lines = key_lines(record)?;
    lines.extend_from_slice(lost);
    lines.push(signer.skey());
    let text = lines.join("\n") + "\n";
    write_whole(&path, text.as_bytes(), PRIVATE_MODE)
        .map_err(|source| OpenError::from_file(&path, source))?;
    Ok(signer)
}

/// Either the old content or the new one, whatever happens: a new file, synced, renamed, and its
/// directory synced.
pub(crate) fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    let new = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(mode);
    let mut made = None;
    step(&Step::Create { file: &new, empty: true }, || {
        let file = options.open(&new)?;
        // Whatever the process's mask is.
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        made = Some(file);
        Ok(())
    })?;
    let mut file = made.ok_or(ErrorKind::NotFound)?;
    step(&Step::Write { file: &new, bytes }, || file.write_all(bytes))?;
    step(&Step::Sync { file: &new }, || file.sync_all())?;
    step(&Step::Rename { from: &new, to: path }, || fs::rename(&new, path))?;
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    step(&Step::SyncFolder { folder }, || File::open(folder)?.sync_all())
}

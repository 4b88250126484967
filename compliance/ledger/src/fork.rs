//! The fork ceremony: two persons decide that the record goes on although more of it was published than
//! is left.
//!
//! The new epoch has a key and an origin of its own. The tree goes on; its first entry of the epoch
//! says what was lost, and the line of the epoch keeps both checkpoints: ours and the published one.

use std::path::Path;

use belfry_audit::{Actor, Detail, Event, Person, Scope};
use rusqlite::{OptionalExtension, TransactionBehavior};

use crate::Receipt;
use crate::disk::{self, Sealed};
use crate::error::OpenError;
use crate::keeper::{self, Epoch, Keeper};
use crate::opening::Beside;
use crate::queue::Waiting;

/// What two persons decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fork {
    pub at_ms: i64,
    pub district: i64,
    /// Who decided; two different persons, whom the caller has made prove who they are.
    pub by: [Person; 2],
    /// For whoever reads it in years; no names.
    pub reason: String,
}

/// Why no epoch was begun.
#[derive(Debug, thiserror::Error)]
pub enum ForkError {
    #[error("two different persons have to decide this")]
    OnePerson,
    #[error("the record is whole and continues what was published: there is nothing to decide")]
    NotNeeded,
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// Begins a new epoch of the record at `path`, which nobody may have open. The entries that are there
/// have to agree with themselves: a file that is damaged is first replaced by a copy of it.
pub fn fork(path: &Path, fork: &Fork) -> Result<Receipt, ForkError> {
    if fork.by[0] == fork.by[1] {
        return Err(ForkError::OnePerson);
    }
    let (mut connection, tail) = disk::open(path)?;
    match Keeper::open(path, &mut connection, &tail) {
        Ok(_) => return Err(ForkError::NotNeeded),
        Err(error) if error.is_damage() => {}
        Err(error) => return Err(error.into()),
    }
    let failed = |source| OpenError::from_sqlite(path, source);
    let lock = keeper::read_lock(path)?;
    let (appliance, subject_key): (String, [u8; 32]) = connection
        .query_row("SELECT appliance, subject_key FROM identity", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .map_err(failed)?;
    let newest: Option<String> = connection
        .query_row("SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1", [], |row| row.get(0))
        .optional()
        .map_err(failed)?;
    let epochs = Epoch::all(&connection).map_err(failed)?;
    let number = epochs.last().map_or(1, |epoch| epoch.number) + 1;
    let known = keeper::known_keys(path)?;
    let known: Vec<_> = known.iter().map(belfry_audit::Verifier::vkey).collect();
    let lost_keys: Vec<_> =
        epochs.into_iter().map(|epoch| epoch.vkey).filter(|vkey| !known.contains(vkey)).collect();
    let signer = keeper::new_key(path, &keeper::origin(&appliance, number), &lost_keys)?;
    let published = lock.as_deref().map_or(0, keeper::claimed_size);
    let lost_at_least = published.saturating_sub(tail.seq);
    let previous = serde_json::json!({
        "lost_at_least": lost_at_least,
        "note": newest,
        "reason": fork.reason,
        "witnessed": lock,
    });
    let event = Event {
        at_ms: fork.at_ms,
        scope: Scope::district(fork.district),
        actor: Actor::Console,
        detail: Detail::RecordForked {
            epoch: number.unsigned_abs(),
            lost_at_least,
            first_person: fork.by[0],
            second_person: fork.by[1],
        },
    };
    let first = tail.seq;
    let (sealed, after) = disk::seal(
        tail,
        &subject_key,
        std::iter::once(&Waiting::kept(event, Beside::Nothing, None)),
    );
    let vkey = signer.verifier().vkey();
    let note = signer.sign(after.seq, after.frontier.root());
    let epoch = Epoch { number, first, vkey, previous: Some(previous.to_string()) };
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let write = || -> rusqlite::Result<()> {
        epoch.put(&transaction)?;
        disk::put_entries(&transaction, &sealed)?;
        disk::put_head(&transaction, &after)?;
        keeper::put_checkpoint(&transaction, &after, &note)
    };
    write().and_then(|()| transaction.commit()).map_err(failed)?;
    let lock = keeper::lock_path(path);
    keeper::write_whole(&lock, note.as_bytes(), keeper::lock_mode(path))
        .map_err(|source| OpenError::from_file(&lock, source))?;
    let Sealed { seq, kind, leaf, .. } = sealed[0];
    Ok(Receipt { seq, kind, leaf })
}

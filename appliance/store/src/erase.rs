//! Erasing a person: the rows first, then the bytes that they leave behind.

use std::path::{Path, PathBuf};

use belfry_model::{PersonId, Timestamp};
use rusqlite::{Connection, Transaction, params};

use crate::error::Error;
use crate::migrations::copies;
use crate::people::person_in;
use crate::writer::Store;

/// What became of an erasure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Erased {
    /// No file of the database holds a byte of it.
    Whole,
    /// The rows are gone; the file could not be written anew (the disk is full, a backup reads it), so bytes
    /// may be left in it until the next erasure or start.
    TracesLeft,
}

impl Store {
    /// Whether a lesson that has not ended holds something of this person: whoever is in it, was in it or
    /// began it.
    pub async fn is_in_lesson(&self, person: PersonId) -> Result<bool, Error> {
        self.read(move |tx| in_lesson(tx, person)).await
    }

    /// Takes an account and all that is kept about it out of the database, for good: names, password,
    /// sessions, enrolments, presence, and what was written in chats. Its number stays.
    ///
    /// Refused with [`Error::InLesson`] as long as [`Store::is_in_lesson`]. The whole file is written anew,
    /// since releases before this one left bytes of changed and deleted rows in free places; other calls wait
    /// meanwhile. Copies made before migrations are removed: nobody can change what an older release wrote.
    pub async fn erase_person(&self, person: PersonId, now: Timestamp) -> Result<Erased, Error> {
        self.write(move |tx| erase(tx, person, now)).await?;
        self.alone(move |connection, path| match scrub(connection, path, now) {
            Ok(()) => Ok(Erased::Whole),
            Err(error) => {
                tracing::error!(%error, "what was erased may have left traces in the database's file");
                Ok(Erased::TracesLeft)
            }
        })
        .await
    }

    /// When an account was erased; `None`: it was not.
    pub async fn erased_at(&self, person: PersonId) -> Result<Option<Timestamp>, Error> {
        self.read(move |tx| {
            let mut statement = tx
                .prepare_cached("SELECT erased_at FROM erased WHERE person_id = ?1")
                .map_err(Error::doing("look for an erased account"))?;
            let mut rows = statement
                .query_map([person.0], |row| row.get(0).map(Timestamp))
                .map_err(Error::doing("look for an erased account"))?;
            rows.next().transpose().map_err(Error::doing("look for an erased account"))
        })
        .await
    }
}

/// Scrubs again where an erasure before could not; called before anybody else has the connection.
pub(crate) fn finish(connection: &Connection, path: &Path) {
    let left = "SELECT EXISTS (SELECT 1 FROM erased WHERE scrubbed_at IS NULL)";
    let outcome = connection.query_row(left, [], |row| row.get(0)).and_then(|left: bool| {
        let at = "SELECT max(erased_at) FROM erased";
        let at = if left { connection.query_row(at, [], |row| row.get(0))? } else { 0 };
        Ok((left, Timestamp(at)))
    });
    let scrubbed = match outcome {
        Ok((true, at)) => scrub(connection, path, at),
        Ok((false, _)) => Ok(()),
        Err(source) => Err(Error::doing("look for erasures")(source)),
    };
    if let Err(error) = scrubbed {
        tracing::error!(%error, "what was erased may have left traces in the database's file");
    }
}

fn in_lesson(tx: &Transaction<'_>, person: PersonId) -> Result<bool, Error> {
    // A snapshot is JSON: an identity stands in it between quotes.
    tx.query_row(
        "SELECT EXISTS (
            SELECT 1 FROM lesson WHERE ended_at IS NULL AND (
                started_by = ?1 OR instr(coalesce(snapshot, ''), '\"' || ?2 || '\"') > 0
                OR EXISTS (SELECT 1 FROM chat_message WHERE lesson_id = lesson.id AND identity = ?2)
            )
        )",
        params![person.0, identity(person)],
        |row| row.get(0),
    )
    .map_err(Error::doing("look for a person in lessons"))
}

fn erase(tx: &Transaction<'_>, id: PersonId, now: Timestamp) -> Result<(), Error> {
    let failed = Error::doing("erase an account");
    let person = person_in(tx, id)?.ok_or(Error::NotFound { what: "account" })?;
    if in_lesson(tx, id)? {
        return Err(Error::InLesson);
    }
    tx.execute("DELETE FROM chat_message WHERE identity = ?1", [identity(id)]).map_err(&failed)?;
    tx.execute("DELETE FROM presence WHERE identity = ?1", [identity(id)]).map_err(&failed)?;
    // Sessions and enrolments go with the account.
    tx.execute("DELETE FROM person WHERE id = ?1", [id.0]).map_err(&failed)?;
    tx.execute(
        "INSERT INTO erased (person_id, district_id, erased_at) VALUES (?1, ?2, ?3)",
        params![id.0, person.district.0, now.0],
    )
    .map_err(&failed)?;
    Ok(())
}

/// As whom somebody with an account takes part in lessons.
fn identity(person: PersonId) -> String {
    format!("p{person}")
}

/// Leaves no byte of what is in no row any more.
fn scrub(connection: &Connection, path: &Path, now: Timestamp) -> Result<(), Error> {
    let failed = Error::doing("write the database anew");
    for copy in copies(path) {
        remove(&copy)?;
    }
    connection.execute_batch("VACUUM").map_err(&failed)?;
    // The write-ahead log holds the pages as they were: it is folded in and cut to nothing.
    let busy: i64 = connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
        .map_err(&failed)?;
    if busy != 0 {
        return Err(Error::Busy);
    }
    connection
        .execute("UPDATE erased SET scrubbed_at = ?1 WHERE scrubbed_at IS NULL", [now.0])
        .map(drop)
        .map_err(&failed)
}

fn remove(copy: &PathBuf) -> Result<(), Error> {
    match std::fs::remove_file(copy) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::Copy { path: copy.clone(), source })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;

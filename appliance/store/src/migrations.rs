//! Forward-only migrations, numbered per domain.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use crate::error::Error;

/// A part of the database with its own numbers.
pub(crate) struct Domain {
    pub(crate) name: &'static str,
    /// The first is number 1. Released ones are never changed.
    pub(crate) steps: &'static [&'static str],
}

/// In the order in which they refer to each other.
pub(crate) const DOMAINS: &[Domain] = &[
    Domain { name: "schools", steps: &[include_str!("../migrations/schools/0001.sql")] },
    Domain {
        name: "people",
        steps: &[
            include_str!("../migrations/people/0001.sql"),
            include_str!("../migrations/people/0002.sql"),
            include_str!("../migrations/people/0003.sql"),
        ],
    },
    Domain {
        name: "classes",
        steps: &[
            include_str!("../migrations/classes/0001.sql"),
            include_str!("../migrations/classes/0002.sql"),
        ],
    },
    Domain { name: "sessions", steps: &[include_str!("../migrations/sessions/0001.sql")] },
    Domain { name: "settings", steps: &[include_str!("../migrations/settings/0001.sql")] },
    Domain { name: "lessons", steps: &[include_str!("../migrations/lessons/0001.sql")] },
    Domain { name: "connections", steps: &[include_str!("../migrations/connections/0001.sql")] },
];

/// Brings the schema up to date in one transaction, after copying what was there.
pub(crate) fn migrate(
    connection: &mut Connection,
    path: &Path,
    domains: &[Domain],
) -> Result<(), Error> {
    let done = applied(connection).map_err(|source| Error::at_open(path, source))?;
    refuse_newer(&done, path, domains)?;
    let pending: Vec<_> = domains
        .iter()
        .flat_map(|domain| {
            let from = done.get(domain.name).copied().unwrap_or(0);
            domain
                .steps
                .iter()
                .enumerate()
                .skip(from)
                .map(|(index, sql)| (domain.name, index + 1, *sql))
        })
        .collect();
    if pending.is_empty() {
        return Ok(());
    }
    if !done.is_empty() {
        copy_before(connection, path, done.values().sum())?;
    }
    // A table that others refer to can only be made anew while nobody follows references; whether all of
    // them lead somewhere is looked at before the end. The switch does nothing inside a transaction.
    let follow = |connection: &Connection, on: bool| {
        let set = connection.pragma_update(None, "foreign_keys", on);
        set.map_err(|source| Error::at_open(path, source))
    };
    follow(connection, false)?;
    let applied = apply(connection, path, &pending);
    follow(connection, true)?;
    applied
}

/// All of the steps or none.
fn apply(
    connection: &mut Connection,
    path: &Path,
    pending: &[(&'static str, usize, &'static str)],
) -> Result<(), Error> {
    let failed = |step: String| {
        move |source: rusqlite::Error| match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Error::DiskFull { path: path.to_owned() },
            _ => Error::Migration { path: path.to_owned(), step, source: Box::new(source) },
        }
    };
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Exclusive)
        .map_err(|source| Error::at_open(path, source))?;
    transaction
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS migration (
                domain TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (domain, number)
            ) STRICT, WITHOUT ROWID",
        )
        .map_err(failed("table of migrations".to_owned()))?;
    for (domain, number, sql) in pending {
        transaction.execute_batch(sql).map_err(failed(format!("{domain} {number}")))?;
        transaction
            .execute(
                "INSERT INTO migration (domain, number) VALUES (?1, ?2)",
                params![domain, i64::try_from(*number).expect("a handful of steps")],
            )
            .map_err(failed(format!("{domain} {number}")))?;
        tracing::info!(domain, number, "migrated the database");
    }
    let dangling = transaction
        .prepare("PRAGMA foreign_key_check")
        .and_then(|mut statement| statement.exists([]))
        .map_err(failed("check of references".to_owned()))?;
    if dangling {
        let source = "a row refers to one that is not there".into();
        let step = "check of references".to_owned();
        return Err(Error::Migration { path: path.to_owned(), step, source });
    }
    transaction.commit().map_err(failed("commit".to_owned()))
}

/// How many steps of each domain the database has had.
fn applied(connection: &Connection) -> rusqlite::Result<HashMap<String, usize>> {
    let known = connection
        .query_row(
            "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'migration'",
            [],
            |_| Ok(()),
        )
        .optional()?;
    if known.is_none() {
        return Ok(HashMap::new());
    }
    let mut statement =
        connection.prepare("SELECT domain, max(number) FROM migration GROUP BY domain")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as usize)))?;
    rows.collect()
}

fn refuse_newer(
    done: &HashMap<String, usize>,
    path: &Path,
    domains: &[Domain],
) -> Result<(), Error> {
    for (name, number) in done {
        let known = domains.iter().find(|domain| domain.name == name).map_or(0, |d| d.steps.len());
        if *number > known {
            let what = format!("{name} {number}, this release knows {known}");
            return Err(Error::NewerSchema { path: path.to_owned(), what });
        }
    }
    Ok(())
}

/// How the names of copies go on after that of the database.
const BEFORE: &str = ".before-";
const COPYING: &str = ".copying";

/// The copies of a database that lie beside it, finished or not.
pub(crate) fn copies(path: &Path) -> Vec<PathBuf> {
    let own = path.file_name().unwrap_or_default().as_encoded_bytes();
    let is_copy = |name: &std::ffi::OsStr| {
        let tail = name.as_encoded_bytes().strip_prefix(own).unwrap_or_default();
        tail.starts_with(BEFORE.as_bytes()) || tail.starts_with(COPYING.as_bytes())
    };
    let Some(directory) = path.parent() else { return Vec::new() };
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter(|entry| is_copy(&entry.file_name())).map(|entry| entry.path()).collect()
}

/// Keeps the database as it was: `belfry.db` with 5 steps done becomes `belfry.db.before-6`.
fn copy_before(connection: &Connection, path: &Path, done_count: usize) -> Result<(), Error> {
    let named = |tail: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(tail);
        PathBuf::from(name)
    };
    let (copy, partial) = (named(&format!("{BEFORE}{}", done_count + 1)), named(COPYING));
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Migration {
        path: path.to_owned(),
        step: format!("copy to {}", copy.display()),
        source,
    };
    // A copy that a power cut left behind; VACUUM INTO wants a file that is not there.
    match std::fs::remove_file(&partial) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(failed(Box::new(error)));
        }
        _ => {}
    }
    connection.execute("VACUUM INTO ?1", [partial.to_string_lossy()]).map_err(
        |source| match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Error::DiskFull { path: path.to_owned() },
            _ => failed(Box::new(source)),
        },
    )?;
    restrict(&partial).map_err(|source| failed(Box::new(source)))?;
    std::fs::rename(&partial, &copy).map_err(|source| failed(Box::new(source)))
}

/// The copy holds what the database holds: for the owner only, and on the disk before we go on.
fn restrict(copy: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let file = std::fs::File::open(copy)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &[Domain] =
        &[Domain { name: "toys", steps: &["CREATE TABLE toy (id INTEGER) STRICT"] }];
    const SECOND: &[Domain] = &[Domain {
        name: "toys",
        steps: &["CREATE TABLE toy (id INTEGER) STRICT", "ALTER TABLE toy ADD COLUMN name TEXT"],
    }];
    const BROKEN: &[Domain] = &[Domain {
        name: "toys",
        steps: &[
            "CREATE TABLE toy (id INTEGER) STRICT",
            "ALTER TABLE toy ADD COLUMN name TEXT; nonsense",
        ],
    }];

    fn open(path: &Path) -> Connection {
        Connection::open(path).unwrap()
    }

    #[test]
    fn an_existing_database_is_copied_before_it_is_migrated() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        let mut connection = open(&path);
        migrate(&mut connection, &path, FIRST).unwrap();
        assert!(!dir.path().join("t.db.before-1").exists(), "there was nothing to copy");
        connection.execute("INSERT INTO toy VALUES (7)", []).unwrap();
        migrate(&mut connection, &path, SECOND).unwrap();
        migrate(&mut connection, &path, SECOND).unwrap();

        let copy = open(&dir.path().join("t.db.before-2"));
        let id: i64 = copy.query_row("SELECT id FROM toy", [], |row| row.get(0)).unwrap();
        assert_eq!(id, 7);
        assert!(copy.prepare("SELECT name FROM toy").is_err(), "the copy has the old schema");
        assert!(connection.prepare("SELECT name FROM toy").is_ok());
    }

    #[test]
    fn a_failed_migration_leaves_the_database_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        let mut connection = open(&path);
        migrate(&mut connection, &path, FIRST).unwrap();
        let error = migrate(&mut connection, &path, BROKEN).unwrap_err();
        assert!(
            matches!(error, Error::Migration { ref step, .. } if step == "toys 2"),
            "{error:?}"
        );
        assert!(connection.prepare("SELECT name FROM toy").is_err());
        migrate(&mut connection, &path, SECOND).unwrap();
    }

    #[test]
    fn a_newer_schema_is_refused_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        let mut connection = open(&path);
        migrate(&mut connection, &path, SECOND).unwrap();
        for older in [FIRST, &[]] {
            let error = migrate(&mut connection, &path, older).unwrap_err();
            assert!(matches!(error, Error::NewerSchema { .. }));
            assert!(error.to_string().contains("start that release"), "{error}");
        }
    }
}

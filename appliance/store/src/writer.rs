//! The one thread that owns the connection.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use crate::error::Error;
use crate::{erase, migrations};

/// Calls that may wait for the database at a time; more are told to come back.
pub const WAITING_MAX: usize = 4_096;

/// How long another process may hold the lock before we give up (a backup being taken).
const LOCK_WAIT: Duration = Duration::from_secs(5);

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// The database. Cheap to clone; the thread ends with the last clone.
#[derive(Clone)]
pub struct Store {
    jobs: mpsc::Sender<Job>,
    path: Arc<PathBuf>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database, makes it if there is none, brings its schema up to date.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let connection = connect(path)?;
        let path = Arc::new(path.to_owned());
        let (jobs, mut waiting) = mpsc::channel::<Job>(WAITING_MAX);
        std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || {
                let mut connection = connection;
                while let Some(job) = waiting.blocking_recv() {
                    job(&mut connection);
                }
                if let Err((_, error)) = connection.close() {
                    tracing::warn!(%error, "the database did not close cleanly");
                }
            })
            .map_err(|source| Error::Unreadable {
                path: path.as_ref().clone(),
                source: Box::new(source),
            })?;
        Ok(Self { jobs, path })
    }

    /// Where the database is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` in a transaction that is committed, durably, if it returns `Ok`.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.run(TransactionBehavior::Immediate, work).await
    }

    /// Runs `work` in a transaction that only reads.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.run(TransactionBehavior::Deferred, work).await
    }

    /// Runs `work` outside any transaction, with the database to itself.
    pub(crate) async fn alone<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, &Path) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let path = Arc::clone(&self.path);
        self.send(move |connection| work(connection, &path).map_err(|error| plain(&path, error)))
            .await
    }

    async fn run<T: Send + 'static>(
        &self,
        behavior: TransactionBehavior,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let path = Arc::clone(&self.path);
        self.send(move |connection| in_transaction(connection, behavior, &path, work)).await
    }

    async fn send<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // Whoever asked may have gone away meanwhile; the work is done all the same.
            let _ = answer.send(work(connection));
        });
        self.jobs.try_send(job).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => Error::Busy,
            mpsc::error::TrySendError::Closed(_) => Error::Closed,
        })?;
        answered.await.map_err(|_| Error::Closed)?
    }
}

fn in_transaction<T>(
    connection: &mut Connection,
    behavior: TransactionBehavior,
    path: &Path,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let transaction = connection
        .transaction_with_behavior(behavior)
        .map_err(|source| plain(path, Error::doing("begin a transaction")(source)))?;
    let value = work(&transaction).map_err(|error| plain(path, error))?;
    transaction
        .commit()
        .map_err(|source| plain(path, Error::doing("commit a transaction")(source)))?;
    Ok(value)
}

/// Gives the failures that a person can do something about their own sentence.
fn plain(path: &Path, error: Error) -> Error {
    match error {
        Error::Statement { doing, source } => match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Error::DiskFull { path: path.to_owned() },
            Some(ErrorCode::DatabaseCorrupt) => Error::Damaged { path: path.to_owned(), source },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::Busy,
            _ => Error::Statement { doing, source },
        },
        other => other,
    }
}

fn connect(path: &Path) -> Result<Connection, Error> {
    make_private(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection =
        Connection::open_with_flags(path, flags).map_err(|source| Error::at_open(path, source))?;
    configure(&connection).map_err(|source| Error::at_open(path, source))?;
    migrations::migrate(&mut connection, path, migrations::DOMAINS)?;
    erase::finish(&connection, path);
    Ok(connection)
}

/// Makes the file before SQLite does, so that nobody else can read it at any time; SQLite gives
/// its WAL and journal the same mode.
fn make_private(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(|source| match source.kind() {
            std::io::ErrorKind::StorageFull => Error::DiskFull { path: path.to_owned() },
            _ => Error::Unreadable { path: path.to_owned(), source: Box::new(source) },
        })
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(LOCK_WAIT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // What is deleted leaves no bytes behind; see `erase` for what was deleted before this was set.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_missing_directory_is_one_sentence() {
        let error = Store::open(Path::new("/nonexistent/belfry.db")).unwrap_err();
        assert!(error.is_fatal());
        assert_eq!(
            error.to_string(),
            "cannot open the database /nonexistent/belfry.db: check that the directory exists and that this user may read and write it"
        );
    }

    #[tokio::test]
    async fn a_file_that_is_no_database_is_called_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("belfry.db");
        std::fs::write(&path, "not a database at all, but long enough to look at".repeat(40))
            .unwrap();
        assert!(matches!(Store::open(&path).unwrap_err(), Error::Damaged { .. }));
    }

    #[tokio::test]
    async fn a_full_disk_is_one_sentence_and_the_store_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("belfry.db")).unwrap();
        let fill = |pages_max: i64| {
            let store = store.clone();
            async move {
                store
                    .write(move |tx| {
                        tx.pragma_update(None, "max_page_count", pages_max)
                            .map_err(Error::doing("limit the pages"))
                    })
                    .await
                    .unwrap();
                store
                    .write(|tx| {
                        tx.execute_batch(
                            "CREATE TABLE big (x BLOB); INSERT INTO big VALUES (randomblob(1000000));",
                        )
                        .map_err(Error::doing("fill the disk"))
                    })
                    .await
            }
        };
        let error = fill(1).await.unwrap_err();
        assert!(matches!(error, Error::DiskFull { .. }), "{error:?}");
        assert!(error.to_string().ends_with("is full: free some space and start again"));
        fill(1_000_000).await.unwrap();
    }

    #[tokio::test]
    async fn only_the_owner_can_read_the_file() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("belfry.db")).unwrap();
        let mode = std::fs::metadata(store.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

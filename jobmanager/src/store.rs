//! The durable store: one SQLite file per account (through sqlx), written before anything is said.
//!
//! * **Durable**: write-ahead log with `synchronous=FULL`: when [`Store::save`] has answered `Ok`, the record
//!   survives `kill -9` and loss of power.
//! * **Group commit**: one task owns the one connection. While it commits, further writes collect in its queue, and
//!   all of them go into the next transaction: many callers share one fsync, and a lone caller waits for no timer.
//! * **Errors belong to their caller**: a transaction that fails is rolled back and its writes are tried again one by
//!   one, so that each caller learns the fate of its own; when the disk is to blame, all of them fail. The next write starts
//!   afresh.
//! * **A full disk keeps nobody out**: opening and reading write nothing. The database is locked for this process alone, which
//!   spares SQLite the shared-memory file that it would have to make.
//!
//! The store knows nothing of jobs but their key: bodies are bytes, `state` is a number that people and queries can
//! read. Each row carries the boot it was written in, which tells a restarted manager whether a submission
//! that it finds half done can still be running (this boot) or is over with the machine's last life.

mod schema;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use sqlx::{ConnectOptions, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use crate::launch::JobKey;
use writer::{Request, Write};

/// Largest body of a record, in bytes.
pub const MAX_BODY: usize = 16 * 1024 * 1024;
/// Writes that may wait for the writer; further callers wait for a place.
const QUEUE: usize = 4096;

/// SQLite's result codes for an error of the disk …
const SQLITE_IOERR: u32 = 10;
/// … and for one without room.
const SQLITE_FULL: u32 = 13;

/// A store operation failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be opened or made.
    #[error("cannot open the job store {}: {source}", path.display())]
    Open {
        /** the database file */
        path: PathBuf,
        /** what SQLite said */
        source: Arc<sqlx::Error>,
    },
    /// The file cannot be created with mode 0600.
    #[error("cannot create the job store {}: {source}", path.display())]
    Create {
        /** the database file */
        path: PathBuf,
        /** what the system said */
        source: Arc<std::io::Error>,
    },
    /// Written by a later version of this program.
    #[error(
        "the job store has schema version {found}, this program knows up to {known}: use the newer program"
    )]
    TooNew {
        /** version in the file */
        found: i64,
        /** newest this program knows */
        known: i64,
    },
    /// The write did not happen (disk full, I/O error); trying again later may work.
    #[error("the job store could not be written: {0}")]
    Write(#[source] Arc<sqlx::Error>),
    /// The records could not be read.
    #[error("the job store could not be read: {0}")]
    Read(#[source] Arc<sqlx::Error>),
    /// A row that this program did not write.
    #[error("the job store holds a malformed row: {0}")]
    Malformed(String),
    /// The body is larger than [`MAX_BODY`].
    #[error("a record of {0} bytes is too large for the job store (limit {MAX_BODY})")]
    TooLarge(usize),
    /// The store has been closed.
    #[error("the job store is closed")]
    Closed,
}

impl StoreError {
    /// The disk is full, or broken: other writes will fare no better just now.
    fn is_about_the_disk(&self) -> bool {
        let Self::Write(error) = self else { return false };
        let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
        // The low byte of an extended result code is the plain one.
        matches!(code.map(|code| code & 0xff), Some(SQLITE_IOERR | SQLITE_FULL))
    }
}

/// One job, as the store sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Which job.
    pub key: JobKey,
    /// The job's state as a number, for queries and people; the store gives it no meaning.
    pub state: i64,
    /// Everything else, in the caller's encoding.
    pub body: Vec<u8>,
}

/// A record read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// What was saved last.
    pub record: Record,
    /// Whether it was saved since the machine was last started.
    pub this_boot: bool,
}

/// A handle on the store; clones share the one writer.
#[derive(Debug, Clone)]
pub struct Store {
    requests: mpsc::Sender<Request>,
}

impl Store {
    /// Opens the database at `path`, creating it (mode 0600) and bringing its schema up to date as needed.
    pub async fn open(path: &Path) -> Result<Store, StoreError> {
        create_private(path)?;
        let connection = connect(path).await?;
        let (requests, queue) = mpsc::channel(QUEUE);
        let boot = crate::reaper::boot_id().unwrap_or_default();
        tokio::spawn(writer::run(connection, path.to_owned(), boot, queue));
        Ok(Store { requests })
    }

    /// Every job record, in the order of their keys.
    pub async fn load_all(&self) -> Result<Vec<Stored>, StoreError> {
        let (answer, result) = oneshot::channel();
        self.send(Request::LoadJobs(answer)).await?;
        result.await.map_err(|_| StoreError::Closed)?
    }

    /// Inserts or replaces a job's record; durable when this answers `Ok`.
    pub async fn save(&self, record: Record) -> Result<(), StoreError> {
        within_limit(&record.body)?;
        self.write(Write::SaveJob(record)).await
    }

    /// Removes a job's record; no error when there is none.
    pub async fn remove(&self, key: JobKey) -> Result<(), StoreError> {
        self.write(Write::RemoveJob(key)).await
    }

    /// Every identity record, as (name, body), in the order of names.
    pub async fn load_identities(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let (answer, result) = oneshot::channel();
        self.send(Request::LoadIdentities(answer)).await?;
        result.await.map_err(|_| StoreError::Closed)?
    }

    /// Inserts or replaces what is kept per identity (its port, its credential's file …).
    pub async fn save_identity(&self, name: String, body: Vec<u8>) -> Result<(), StoreError> {
        within_limit(&body)?;
        self.write(Write::SaveIdentity(name, body)).await
    }

    /// Removes an identity's record; no error when there is none.
    pub async fn remove_identity(&self, name: String) -> Result<(), StoreError> {
        self.write(Write::RemoveIdentity(name)).await
    }

    /// Finishes what is queued and closes the database; later calls on any clone fail with [`StoreError::Closed`].
    pub async fn close(&self) {
        let (answer, done) = oneshot::channel();
        if self.requests.send(Request::Close(answer)).await.is_ok() {
            let _ = done.await;
        }
    }

    async fn write(&self, write: Write) -> Result<(), StoreError> {
        let (answer, result) = oneshot::channel();
        self.send(Request::Write(write, answer)).await?;
        result.await.map_err(|_| StoreError::Closed)?
    }

    async fn send(&self, request: Request) -> Result<(), StoreError> {
        self.requests.send(request).await.map_err(|_| StoreError::Closed)
    }
}

fn within_limit(body: &[u8]) -> Result<(), StoreError> {
    if body.len() > MAX_BODY { Err(StoreError::TooLarge(body.len())) } else { Ok(()) }
}

/// Makes the file before SQLite does, so that it (and the log files, which copy its mode) is the owner's alone.
fn create_private(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(|source| StoreError::Create { path: path.to_owned(), source: Arc::new(source) })
}

async fn connect(path: &Path) -> Result<SqliteConnection, StoreError> {
    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqliteSynchronous};
    let open_error = |source| StoreError::Open { path: path.to_owned(), source: Arc::new(source) };
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .locking_mode(SqliteLockingMode::Exclusive)
        .journal_mode(SqliteJournalMode::Wal)
        .pragma("temp_store", "memory")
        .synchronous(SqliteSynchronous::Full)
        .disable_statement_logging()
        .connect()
        .await
        .map_err(open_error)?;
    schema::migrate(&mut connection).await?;
    Ok(connection)
}

#[cfg(test)]
mod tests;

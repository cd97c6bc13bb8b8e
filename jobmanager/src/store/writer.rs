//! The task that owns the connection: takes what has queued up, writes it in one transaction, answers everybody.

use std::{path::PathBuf, sync::Arc};

use sqlx::{
    Connection, Row, Sqlite, SqliteConnection,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};
use tokio::sync::{mpsc, oneshot};

use super::{Record, StoreError, Stored, connect};
use crate::launch::JobKey;

/// Most writes in one transaction, so that the first of them does not wait long for the last.
const MAX_BATCH: usize = 512;

/// What the writer is asked.
pub(super) enum Request {
    /** make this durable */
    Write(Write, Answer<()>),
    /** read all jobs */
    LoadJobs(Answer<Vec<Stored>>),
    /** read all identities */
    LoadIdentities(Answer<Vec<(String, Vec<u8>)>>),
    /** stop */
    Close(oneshot::Sender<()>),
}

/// Where a result goes; a caller who no longer waits is no error.
pub(super) type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// One change of the database.
pub(super) enum Write {
    /** insert or replace */
    SaveJob(Record),
    /** delete */
    RemoveJob(JobKey),
    /** insert or replace */
    SaveIdentity(String, Vec<u8>),
    /** delete */
    RemoveIdentity(String),
}

/// Serves requests until it is closed or every handle is gone.
pub(super) async fn run(
    connection: SqliteConnection,
    path: PathBuf,
    boot: String,
    mut queue: mpsc::Receiver<Request>,
) {
    let mut writer = Writer { connection: Some(connection), path, boot };
    let mut requests = Vec::new();
    let mut closed = None;
    while closed.is_none() && queue.recv_many(&mut requests, MAX_BATCH).await > 0 {
        let mut writes = Vec::new();
        for request in requests.drain(..) {
            match request {
                Request::Write(write, answer) => writes.push((write, answer)),
                Request::LoadJobs(answer) => {
                    writer.commit(&mut writes).await;
                    let _ = answer.send(writer.load_jobs().await);
                }
                Request::LoadIdentities(answer) => {
                    writer.commit(&mut writes).await;
                    let _ = answer.send(writer.load_identities().await);
                }
                Request::Close(answer) => {
                    queue.close();
                    closed = Some(answer);
                }
            }
        }
        writer.commit(&mut writes).await;
    }
    // What was queued behind the close is dropped with its answers: those callers get `Closed`.
    drop(queue);
    if let Some(connection) = writer.connection.take()
        && let Err(error) = connection.close().await
    {
        tracing::warn!(%error, "closing the job store");
    }
    if let Some(answer) = closed {
        let _ = answer.send(());
    }
}

struct Writer {
    /// None after an error that leaves the connection in doubt: the next use opens a new one.
    connection: Option<SqliteConnection>,
    path: PathBuf,
    boot: String,
}

impl Writer {
    async fn connection(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(&self.path).await?,
        };
        Ok(self.connection.insert(connection))
    }

    /// Writes all in one transaction and answers; when that fails, each in its own, so that one bad write fails nobody
    /// else.
    async fn commit(&mut self, writes: &mut Vec<(Write, Answer<()>)>) {
        if writes.is_empty() {
            return;
        }
        let together = self.transaction(writes).await;
        let alone = writes.len() == 1;
        for pair in writes.drain(..) {
            let result = match &together {
                Ok(()) => Ok(()),
                Err(error) if alone || error.is_about_the_disk() => Err(StoreError::clone(error)),
                Err(_) => self.transaction(std::slice::from_ref(&pair)).await,
            };
            if let Err(error) = &result {
                tracing::error!(%error, path = %self.path.display(), "job store not written");
            }
            let _ = pair.1.send(result);
        }
    }

    async fn transaction(&mut self, writes: &[(Write, Answer<()>)]) -> Result<(), StoreError> {
        let boot = self.boot.clone();
        let connection = self.connection().await?;
        let result = write_all(connection, &boot, writes).await;
        if result.is_err() {
            // Rolled back or not, nothing is known about this connection any more. It is closed before the next one is
            // opened, for it has the database to itself.
            if let Some(connection) = self.connection.take()
                && let Err(error) = connection.close().await
            {
                tracing::warn!(%error, "closing the job store after an error");
            }
        }
        result.map_err(|error| StoreError::Write(Arc::new(error)))
    }

    async fn load_jobs(&mut self) -> Result<Vec<Stored>, StoreError> {
        let boot = self.boot.clone();
        let rows = sqlx::query("SELECT key, state, boot, body FROM job")
            .fetch_all(self.connection().await?)
            .await
            .map_err(read_error)?;
        let mut jobs = rows.iter().map(|row| stored(row, &boot)).collect::<Result<Vec<_>, _>>()?;
        jobs.sort_unstable_by_key(|job| job.record.key);
        Ok(jobs)
    }

    async fn load_identities(&mut self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let rows = sqlx::query_as("SELECT name, body FROM identity ORDER BY name");
        rows.fetch_all(self.connection().await?).await.map_err(read_error)
    }
}

fn read_error(error: sqlx::Error) -> StoreError {
    StoreError::Read(Arc::new(error))
}

async fn write_all(
    connection: &mut SqliteConnection,
    boot: &str,
    writes: &[(Write, Answer<()>)],
) -> Result<(), sqlx::Error> {
    if let [(write, _)] = writes {
        // A statement alone is a transaction, and saves its caller two turns with SQLite's thread.
        return statement(write, boot).execute(connection).await.map(drop);
    }
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for (write, _) in writes {
        statement(write, boot).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

fn statement<'a>(write: &'a Write, boot: &'a str) -> Query<'a, Sqlite, SqliteArguments> {
    match write {
        Write::SaveJob(Record { key, state, body }) => {
            sqlx::query("INSERT OR REPLACE INTO job (key, state, boot, body) VALUES (?, ?, ?, ?)")
                .bind(key.to_string())
                .bind(state)
                .bind(boot)
                .bind(body.as_slice())
        }
        Write::RemoveJob(key) => sqlx::query("DELETE FROM job WHERE key = ?").bind(key.to_string()),
        Write::SaveIdentity(name, body) => {
            sqlx::query("INSERT OR REPLACE INTO identity (name, body) VALUES (?, ?)")
                .bind(name)
                .bind(body.as_slice())
        }
        Write::RemoveIdentity(name) => sqlx::query("DELETE FROM identity WHERE name = ?").bind(name),
    }
}

fn stored(row: &SqliteRow, boot: &str) -> Result<Stored, StoreError> {
    let key: &str = row.try_get("key").map_err(read_error)?;
    let key = parse_key(key).ok_or_else(|| StoreError::Malformed(format!("job key {key:?}")))?;
    let written_in: &str = row.try_get("boot").map_err(read_error)?;
    let record = Record {
        key,
        state: row.try_get("state").map_err(read_error)?,
        body: row.try_get("body").map_err(read_error)?,
    };
    // An unknown boot id (no /proc) equals nothing, not even itself.
    Ok(Stored { record, this_boot: !boot.is_empty() && written_in == boot })
}

/// The inverse of `JobKey`'s `Display`.
fn parse_key(text: &str) -> Option<JobKey> {
    let (high, low) = text.split_once('.')?;
    Some(JobKey { high: high.parse().ok()?, low: low.parse().ok()? })
}

//! The tables, as a list of steps: a file at version n gets the steps after the n-th.

use std::sync::Arc;

use sqlx::{Connection, SqliteConnection};

use super::StoreError;

/// Each step turns version i into i + 1. Steps that have been released never change; add new ones at the end.
const STEPS: &[&str] = &["
    CREATE TABLE job (
        key   TEXT PRIMARY KEY,   -- high.low
        state INTEGER NOT NULL,
        boot  TEXT NOT NULL,      -- boot id of the machine when the row was written
        body  BLOB NOT NULL
    );
    CREATE TABLE identity (
        name  TEXT PRIMARY KEY,
        body  BLOB NOT NULL
    );
"];

/// Brings the schema up to date, all or nothing.
pub(super) async fn migrate(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let found: i64 = sqlx::query_scalar("PRAGMA user_version")
        .fetch_one(&mut *connection)
        .await
        .map_err(|error| StoreError::Read(Arc::new(error)))?;
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    if found > known || found < 0 {
        return Err(StoreError::TooNew { found, known });
    }
    let done = usize::try_from(found).unwrap_or(0);
    if done == STEPS.len() {
        return Ok(());
    }
    let mut transaction = connection.begin().await.map_err(failed)?;
    for step in STEPS.iter().skip(done) {
        sqlx::raw_sql(*step).execute(&mut *transaction).await.map_err(failed)?;
    }
    // PRAGMA takes no bound values; the number is ours.
    let version = sqlx::AssertSqlSafe(format!("PRAGMA user_version = {known}"));
    sqlx::raw_sql(version).execute(&mut *transaction).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)
}

fn failed(error: sqlx::Error) -> StoreError {
    StoreError::Write(Arc::new(error))
}

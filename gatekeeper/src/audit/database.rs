//! The audit lines in a database, SQLite or PostgreSQL, for sites that want to ask more than a file answers.
//!
//! The file stays the truth. A row is a line with the columns that questions are about; rows are named by the request's
//! id, so lines may be added again.

use super::entry::{Entry, Question};
use jiff::Timestamp;
use sqlx::any::{AnyPoolOptions, AnyRow};
use sqlx::{AnyPool, Row};
use std::time::Duration;

/// How long to wait for the server.
const PATIENCE: Duration = Duration::from_secs(10);

/// What both databases understand.
const SCHEMA: [&str; 4] = [
    "CREATE TABLE IF NOT EXISTS audit (request TEXT PRIMARY KEY, at BIGINT NOT NULL, outcome TEXT NOT NULL, \
     code TEXT, identity TEXT, account TEXT, job TEXT, line TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS audit_at ON audit (at)",
    "CREATE INDEX IF NOT EXISTS audit_identity ON audit (identity)",
    "CREATE INDEX IF NOT EXISTS audit_account ON audit (account)",
];

const INSERT: &str = "INSERT INTO audit (request, at, outcome, code, identity, account, job, line) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (request) DO NOTHING";

/// Where nothing is asked of a column the parameter is NULL. PostgreSQL wants to be told what type a NULL has.
const SELECT: &str = "SELECT request, line FROM audit WHERE \
    (CAST($1 AS TEXT) IS NULL OR request = $1) AND (CAST($2 AS TEXT) IS NULL OR outcome = $2) AND \
    (CAST($3 AS TEXT) IS NULL OR code = $3) AND (CAST($4 AS TEXT) IS NULL OR account = $4) AND \
    (CAST($5 AS TEXT) IS NULL OR LOWER(identity) LIKE $5 ESCAPE '!') AND \
    (CAST($6 AS TEXT) IS NULL OR job = $6 OR job = $6 || '/') AND \
    at >= $7 AND at < $8 ORDER BY at DESC LIMIT $9";

/// Why the database is of no use at the moment.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// A URL of another kind, or with a secret in it.
    #[error("audit_database: {0}")]
    Url(String),
    /// What the database says.
    #[error("audit database: {0}")]
    Database(#[from] sqlx::Error),
    /// A row that nobody here wrote.
    #[error("audit database: request {request}: {reason}")]
    Row {
        /// Which.
        request: String,
        /// What is wrong.
        reason: String,
    },
}

/// A database with the audit table.
#[derive(Debug, Clone)]
pub struct Database(AnyPool);

/// Whether a URL names a database we know, and no password: the configuration is not a secret, and neither is it kept as
/// one. PostgreSQL passwords belong into `~/.pgpass`; none is needed over a Unix socket.
pub fn check_url(url: &str) -> Result<(), DatabaseError> {
    let wrong = |reason: &str| Err(DatabaseError::Url(reason.to_owned()));
    let Some((scheme, rest)) = url.split_once(':') else {
        return wrong("not a URL; write sqlite:///path/audit.sqlite or postgres:///name");
    };
    if !["sqlite", "postgres", "postgresql"].contains(&scheme) {
        return wrong("only sqlite: and postgres: are known");
    }
    let authority = rest.trim_start_matches('/').split('/').next().unwrap_or_default();
    let has_password = authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
    if has_password || rest.contains("password=") {
        return wrong("it holds a password, and this file is no place for one; put it into ~/.pgpass");
    }
    Ok(())
}

impl Database {
    /// Connects, and makes the table when it is not there. SQLite's file is made too.
    pub async fn open(url: &str) -> Result<Self, DatabaseError> {
        check_url(url)?;
        sqlx::any::install_default_drivers();
        let url = match url.strip_prefix("sqlite:") {
            Some(path) if !path.contains('?') => format!("sqlite:{path}?mode=rwc"),
            _ => url.to_owned(),
        };
        let pool = AnyPoolOptions::new().max_connections(2).acquire_timeout(PATIENCE).connect(&url).await?;
        if sqlx::query("SELECT 1 FROM audit WHERE 1 = 0").fetch_optional(&pool).await.is_err() {
            for statement in SCHEMA {
                sqlx::query(statement).execute(&pool).await?;
            }
        }
        Ok(Self(pool))
    }

    /// Adds lines; those that are there already stay as they are. All or, with an error, none.
    pub async fn add(&self, entries: &[Entry]) -> Result<(), DatabaseError> {
        let mut transaction = self.0.begin().await?;
        for entry in entries {
            // Serialising our own plain struct cannot fail.
            let line = serde_json::to_string(entry).unwrap_or_default();
            sqlx::query(INSERT)
                .bind(entry.request.clone())
                .bind(entry.time.as_microsecond())
                .bind(entry.outcome.clone())
                .bind(entry.code.clone())
                .bind(entry.identity.clone())
                .bind(entry.account.clone())
                .bind(entry.job.clone())
                .bind(line)
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// The last `limit` lines that fit, oldest first.
    pub async fn find(&self, question: &Question, limit: u32) -> Result<Vec<Entry>, DatabaseError> {
        let identity =
            question.identity.as_ref().map(|part| format!("%{}%", escape_like(&part.to_lowercase())));
        let job = question.job.as_ref().map(|job| job.trim_end_matches('/').to_owned());
        let rows = sqlx::query(SELECT)
            .bind(question.request.clone())
            .bind(question.outcome.clone())
            .bind(question.code.clone())
            .bind(question.account.clone())
            .bind(identity)
            .bind(job)
            .bind(question.since.map_or(i64::MIN, Timestamp::as_microsecond))
            .bind(question.until.map_or(i64::MAX, Timestamp::as_microsecond))
            .bind(i64::from(limit))
            .fetch_all(&self.0)
            .await?;
        let mut entries = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        entries.reverse();
        Ok(entries)
    }

    /// Lets go of the connections.
    pub async fn close(self) {
        self.0.close().await;
    }
}

fn read(row: &AnyRow) -> Result<Entry, DatabaseError> {
    let line: String = row.try_get("line")?;
    Entry::parse(&line)
        .map_err(|reason| DatabaseError::Row { request: row.try_get("request").unwrap_or_default(), reason })
}

/// `%` and `_` as themselves.
fn escape_like(text: &str) -> String {
    text.replace('!', "!!").replace('%', "!%").replace('_', "!_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: i64, account: &str) -> Entry {
        let line = format!(
            r#"{{"time":"2026-11-21T19:00:0{number}Z","request":"r{number}","outcome":"granted",
            "identity":"/O=Grid_1/CN={account}","account":"{account}","job":"https://h:1/{number}/","line":7}}"#
        );
        Entry::parse(&line).unwrap()
    }

    #[tokio::test]
    async fn lines_are_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("audit.sqlite").display());
        let database = Database::open(&url).await.unwrap();
        let entries = [entry(1, "ann"), entry(2, "bob"), entry(3, "Ann")];
        database.add(&entries).await.unwrap();
        database.add(&entries[1..]).await.unwrap();
        database.close().await;
        let database = Database::open(&url).await.unwrap();
        assert_eq!(database.find(&Question::default(), 10).await.unwrap(), entries);
        assert_eq!(database.find(&Question::default(), 2).await.unwrap(), entries[1..]);
        let text = |text: &str| Some(text.to_owned());
        for question in [
            Question { identity: text("grid_1/cn=ANN"), ..Question::default() },
            Question { identity: text("grid%"), ..Question::default() },
            Question { job: text("https://h:1/2"), ..Question::default() },
            Question { account: text("bob"), since: Some(entries[1].time), ..Question::default() },
            Question { until: Some(entries[1].time), outcome: text("granted"), ..Question::default() },
            Question { code: text("banned"), ..Question::default() },
        ] {
            let by_hand: Vec<_> = entries.iter().filter(|entry| question.fits(entry)).cloned().collect();
            assert_eq!(database.find(&question, 10).await.unwrap(), by_hand, "{question:?}");
        }
    }

    #[test]
    fn urls() {
        for good in ["sqlite:///a/b", "sqlite:a", "postgres:///audit", "postgres://me@h/audit?host=/run"] {
            check_url(good).unwrap();
        }
        for bad in ["mysql://h/x", "audit", "postgres://me:secret@h/audit", "postgres:///audit?password=x"] {
            check_url(bad).unwrap_err();
        }
    }
}

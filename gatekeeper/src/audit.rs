//! The audit: one JSON line per decision, written with one append, and copied into a database where one is configured.

pub mod database;
pub mod entry;
mod file;
pub mod reader;
pub mod recorder;

use crate::metrics::{Decision, Metrics};
use crate::refusal::Refusal;
use entry::Entry;
use file::AuditFile;
use recorder::Recorder;
use serde::Serialize;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Longest text of a peer that gets into a line, in characters.
const MAX_TEXT: usize = 1024;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Served: a pong, the versions, or a job request that the job manager accepted.
    Granted,
    /// Let in, and the job manager refused the job.
    Rejected,
    /// Not let in, or not understood.
    Refused,
}

/// One line. What was not known yet when the decision fell is absent.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    /// When the connection came in, UTC.
    pub time: String,
    /// The id that follows a request through gatekeeper, job manager and scheduler.
    pub request: String,
    /// Address and port of the other end.
    pub peer: SocketAddr,
    /// Subject of the certificate shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Whose certificate it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// Whether it is a limited proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limited: Option<bool>,
    /// `ping`, `version` or `job`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<&'static str>,
    /// The service asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The account asked for, then the one granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The file that decided: the gridmap, or the one that speaks against it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The line of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The GRAM error number of the job manager's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<u16>,
    /// The job contact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// The stable name of the reason of a refusal (docs/refusals.md).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// The true reason of a refusal, which the client does not learn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What a stricter site would have refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

impl Record {
    /// For a connection that has just come in.
    pub fn new(time: jiff::Timestamp, request: String, peer: SocketAddr) -> Self {
        Self {
            time: time.to_string(),
            request,
            peer,
            subject: None,
            identity: None,
            limited: None,
            operation: None,
            service: None,
            account: None,
            file: None,
            line: None,
            error: None,
            job: None,
            code: None,
            reason: None,
            warning: None,
        }
    }

    /// It is refused.
    pub fn refused(&mut self, refusal: &Refusal) {
        tracing::info!(code = refusal.code(), %refusal, "refused");
        self.code = Some(refusal.code());
        self.reason = Some(refusal.to_string());
        if let Some((file, line)) = refusal.place() {
            (self.file, self.line) = (Some(file.to_owned()), line);
        }
    }

    /// The words under which it is counted.
    fn counted(&self, outcome: Outcome) -> Decision {
        let (outcome, code) = match outcome {
            Outcome::Granted => ("granted", "ok"),
            Outcome::Rejected => ("rejected", "job_manager_said_no"),
            Outcome::Refused => ("refused", "refused"),
        };
        Decision { operation: self.operation.unwrap_or("none"), outcome, code: self.code.unwrap_or(code) }
    }

    /// The line, with its end. JSON escapes whatever a peer has put into its texts; long ones are cut.
    fn line(&self, outcome: Outcome) -> serde_json::Result<Vec<u8>> {
        #[derive(Serialize)]
        struct Line<'a> {
            #[serde(flatten)]
            record: &'a Record,
            outcome: Outcome,
        }
        let mut record = self.clone();
        let texts = [&mut record.subject, &mut record.identity, &mut record.service, &mut record.account];
        for text in
            texts.into_iter().chain([&mut record.job, &mut record.reason, &mut record.warning]).flatten()
        {
            if let Some((end, _)) = text.char_indices().nth(MAX_TEXT) {
                text.truncate(end);
            }
        }
        let mut line = serde_json::to_vec(&Line { record: &record, outcome })?;
        line.push(b'\n');
        Ok(line)
    }
}

/// Where and how decisions are recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditConfig {
    /// The file.
    pub file: PathBuf,
    /// It is put aside when it is larger than this, in bytes; 0: never.
    pub rotate_bytes: u64,
    /// So many files are kept that were put aside.
    pub keep: usize,
    /// A database that gets every line too.
    pub database: Option<String>,
}

/// The audit: file, database and counters.
#[derive(Debug)]
pub struct Audit {
    config: AuditConfig,
    file: AuditFile,
    database: Mutex<Option<(Recorder, JoinHandle<()>)>>,
    metrics: Metrics,
}

impl Audit {
    /// Opens or creates the file (0600), and its folder (0700). Whether the database is there is seen later: what is
    /// recorded waits for it.
    pub fn open(config: AuditConfig, metrics: Metrics) -> io::Result<Self> {
        let file = AuditFile::open(&config)?;
        let database = config.database.clone().map(|url| {
            let (recorder, writing) = Recorder::new(url);
            (recorder, tokio::spawn(writing))
        });
        Ok(Self { config, file, database: Mutex::new(database), metrics })
    }

    /// As it was opened.
    pub fn config(&self) -> &AuditConfig {
        &self.config
    }

    /// Records one decision. One that cannot be recorded is logged with its content.
    pub fn write(&self, record: &Record, outcome: Outcome) {
        self.metrics.decisions.get_or_create(&record.counted(outcome)).inc();
        let written = record.line(outcome).map_err(io::Error::from).and_then(|line| {
            // Also when it waits for room in the file.
            self.copy(&line);
            self.file.append(line)
        });
        if let Err(error) = written {
            self.metrics.audit_failures.inc();
            tracing::error!(%error, path = %self.config.file.display(), ?record, ?outcome, "audit line not written");
        }
    }

    /// Whether decisions can be recorded, or at least wait until they can be.
    pub fn is_open(&self) -> bool {
        self.file.is_open()
    }

    /// For the database.
    fn copy(&self, line: &[u8]) {
        let database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((recorder, _)) = &*database else { return };
        let entry = Entry::parse(&String::from_utf8_lossy(line));
        if !entry.is_ok_and(|entry| recorder.record(entry)) {
            self.metrics.audit_failures.inc();
            tracing::error!("an audit line is in the file only; later: gridiron audit --import");
        }
    }

    /// Waits until the database has what was recorded, for so long.
    pub async fn close(&self, patience: Duration) {
        let database = self.database.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((recorder, writing)) = database else { return };
        drop(recorder);
        if tokio::time::timeout(patience, writing).await.is_err() {
            tracing::error!("audit lines are in the file only; later: gridiron audit --import");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use database::Database;
    use entry::Question;

    fn record() -> Record {
        Record::new(jiff::Timestamp::UNIX_EPOCH, "r1".into(), "[::1]:5".parse().unwrap())
    }

    #[tokio::test]
    async fn a_decision_is_in_the_file_in_the_database_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log/audit.jsonl");
        let url = format!("sqlite:{}", folder.path().join("audit.sqlite").display());
        let config =
            AuditConfig { file: path.clone(), rotate_bytes: 0, keep: 0, database: Some(url.clone()) };
        let metrics = Metrics::default();
        let audit = Audit::open(config, metrics.clone()).unwrap();
        audit.write(&record(), Outcome::Granted);
        let hostile = Record {
            request: "r2".into(),
            subject: Some("/CN=\"x\"\n{".into()),
            reason: Some("é".repeat(5000)),
            code: Some("banned"),
            ..record()
        };
        audit.write(&hostile, Outcome::Refused);
        audit.close(Duration::from_secs(20)).await;

        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0]["outcome"], "granted");
        assert_eq!(lines[0]["time"], "1970-01-01T00:00:00Z");
        assert_eq!(lines[0].get("subject"), None);
        assert_eq!(lines[1]["subject"], "/CN=\"x\"\n{");
        assert_eq!(lines[1]["reason"].as_str().unwrap().chars().count(), MAX_TEXT);

        let entries = Database::open(&url).await.unwrap().find(&Question::default(), 9).await.unwrap();
        let copies: Vec<_> = entries.iter().map(|entry| serde_json::to_value(entry).unwrap()).collect();
        assert_eq!(copies, lines);
        let page = metrics.page();
        for labels in [
            r#"{operation="none",outcome="granted",code="ok"} 1"#,
            r#"{operation="none",outcome="refused",code="banned"} 1"#,
        ] {
            assert!(page.contains(labels), "{page}");
        }
    }
}

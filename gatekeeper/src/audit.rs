//! The audit file: one JSON line per decision, written with one append.

mod appender;
pub mod database;
pub mod entry;
pub mod reader;
pub mod recorder;

use crate::refusal::Refusal;
use appender::Appender;
use serde::Serialize;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

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

/// The open audit file.
#[derive(Debug)]
pub struct Audit {
    path: PathBuf,
    end: Mutex<Appender>,
}

impl Audit {
    /// Opens or creates the file (0600), and its folder (0700).
    pub fn open(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        Ok(Self { path: path.to_owned(), end: Mutex::new(Appender::open(path)?) })
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes one line. A decision that cannot be recorded yet is logged with its content.
    pub fn write(&self, record: &Record, outcome: Outcome) {
        let written = record.line(outcome).map_err(io::Error::from).and_then(|line| self.end().append(line));
        if let Err(error) = written {
            tracing::error!(%error, path = %self.path.display(), ?record, ?outcome, "audit line not written");
        }
    }

    /// Whether lines can be written, or at least wait until they can.
    pub fn is_open(&self) -> bool {
        let mut end = self.end();
        !end.is_full() || end.catch_up().is_ok()
    }

    fn end(&self) -> MutexGuard<'_, Appender> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn record() -> Record {
        Record::new(jiff::Timestamp::UNIX_EPOCH, "r1".into(), "[::1]:5".parse().unwrap())
    }

    fn lines(path: &Path) -> Vec<serde_json::Value> {
        fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_per_decision() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log/audit.jsonl");
        let audit = Audit::open(&path).unwrap();
        audit.write(&record(), Outcome::Granted);
        let hostile =
            Record { subject: Some("/CN=\"x\"\n{".into()), reason: Some("é".repeat(5000)), ..record() };
        audit.write(&hostile, Outcome::Refused);
        let lines = lines(&path);
        assert_eq!(lines[0]["outcome"], "granted");
        assert_eq!(lines[0]["time"], "1970-01-01T00:00:00Z");
        assert_eq!(lines[0].get("subject"), None);
        assert_eq!(lines[1]["subject"], "/CN=\"x\"\n{");
        assert_eq!(lines[1]["reason"].as_str().unwrap().chars().count(), MAX_TEXT);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_moved_file_is_followed_by_a_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("a"), folder.path().join("a.1"));
        let audit = Audit::open(&path).unwrap();
        audit.write(&record(), Outcome::Granted);
        fs::rename(&path, &moved).unwrap();
        audit.write(&record(), Outcome::Granted);
        assert_eq!((lines(&path).len(), lines(&moved).len()), (1, 1));
    }
}

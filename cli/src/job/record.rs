//! The jobs this user submitted from this machine: `$XDG_STATE_HOME/gridiron/jobs.jsonl` or `~/.gridiron/jobs.jsonl`,
//! one JSON object per line. Lines that cannot be read (a newer version's) are left alone.

use crate::{exit::Exit, failure::Failure};
use serde::{Deserialize, Serialize};
use std::{
    fs::{DirBuilder, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Job contact.
    pub job: String,
    /// Where it was submitted.
    pub resource: String,
    /// When.
    pub submitted: jiff::Timestamp,
    /// Canonical RSL as sent.
    pub rsl: String,
}

impl Record {
    /// Where the job was submitted.
    pub fn contact(&self) -> Result<gram::ResourceContact, Failure> {
        self.resource.parse().map_err(|error| {
            Failure::new(Exit::Local, format!("the record of {} names a bad resource: {error}", self.job))
        })
    }
}

/// The record of one job.
pub fn find(job: &str) -> Result<Record, Failure> {
    read()?.into_iter().rfind(|record| record.job == job).ok_or_else(|| {
        Failure::new(Exit::Negative, format!("{job} was not submitted from here by `gridiron submit`"))
            .try_this("see the known ones: gridiron list --offline")
    })
}

/// Appends one record (0600, created with its folder when missing).
pub fn append(record: &Record) -> Result<(), Failure> {
    append_to(&file(), std::slice::from_ref(record))
}

/// Appends records, all at once.
pub fn append_all(records: &[Record]) -> Result<(), Failure> {
    append_to(&file(), records)
}

/// All records, oldest first.
pub fn read() -> Result<Vec<Record>, Failure> {
    read_from(&file())
}

/// Forgets a job. `Ok(false)`: was not recorded.
pub fn remove(job: &str) -> Result<bool, Failure> {
    remove_from(&file(), job)
}

fn file() -> PathBuf {
    let folder = match std::env::var_os("XDG_STATE_HOME").filter(|value| !value.is_empty()) {
        Some(state) => Path::new(&state).join("gridiron"),
        None => std::env::home_dir().unwrap_or_default().join(".gridiron"),
    };
    folder.join("jobs.jsonl")
}

fn append_to(file: &Path, records: &[Record]) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::local(format!("cannot record the job in {}", file.display()), &error)
    };
    if let Some(folder) = file.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    }
    // One write in append mode, so that two commands at once do not mix their lines.
    let mut lines = String::new();
    for record in records {
        lines += &serde_json::to_string(record).map_err(|error| failed(error.into()))?;
        lines.push('\n');
    }
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(file).map_err(failed)?;
    file.write_all(lines.as_bytes()).map_err(failed)
}

fn read_from(file: &Path) -> Result<Vec<Record>, Failure> {
    Ok(lines(file)?.iter().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

fn remove_from(file: &Path, job: &str) -> Result<bool, Failure> {
    let lines = lines(file)?;
    let is_job = |line: &&String| serde_json::from_str(line).is_ok_and(|record: Record| record.job == job);
    let kept: String = lines.iter().filter(|line| !is_job(line)).flat_map(|line| [line, "\n"]).collect();
    if !lines.iter().any(|line| is_job(&line)) {
        return Ok(false);
    }
    let failed = |error: std::io::Error| Failure::local(format!("cannot rewrite {}", file.display()), &error);
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut fresh = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    fresh.write_all(kept.as_bytes()).map_err(failed)?;
    fresh.persist(file).map_err(|error| failed(error.error))?;
    Ok(true)
}

fn lines(file: &Path) -> Result<Vec<String>, Failure> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Failure::local(format!("cannot read {}", file.display()), &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn record(job: &str) -> Record {
        Record {
            job: job.to_owned(),
            resource: "h:2119/jobmanager".to_owned(),
            submitted: jiff::Timestamp::UNIX_EPOCH,
            rsl: "&(executable = /bin/echo)".to_owned(),
        }
    }

    #[test]
    fn records_are_private_and_come_back_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/jobs.jsonl");
        assert_eq!(read_from(&file).unwrap(), []);
        append_to(&file, &[record("a")]).unwrap();
        append_to(&file, &[record("b")]).unwrap();
        assert_eq!(read_from(&file).unwrap(), [record("a"), record("b")]);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn removing_keeps_what_it_does_not_understand() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("jobs.jsonl");
        append_to(&file, &[record("a")]).unwrap();
        let mut text = std::fs::read_to_string(&file).unwrap();
        text.push_str("{\"from\":\"the future\"}\n");
        std::fs::write(&file, text).unwrap();
        assert!(remove_from(&file, "a").unwrap());
        assert!(!remove_from(&file, "a").unwrap());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "{\"from\":\"the future\"}\n");
    }
}

//! The jobs this user submitted from this machine: `$XDG_STATE_HOME/gridiron/jobs.jsonl` or `~/.gridiron/jobs.jsonl`.

use crate::failure::Failure;
use serde::{Deserialize, Serialize};

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

/// Appends one record (0600, created with its folder when missing).
pub fn append(_record: &Record) -> Result<(), Failure> {
    todo!()
}

/// All records, oldest first.
pub fn read() -> Result<Vec<Record>, Failure> {
    todo!()
}

/// Forgets a job. `Ok(false)`: was not recorded.
pub fn remove(_job: &str) -> Result<bool, Failure> {
    todo!()
}

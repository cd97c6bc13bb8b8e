//! What a scheduler is asked to run: everything resolved, nothing left to decide.

use serde::{Deserialize, Serialize};
use std::{ffi::OsString, path::PathBuf};

/// A job's key: the two numbers of its contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JobKey {
    /** first number */
    pub high: u64,
    /** second number */
    pub low: u64,
}

impl std::fmt::Display for JobKey {
    /// `high.low`, the uniq-id form used in file names.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.high, self.low)
    }
}

/// RSL job_type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobType {
    /** one process */
    Single,
    /** count processes */
    Multiple,
    /** mpiexec */
    Mpi,
    /** Condor standard universe */
    Condor,
}

/// One scheduler job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// Tag by which a crashed manager finds what it had already submitted.
    pub key: JobKey,
    /// Program.
    pub executable: PathBuf,
    /// argv[1…].
    pub arguments: Vec<OsString>,
    /// The whole environment (gram.md §18).
    pub environment: Vec<(OsString, OsString)>,
    /// Working directory.
    pub directory: PathBuf,
    /// Files; stdout and stderr are opened for append after creation/truncation.
    pub stdin: PathBuf,
    /// See stdin.
    pub stdout: PathBuf,
    /// See stdin.
    pub stderr: PathBuf,
    /// How many processes.
    pub count: u32,
    /// How count is meant.
    pub job_type: JobType,
    /// Minutes.
    pub max_wall_time: Option<u32>,
}

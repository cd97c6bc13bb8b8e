//! From a request to its end: listener, GASS server, submission, commit, watching, clean end.

use crate::{job::Serving, session::Session};
use gram::{GramError, JobContact, JobState, ResourceContact, callback::Update};
use gsi::DelegationMode;
use rsl::Spec;

/// One job to run.
#[derive(Debug, Clone)]
pub struct Job {
    /// Where.
    pub contact: ResourceContact,
    /// What, as the person wrote it.
    pub spec: Spec,
    /// The embedded server, if any.
    pub serving: Option<Serving>,
    /// When to leave.
    pub wait: Wait,
    /// What is delegated (limited, unless `-D`).
    pub delegation: DelegationMode,
    /// Add `(dryrun=yes)`; error 41 then is success.
    pub dry_run: bool,
    /// What an interrupt means.
    pub interrupt: Interrupt,
}

/// When [`run`] returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Right after the reply (`-F`).
    Reply,
    /// Once the job is neither UNSUBMITTED nor in STAGE_IN (`-b`).
    Submitted,
    /// When the job has ended.
    End,
}

/// What SIGINT does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// Cancels the job, then leaves.
    CancelJob,
    /// Leaves; the job goes on (`-n`).
    LeaveJob,
}

/// What happens on the way.
#[derive(Debug)]
pub enum Progress<'a> {
    /// The call-back listener is up.
    Listening(&'a str),
    /// Accepted; the job's contact.
    Accepted(&'a JobContact),
    /// The job's state changed.
    State(&'a Update),
    /// An interrupt arrived and the job is being cancelled.
    Cancelling,
}

/// How it went.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    /// The job; `None` after a dry run.
    pub contact: Option<JobContact>,
    /// The last state heard of; `None` after a dry run or `Wait::Reply`.
    pub state: Option<JobState>,
    /// Why it failed; success otherwise.
    pub failure: GramError,
    /// The job's exit code, when the site said it.
    pub exit_code: Option<i32>,
    /// The site's own words on a failure (gt3-failure-message).
    pub message: Option<String>,
    /// SIGINT ended it.
    pub interrupted: bool,
}

/// Why there is no job.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The RSL is malformed; the text underlines the place.
    #[error("{0}")]
    Rsl(String),
    /// The request was refused or did not get through.
    #[error(transparent)]
    Gram(#[from] gram::client::ClientError),
    /// The embedded server cannot start.
    #[error("cannot start the GASS server: {0}")]
    Gass(#[from] gass::GassError),
}

impl JobError {
    /// The number a stock client reports (48 for bad RSL).
    pub fn code(&self) -> GramError {
        match self {
            JobError::Rsl(_) => GramError(48),
            JobError::Gram(error) => error.code,
            JobError::Gass(_) => GramError(76),
        }
    }
}

/// Runs one job: starts what it needs, submits, commits when asked to (110), reports progress, and returns as `wait`
/// says. All output has been written when it returns.
pub async fn run(
    _session: &Session,
    _job: Job,
    _observe: &mut dyn FnMut(Progress<'_>),
) -> Result<Ending, JobError> {
    todo!()
}

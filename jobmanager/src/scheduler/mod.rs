//! The scheduler interface: one file per scheduler. Commands go in, events come out; "unknown" changes nothing.

pub mod fork;

use crate::launch::{JobKey, Launch};

/// The scheduler's own job id (fork: pids joined by commas).
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct SchedulerId(pub String);

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Outcome {
    /// All processes ended; the code of the first that was not 0 (128+n for signal n).
    Exited {
        /** exit code */
        code: i32,
    },
    /// max_wall_time was reached and the scheduler ended it.
    TimeLimit,
    /// Ended, and nobody can know how (machine restarted).
    Lost,
}

/// What a scheduler reports, for jobs of this account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchedulerEvent {
    /** queued */
    Pending(JobKey),
    /** running */
    Active(JobKey),
    /** stopped */
    Suspended(JobKey),
    /** over */
    Ended(JobKey, Outcome),
}

/// Submission or control failed; `code` is the GRAM number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SchedulerError {
    /** GRAM error number */
    pub code: gram::GramError,
    /** for people */
    pub message: String,
}

/// One scheduler adapter. Submission is idempotent by `Launch::key`.
pub trait Scheduler: Send + Sync + 'static {
    /// Adapter name ("fork").
    fn name(&self) -> &'static str;
    /// The adapter's own checks before submission (also for dry runs): executable, directory, stdin, stdout, stderr, job type.
    fn check(&self, launch: &Launch) -> Result<(), SchedulerError>;
    /// Submits; when the key is known already, gives the id it has.
    fn submit(&self, launch: Launch) -> impl Future<Output = Result<SchedulerId, SchedulerError>> + Send;
    /// Ends the job (fork: TERM, 5 s, KILL); answers when it is asked for, the end comes as an event.
    fn cancel(
        &self,
        key: JobKey,
        id: &SchedulerId,
    ) -> impl Future<Output = Result<(), SchedulerError>> + Send;
    /// SIGSTOP-like.
    fn suspend(
        &self,
        key: JobKey,
        id: &SchedulerId,
    ) -> impl Future<Output = Result<(), SchedulerError>> + Send;
    /// SIGCONT-like.
    fn resume(
        &self,
        key: JobKey,
        id: &SchedulerId,
    ) -> impl Future<Output = Result<(), SchedulerError>> + Send;
    /// After a restart of the manager: report the present state of these as events.
    fn adopt(
        &self,
        jobs: Vec<(JobKey, Option<SchedulerId>)>,
    ) -> impl Future<Output = Result<(), SchedulerError>> + Send;
    /// The job's end has been recorded durably: forget it.
    fn forget(&self, key: JobKey) -> impl Future<Output = ()> + Send;
}

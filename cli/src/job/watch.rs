//! Following a job by its call-backs, with a slow status query as a safety net for lost ones.

use gram::{JobState, client::JobStatus};

/// A job that finished is forgotten at once, so "unknown job" from a living manager and "nobody listens any more" both
/// mean DONE to stock clients (gram.md §7). Queries `job` and reads the answer that way.
pub async fn status(
    _client: &gram::client::Client,
    _job: &gram::JobContact,
) -> Result<JobStatus, gram::client::ClientError> {
    todo!()
}

/// DONE and FAILED.
pub fn is_terminal(state: JobState) -> bool {
    matches!(state, JobState::Done | JobState::Failed)
}

/// The stock name: `PENDING`, `ACTIVE`, …
pub fn state_name(_state: JobState) -> &'static str {
    todo!()
}

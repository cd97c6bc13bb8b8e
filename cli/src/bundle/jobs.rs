//! What an account's job manager says of its jobs, asked at its control socket.

use crate::{job::watch::state_name, runtime::block_on};
use gram::{JobState, control};
use serde_json::{Value, json};
use std::{path::Path, time::Duration};

/// How long a job manager may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest answer, in bytes: some ten thousand jobs.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// The jobs with their states; requests are left out. `Err`: why nothing is known.
pub(super) fn of(state: &Path, account: &str, uid: u32) -> Result<Value, String> {
    let socket = control::socket_path(state, account);
    let asking = async {
        let client = control::connect(&socket, uid).await.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => {
                "no job manager runs: it has no unfinished jobs".to_owned()
            }
            _ => format!("{}: {error}", socket.display()),
        })?;
        let mut client = client.max_decoding_message_size(MAX_ANSWER);
        let failed = |error: &dyn std::fmt::Display| format!("the job manager gave no answer: {error}");
        let about = client
            .describe(control::v1::DescribeRequest {})
            .await
            .map_err(|error| failed(&error))?
            .into_inner();
        let list =
            client.list(control::v1::ListRequest {}).await.map_err(|error| failed(&error))?.into_inner();
        Ok::<_, String>((about, list))
    };
    let answered = block_on(async { Ok(tokio::time::timeout(PATIENCE, asking).await) });
    let (about, list) = match answered {
        Ok(Ok(answered)) => answered?,
        Ok(Err(_)) => return Err(format!("the job manager did not answer within {} s", PATIENCE.as_secs())),
        Err(failure) => return Err(failure.what),
    };
    let jobs: Vec<Value> = list
        .jobs
        .iter()
        .map(|job| {
            let state = JobState::from_value(job.state);
            json!({
                "job": job.contact,
                "state": state.map(state_name),
                "failure": job.failure,
                "exit_code": job.exit_code,
                "identity": job.identity,
                "created": jiff::Timestamp::from_second(job.created).ok(),
                "scheduler_id": job.scheduler_id,
                "files": job.files.len(),
            })
        })
        .collect();
    Ok(json!({ "version": about.version, "pid": about.pid, "jobs": jobs }))
}

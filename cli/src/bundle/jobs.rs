//! What an account's job manager says of its jobs, asked at its control socket. That answers its own account and nobody else, not even
//! root; so root has a child become the account and ask, and does not itself speak with what the account may have put there.

use crate::{failure::Failure, job::watch::state_name, runtime::block_on};
use gram::{JobState, control};
use nix::unistd::{Uid, User, geteuid};
use serde_json::{Value, json};
use std::{path::Path, process::Stdio, time::Duration};
use tokio::io::AsyncReadExt as _;

/// How long a job manager may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest answer, in bytes: tens of thousands of jobs.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// The jobs of an account at this site. `Err`: why nothing is known.
pub(super) fn of(file: &Path, state: &Path, account: &str, uid: u32) -> Result<Value, String> {
    if geteuid().is_root() && uid != 0 { as_account(file, uid) } else { ask(state, account, uid) }
}

/// The jobs of the account that this process runs as.
///
/// # Errors
/// Why nothing is known.
pub fn own_jobs(state: &Path) -> Result<Value, String> {
    let uid = geteuid();
    let user = User::from_uid(uid).map_err(|error| error.to_string())?;
    let user = user.ok_or_else(|| format!("uid {uid} is no account"))?;
    ask(state, &user.name, uid.as_raw())
}

/// Has a child become the account and ask.
fn as_account(file: &Path, uid: u32) -> Result<Value, String> {
    let user = User::from_uid(Uid::from_raw(uid)).map_err(|error| error.to_string())?;
    let user = user.ok_or_else(|| format!("uid {uid} is no account"))?;
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let asking = async {
        let mut command = tokio::process::Command::new(program);
        // As another user, a command has no further groups.
        command.uid(uid).gid(user.gid.as_raw()).env_clear().current_dir("/").kill_on_drop(true);
        command.args(["jobmanager", "--tell", "--config"]).arg(file);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let failed = |error: std::io::Error| format!("cannot ask as {}: {error}", user.name);
        let mut child = command.spawn().map_err(failed)?;
        let (mut told, mut said) = (Vec::new(), String::new());
        if let Some(stdout) = child.stdout.take() {
            stdout.take(MAX_ANSWER as u64).read_to_end(&mut told).await.map_err(failed)?;
        }
        if let Some(stderr) = child.stderr.take() {
            // For people; what is no text is not for them.
            let _ = stderr.take(4096).read_to_string(&mut said).await;
        }
        serde_json::from_slice(&told).map_err(|_| {
            let reason = said.lines().find_map(|line| line.strip_prefix("gridiron: "));
            reason.unwrap_or("the account's own question was not answered").to_owned()
        })
    };
    patiently(asking)
}

/// Asks as the account that this process runs as.
fn ask(state: &Path, account: &str, uid: u32) -> Result<Value, String> {
    let socket = control::socket_path(state, account);
    patiently(async {
        let client = control::connect(&socket, uid).await.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => {
                "no job manager runs: it has no unfinished jobs".to_owned()
            }
            _ => format!("{}: {error}", socket.display()),
        })?;
        let mut client = client.max_decoding_message_size(MAX_ANSWER);
        let failed = |error: &dyn std::fmt::Display| format!("the job manager gave no answer: {error}");
        let about = client.describe(control::v1::DescribeRequest {}).await;
        let about = about.map_err(|error| failed(&error))?.into_inner();
        let list = client.list(control::v1::ListRequest {}).await;
        let list = list.map_err(|error| failed(&error))?.into_inner();
        let jobs: Vec<Value> = list.jobs.iter().map(describe).collect();
        Ok(json!({ "version": about.version, "pid": about.pid, "jobs": jobs }))
    })
}

/// One job, without its request.
fn describe(job: &control::v1::Job) -> Value {
    json!({
        "job": job.contact,
        "state": JobState::from_value(job.state).map(state_name),
        "failure": job.failure,
        "exit_code": job.exit_code,
        "identity": job.identity,
        "created": jiff::Timestamp::from_second(job.created).ok(),
        "scheduler_id": job.scheduler_id,
        "files": job.files.len(),
    })
}

fn patiently(asking: impl Future<Output = Result<Value, String>>) -> Result<Value, String> {
    let answered: Result<_, Failure> = block_on(async { Ok(tokio::time::timeout(PATIENCE, asking).await) });
    match answered {
        Ok(Ok(told)) => told,
        Ok(Err(_)) => Err(format!("the job manager did not answer within {} s", PATIENCE.as_secs())),
        Err(failure) => Err(failure.what),
    }
}

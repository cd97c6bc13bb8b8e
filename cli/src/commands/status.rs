//! `gridiron status`: what a job is doing.

use super::arguments;
use crate::{exit::Exit, failure::Failure, job::watch, runtime::block_on, session::Session, ui::Ui};
use gram::{GramError, JobState, client::JobStatus};
use serde_json::{Value, json};

/// Show the state of jobs
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gridiron status https://grid.example.org:40001/16213/5981/

A finished job is forgotten by its site, so a job that is not known there any more is DONE.")]
pub struct Args {
    /// Job contacts, as printed by `submit`, `run` and `list`
    #[arg(required = true, value_name = "JOB")]
    jobs: Vec<String>,
}

impl Args {
    pub(super) fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        let session = Session::open()?;
        let several = self.jobs.len() > 1;
        block_on(async {
            for text in &self.jobs {
                let status = watch::status(&session.client, &arguments::job(text)?).await?;
                let line = if several { format!("{text} {}", describe(&status)) } else { describe(&status) };
                ui.result(&as_json(text, &status), line);
            }
            Ok(Exit::Success)
        })
    }
}

/// One line for people: `DONE, exit code 3`, `FAILED: <why>`.
pub(super) fn describe(status: &JobStatus) -> String {
    let state = status.state.map_or("UNKNOWN", watch::state_name);
    match (status.state, status.exit_code) {
        (Some(JobState::Failed), _) => {
            format!("{state}: {} (error {})", status.failure.text(), status.failure.0)
        }
        (_, Some(code)) => format!("{state}, exit code {code}"),
        (_, None) => state.to_owned(),
    }
}

/// The stable JSON shape of a job's status.
pub(super) fn as_json(job: &str, status: &JobStatus) -> Value {
    let failure = (status.state == Some(JobState::Failed)).then(|| explain(status.failure));
    json!({
        "job": job,
        "state": status.state.map(watch::state_name),
        "exit_code": status.exit_code,
        "failure": failure,
    })
}

fn explain(error: GramError) -> Value {
    json!({ "code": error.0, "symbol": error.symbol(), "text": error.text() })
}

//! `gridiron status`: what a job is doing.

use super::arguments;
use crate::{
    exit::Exit,
    failure::Failure,
    job::{timeline, watch},
    runtime::block_on,
    session::Session,
    ui::Ui,
};
use gram::{GramError, JobContact, JobState, client::JobStatus};
use serde_json::{Value, json};

/// Show the state of jobs
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gridiron status https://grid.example.org:40001/16213/5981/
  gridiron status -v --json $JOB | jq '.timeline.events[]'

A finished job is forgotten by its site, so a job that is not known there any more is DONE.")]
pub struct Args {
    /// Tell everything that has happened to them: states, files, signals, the credential (a Gridiron site only)
    #[arg(short, long)]
    verbose: bool,
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
                let job = arguments::job(text)?;
                if self.verbose && self.tell(ui, &session, text, &job).await? {
                    continue;
                }
                let status = watch::status(&session.client, &job).await?;
                let line = if several { format!("{text} {}", describe(&status)) } else { describe(&status) };
                ui.result(&as_json(text, &status), line);
            }
            Ok(Exit::Success)
        })
    }
}

impl Args {
    /// Shows the time line. False, with a note: nobody tells one, and the state alone has to do.
    async fn tell(&self, ui: &Ui, session: &Session, text: &str, job: &JobContact) -> Result<bool, Failure> {
        let told = match session.client.timeline(job).await {
            Ok(told) => told,
            Err(error) if watch::gone(&error) => {
                ui.note("its site has forgotten it, and what has happened to it");
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        };
        let Some(told) = told else {
            ui.note("its job manager is no Gridiron: it tells the state and nothing more");
            return Ok(false);
        };
        let status = JobStatus {
            state: Some(told.state),
            failure: GramError(told.failure.as_ref().map_or(0, |failure| failure.code)),
            exit_code: told.exit_code,
            extensions: Vec::new(),
        };
        let mut value = as_json(text, &status);
        if let Some(fields) = value.as_object_mut() {
            fields.insert("timeline".to_owned(), json!(told));
        }
        let name = if self.jobs.len() > 1 { format!("{text}\n") } else { String::new() };
        ui.result(&value, format!("{name}{}", timeline::text(&told)));
        Ok(true)
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

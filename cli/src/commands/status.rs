//! `gridiron status`: what jobs are doing.

mod verbose;

use super::arguments;
use crate::{
    exit::Exit,
    failure::Failure,
    job::{
        many::{self, Answer, Question},
        watch,
    },
    runtime::block_on,
    session::Session,
    ui::Ui,
};
use gram::{GramError, JobState, client::JobStatus};
use serde_json::{Value, json};

/// Show the state of jobs
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gridiron status https://grid.example.org:40001/16213/5981/
  gridiron status --state failed --state active
  gridiron status -v --json $JOB | jq '.timeline.events[]'

A finished job is forgotten by its site, so a job that is not known there any more is DONE.
Many jobs of one site are asked about in one question where the site knows how.")]
pub struct Args {
    /// Tell everything that has happened to them: states, files, signals, the credential (a Gridiron site only)
    #[arg(short, long)]
    verbose: bool,
    /// Job contacts, as printed by `submit`, `run` and `list`
    #[arg(required_unless_present_any = ["all", "state"], value_name = "JOB")]
    jobs: Vec<String>,
    /// All jobs submitted from here
    #[arg(long, conflicts_with = "jobs")]
    all: bool,
    /// Only those in this state, of all if no job is named; may be repeated
    #[arg(long, value_name = "STATE", value_parser = state)]
    state: Vec<JobState>,
}

impl Args {
    pub(super) fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        let texts = if self.jobs.is_empty() { arguments::recorded_jobs(ui)? } else { self.jobs };
        let jobs = arguments::jobs(&texts)?;
        let session = Session::open()?;
        if self.verbose {
            let named: Vec<_> = texts.into_iter().zip(jobs).collect();
            return verbose::run(ui, &session, &named, &self.state);
        }
        let bar = ui.progress("asking");
        let answers = block_on(async { Ok(many::ask(&session.client, &jobs, Question::Status).await) })?;
        bar.finish_and_clear();
        let wanted = |answer: &Answer| {
            let state = answer.as_ref().ok().and_then(|status| status.state);
            self.state.is_empty() || state.is_none_or(|state| self.state.contains(&state))
        };
        let several = texts.len() > 1 || !self.state.is_empty() || self.all;
        tell(ui, texts.iter().zip(answers).filter(|(_, answer)| wanted(answer)), several)
    }
}

/// Prints the answers, one line each; the first failure decides how the program ends. The failure of a single job is the
/// command's.
pub(super) fn tell<'a>(
    ui: &Ui,
    answers: impl Iterator<Item = (&'a String, Answer)>,
    several: bool,
) -> Result<Exit, Failure> {
    let mut exit = Exit::Success;
    for (job, answer) in answers {
        match answer {
            Ok(status) => {
                let described = describe(&status);
                let line = if several { format!("{job} {described}") } else { described };
                ui.result(&as_json(job, &status), line);
            }
            Err(error) if several => {
                let failure = Failure::from(error);
                let value = json!({ "job": job, "state": null, "error": failure.what });
                ui.result(&value, format!("{job} unknown: {failure}"));
                exit = if exit == Exit::Success { failure.exit } else { exit };
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(exit)
}

/// A state by its name, in any case.
fn state(text: &str) -> Result<JobState, String> {
    let found = JobState::ALL.into_iter().find(|state| state.name().eq_ignore_ascii_case(text));
    found.ok_or_else(|| {
        format!("there are {}", JobState::ALL.map(|state| state.name().to_ascii_lowercase()).join(", "))
    })
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

/// The stable JSON shape of an error number.
pub(super) fn explain(error: GramError) -> Value {
    json!({ "code": error.0, "symbol": error.symbol(), "text": error.text() })
}

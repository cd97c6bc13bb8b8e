//! `gridiron cancel`: ends jobs.

use super::{arguments, status};
use crate::{
    exit::Exit,
    failure::Failure,
    job::many::{self, Question},
    runtime::block_on,
    session::Session,
    ui::Ui,
};

/// End jobs; answers when each has ended
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gridiron cancel https://grid.example.org:40001/16213/5981/

Many jobs of one site are ended with one question where the site knows how.")]
pub struct Args {
    /// Job contacts
    #[arg(required_unless_present = "all", value_name = "JOB")]
    jobs: Vec<String>,
    /// All jobs submitted from here
    #[arg(long, conflicts_with = "jobs")]
    all: bool,
}

impl Args {
    pub(super) fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        let texts = if self.all { arguments::recorded_jobs(ui)? } else { self.jobs };
        let jobs = arguments::jobs(&texts)?;
        let session = Session::open()?;
        let bar = ui.progress(match texts.as_slice() {
            [job] => format!("cancelling {job}"),
            _ => format!("cancelling {} jobs", texts.len()),
        });
        let answers = block_on(async { Ok(many::ask(&session.client, &jobs, Question::Cancel).await) })?;
        bar.finish_and_clear();
        // A line for each even of one: scripts read which job it was.
        let several = texts.len() > 1 || answers.iter().all(Result::is_ok);
        status::tell(ui, texts.iter().zip(answers), several)
    }
}

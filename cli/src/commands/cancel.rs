//! `gridiron cancel`: ends jobs.

use super::{arguments, status};
use crate::{exit::Exit, failure::Failure, job::watch, runtime::block_on, session::Session, ui::Ui};

/// End jobs; answers when each has ended
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gridiron cancel https://grid.example.org:40001/16213/5981/")]
pub struct Args {
    /// Job contacts
    #[arg(required = true, value_name = "JOB")]
    jobs: Vec<String>,
}

impl Args {
    pub(super) fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        let session = Session::open()?;
        block_on(async {
            for text in &self.jobs {
                let job = arguments::job(text)?;
                let bar = ui.progress(format!("cancelling {text}"));
                let status = match session.client.cancel(&job).await {
                    Err(error) if watch::gone(&error) => watch::status(&session.client, &job).await?,
                    reply => reply?,
                };
                bar.finish_and_clear();
                ui.result(&status::as_json(text, &status), format!("{text} {}", status::describe(&status)));
            }
            Ok(Exit::Success)
        })
    }
}

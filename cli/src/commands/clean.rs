//! `gridiron clean`: ends a job, removes its kept output, and forgets it.

use super::arguments;
use crate::{
    exit::Exit,
    failure::Failure,
    job::{self, Interrupt, Job, Progress, Wait, output, record, watch},
    runtime::block_on,
    session::Session,
    ui::Ui,
};
use gsi::DelegationMode;
use serde_json::json;

/// End a job if it still runs, remove its kept output there, and forget it here
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gridiron clean https://grid.example.org:40001/16213/5981/")]
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
                clean(&session, text).await?;
                ui.result(&json!({ "job": text, "cleaned": true }), format!("{text} cleaned"));
            }
            Ok(Exit::Success)
        })
    }
}

async fn clean(session: &Session, text: &str) -> Result<(), Failure> {
    let recorded = record::find(text)?;
    let contact = arguments::job(text)?;
    let status = watch::status(&session.client, &contact).await?;
    if !status.state.is_some_and(watch::is_terminal) {
        match session.client.cancel(&contact).await {
            Err(error) if !watch::gone(&error) => return Err(error.into()),
            _ => {}
        }
    }
    let original = job::request::parse(recorded.rsl.as_bytes())?;
    if let Some(spec) = output::removal(&original) {
        let job = Job {
            contact: recorded.contact()?,
            spec,
            serving: None,
            wait: Wait::End,
            delegation: DelegationMode::Limited,
            dry_run: false,
            interrupt: Interrupt::CancelJob,
        };
        let mut observe = |_: Progress<'_>| {};
        if let Some(failure) = job::run(session, job, &mut observe).await?.failed() {
            return Err(failure);
        }
    }
    record::remove(text)?;
    Ok(())
}

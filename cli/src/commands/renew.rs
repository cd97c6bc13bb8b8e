//! `gridiron renew`: gives jobs a new credential.

use super::{arguments, status};
use crate::{exit::Exit, failure::Failure, runtime::block_on, session::Session, ui::Ui};
use gsi::DelegationMode;

/// Delegate a new credential to jobs, from the proxy you have now
///
/// A site looks after a job until ten minutes before the credential it was given ends; the job itself runs on, but its files are
/// not moved any more. With a new credential the site takes it up again, and every other job of yours there, too.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gridiron proxy init --hours 24 && gridiron renew $JOB

When the site cannot be reached at the job's contact because the old credential has ended: gridiron restart $JOB")]
pub struct Args {
    /// Job contacts
    #[arg(required = true, value_name = "JOB")]
    jobs: Vec<String>,
    /// Delegate a full proxy instead of a limited one
    #[arg(short = 'D', long)]
    full_proxy: bool,
}

impl Args {
    pub(super) fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        let mode = if self.full_proxy { DelegationMode::Full } else { DelegationMode::Limited };
        let session = Session::open()?;
        block_on(async {
            for text in &self.jobs {
                let status = session.client.renew(&arguments::job(text)?, mode).await?;
                ui.result(&status::as_json(text, &status), format!("{text} {}", status::describe(&status)));
            }
            Ok(Exit::Success)
        })
    }
}

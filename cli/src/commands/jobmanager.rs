//! `gridiron jobmanager` (hidden): one account's job manager, started by the gatekeeper.

use super::serve::stop_signal;
use crate::{bundle, exit::Exit, failure::Failure, runtime::block_on_all_cores, site, ui::Ui};
use std::path::PathBuf;

/// Run the job manager of this account (the gatekeeper starts it)
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Site file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print what the running one says of its jobs instead, as JSON (for `support-bundle`)
    #[arg(long)]
    tell: bool,
}

impl Args {
    pub(super) fn run(self) -> Result<Exit, Failure> {
        if self.tell {
            let state = site::load(&self.config)?.jobmanager.state;
            let told = bundle::own_jobs(&state).map_err(|why| Failure::new(Exit::Negative, why))?;
            Ui { json: true }.result(&told, "");
            return Ok(Exit::Success);
        }
        let site = site::load_with_commands(&self.config)?;
        block_on_all_cores(async {
            jobmanager::run(site.jobmanager, stop_signal()?)
                .await
                .map_err(|error| Failure::local("the job manager stopped", &error))?;
            Ok(Exit::Success)
        })
    }
}

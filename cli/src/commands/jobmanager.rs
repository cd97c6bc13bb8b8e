//! `gridiron jobmanager` (hidden): one account's job manager, started by the gatekeeper.

use super::serve::stop_signal;
use crate::{exit::Exit, failure::Failure, runtime::block_on_all_cores, site};
use std::path::PathBuf;

/// Run the job manager of this account (the gatekeeper starts it)
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Site file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl Args {
    pub(super) fn run(self) -> Result<Exit, Failure> {
        let site = site::load_with_commands(&self.config)?;
        block_on_all_cores(async {
            jobmanager::run(site.jobmanager, stop_signal()?)
                .await
                .map_err(|error| Failure::local("the job manager stopped", &error))?;
            Ok(Exit::Success)
        })
    }
}

//! `gridiron reaper` (hidden): keeps an account's fork jobs, started by its job manager.

use crate::{exit::Exit, failure::Failure};
use std::path::PathBuf;

/// Keep the fork jobs of this account (the job manager starts it)
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Site file; not read, it only tells whose reaper this is
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The reaper's own folder
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

impl Args {
    /// Runs while the process still has one thread only, as the reaper asks for.
    pub(super) fn run(self) -> Result<Exit, Failure> {
        let Self { config: _, dir } = self;
        jobmanager::reaper::main(&dir)
            .map_err(|error| Failure::local(format!("the reaper of {} stopped", dir.display()), &error))?;
        Ok(Exit::Success)
    }
}

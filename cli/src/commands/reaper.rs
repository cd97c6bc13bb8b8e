//! `gridiron reaper` (hidden): keeps an account's fork jobs, started by its job manager.

use crate::{exit::Exit, failure::Failure};
use std::{ffi::OsString, path::PathBuf};

/// Keep the fork jobs of this account (the job manager starts it)
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Site file; only marks whose reaper this is
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The reaper's own arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl Args {
    pub(super) fn run(self) -> Result<Exit, Failure> {
        let _ = (self.config, self.arguments);
        Ok(Exit::Success)
    }
}

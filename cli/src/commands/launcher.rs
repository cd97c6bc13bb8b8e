//! `gridiron launcher` (hidden): becomes the root program that starts job managers, without starting the gatekeeper.

use super::serve::load_as_root;
use crate::{exit::Exit, failure::Failure, site::launcher::FrontDoor};
use std::path::PathBuf;

/// Start job managers for a gatekeeper that is started by something else (systemd does both)
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Site file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl Args {
    pub(super) fn run(self) -> Result<Exit, Failure> {
        let (file, site) = load_as_root(&self.config)?;
        match &site.launcher {
            Some(launcher) => Err(launcher.exec(&site, &file, FrontDoor::Leave, None)),
            None => Err(Failure::new(Exit::Configuration, format!("{} has no [launcher]", file.display()))),
        }
    }
}

//! `gridiron gass`: files by URL.

mod serve;

pub(crate) use serve::many_files;

use crate::{exit::Exit, failure::Failure, ui::Ui};

/// Serve files by URL (GASS: https with certificates, or http)
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Serve(serve::Args),
}

impl Args {
    pub(super) fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        match self.verb {
            Verb::Serve(args) => args.run(ui),
        }
    }
}

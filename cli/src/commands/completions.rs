//! `gridiron completions`: what a shell needs to complete command lines.

use crate::{classic, exit::Exit, failure::Failure, ui::Ui};
use clap_complete::Shell;

/// Print a shell's completion script
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gridiron completions bash > ~/.local/share/bash-completion/completions/gridiron
  gridiron completions zsh --name globusrun > ~/.zfunc/_globusrun")]
pub struct Args {
    /// Shell
    shell: Shell,
    /// For a classic tool instead of gridiron
    #[arg(long, value_name = "TOOL")]
    name: Option<String>,
}

impl Args {
    pub(super) fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        let mut command = match &self.name {
            None => super::definition(),
            Some(name) => classic::definitions()
                .into_iter()
                .find(|tool| tool.get_name() == name)
                .ok_or_else(|| Failure::new(Exit::Usage, format!("no classic tool is called {name}")))?,
        };
        let name = command.get_name().to_owned();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, name, &mut script);
        ui.raw(&script);
        Ok(Exit::Success)
    }
}

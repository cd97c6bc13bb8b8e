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
        let script = match &self.name {
            None => program(self.shell),
            Some(name) => tool(name, self.shell)?,
        };
        ui.raw(&script);
        Ok(Exit::Success)
    }
}

fn program(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    let mut command = super::definition();
    let name = command.get_name().to_owned();
    clap_complete::generate(shell, &mut command, name, &mut script);
    script
}

fn tool(name: &str, shell: Shell) -> Result<Vec<u8>, Failure> {
    let tool = classic::lookup(name)
        .ok_or_else(|| Failure::new(Exit::Usage, format!("no classic tool is called {name}")))?;
    let script = match shell {
        Shell::Bash => classic::pages::bash(tool),
        Shell::Zsh => classic::pages::zsh(tool),
        Shell::Fish => classic::pages::fish(tool),
        other => {
            return Err(Failure::new(Exit::Usage, format!("classic tools have no completions for {other}"))
                .try_this("bash, zsh or fish"));
        }
    };
    Ok(script.into_bytes())
}

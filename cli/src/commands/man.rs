//! `gridiron man`: writes the manual pages.

use crate::{classic, exit::Exit, failure::Failure, ui::Ui};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Write manual pages, one per command and classic tool, into a folder
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gridiron man ~/.local/share/man/man1 && man gridiron-run")]
pub struct Args {
    /// Folder; made when missing
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

impl Args {
    pub(super) fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        let failed = |error: std::io::Error| {
            Failure::local(format!("cannot write manual pages into {}", self.folder.display()), &error)
        };
        std::fs::create_dir_all(&self.folder).map_err(failed)?;
        let mut written = 0;
        let mut program = super::definition();
        program.build();
        written += pages(&program, "gridiron", &self.folder).map_err(failed)?;
        for tool in classic::PROGRAMS {
            std::fs::write(self.folder.join(format!("{}.1", tool.name)), classic::pages::man(tool))
                .map_err(failed)?;
            written += 1;
        }
        ui.result(
            &json!({ "folder": self.folder, "pages": written }),
            format!("{written} manual pages in {}", self.folder.display()),
        );
        Ok(Exit::Success)
    }
}

/// Writes the page of a command and of its sub-commands; `name` is its words joined by `-`.
fn pages(command: &clap::Command, name: &str, folder: &Path) -> std::io::Result<usize> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone().name(name.to_owned())).render(&mut text)?;
    std::fs::write(folder.join(format!("{name}.1")), text)?;
    let mut written = 1;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        written += pages(sub, &format!("{name}-{}", sub.get_name()), folder)?;
    }
    Ok(written)
}

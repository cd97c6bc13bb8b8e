//! `gridiron classic`: runs a classic Globus tool, or makes links by which the tools are called directly.

use crate::{
    classic::{self, PROGRAMS},
    exit::Exit,
    failure::Failure,
    ui::Ui,
};
use serde_json::json;
use std::{
    ffi::OsString,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Stands in place of a tool's name and makes the links.
const LINKS: &str = "links";

/// Run a classic Globus tool by its name, with its own options; `links DIR` makes links for all of them
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gridiron classic globus-job-run grid.example.org /bin/date
  gridiron classic links ~/globus-bin && PATH=~/globus-bin:$PATH globusrun -help")]
pub struct Args {
    /// The tool's name and its arguments, or `links` and a folder
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true, value_name = "TOOL")]
    words: Vec<OsString>,
}

impl Args {
    pub(super) fn run(mut self, ui: &Ui) -> Result<ExitCode, Failure> {
        let arguments = self.words.split_off(self.words.len().min(1));
        let name = self.words.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name == LINKS {
            let [folder] = arguments.as_slice() else {
                return Err(Failure::new(
                    Exit::Usage,
                    "one folder for the links: gridiron classic links DIR",
                ));
            };
            return links(ui, Path::new(folder));
        }
        let Some(tool) = classic::lookup(&name) else {
            let known: Vec<&str> = PROGRAMS.iter().map(|tool| tool.name).collect();
            let failure = Failure::new(Exit::Usage, format!("no classic tool is called {name}"));
            return Err(failure.try_this(format!("{LINKS}, or one of: {}", known.join(", "))));
        };
        Ok(tool.run(&arguments))
    }
}

/// One link per tool to this program; older links of the same names are replaced, anything else is left alone.
fn links(ui: &Ui, folder: &Path) -> Result<ExitCode, Failure> {
    let failed = |path: &Path, error: std::io::Error| {
        Failure::local(format!("cannot make the link {}", path.display()), &error)
    };
    let program =
        std::env::current_exe().map_err(|error| Failure::local("cannot find this program", &error))?;
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    let mut made: Vec<PathBuf> = Vec::new();
    for tool in PROGRAMS {
        let link = folder.join(tool.name);
        if link.is_symlink() {
            std::fs::remove_file(&link).map_err(|error| failed(&link, error))?;
        }
        symlink(&program, &link).map_err(|error| failed(&link, error))?;
        made.push(link);
    }
    let text = format!("{} links to {} in {}", made.len(), program.display(), folder.display());
    ui.result(&json!({ "program": program, "links": made }), text);
    Ok(Exit::Success.into())
}

//! `gridiron demo`: a whole site that lives as long as the demonstration.

use crate::{
    demo::{self, Layout},
    exit::Exit,
    failure::Failure,
    runtime::block_on,
    ui::Ui,
};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Show it working: make a throw-away site on this machine, run a job there, clean up
///
/// Needs nothing but this program. With --keep the site goes on running, for your own experiments and for stock Globus
/// clients: `. DIR/env.sh` points them at it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gridiron demo
  gridiron demo --keep --dir /tmp/d && . /tmp/d/env.sh && gridiron run /bin/hostname
  gridiron demo --stop --dir /tmp/d")]
pub struct Args {
    /// Folder for everything; must be empty or absent [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Leave the site running and write DIR/env.sh
    #[arg(long, requires = "dir")]
    keep: bool,
    /// Stop a site left running, with its job managers and jobs, and remove DIR
    #[arg(long, requires = "dir", conflicts_with = "keep")]
    stop: bool,
}

impl Args {
    pub(super) fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        match self.dir {
            Some(dir) if self.stop => stop(ui, &dir),
            Some(dir) => {
                let layout = Layout::new(&dir)?;
                show(ui, &layout, self.keep)
            }
            None => {
                let dir = tempfile::Builder::new().prefix("gridiron-demo-").tempdir();
                let dir = dir.map_err(|error| Failure::local("cannot make a temporary folder", &error))?;
                show(ui, &Layout::new(dir.path())?, false)
            }
        }
    }
}

fn stop(ui: &Ui, dir: &Path) -> Result<Exit, Failure> {
    let layout = Layout::existing(dir)?;
    let stopped = layout.stop()?;
    layout.remove()?;
    ui.result(
        &json!({ "dir": dir, "stopped": stopped }),
        format!("stopped {stopped} processes, removed {}", dir.display()),
    );
    Ok(Exit::Success)
}

/// Sets up, demonstrates, and (unless everything went well and it is to be kept) cleans up, whatever happened.
fn show(ui: &Ui, layout: &Layout, keep: bool) -> Result<Exit, Failure> {
    block_on(async {
        let stop = super::serve::stop_signal()?;
        let shown = tokio::select! {
            shown = demo::show(ui, layout) => shown,
            () = stop => Err(Failure::new(Exit::Interrupted, "interrupted")),
        };
        let outcome = match shown {
            Ok(report) if keep => {
                layout.write_environment(&report.contact)?;
                ui.result(&report, layout.how_to_go_on());
                return Ok(Exit::Success);
            }
            Ok(report) => {
                ui.result(&report, "");
                Ok(Exit::Success)
            }
            Err(failure) => Err(failure),
        };
        layout.stop()?;
        layout.remove()?;
        ui.step("cleaned up: no process and no file is left");
        outcome
    })
}

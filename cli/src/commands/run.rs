//! `gridiron run`: one job, from here to its end, with its output brought home.

use super::arguments::Request;
use crate::{
    exit::Exit,
    failure::Failure,
    job::{self, Ending, Interrupt, Job, Progress, Serving, Wait, watch},
    runtime::block_on,
    session::Session,
    ui::Ui,
};
use serde_json::json;
use std::process::ExitCode;

/// Run a job and wait for it: states on stderr, the job's own output on stdout and stderr
///
/// Ends with the job's exit code where the site tells it. With --json, one JSON value per event goes to stderr (stdout is
/// the job's).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gridiron run -r grid.example.org /bin/hostname
  gridiron run -r grid.example.org -n 4 -e GREETING=hello -- /bin/sh -c 'echo $GREETING'
  gridiron run -r grid.example.org --stdin data.txt /usr/bin/sort
  gridiron run -r grid.example.org -s -f job.rsl")]
pub struct Args {
    #[command(flatten)]
    request: Request,
    /// Bring stdout and stderr home (the default)
    #[arg(short, long)]
    output: bool,
    /// Also let the job read files of this machine, as $(GLOBUSRUN_GASS_URL)/path
    #[arg(short, long)]
    serve: bool,
    /// Also let the job write files of this machine
    #[arg(short, long)]
    write_allow: bool,
    /// Leave output where the request says; start no file server
    #[arg(long, conflicts_with_all = ["output", "serve", "write_allow", "stage", "stdin"])]
    no_output: bool,
    /// An interrupt (Ctrl-C) ends only this program, not the job
    #[arg(long)]
    no_interrupt: bool,
    /// Do not show states
    #[arg(short, long)]
    quiet: bool,
}

impl Args {
    pub(super) fn run(self, ui: &Ui) -> Result<ExitCode, Failure> {
        let job = Job {
            contact: self.request.resource.contact()?,
            spec: self.request.spec()?,
            serving: self.serving(),
            wait: Wait::End,
            delegation: self.request.delegation(),
            dry_run: self.request.dry_run,
            interrupt: if self.no_interrupt { Interrupt::LeaveJob } else { Interrupt::CancelJob },
        };
        let session = Session::open()?;
        let mut observe = |progress: Progress<'_>| {
            if !self.quiet {
                show(ui, &progress);
            }
        };
        let ending = block_on(async { Ok(job::run(&session, job, &mut observe).await?) })?;
        finish(ui, &ending)
    }

    fn serving(&self) -> Option<Serving> {
        if self.no_output {
            None
        } else if self.write_allow {
            Some(Serving::Write)
        } else if self.serve || self.request.reads_local_files() {
            Some(Serving::Read)
        } else {
            Some(Serving::Output)
        }
    }
}

fn show(ui: &Ui, progress: &Progress<'_>) {
    let (text, event) = match progress {
        Progress::Listening(_) => return,
        Progress::Accepted(job) => {
            (format!("job {job}"), json!({ "event": "accepted", "job": job.to_string() }))
        }
        Progress::State(update) => {
            let state = watch::state_name(update.state);
            (state.to_owned(), json!({ "event": "state", "state": state, "exit_code": update.exit_code }))
        }
        Progress::Cancelling => ("cancelling the job …".to_owned(), json!({ "event": "cancelling" })),
    };
    ui.event(&event, text);
}

fn finish(ui: &Ui, ending: &Ending) -> Result<ExitCode, Failure> {
    let Some(contact) = &ending.contact else {
        ui.event(&json!({ "event": "dry run", "accepted": true }), "the site would take this job");
        return Ok(Exit::Success.into());
    };
    if let Some(failure) = ending.failed() {
        return Err(failure);
    }
    if ending.interrupted {
        ui.note(format!("left; the job goes on: gridiron status {contact}"));
        return Ok(Exit::Interrupted.into());
    }
    // A code beyond a byte cannot be handed on; it was not zero, and neither is 255.
    Ok(ExitCode::from(ending.exit_code.map_or(0, |code| u8::try_from(code).unwrap_or(u8::MAX))))
}

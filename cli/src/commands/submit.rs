//! `gridiron submit`: starts a job, or many, and leaves.

mod batch;

use super::arguments::Request;
use crate::{
    exit::Exit,
    failure::Failure,
    job::{
        self, Interrupt, Job, Progress, Serving, Wait, output,
        record::{self, Record},
        request, watch,
    },
    runtime::block_on,
    session::Session,
    ui::Ui,
};
use gram::wire::bulk::Indices;
use serde_json::json;
use std::path::PathBuf;

/// Start a job, or many, and leave; prints their contacts
///
/// A job's output is kept there, in the account's home directory (unless the request says otherwise), until
/// `gridiron output` fetches it and `gridiron clean` removes it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  JOB=$(gridiron submit -r grid.example.org /bin/hostname)
  gridiron status $JOB; gridiron output $JOB; gridiron clean $JOB
  gridiron submit -r grid.example.org --array 1-1000 /bin/sh -c 'work $GRIDIRON_ARRAY_INDEX'
  gridiron submit -r grid.example.org -f one.rsl two.rsl

Each job of an array has its number in the variable GRIDIRON_ARRAY_INDEX of its environment, and of the request:
$(GRIDIRON_ARRAY_INDEX).")]
pub struct Args {
    /// Start the job once for each of these numbers, e.g. 1-1000 or 1-10,20
    #[arg(long, value_name = "NUMBERS")]
    array: Option<Indices>,
    /// Read the names of request files from this file, one a line; -: from standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["file", "rsl", "command"])]
    list: Option<PathBuf>,
    #[command(flatten)]
    request: Request,
}

impl Args {
    pub(super) fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        if self.array.is_some() || self.list.is_some() || self.request.file.len() > 1 {
            return batch::run(&self, ui);
        }
        let contact = self.request.resource.contact()?;
        let spec = output::kept_there(self.request.spec()?, &uuid::Uuid::new_v4().to_string(), false);
        let rsl = String::from_utf8_lossy(&request::text(&spec)?).into_owned();
        // Files of this machine are read before the job starts, so it is enough to stay until then.
        let staging = self.request.reads_local_files();
        let job = Job {
            contact: contact.clone(),
            spec,
            serving: staging.then_some(Serving::Read),
            wait: if staging { Wait::Submitted } else { Wait::Reply },
            delegation: self.request.delegation(),
            dry_run: self.request.dry_run,
            interrupt: Interrupt::CancelJob,
        };
        let session = Session::open()?;
        let mut observe = |_: Progress<'_>| {};
        let ending = block_on(async { Ok(job::run(&session, job, &mut observe).await?) })?;
        let Some(job) = &ending.contact else {
            ui.result(&json!({ "accepted": true, "dry_run": true }), "the site would take this job");
            return Ok(Exit::Success);
        };
        let job = job.to_string();
        let submitted = jiff::Timestamp::now();
        let recorded =
            record::append(&Record { job: job.clone(), resource: contact.to_string(), submitted, rsl });
        if let Err(failure) = recorded {
            // The job runs: its contact must reach the person whatever else goes wrong.
            ui.note(format!("warning: {failure}"));
        }
        ui.result(&json!({ "job": job, "state": ending.state.map(watch::state_name) }), &job);
        match ending.failed() {
            Some(failure) => Err(failure),
            None => Ok(Exit::Success),
        }
    }
}

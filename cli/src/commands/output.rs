//! `gridiron output`: brings home what a submitted job has written so far.

use crate::{
    exit::Exit,
    failure::Failure,
    job::{self, Interrupt, Job, Progress, Serving, Wait, output, output::Stream, record},
    runtime::block_on,
    session::Session,
    ui::Ui,
};
use gsi::DelegationMode;

/// Print the output of a job started by `submit`
///
/// Runs a small job on the same resource that reads the file; it needs nothing there but cat and tail.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gridiron output --tail 20 https://grid.example.org:40001/16213/5981/")]
pub struct Args {
    /// The job's stderr instead of its stdout
    #[arg(short, long)]
    err: bool,
    /// Only the last lines
    #[arg(short, long, value_name = "LINES")]
    tail: Option<u32>,
    /// Job contact
    #[arg(value_name = "JOB")]
    job: String,
}

impl Args {
    pub(super) fn run(self, _ui: &Ui) -> Result<Exit, Failure> {
        let recorded = record::find(&self.job)?;
        let stream = if self.err { Stream::Stderr } else { Stream::Stdout };
        let original = job::request::parse(recorded.rsl.as_bytes())?;
        let job = Job {
            contact: recorded.contact()?,
            spec: output::fetch(&original, stream, self.tail)?,
            serving: Some(Serving::Output),
            wait: Wait::End,
            delegation: DelegationMode::Limited,
            dry_run: false,
            interrupt: Interrupt::CancelJob,
        };
        let session = Session::open()?;
        let mut observe = |_: Progress<'_>| {};
        let ending = block_on(async { Ok(job::run(&session, job, &mut observe).await?) })?;
        match ending.failed() {
            Some(failure) => Err(failure),
            None if ending.exit_code.unwrap_or(0) == 0 => Ok(Exit::Success),
            None => Err(Failure::new(Exit::Negative, format!("{} has no such output there", self.job))),
        }
    }
}

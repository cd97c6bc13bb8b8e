//! `gridiron output`: brings home what a submitted job has written so far, and what it goes on writing.

use super::arguments;
use crate::{
    exit::Exit,
    failure::Failure,
    job::{
        self, Interrupt, Job, Progress, Serving, Wait,
        follow::{self, Finish, From, Until},
        output::{self, Part, Stream},
        record,
    },
    runtime::block_on,
    session::Session,
    ui::Ui,
};
use gsi::DelegationMode;

/// Print the output of a job started by `submit`
///
/// Reads it at the job contact. Where the job is over, or its job manager is not of our make, it runs a small job on the same
/// resource that reads the file; that needs nothing there but cat and tail.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gridiron output --tail 20 https://grid.example.org:40001/16213/5981/
  gridiron output -f https://grid.example.org:40001/16213/5981/")]
pub struct Args {
    /// The job's stderr instead of its stdout
    #[arg(short, long)]
    err: bool,
    /// Only the last lines
    #[arg(short, long, value_name = "LINES")]
    tail: Option<u32>,
    /// Go on with what the job writes, until it has ended
    #[arg(short, long)]
    follow: bool,
    /// Job contact
    #[arg(value_name = "JOB")]
    job: String,
}

impl Args {
    pub(super) fn run(self, _ui: &Ui) -> Result<Exit, Failure> {
        let contact = arguments::job(&self.job)?;
        let stream = if self.err { Stream::Stderr } else { Stream::Stdout };
        let from = self.tail.map_or(From::Start, From::LastLines);
        let until = if self.follow { Until::End } else { Until::Now };
        let session = Session::open()?;
        let read = block_on(async {
            let mut sink = std::io::stdout();
            Ok(follow::read(&session.client, &contact, stream, (from, until), &mut sink).await?)
        })?;
        let part = match (read, self.tail) {
            (Finish::Complete, _) => return Ok(Exit::Success),
            (Finish::NotTold, _) if self.follow => {
                let what = format!("the site of {} cannot tell what a job writes while it runs", self.job);
                return Err(Failure::new(Exit::Negative, what).try_this("leave -f out"));
            }
            (Finish::Gone(position), _) if position > 0 => Part::After(position),
            (_, Some(lines)) => Part::LastLines(lines),
            (_, None) => Part::Whole,
        };
        self.fetch(&session, stream, part)
    }

    /// Runs a job that reads the file.
    fn fetch(&self, session: &Session, stream: Stream, part: Part) -> Result<Exit, Failure> {
        let recorded = record::find(&self.job)?;
        let original = job::request::parse(recorded.rsl.as_bytes())?;
        let job = Job {
            contact: recorded.contact()?,
            spec: output::fetch(&original, stream, part)?,
            serving: Some(Serving::Output),
            wait: Wait::End,
            delegation: DelegationMode::Limited,
            dry_run: false,
            interrupt: Interrupt::CancelJob,
        };
        let mut observe = |_: Progress<'_>| {};
        let ending = block_on(async { Ok(job::run(session, job, &mut observe).await?) })?;
        match ending.failed() {
            Some(failure) => Err(failure),
            None if ending.exit_code.unwrap_or(0) == 0 => Ok(Exit::Success),
            None => Err(Failure::new(Exit::Negative, format!("{} has no such output there", self.job))),
        }
    }
}

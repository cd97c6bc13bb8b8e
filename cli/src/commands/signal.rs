//! `gridiron signal`: what can be asked of a job besides its state and its end.

use super::{arguments, status};
use crate::{exit::Exit, failure::Failure, runtime::block_on, session::Session, ui::Ui};
use gram::Signal;

/// Ask something of a job: pause it, change where its output goes, commit it …
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gridiron signal $JOB suspend
  gridiron signal $JOB stdio-update '&(stdout=https://here.example.org:5000/tmp/out)'
  gridiron signal $JOB stdio-size '1204 -1'")]
pub struct Args {
    /// Job contact
    #[arg(value_name = "JOB")]
    job: String,
    /// What to ask
    #[arg(value_name = "SIGNAL")]
    signal: Name,
    /// What goes with it
    #[arg(value_name = "ARGUMENT", allow_hyphen_values = true)]
    argument: Option<String>,
}

/// The signals that make sense for a person (gram.md §8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Name {
    /// Pause the job
    Suspend,
    /// Let a paused job go on
    Resume,
    /// Change its priority; ARGUMENT: what the scheduler there understands
    Priority,
    /// Start a job that was submitted with two_phase
    Commit,
    /// More time for the commit; ARGUMENT: seconds
    Extend,
    /// Send its output elsewhere; ARGUMENT: RSL with stdout, stderr, remote_io_url
    StdioUpdate,
    /// Has all its output arrived? ARGUMENT: bytes of stdout and stderr, -1 for any
    StdioSize,
    /// Let go of the job: it runs on, unwatched, until `gridiron restart`
    StopManager,
    /// Forget a job with two_phase that has ended
    End,
}

impl Name {
    fn number(self) -> u32 {
        match self {
            Self::Suspend => 2,
            Self::Resume => 3,
            Self::Priority => 4,
            Self::Commit => 5,
            Self::Extend => 6,
            Self::StdioUpdate => 7,
            Self::StdioSize => 8,
            Self::StopManager => 9,
            Self::End => 10,
        }
    }

    /// Schedulers want a word with these, and none of them reads it.
    fn usual_argument(self) -> Option<&'static str> {
        match self {
            Self::Suspend => Some("suspend"),
            Self::Resume => Some("resume"),
            _ => None,
        }
    }
}

impl Args {
    pub(super) fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        let job = arguments::job(&self.job)?;
        let argument = self.argument.as_deref().or(self.signal.usual_argument());
        let signal = Signal::new(self.signal.number(), argument).map_err(|error| {
            Failure::new(Exit::Usage, error.to_string()).try_this("gridiron signal --help")
        })?;
        let session = Session::open()?;
        let status = block_on(async { Ok(session.client.signal(&job, &signal).await?) })?;
        ui.result(
            &status::as_json(&self.job, &status),
            format!("{} {}", self.job, status::describe(&status)),
        );
        Ok(Exit::Success)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn every_name_is_the_signal_that_it_says() {
        for name in Name::value_variants() {
            let spelt = name.to_possible_value().unwrap().get_name().replace('-', "_").to_uppercase();
            let stock = Signal::name_of(name.number()).unwrap();
            let ours = match spelt.as_str() {
                "COMMIT" => "COMMIT_REQUEST",
                "EXTEND" => "COMMIT_EXTEND",
                "END" => "COMMIT_END",
                other => other,
            };
            assert_eq!(ours, stock);
        }
    }
}

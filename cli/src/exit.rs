//! How the program ends: one table of exit codes for all commands (`run` and `output` aside, which hand on the
//! job's own code where it is known).

use std::process::ExitCode;

/// An exit code; the documentation in `--help` is made from [`Exit::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done as asked.
    Success = 0,
    /// The question was answered with "no": problems found, not valid, not mapped.
    Negative = 1,
    /// The command line is wrong.
    Usage = 2,
    /// An input (RSL, contact, certificate) is malformed.
    Input = 65,
    /// The other end cannot be reached or does not answer.
    Unreachable = 69,
    /// The job failed or was cancelled.
    JobFailed = 70,
    /// A local file or system call failed.
    Local = 74,
    /// The other end refused.
    Refused = 77,
    /// The site's configuration is wrong.
    Configuration = 78,
    /// No usable credential: missing, expired, unreadable.
    Credential = 79,
    /// Interrupted by the user.
    Interrupted = 130,
}

impl Exit {
    /// Every code with its meaning, in order.
    pub const ALL: [(Exit, &'static str); 11] = [
        (Exit::Success, "done as asked"),
        (Exit::Negative, "the answer is no: problems found, not valid, not mapped, unknown job"),
        (Exit::Usage, "the command line is wrong"),
        (Exit::Input, "an input (RSL, contact, certificate) is malformed"),
        (Exit::Unreachable, "the other end cannot be reached or does not answer"),
        (Exit::JobFailed, "the job failed or was cancelled"),
        (Exit::Local, "a local file or system call failed"),
        (Exit::Refused, "the other end refused"),
        (Exit::Configuration, "the site's configuration is wrong"),
        (Exit::Credential, "no usable credential: missing, expired, unreadable"),
        (Exit::Interrupted, "interrupted"),
    ];
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table in the documentation is the one in the program.
    #[test]
    fn the_codes_are_documented() {
        let page = include_str!("../../docs/getting-started.md");
        for (exit, meaning) in Exit::ALL {
            assert!(page.contains(&format!("| {} | {meaning} |", exit as u8)), "{exit:?}");
        }
    }
}

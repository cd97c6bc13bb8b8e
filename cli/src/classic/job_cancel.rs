//! `globus-job-cancel`: ends a job after asking.

use super::{
    Original, Program, globusrun,
    options::{Opt, Order, flag, parse},
    terminal::{out, prompt},
};
use gram::{JobContact, JobState};
use std::{ffi::OsString, process::ExitCode};

/// The program.
pub(super) const PROGRAM: Program = Program {
    name: "globus-job-cancel",
    summary: "cancel a job that globus-job-submit left at a service",
    synopsis: "[-help] [-version] [-force] jobid",
    options: OPTIONS,
    notes: "",
    example: "globus-job-cancel -force https://host.example.org:40001/17370878429703052716/72057598265942445/",
    original: Original::Script,
    run,
};

const OPTIONS: &[Opt] = &[
    flag(&["-help", "-usage"], "show this page"),
    flag(&["-version"], "show the version"),
    flag(&["-versions"], "show the versions of all parts"),
    flag(&["-force", "-f"], "do not ask"),
    flag(&["-quiet", "-q"], "print nothing; implies -force"),
];

fn run(arguments: &[OsString]) -> ExitCode {
    let parsed = match parse(OPTIONS, Order::Mixed, arguments) {
        Ok(parsed) => parsed,
        Err(error) => return PROGRAM.usage_error(&error.describe()),
    };
    if let Some(code) = PROGRAM.page_asked_for(&parsed) {
        return code;
    }
    let Some(job) = parsed.operands.first() else {
        return PROGRAM.syntax_only();
    };
    let quiet = parsed.has("-quiet");
    if !quiet
        && !parsed.has("-force")
        && !confirmed("\n    Are you sure you want to cancel the job now (Y/N) ?")
    {
        out("\n\nThe cancel operation was NOT performed.\n");
        return ExitCode::FAILURE;
    }
    let job = match globusrun::job_id(job, 2) {
        Ok(job) => job,
        Err(code) => return code,
    };
    globusrun::drive(async {
        end(&job).await?;
        if !quiet {
            out(
                "\nJob canceled.\nNOTE: You still need to clean files associated with the\njob by running globus-job-clean <jobID>\n",
            );
        }
        Ok(())
    })
}

/// Cancels the job unless it has ended.
pub(super) async fn end(job: &JobContact) -> Result<(), u8> {
    match globusrun::job_state(job).await? {
        (JobState::Done | JobState::Failed, _) => Ok(()),
        _ => globusrun::kill_job(job).await,
    }
}

/// A question that only a `y` answers.
pub(super) fn confirmed(question: &str) -> bool {
    prompt(format_args!("{question} "));
    let mut answer = String::new();
    // No answer is a no.
    let _ = std::io::stdin().read_line(&mut answer);
    answer.trim_start().starts_with(['y', 'Y'])
}

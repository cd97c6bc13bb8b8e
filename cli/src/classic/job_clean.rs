//! `globus-job-clean`: ends a job if need be and removes the output it left at its service.

use super::{
    Original, Program,
    cached_output::{default_resource, remove},
    globusrun, job_cancel,
    options::{Opt, Order, flag, parse, valued},
    terminal::out,
};
use crate::job::{Interrupt, Wait};
use gsi::DelegationMode;
use std::{ffi::OsString, process::ExitCode};

/// The program.
pub(super) const PROGRAM: Program = Program {
    name: "globus-job-clean",
    summary: "end a job that globus-job-submit left at a service and remove its output there",
    synopsis: "[-help] [-version] [-force] jobid",
    options: OPTIONS,
    notes: "",
    example: "globus-job-clean -force https://host.example.org:40001/17370878429703052716/72057598265942445/",
    original: Original::Script,
    run,
};

const OPTIONS: &[Opt] = &[
    flag(&["-help", "-usage"], "show this page"),
    flag(&["-version"], "show the version"),
    flag(&["-versions"], "show the versions of all parts"),
    flag(&["-force", "-f"], "do not ask"),
    flag(&["-quiet", "-q"], "print nothing; implies -force"),
    valued(&["-resource", "-r"], "contact", "the service to ask (default: port 2119 of the job's host)"),
];

const QUESTION: &str = "
    WARNING: Cleaning a job means:
        - Kill the job if it still running, and
        - Remove the cached output on the remote resource

    Are you sure you want to cleanup the job now (Y/N) ?";

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
    if !quiet && !parsed.has("-force") && !job_cancel::confirmed(QUESTION) {
        out("\n\nThe cleanup operation was NOT performed.\n");
        return ExitCode::FAILURE;
    }
    let job = match globusrun::job_id(job, 2) {
        Ok(job) => job,
        Err(code) => return code,
    };
    let resource = parsed.text("-resource").unwrap_or_else(|| default_resource(&job).to_string());
    globusrun::drive(async {
        let cleaned = async {
            job_cancel::end(&job).await?;
            globusrun::attempt(globusrun::Submission {
                contact: resource,
                spec: remove(&job),
                quiet: true,
                serving: None,
                wait: Wait::End,
                interrupt: Interrupt::CancelJob,
                delegation: DelegationMode::Limited,
                dry_run: false,
            })
            .await
        };
        if cleaned.await.is_err() {
            out("Could not clean up job.");
            return Err(1);
        }
        if !quiet {
            out("\nCleanup successful.\n");
        }
        Ok(())
    })
}

//! `globus-job-status`: the state of a job.

use super::{
    Original, Program, globusrun,
    options::{Opt, Order, flag, parse},
    terminal::out,
};
use crate::{job::watch::state_name, session::Session};
use std::{ffi::OsString, process::ExitCode};

/// The program.
pub(super) const PROGRAM: Program = Program {
    name: "globus-job-status",
    summary: "print the state of a job: PENDING, ACTIVE, SUSPENDED, DONE, FAILED ...",
    synopsis: "[-help] [-version] [jobID]",
    options: OPTIONS,
    notes: "",
    example: "globus-job-status https://host.example.org:40001/17370878429703052716/72057598265942445/",
    original: Original::Script,
    run,
};

const OPTIONS: &[Opt] = &[
    flag(&["-help", "-usage"], "show this page"),
    flag(&["-version"], "show the version"),
    flag(&["-versions"], "show the versions of all parts"),
];

fn run(arguments: &[OsString]) -> ExitCode {
    let parsed = match parse(OPTIONS, Order::OptionsFirst, arguments) {
        Ok(parsed) => parsed,
        Err(error) => return PROGRAM.usage_error(&error.describe()),
    };
    if let Some(code) = PROGRAM.page_asked_for(&parsed) {
        return code;
    }
    let Some(job) = parsed.operands.first() else {
        return PROGRAM.syntax_only();
    };
    if Session::open().is_err() {
        return PROGRAM.usage_error("could not find a valid proxy");
    }
    let job = match globusrun::job_id(job, 2) {
        Ok(job) => job,
        Err(code) => return code,
    };
    globusrun::drive(async {
        let (state, _) = globusrun::job_state(&job).await?;
        out(state_name(state));
        Ok(())
    })
}

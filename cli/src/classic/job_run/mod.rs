//! `globus-job-run` and `globus-job-submit`: a job from command line words, run here or left to itself.

mod clause;
mod text;

use super::{
    Original, Program, globusrun,
    options::{Opt, flag, valued},
    pages,
    terminal::{err, out},
};
use crate::{
    job::{Interrupt, Serving, Wait},
    session::Session,
};
use clause::{Clause, ClauseError};
use gsi::DelegationMode;
use std::{ffi::OsString, process::ExitCode};
use text::Output;

/// `globus-job-run`.
pub(super) const RUN: Program = Program {
    name: "globus-job-run",
    summary: "run a job at a GRAM service and bring its output here",
    synopsis: "<contact string> [-np N] <executable> [<arg>...]",
    options: OPTIONS,
    notes: globusrun::CONTACTS,
    example: "globus-job-run host.example.org -np 4 -stdin -s input.dat /bin/cat",
    original: Original::Script,
    run: |arguments| run(&RUN, Kind::Run, arguments),
};

/// `globus-job-submit`.
pub(super) const SUBMIT: Program = Program {
    name: "globus-job-submit",
    summary: "leave a job at a GRAM service; its output waits there for globus-job-get-output",
    synopsis: "[-help] <contact string> [-np N] <executable> [<arg>...]",
    options: OPTIONS,
    notes: globusrun::CONTACTS,
    example: "globus-job-submit host.example.org/jobmanager-fork /bin/sleep 60",
    original: Original::Script,
    run: |arguments| run(&SUBMIT, Kind::Submit, arguments),
};

/// Those of the host clause (after the contact) are read by [`clause`]; they stand here for help and completions.
const OPTIONS: &[Opt] = &[
    flag(&["-help", "-usage"], "show this page"),
    flag(&["-version"], "show the version"),
    flag(&["-versions"], "show the versions of all parts"),
    flag(&["-dumprsl"], "print the RSL, run nothing"),
    flag(&["-dryrun"], "let the service check everything, run nothing"),
    flag(&["-verify"], "as -dryrun, then run"),
    valued(&["-np", "-count"], "N", "processes"),
    valued(&["-host-count"], "N", "nodes"),
    valued(&["-maxtime", "-m"], "minutes", "time the job may take"),
    valued(&["-project", "-p"], "project", "whom the scheduler charges"),
    valued(&["-queue", "-q"], "queue", "queue of the scheduler"),
    valued(&["-dir", "-d"], "directory", "working directory"),
    valued(&["-env"], "NAME=VALUE", "one environment variable; may be repeated"),
    valued(&["-stdin"], "[-l|-s] file", "input"),
    valued(&["-stdout"], "[-l|-s] file", "output"),
    valued(&["-stderr"], "[-l|-s] file", "error output"),
    valued(&["-extrarsl", "-x"], "RSL", "relations put in front of ours"),
    flag(&["-local", "-l"], "the next file is at the service (default)"),
    flag(&["-stage", "-s"], "the next file is here and is staged"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Run,
    Submit,
}

/// What stands before the contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Normal,
    DumpRsl,
    DryRun,
    Verify,
}

fn run(program: &Program, kind: Kind, arguments: &[OsString]) -> ExitCode {
    let mut mode = Mode::Normal;
    let mut words = arguments;
    while let Some((word, rest)) = words.split_first() {
        match word
            .to_str()
            .map(|word| word.strip_prefix('-').filter(|rest| rest.starts_with('-')).unwrap_or(word))
        {
            Some("-help" | "-usage") => {
                program.print_page(&pages::help(program));
                return ExitCode::SUCCESS;
            }
            Some("-version") => {
                program.print_version();
                return ExitCode::SUCCESS;
            }
            Some("-versions") => {
                program.print_versions();
                return ExitCode::SUCCESS;
            }
            Some("-dumprsl") => mode = Mode::DumpRsl,
            Some("-dryrun") if mode != Mode::DumpRsl => mode = Mode::DryRun,
            Some("-verify") if mode != Mode::DumpRsl => mode = Mode::Verify,
            Some("-dryrun" | "-verify") => {}
            _ => break,
        }
        words = rest;
    }
    if words.is_empty() {
        return program.syntax_only();
    }
    let clause = match Clause::parse(words) {
        Ok(clause) => clause,
        Err(error) => return refuse(program, &error),
    };
    let output = match kind {
        Kind::Run => Output::Here,
        Kind::Submit => Output::Cached,
    };
    let request = text::write(&clause, output);
    if mode == Mode::DumpRsl {
        out(String::from_utf8_lossy(&request));
        return ExitCode::SUCCESS;
    }
    if Session::open().is_err() {
        return program.usage_error("proxy does not exist");
    }
    perform(program, kind, mode, &clause, &request)
}

fn perform(program: &Program, kind: Kind, mode: Mode, clause: &Clause, request: &[u8]) -> ExitCode {
    let serving = serving(clause, kind);
    let wait = match kind {
        Kind::Run => Wait::End,
        // Staging needs our server until the job has been handed to the scheduler.
        Kind::Submit if serving.is_some() => Wait::Submitted,
        Kind::Submit => Wait::Reply,
    };
    let spec = match rsl::parse(request) {
        Ok(spec) => spec,
        Err(error) => {
            return program
                .usage_error(&format!("the RSL is malformed: {error}\n{}", error.underline(request)));
        }
    };
    let submission = |dry_run| globusrun::Submission {
        contact: clause.contact.clone(),
        spec: spec.clone(),
        quiet: true,
        serving,
        wait: if dry_run { Wait::End } else { wait },
        interrupt: Interrupt::CancelJob,
        delegation: DelegationMode::Limited,
        dry_run,
    };
    if mode != Mode::Normal {
        let checked = globusrun::submit(submission(true));
        if checked == ExitCode::SUCCESS {
            err("Dryrun successful");
        }
        if mode == Mode::DryRun || checked != ExitCode::SUCCESS {
            return checked;
        }
    }
    globusrun::submit(submission(false))
}

/// Reading for what is staged in, writing for output that comes back into files, and the job's output for `run`.
fn serving(clause: &Clause, kind: Kind) -> Option<Serving> {
    if clause.stages_out() {
        Some(Serving::Write)
    } else if clause.stages_in() {
        Some(Serving::Read)
    } else {
        (kind == Kind::Run).then_some(Serving::Output)
    }
}

fn refuse(program: &Program, error: &ClauseError) -> ExitCode {
    if *error == ClauseError::NoExecutable {
        return program.bare_refusal(&format!("ERROR: {error}\n"));
    }
    program.usage_error(&error.to_string())
}

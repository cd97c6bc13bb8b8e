//! `globusrun`: submits and controls single GRAM jobs.

mod action;
mod control;
mod submit;

use super::{
    Original, Program, block_on,
    options::{Opt, flag, valued},
    pages,
    terminal::{err, out},
};
use crate::session::Session;
pub(super) use action::Submission;
use action::{Action, Refusal};
pub(super) use control::{kill as kill_job, state_of as job_state};
use gram::JobContact;
use std::{
    ffi::{OsStr, OsString},
    process::ExitCode,
};
pub(super) use submit::submit as attempt;

/// The program.
pub(super) const PROGRAM: Program = Program {
    name: "globusrun",
    summary: "submit a job in RSL to a GRAM service, or control one",
    synopsis: "[-help] [-f RSL file] [-s][-b][-d][...] [-r RM] [RSL]",
    options: OPTIONS,
    notes: CONTACTS,
    example: "globusrun -s -r host.example.org/jobmanager-fork '&(executable=/bin/date)'",
    original: Original::Compiled,
    run,
};

const OPTIONS: &[Opt] = &[
    flag(&["-help"], "show this page"),
    flag(&["-usage"], "show the syntax in one line"),
    flag(&["-version"], "show the version"),
    flag(&["-versions"], "show the versions of all parts"),
    valued(&["-file", "-f"], "rsl file", "read the RSL from this file"),
    flag(&["-quiet", "-q"], "print no progress"),
    flag(&["-output-enable", "-o"], "bring the job's stdout and stderr here; implies -quiet"),
    flag(&["-server", "-s"], "as -o, and let the job read our files below $(GLOBUSRUN_GASS_URL)"),
    flag(&["-write-allow", "-w"], "as -s, and let the job write there"),
    valued(&["-resource", "-r"], "contact", "where to submit"),
    flag(&["-no-interrupt", "-n"], "SIGINT ends globusrun only and leaves the job running"),
    valued(&["-kill", "-k"], "job ID", "cancel this job"),
    valued(&["-status"], "job ID", "print the state of this job"),
    flag(&["-batch", "-b"], "print the job ID and leave once the job is submitted"),
    flag(&["-fast-batch", "-F"], "print the job ID and leave without waiting for a state"),
    flag(&["-full-proxy", "-D"], "delegate a full proxy instead of a limited one"),
    valued(&["-refresh-proxy", "-y"], "job ID", "delegate a new proxy to this job"),
    valued(&["-stop-manager"], "job ID", "let go of this job without ending it"),
    flag(&["-parse", "-p"], "only check the RSL"),
    flag(&["-authenticate-only", "-a"], "only test whether the service lets us in"),
    flag(&["-dryrun", "-d"], "let the service check everything, but run nothing"),
    flag(&["-job-manager-version", "-j"], "print the versions at the service"),
];

/// The forms of a contact, for the notes of several programs.
pub(super) const CONTACTS: &str = "A contact is host[:port][/service][:subject]:
    host                 host:port              host:port/service
    host/service         host:/service          host::subject
    host:port:subject    host/service:subject   host:/service:subject
    host:port/service:subject
Without a port it is 2119, without a service jobmanager; without a subject the
certificate must bear the host's name.";

fn run(arguments: &[OsString]) -> ExitCode {
    let action = match Action::parse(arguments) {
        Ok(action) => action,
        Err(refusal) => return refuse(&refusal),
    };
    match action {
        Action::Help => PROGRAM.print_page(&pages::help(&PROGRAM)),
        Action::Usage => PROGRAM.print_page(&format!("{} {}", PROGRAM.name, PROGRAM.synopsis)),
        Action::Version => PROGRAM.print_version(),
        Action::Versions => PROGRAM.print_versions(),
        Action::ParseOnly => out("RSL Parsed Successfully..."),
        Action::Ping(contact) => return drive(control::ping(&contact)),
        Action::ServiceVersion(contact) => return drive(control::service_version(&contact)),
        Action::Kill(job) => return drive(control::kill(&job)),
        Action::Status(job) => return drive(control::status(&job)),
        Action::Renew(job, mode) => return drive(control::renew(&job, mode)),
        Action::StopManager(job) => return drive(control::stop_manager(&job)),
        Action::Submit(submission) => return submit(*submission),
    }
    ExitCode::SUCCESS
}

/// Submits and sees the job through; also the second half of `globus-job-run` and `globus-job-submit`.
pub(super) fn submit(submission: Submission) -> ExitCode {
    drive(attempt(submission))
}

/// Runs to an exit code; what went wrong has been printed by `work`.
pub(super) fn drive(work: impl Future<Output = Result<(), u8>>) -> ExitCode {
    match block_on(work) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(code)) => ExitCode::from(code),
        Err(error) => {
            err(format_args!("globusrun: cannot start: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// A job ID given to a script tool, refused in `globusrun`'s words as it always was; `position` is where `globusrun` would
/// have seen it.
pub(super) fn job_id(word: &OsStr, position: usize) -> Result<JobContact, ExitCode> {
    let text = word.to_string_lossy().into_owned();
    text.parse().map_err(|_| refuse(&Refusal::Argument { position, text, reason: action::BAD_JOB_ID.into() }))
}

fn refuse(refusal: &Refusal) -> ExitCode {
    let synopsis = PROGRAM.synopsis;
    match refusal {
        Refusal::Argument { position, text, reason } => {
            err(format_args!(
                "\nError, argument #{position} ({text}) : {reason}\n\nSyntax : globusrun {synopsis}\n\n\nUse -help to display full usage."
            ));
            ExitCode::FAILURE
        }
        Refusal::Usage(message) => {
            err(format_args!(
                "\nERROR: {message}\n\nSyntax: globusrun {synopsis}\n\n\nUse -help to display full usage"
            ));
            ExitCode::from(u8::MAX)
        }
        Refusal::NotAJob => {
            err("globusrun Error: Bad RSL");
            ExitCode::from(48)
        }
        Refusal::MultiRequest => {
            err("Multi-requests not supported with this version of globusrun");
            ExitCode::FAILURE
        }
    }
}

/// The user's credential and a client with it; a failure has been printed.
pub(super) fn session() -> Result<Session, u8> {
    Session::open().map_err(|failure| {
        err(format_args!("gram_init failure:\n{failure}"));
        NO_CREDENTIAL
    })
}

/// What the original exits with when it finds no credential (-2).
const NO_CREDENTIAL: u8 = 254;

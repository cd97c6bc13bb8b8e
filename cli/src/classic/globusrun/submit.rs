//! Submitting a job and seeing it through, in the words of the original.

use super::{
    action::Submission,
    control::{exit_code, parse, reason},
    session,
};
use crate::{
    classic::terminal::{err, out},
    job::{self, Ending, JobError, Progress, Wait, watch::state_name},
};
use gram::{GramError, JobState};

/// The first line of progress.
const CALLBACK_ALLOWED: &str = "globus_gram_client_callback_allow successful";

/// Submits; an `Err` is the exit code, and what went wrong has been printed.
pub(in crate::classic) async fn submit(submission: Submission) -> Result<(), u8> {
    let session = session()?;
    let Submission { contact, spec, quiet, serving, wait, interrupt, delegation, dry_run } = submission;
    let contact = parse(&contact).map_err(|error| refused(&error.into()))?;
    if wait == Wait::Reply && !quiet {
        // Nobody listens in this mode, but scripts count the lines.
        out(CALLBACK_ALLOWED);
    }
    let mut observe = |progress: Progress<'_>| match progress {
        Progress::Listening(_) if !quiet => out(CALLBACK_ALLOWED),
        Progress::Accepted(contact) => {
            if !quiet {
                out("GRAM Job submission successful");
            }
            if wait != Wait::End {
                out(contact);
            }
        }
        Progress::State(update) if !quiet => {
            out(format_args!("GLOBUS_GRAM_PROTOCOL_JOB_STATE_{}", state_name(update.state)));
            if let Some(code) = update.exit_code {
                out(format_args!("exit code: {code}"));
            }
        }
        Progress::Cancelling if !quiet => out("Cancelling job..."),
        Progress::Listening(_) | Progress::State(_) | Progress::Cancelling => {}
    };
    let job = job::Job { contact, spec, serving, wait, delegation, dry_run, interrupt };
    match job::run(&session, job, &mut observe).await {
        Ok(_) if dry_run => {
            if !quiet {
                err("Dryrun successful");
            }
            Ok(())
        }
        Ok(ending) => conclude(&ending),
        Err(error) => Err(refused(&error)),
    }
}

/// How it ended. A job that failed gives its number; DONE says nothing about the program's own exit code.
fn conclude(ending: &Ending) -> Result<(), u8> {
    if ending.state != Some(JobState::Failed) {
        return Ok(());
    }
    let failure = ending.failure.unwrap_or(GramError::SUCCESS);
    let text = ending.staging.as_deref().unwrap_or(failure.text());
    err(format_args!("GRAM Job failed because {text} (error code {})", failure.0));
    if let Some(details) = ending.message.as_deref().filter(|text| !text.is_empty()) {
        err(format_args!("Details: {details}"));
    }
    Err(exit_code(failure))
}

fn refused(error: &JobError) -> u8 {
    let text = match error {
        JobError::Gram(error) => reason(error),
        JobError::Rsl(text) => text.clone(),
        JobError::Gass(error) => error.to_string(),
    };
    err(format_args!("GRAM Job submission failed because {text} (error code {})", error.code().0));
    exit_code(error.code())
}

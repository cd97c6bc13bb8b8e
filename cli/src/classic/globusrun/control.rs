//! The operations on a service or a running job: ping, versions, state, cancel, renew, let go. Each prints what the
//! original prints; an `Err` is the exit code, and what went wrong has been printed.

use super::session;
use crate::{
    classic::terminal::{err, out},
    job::watch::{self, state_name},
};
use gram::{GramError, JobContact, JobState, ResourceContact, Signal, client::ClientError};
use gsi::DelegationMode;

/// What a job manager answers for a job it does not know.
const JOB_CONTACT_NOT_FOUND: GramError = GramError(156);

/// Who is who could not be settled.
const AUTHORIZATION: GramError = GramError(7);

/// `-a`: whether the service lets us in.
pub(super) async fn ping(contact: &str) -> Result<(), u8> {
    let session = session()?;
    let answer = match parse(contact) {
        Ok(contact) => session.client.ping(&contact).await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(()) => {
            out("\nGRAM Authentication test successful");
            Ok(())
        }
        Err(error) => {
            out(format_args!("\nGRAM Authentication test failure: {}", reason(&error)));
            Err(1)
        }
    }
}

/// `-j`: the versions at the service.
pub(super) async fn service_version(contact: &str) -> Result<(), u8> {
    let session = session()?;
    let answer = match parse(contact) {
        Ok(contact) => session.client.version(&contact).await,
        Err(error) => Err(error),
    };
    let version = answer.map_err(|error| {
        err(format_args!("GRAM Job Manager version check failed because {}", reason(&error)));
        exit_code(error.code)
    })?;
    if let Some(toolkit) = version.toolkit {
        out(format_args!("Toolkit version: {toolkit}"));
    }
    if let Some(version) = version.version {
        out(format_args!("Job Manager version: {version}"));
    }
    Ok(())
}

/// The state of a job as `-status` prints it, with the exit code when the service told it. A job nobody knows any more
/// has ended: the original says DONE for it.
pub(in crate::classic) async fn state_of(job: &JobContact) -> Result<(JobState, Option<i32>), u8> {
    let session = session()?;
    let status = watch::status(&session.client, job).await.map_err(|error| {
        out("ERROR");
        exit_code(error.code)
    })?;
    // Only what a stock client would see; our own services tell the code under another name.
    let told = status.extensions.iter().find(|(name, _)| name == gram::wire::body::EXIT_CODE);
    let exit_code = told.and_then(|(_, code)| code.parse().ok());
    Ok((status.state.unwrap_or(JobState::Done), exit_code))
}

/// `-status`.
pub(super) async fn status(job: &JobContact) -> Result<(), u8> {
    let (state, code) = state_of(job).await?;
    out(state_name(state));
    if let Some(code) = code {
        out(format_args!("exit code: {code}"));
    }
    Ok(())
}

/// `-k`.
pub(in crate::classic) async fn kill(job: &JobContact) -> Result<(), u8> {
    let session = session()?;
    known(session.client.cancel(job).await).map_err(|code| {
        err("Error canceling job");
        exit_code(code)
    })
}

/// `-y`. The original does not look at a refusal before it delegates, so it only learns that nobody takes part.
pub(super) async fn renew(job: &JobContact, mode: DelegationMode) -> Result<(), u8> {
    let session = session()?;
    known(session.client.renew(job, mode).await).map_err(|code| match code {
        JOB_CONTACT_NOT_FOUND => exit_code(GramError::PROTOCOL_FAILED),
        code => exit_code(code),
    })
}

/// `-stop-manager`.
pub(super) async fn stop_manager(job: &JobContact) -> Result<(), u8> {
    let session = session()?;
    known(session.client.signal(job, &Signal::StopManager).await).map_err(|code| {
        err(format_args!("Error stopping job manager: {}", code.text()));
        exit_code(code)
    })
}

/// A job without a state is one the manager does not know.
fn known(answer: Result<gram::client::JobStatus, ClientError>) -> Result<(), GramError> {
    match answer {
        Ok(status) if status.state.is_some() => Ok(()),
        Ok(_) => Err(JOB_CONTACT_NOT_FOUND),
        Err(error) => Err(error.code),
    }
}

/// A contact as the client library reads it, with its error number.
pub(super) fn parse(contact: &str) -> Result<ResourceContact, ClientError> {
    contact
        .parse()
        .map_err(|error: gram::contact::ContactError| ClientError::new(GramError(96), error.to_string()))
}

/// Why, after "because": the service's own words, else those of the number. What exactly authentication did not like
/// follows on a line of its own, as in the original.
pub(super) fn reason(error: &ClientError) -> String {
    match &error.details {
        Some(details) => details.clone(),
        None if error.code == AUTHORIZATION => format!("{}\n{}\n", error.code.text(), error.message),
        None => error.code.text().to_owned(),
    }
}

/// Error numbers are the exit codes.
pub(super) fn exit_code(code: GramError) -> u8 {
    u8::try_from(code.0).unwrap_or(u8::MAX)
}

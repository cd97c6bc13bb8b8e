//! The operations on a service or a running job: ping, versions, state, cancel, renew, let go.

use super::{client, submit::state_name};
use gram::{GramError, JobContact, ResourceContact, Signal, client::ClientError};
use gsi::DelegationMode;

/// `-a`: whether the service lets us in.
pub(super) async fn ping(contact: &str) -> u8 {
    let (_, _, client) = match client().await {
        Ok(parts) => parts,
        Err(code) => return code,
    };
    let answer = match parse(contact) {
        Ok(contact) => client.ping(&contact).await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(()) => {
            println!("\nGRAM Authentication test successful");
            0
        }
        Err(error) => {
            println!("\nGRAM Authentication test failure: {}", reason(&error));
            1
        }
    }
}

/// `-j`: the versions at the service.
pub(super) async fn service_version(contact: &str) -> u8 {
    let (_, _, client) = match client().await {
        Ok(parts) => parts,
        Err(code) => return code,
    };
    let answer = match parse(contact) {
        Ok(contact) => client.version(&contact).await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(version) => {
            if let Some(toolkit) = version.toolkit {
                println!("Toolkit version: {toolkit}");
            }
            if let Some(version) = version.version {
                println!("Job Manager version: {version}");
            }
            0
        }
        Err(error) => {
            eprintln!("GRAM Job Manager version check failed because {}", reason(&error));
            exit_code(error.code)
        }
    }
}

/// What `-status` prints about a job.
pub(in crate::classic) enum State {
    /// A state, and the exit code when the service told it.
    Known(String, Option<i32>),
    /// The query failed.
    Error(ClientError),
}

/// The state of a job. A job nobody knows any more has ended: the original says DONE for it, and so do we.
pub(in crate::classic) async fn state_of(job: &JobContact) -> Result<State, u8> {
    let (_, _, client) = client().await?;
    let gone = || State::Known("DONE".into(), None);
    Ok(match client.status(job).await {
        Ok(status) => match status.state {
            Some(state) => State::Known(state_name(state).to_owned(), status.exit_code),
            None => gone(),
        },
        Err(error) if matches!(error.code.0, 12 | 79 | 156) => gone(),
        Err(error) => State::Error(error),
    })
}

/// `-status`.
pub(super) async fn status(job: &JobContact) -> u8 {
    match state_of(job).await {
        Ok(State::Known(name, code)) => {
            println!("{name}");
            if let Some(code) = code {
                println!("exit code: {code}");
            }
            0
        }
        Ok(State::Error(error)) => {
            println!("ERROR");
            exit_code(error.code)
        }
        Err(code) => code,
    }
}

/// `-k`.
pub(in crate::classic) async fn kill(job: &JobContact) -> u8 {
    let (_, _, client) = match client().await {
        Ok(parts) => parts,
        Err(code) => return code,
    };
    match client.cancel(job).await {
        Ok(status) if status.state.is_some() => 0,
        Ok(_) => {
            eprintln!("Error canceling job");
            exit_code(GramError(156))
        }
        Err(error) => {
            eprintln!("Error canceling job");
            exit_code(error.code)
        }
    }
}

/// `-y`.
pub(super) async fn renew(job: &JobContact, mode: DelegationMode) -> u8 {
    let (_, _, client) = match client().await {
        Ok(parts) => parts,
        Err(code) => return code,
    };
    match client.renew(job, mode).await {
        Ok(_) => 0,
        Err(error) => {
            eprintln!("Error refreshing proxy: {}", reason(&error));
            exit_code(error.code)
        }
    }
}

/// `-stop-manager`.
pub(super) async fn stop_manager(job: &JobContact) -> u8 {
    let (_, _, client) = match client().await {
        Ok(parts) => parts,
        Err(code) => return code,
    };
    let code = match client.signal(job, &Signal::StopManager).await {
        Ok(status) if status.state.is_some() => return 0,
        Ok(_) => GramError(156),
        Err(error) => error.code,
    };
    eprintln!("Error stopping job manager: {}", code.text());
    exit_code(code)
}

/// A contact as the client library reads it, with its error number.
pub(super) fn parse(contact: &str) -> Result<ResourceContact, ClientError> {
    contact.parse().map_err(|error: gram::contact::ContactError| ClientError {
        code: GramError(96),
        message: error.to_string(),
    })
}

/// The stock wording of the number, with what really happened below it where we know more.
pub(super) fn reason(error: &ClientError) -> String {
    error.message.clone()
}

/// Error numbers are the exit codes.
pub(super) fn exit_code(code: GramError) -> u8 {
    u8::try_from(code.0).unwrap_or(u8::MAX)
}

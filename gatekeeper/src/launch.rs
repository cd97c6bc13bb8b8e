//! Finding or starting the account's job manager and handing the request over.
//!
//! One channel per account is kept and shared by all its requests. A manager that has gone is noticed by the channel;
//! then the next one is started, once, however many requests wait for it.

use crate::start::{NotStarted, Starter};
use gram::control::{self, ControlError, JobManagerClient, Submission};
use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a request is offered to a manager before giving up: each time the one before had just gone.
const ATTEMPTS: u32 = 3;
/// Pause before a request whose fate is not known is offered again.
const PAUSE: Duration = Duration::from_millis(200);

/// Why no job manager took a request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// None could be started.
    #[error(transparent)]
    Start(#[from] NotStarted),
    /// Its socket cannot be used.
    #[error("cannot connect to {}: {source}", .socket.display())]
    Connect {
        /** which */
        socket: PathBuf,
        /** why */
        source: io::Error,
    },
    /// A start that this request waited for failed.
    #[error("{0}")]
    Earlier(String),
    /// It gave no answer, and has not taken the request.
    #[error(transparent)]
    Control(ControlError),
    /// A manager was lost in mid-request, and none could be asked since what has become of it.
    #[error("whether the job exists is not known: {0}")]
    InDoubt(String),
    /// The account cannot be entered in the register of those with unfinished jobs.
    #[error("the gatekeeper's register cannot be written: {0}")]
    Register(#[from] io::Error),
}

impl LaunchError {
    /// The same for another request, which waited for the same start.
    fn for_another(&self) -> Self {
        match self {
            Self::Start(NotStarted::Refused { account, refusal }) => {
                Self::Start(NotStarted::Refused { account: account.clone(), refusal: *refusal })
            }
            other => Self::Earlier(other.to_string()),
        }
    }
}

/// The job managers of a site's accounts.
#[derive(Debug)]
pub struct Launcher {
    state: PathBuf,
    starter: Starter,
    answer: Duration,
    accounts: Mutex<HashMap<String, Arc<Slot>>>,
}

/// One account's manager; the lock is held while one is looked for or started, so that only one is.
type Slot = tokio::sync::Mutex<SlotState>;

#[derive(Debug, Default)]
struct SlotState {
    running: Option<Running>,
    /// When the last start failed, and why: requests that waited for it share the failure and do not try in turn.
    failure: Option<(Instant, LaunchError)>,
}

/// A manager that answered.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(crate) client: JobManagerClient,
    /// Counts the managers of this account: tells whether a failed one has been replaced already.
    pub(crate) generation: u64,
}

impl Launcher {
    /// For managers below `state`, which `starter` starts and which have `answer` for a request.
    pub fn new(state: PathBuf, starter: Starter, answer: Duration) -> Self {
        Self { state, starter, answer, accounts: Mutex::default() }
    }

    /// Hands a submission to the account's manager. A manager that goes away without having taken it is replaced.
    ///
    /// When one goes away and may have taken it, the request is offered to the next one, which knows the job by the request's
    /// id if there is one. Only [`LaunchError::InDoubt`] leaves it open whether a job exists.
    pub async fn submit<R: Submission>(&self, account: &str, request: &R) -> Result<R::Reply, LaunchError> {
        let until = Instant::now() + self.answer;
        let mut gone = None;
        let mut in_doubt = false;
        let mut attempts = 0;
        loop {
            let failure = match self.manager(account, gone).await {
                Ok(running) => {
                    gone = Some(running.generation);
                    let patience = until.saturating_duration_since(Instant::now());
                    match control::submit(&running.client, request.clone(), patience).await {
                        Ok(reply) => return Ok(reply),
                        Err(error @ (ControlError::Failed(_) | ControlError::Deadline(_))) => {
                            return Err(LaunchError::InDoubt(error.to_string()));
                        }
                        Err(error) => {
                            attempts += 1;
                            in_doubt |= !matches!(error, ControlError::Gone(_));
                            LaunchError::Control(error)
                        }
                    }
                }
                Err(error) => {
                    attempts = ATTEMPTS;
                    error
                }
            };
            if !in_doubt && attempts >= ATTEMPTS {
                return Err(failure);
            }
            tracing::info!(account, %failure, in_doubt, "asking the next job manager");
            if in_doubt {
                if Instant::now() + PAUSE >= until {
                    return Err(LaunchError::InDoubt(failure.to_string()));
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// The account's running manager, or one that is started now, but not the one that has `gone`.
    pub(crate) async fn manager(&self, account: &str, gone: Option<u64>) -> Result<Running, LaunchError> {
        let slot = self.slot(account);
        self.running(account, &slot, gone).await
    }

    fn slot(&self, account: &str) -> Arc<Slot> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        match accounts.get(account) {
            Some(slot) => Arc::clone(slot),
            None => Arc::clone(accounts.entry(account.to_owned()).or_default()),
        }
    }

    /// The running manager, unless it is the one that has `gone`; then another.
    async fn running(&self, account: &str, slot: &Slot, gone: Option<u64>) -> Result<Running, LaunchError> {
        let asked = Instant::now();
        let mut state = slot.lock().await;
        if let Some((when, error)) = &state.failure
            && *when > asked
        {
            return Err(error.for_another());
        }
        let generation = match &state.running {
            Some(running) if Some(running.generation) != gone => return Ok(running.clone()),
            Some(running) => running.generation + 1,
            None => 1,
        };
        match self.find_or_start(account).await {
            Ok(client) => {
                state.failure = None;
                Ok(state.running.insert(Running { client, generation }).clone())
            }
            Err(error) => {
                state.failure = Some((Instant::now(), error.for_another()));
                Err(error)
            }
        }
    }

    async fn find_or_start(&self, account: &str) -> Result<JobManagerClient, LaunchError> {
        let socket = control::socket_path(&self.state, account);
        let uid = self.starter.uid(account).await?;
        match control::connect(&socket, uid).await {
            Ok(client) => return Ok(client),
            // Nobody there, or somebody just about to leave.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::Other
                ) => {}
            Err(source) => return Err(LaunchError::Connect { socket, source }),
        }
        let started = self.starter.start(account).await;
        // Also when the one started here gave up: that is what it does when another is there already.
        match (control::connect(&socket, uid).await, started) {
            (Ok(client), _) => Ok(client),
            (Err(_), Err(error)) => Err(error.into()),
            (Err(source), Ok(())) => Err(LaunchError::Connect { socket, source }),
        }
    }
}

#[cfg(test)]
mod tests;

//! Finding or starting the account's job manager and handing the request over.
//!
//! One channel per account is kept and shared by all its requests. A manager that has gone is noticed by the channel;
//! then the next one is started, once, however many requests wait for it.

use gram::control::{self, ControlError, JobManagerClient, v1};
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

/// What a job manager prints when its control socket answers.
pub const READY: &str = "ready";
/// How often a request is offered to a manager before giving up: each time the one before had just gone.
const ATTEMPTS: u32 = 3;
/// Most bytes read from a starting manager's standard output.
const MAX_GREETING: u64 = 4096;

/// Why no job manager took a request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// A folder or log file cannot be made.
    #[error("cannot prepare {}: {source}", .path.display())]
    Prepare {
        /** which */
        path: PathBuf,
        /** why */
        source: io::Error,
    },
    /// The command line is empty.
    #[error("no job manager command is configured")]
    NoCommand,
    /// The program cannot be started.
    #[error("cannot start {program:?}: {source}")]
    Spawn {
        /** which */
        program: OsString,
        /** why */
        source: io::Error,
    },
    /// It ended before it was ready.
    #[error("the job manager ended before it was ready ({status}); see {}", .log.display())]
    Ended {
        /** how */
        status: String,
        /** where it says why */
        log: PathBuf,
    },
    /// It did not get ready in time.
    #[error("the job manager was not ready within {} s; see {}", .patience.as_secs(), .log.display())]
    NotReady {
        /** how long it had */
        patience: Duration,
        /** where it may say why */
        log: PathBuf,
    },
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
    /// It gave no answer.
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// The job managers of a site's accounts.
#[derive(Debug)]
pub struct Launcher {
    state: PathBuf,
    command: Vec<OsString>,
    uid: u32,
    start: Duration,
    answer: Duration,
    accounts: Mutex<HashMap<String, Arc<Slot>>>,
}

/// One account's manager; the lock is held while one is looked for or started, so that only one is.
type Slot = tokio::sync::Mutex<SlotState>;

#[derive(Debug, Default)]
struct SlotState {
    running: Option<Running>,
    /// When the last start failed, and why: requests that waited for it share the failure and do not try in turn.
    failure: Option<(Instant, String)>,
}

/// A manager that answered.
#[derive(Debug, Clone)]
struct Running {
    client: JobManagerClient,
    /// Counts the managers of this account: tells whether a failed one has been replaced already.
    generation: u64,
}

impl Launcher {
    /// For managers below `state`, started with `command`, which have `start` to get ready and `answer` for a request.
    /// All run as `uid`.
    pub fn new(state: PathBuf, command: Vec<OsString>, uid: u32, start: Duration, answer: Duration) -> Self {
        Self { state, command, uid, start, answer, accounts: Mutex::default() }
    }

    /// Hands a request to the account's manager. A manager that goes away without having taken it is replaced.
    pub async fn submit(
        &self,
        account: &str,
        request: &v1::SubmitRequest,
    ) -> Result<v1::SubmitReply, LaunchError> {
        let slot = self.slot(account);
        let mut running = self.running(account, &slot, None).await?;
        for _ in 1..ATTEMPTS {
            match control::submit(&running.client, request.clone(), self.answer).await {
                Err(ControlError::Gone(reason)) => {
                    tracing::info!(account, reason, "job manager has gone, asking the next one");
                    running = self.running(account, &slot, Some(running.generation)).await?;
                }
                answer => return Ok(answer?),
            }
        }
        Ok(control::submit(&running.client, request.clone(), self.answer).await?)
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
        if let Some((when, reason)) = &state.failure
            && *when > asked
        {
            return Err(LaunchError::Earlier(reason.clone()));
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
                state.failure = Some((Instant::now(), error.to_string()));
                Err(error)
            }
        }
    }

    async fn find_or_start(&self, account: &str) -> Result<JobManagerClient, LaunchError> {
        let socket = control::socket_path(&self.state, account);
        match control::connect(&socket, self.uid).await {
            Ok(client) => return Ok(client),
            // Nobody there, or somebody just about to leave.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::Other
                ) => {}
            Err(source) => return Err(LaunchError::Connect { socket, source }),
        }
        let started = self.start(account).await;
        // Also when the one started here gave up: that is what it does when another is there already.
        match (control::connect(&socket, self.uid).await, started) {
            (Ok(client), _) => Ok(client),
            (Err(_), Err(error)) => Err(error),
            (Err(source), Ok(())) => Err(LaunchError::Connect { socket, source }),
        }
    }

    /// Starts a manager and waits until it is ready.
    async fn start(&self, account: &str) -> Result<(), LaunchError> {
        let (program, arguments) = self.command.split_first().ok_or(LaunchError::NoCommand)?;
        let folder = self.state.join(account);
        let log = folder.join("jobmanager.log");
        let output = prepare(&folder, &log)?;
        // Whoever started the gatekeeper may have a credential in the environment: jobs get their owner's, or none.
        // A process group of its own: an interrupt at the gatekeeper's terminal is none of the job manager's business.
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(output)
            .current_dir("/")
            .env_remove("X509_USER_PROXY")
            .env_remove("X509_USER_CERT")
            .env_remove("X509_USER_KEY")
            .process_group(0)
            .spawn()
            .map_err(|source| LaunchError::Spawn { program: program.clone(), source })?;
        tracing::info!(account, pid = child.id(), "job manager started");
        let greeting = child.stdout.take();
        let ready = tokio::time::timeout(self.start, async {
            match greeting {
                Some(output) => says_ready(output).await,
                None => false,
            }
        });
        match ready.await {
            Ok(true) => {
                let account = account.to_owned();
                tokio::spawn(async move { reap(child, &account).await });
                Ok(())
            }
            Ok(false) => {
                let status = child.wait().await;
                Err(LaunchError::Ended { status: describe(&status), log })
            }
            Err(_) => {
                if let Err(error) = child.kill().await {
                    tracing::warn!(account, %error, "job manager that is not ready cannot be ended");
                }
                Err(LaunchError::NotReady { patience: self.start, log })
            }
        }
    }
}

/// The account's folder (0700) and the log file in it (0600), opened for appending.
fn prepare(folder: &Path, log: &Path) -> Result<File, LaunchError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| LaunchError::Prepare { path, source }
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed(folder))?;
    OpenOptions::new().append(true).create(true).mode(0o600).open(log).map_err(failed(log))
}

/// Whether the line [`READY`] comes before the end.
async fn says_ready(output: impl AsyncRead + Unpin) -> bool {
    let mut lines = BufReader::new(output.take(MAX_GREETING)).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if line.trim_end() == READY {
            return true;
        }
    }
    false
}

/// Waits for the end of a manager, so that it leaves no zombie.
async fn reap(mut child: Child, account: &str) {
    let status = child.wait().await;
    tracing::info!(account, status = describe(&status), "job manager ended");
}

fn describe(status: &io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests;

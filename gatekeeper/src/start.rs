//! How a job manager's process is started.
//!
//! Whoever starts it, a manager prints [`READY`] on its standard output once its control socket answers.

mod by_launcher;
mod direct;

pub use by_launcher::ByLauncher;
pub use direct::Direct;

use launcher::protocol::Refusal;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

/// What a job manager prints when its control socket answers.
pub const READY: &str = "ready";
/// Most bytes read from a starting manager's standard output.
const MAX_GREETING: u64 = 4096;

/// Why no job manager was started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotStarted {
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
    /// The launcher cannot be asked.
    #[error("no launcher at {}: {source}", .socket.display())]
    NoLauncher {
        /** where it should be */
        socket: PathBuf,
        /** why */
        source: io::Error,
    },
    /// The launcher does not start job managers for this account.
    #[error("account {account}: {refusal}")]
    Refused {
        /** whose */
        account: String,
        /** why */
        refusal: Refusal,
    },
    /// The system's user database does not answer.
    #[error("cannot look up the account {account}: {source}")]
    Account {
        /** whose */
        account: String,
        /** why */
        source: io::Error,
    },
}

/// A way to start job managers.
#[derive(Debug)]
pub enum Starter {
    /// As processes of the gatekeeper's own account.
    Direct(Direct),
    /// By the launcher, each as its account.
    ByLauncher(ByLauncher),
}

impl Starter {
    /// Starts the account's manager and waits until it is ready.
    pub async fn start(&self, account: &str) -> Result<(), NotStarted> {
        match self {
            Self::Direct(direct) => direct.start(account).await,
            Self::ByLauncher(launcher) => launcher.start(account).await,
        }
    }

    /// The uid as which the account's manager runs: the only one that may hold its control socket.
    pub async fn uid(&self, account: &str) -> Result<u32, NotStarted> {
        match self {
            Self::Direct(direct) => Ok(direct.uid),
            Self::ByLauncher(launcher) => launcher.uid(account).await,
        }
    }
}

/// What a starting manager says on its standard output.
enum Greeting {
    /// The line [`READY`].
    Ready,
    /// Something else, and then its end.
    Ended {
        /** the last line, if there was one */
        said: String,
    },
}

/// Listens until the manager is ready, or ends.
async fn greeting(output: impl AsyncRead + Unpin) -> Greeting {
    let mut lines = BufReader::new(output.take(MAX_GREETING)).lines();
    let mut said = String::new();
    while let Ok(Some(line)) = lines.next_line().await {
        if line.trim_end() == READY {
            return Greeting::Ready;
        }
        said = line;
    }
    Greeting::Ended { said }
}

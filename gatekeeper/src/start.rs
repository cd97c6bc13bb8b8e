//! How a job manager's process is started.
//!
//! Whoever starts it, a manager prints [`READY`] on its standard output once its control socket answers.

mod direct;

pub use direct::Direct;

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
}

/// A way to start job managers.
#[derive(Debug)]
pub enum Starter {
    /// As processes of the gatekeeper's own account.
    Direct(Direct),
}

impl Starter {
    /// Starts the account's manager and waits until it is ready.
    pub async fn start(&self, account: &str) -> Result<(), NotStarted> {
        match self {
            Self::Direct(direct) => direct.start(account).await,
        }
    }

    /// The uid as which the account's manager runs: the only one that may hold its control socket.
    #[expect(clippy::unused_async, reason = "looking up an account will block")]
    pub async fn uid(&self, _account: &str) -> Result<u32, NotStarted> {
        match self {
            Self::Direct(direct) => Ok(direct.uid),
        }
    }
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

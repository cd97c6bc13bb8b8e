//! A personal gatekeeper's way: the manager is a child of the gatekeeper and runs as the same account.

use super::{Greeting, NotStarted, greeting};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};

/// Starts managers as children.
#[derive(Debug)]
pub struct Direct {
    /// State directory: a manager's log is `<state>/<account>/jobmanager.log`.
    pub state: PathBuf,
    /// Program and arguments.
    pub command: Vec<OsString>,
    /// Who we, and so the managers, are.
    pub uid: u32,
    /// How long a manager has to get ready.
    pub patience: Duration,
}

impl Direct {
    /// Starts a manager and waits until it is ready.
    pub(super) async fn start(&self, account: &str) -> Result<(), NotStarted> {
        let (program, arguments) = self.command.split_first().ok_or(NotStarted::NoCommand)?;
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
            .map_err(|source| NotStarted::Spawn { program: program.clone(), source })?;
        tracing::info!(account, pid = child.id(), "job manager started");
        let output = child.stdout.take();
        let ready = tokio::time::timeout(self.patience, async {
            match output {
                Some(output) => matches!(greeting(output).await, Greeting::Ready),
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
                Err(NotStarted::Ended { status: describe(&status), log })
            }
            Err(_) => {
                if let Err(error) = child.kill().await {
                    tracing::warn!(account, %error, "job manager that is not ready cannot be ended");
                }
                Err(NotStarted::NotReady { patience: self.patience, log })
            }
        }
    }
}

/// The account's folder (0700) and the log file in it (0600), opened for appending.
fn prepare(folder: &Path, log: &Path) -> Result<File, NotStarted> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| NotStarted::Prepare { path, source }
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed(folder))?;
    OpenOptions::new().append(true).create(true).mode(0o600).open(log).map_err(failed(log))
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

//! Attending job managers: each one that runs is waited for, and one that ends without a goodbye has crashed and is replaced
//! at once, so that its jobs' contacts answer again and its jobs are looked after.
//!
//! Which accounts have (or may have) unfinished jobs stands in the gatekeeper's own [`Register`], on disk before the first
//! request of an account is handed over and until its manager has said that nothing is left. So a gatekeeper that starts
//! after a crash of everything, or of the machine, starts the managers that have work to take up.
//!
//! Nothing but the control interface and the register is used: where the gatekeeper has an account of its own, it cannot look
//! into the managers' folders.

mod register;

pub use register::Register;

use crate::launch::{LaunchError, Launcher};
use gram::control::{self, Submission, v1};
use register::Enter;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Managers being started at once for accounts whose requests nobody waits for, as after a restart of the machine.
const STARTING: usize = 8;
/// Pauses before a crashed manager is started again: the first is none, then this, then double each time …
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// … up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A manager that has served as long did not crash of its own start: the pauses begin anew.
const HEALTHY: Duration = Duration::from_secs(1);

/// The job managers of a site's accounts, attended as long as this lives.
#[derive(Debug)]
pub struct Attendance {
    shared: Arc<Shared>,
    tasks: Mutex<JoinSet<()>>,
}

#[derive(Debug)]
struct Shared {
    register: Register,
    launcher: Launcher,
    starting: Semaphore,
}

impl Attendance {
    /// With the register in `folder`, which is made (0700) when missing.
    pub fn open(folder: PathBuf, launcher: Launcher) -> io::Result<Self> {
        let register = Register::open(folder)?;
        let shared = Shared { register, launcher, starting: Semaphore::new(STARTING) };
        Ok(Self { shared: Arc::new(shared), tasks: Mutex::default() })
    }

    /// Starts and attends the managers of the accounts that stand in the register, as far as they are `ours`.
    pub fn resume(&self, ours: impl Fn(&str) -> bool) -> io::Result<()> {
        for account in self.shared.register.resume()? {
            if ours(&account) {
                tracing::info!(account, "unfinished jobs, starting the job manager");
                self.spawn(account);
            } else {
                tracing::warn!(account, "has unfinished jobs, and is no account of this site any more");
            }
        }
        Ok(())
    }

    /// Hands a request to the account's manager, which is attended from then on.
    pub async fn submit<R: Submission>(&self, account: &str, request: &R) -> Result<R::Reply, LaunchError> {
        let Enter { visit, unattended } = self.shared.register.enter(account).await?;
        if unattended {
            self.spawn(account.to_owned());
        }
        let reply = self.shared.launcher.submit(account, request).await;
        drop(visit);
        reply
    }

    /// Lets the managers be: they live on, and another gatekeeper will attend them.
    pub fn stop(&self) {
        self.shared.register.freeze();
        self.tasks().abort_all();
    }

    fn spawn(&self, account: String) {
        let mut tasks = self.tasks();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(attend(Arc::clone(&self.shared), account));
    }

    fn tasks(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sees to it that the account has a manager until one says that nothing is left to do.
async fn attend(shared: Arc<Shared>, account: String) {
    let Shared { register, launcher, starting } = &*shared;
    let mut pauses = Pauses::default();
    let mut gone = None;
    loop {
        let turn = starting.acquire().await;
        let found = launcher.manager(&account, gone).await;
        drop(turn);
        match found {
            Err(error) => {
                tracing::warn!(account, %error, "no job manager to attend");
                if register.abandon(&account) {
                    return;
                }
            }
            Ok(running) => {
                register.reached(&account);
                gone = Some(running.generation);
                let since = Instant::now();
                match control::attend(&running.client).await {
                    Ok(v1::Goodbye { unfinished: 0 }) => {
                        tracing::debug!(account, "job manager has ended, nothing is left to do");
                        if register.release(&account) {
                            return;
                        }
                        // A request has come meanwhile, and with it the next manager.
                        pauses = Pauses::default();
                        continue;
                    }
                    Ok(v1::Goodbye { unfinished }) => {
                        tracing::info!(account, unfinished, "job manager was stopped, starting another");
                    }
                    Err(error) => tracing::warn!(account, %error, "job manager crashed, starting another"),
                }
                if since.elapsed() >= HEALTHY {
                    pauses = Pauses::default();
                }
            }
        }
        tokio::time::sleep(pauses.next()).await;
    }
}

/// How long to wait before each of a row of attempts.
#[derive(Debug, Default)]
struct Pauses(Option<Duration>);

impl Pauses {
    fn next(&mut self) -> Duration {
        let next = self.0.unwrap_or_default();
        let double = next.saturating_mul(2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        self.0 = Some(double);
        next
    }
}

#[cfg(test)]
mod tests;

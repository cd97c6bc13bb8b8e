//! Moving a job's files (gass.md §7): what it needs is made ready before it starts, output and results are sent when it has ended,
//! and what is not to stay is removed. Everything travels with the owner's delegated proxy, to and from servers that are the
//! owner's own.
//!
//! | File | Subject |
//! |---|---|
//! | `plan.rs` | which files, in which order, which of them at the same time; pure |
//! | `run.rs` | carrying a plan out, with limits, reports and further attempts |
//! | `blame.rs` | whose fault a failure is, and whether another attempt makes sense; pure |
//! | `room.rs` | how many files are on their way at once |
//! | `errand.rs` | one file on its way |
//! | `arrival.rs` | a local file appears whole or not at all |
//! | `cached.rs` | what goes through the GASS cache |
//! | `scratch.rs` | the job's own scratch directory |
//! | `clean_up.rs` | what is removed in the end |
//! | `failure.rs` | what the client is told |
//!
//! Every step may be repeated after a crash: an input that is there is not fetched again (the job's [`Progress`] knows), one
//! that was under way is fetched anew, and nothing has its final name before it is whole.
//!
//! [`Progress`]: crate::job::Progress

mod arrival;
mod blame;
mod cached;
mod clean_up;
mod errand;
mod failure;
mod plan;
mod room;
mod run;
pub mod scratch;
#[cfg(test)]
mod tests;

pub use cached::{places, usable};
pub use clean_up::clean_up;
pub use failure::TransferError;
pub use room::Room;

use crate::{
    job::{Failure, FileProgress, Job},
    machine::Event,
    manager::{Inbox, Message},
    site::JobFiles,
    stream::Streaming,
};
use gram::GramError;
use std::{num::NonZeroU16, sync::Arc, time::Duration};

/// How much is moved at once, and how patiently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Files of all jobs on their way at once.
    pub transfers: NonZeroU16,
    /// Files of one job on their way at once.
    pub per_job: NonZeroU16,
    /// How long a file whose transfer fails for a reason that may pass is tried again.
    pub patience: Duration,
}

impl Limits {
    /// Usual patience, in seconds.
    pub const PATIENCE: u32 = 60;
    const TRANSFERS: NonZeroU16 = NonZeroU16::MIN.saturating_add(63);
    const PER_JOB: NonZeroU16 = NonZeroU16::MIN.saturating_add(3);
}

impl Default for Limits {
    fn default() -> Self {
        let patience = Duration::from_secs(Self::PATIENCE.into());
        Self { transfers: Self::TRANSFERS, per_job: Self::PER_JOB, patience }
    }
}

/// A client with the credential that is in use now; asked for before each attempt, as credentials are renewed.
pub type Credentials = Box<dyn Fn() -> Result<gass::Client, Failure> + Send + Sync>;

/// Where the files of one job are moved from.
pub struct Desk {
    /// The job as it was when the move began.
    pub job: Job,
    /// Its directory.
    pub files: JobFiles,
    /// Whose name it is moved in.
    pub credentials: Credentials,
    /// The bounds.
    pub limits: Limits,
    /// Room for files on their way, shared by all jobs.
    pub room: Arc<Room>,
    /// Who hears how far each file is.
    pub reports: Inbox,
    /// What has been carrying the job's output while it ran.
    pub streaming: Arc<Streaming>,
    /// Which of the job's moves this is.
    pub number: u32,
}

impl Desk {
    async fn report(&self, file: FileProgress) {
        let (key, event) = (self.job.key, Event::FileMoved(file));
        let message = Message::Happened { key, event, asker: None, move_number: Some(self.number) };
        // The manager is gone when nobody listens.
        let _ = self.reports.send(message).await;
    }
}

/// Makes ready what the job needs: its scratch directory (136), executable (43), stdin (44), `file_stage_in` and
/// `file_stage_in_shared` (135). What is there already is left alone.
///
/// # Errors
/// The first failure, in the order in which stock would come to it.
pub async fn fetch(desk: Desk) -> Result<(), Failure> {
    if let Some(path) = desk.job.spec.scratch() {
        scratch::make(path.as_path()).map_err(|error| {
            let message = format!("cannot make the scratch directory {}: {error}", path.lossy());
            Failure::new(GramError::INVALID_SCRATCH, message)
        })?;
    }
    let plan = plan::inputs(&desk.job);
    run::run(Arc::new(desk), plan).await
}

/// Sends each stream to each of its destinations: 74 for stderr, 73 for stdout.
///
/// # Errors
/// The first failure ends it.
pub async fn deliver(desk: Desk) -> Result<(), Failure> {
    let plan = plan::streams(&desk.job, &desk.files);
    run::run(Arc::new(desk), plan).await
}

/// Sends the files of `file_stage_out` (155).
///
/// # Errors
/// The first failure, in the order in which stock would come to it.
pub async fn stage_out(desk: Desk) -> Result<(), Failure> {
    let plan = plan::outputs(&desk.job);
    run::run(Arc::new(desk), plan).await
}

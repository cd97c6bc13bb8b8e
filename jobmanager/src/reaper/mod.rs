//! The reaper: one small process per account that starts fork jobs, outlives the job manager, and keeps their exit
//! status. No TLS, no database, no runtime; its only peer is the job manager, over a Unix socket.
//!
//! # What may be killed
//!
//! Any process, at any instant, and all at once, and still every job is started at most once and its true exit
//! status is known. The parts that make it so:
//!
//! * **Journal** (`journal.rs`): `intent` before a process is started, `started` after, `exited` before the process is
//!   waited for; each before anybody is told.
//! * **Anchor** (`anchor.rs`): `gridiron reaper` makes itself a session leader and child subreaper, starts the
//!   reaper proper as its child, and then *becomes* `sleep infinity`. When the reaper dies, its jobs become
//!   children of the anchor, which never waits: what ends stays a zombie, with its exit status in
//!   `/proc/PID/stat`, for as long as it takes until a new reaper reads it there. The anchor has no code of
//!   ours, no descriptors and no memory worth mentioning, and there is one per account, not one per job.
//! * **Recovery** (`recovery.rs`): a new reaper replays the journal, watches what still runs through pidfds, reads the
//!   status of what has ended, and looks among the anchor's children for the one process that may have
//!   been started without having been recorded. None there means that it never was, and may be now.
//! * The **client** (`client.rs`) starts a new reaper when the old one is gone, reads its table, and repeats the
//!   requests that were not answered; `Start` is idempotent by the job's key.
//!
//! What remains: if the *anchor* is killed too, together with the reaper, jobs that end before the next reaper watches
//! have ended unseen, and so has, for lack of a parent that tells, the status of those that end later: their outcome is
//! `Lost`, never a guess. The same holds for a restart of the machine (the journal's boot id says so), and for
//! a set-user-id program whose status the kernel hides from us and that ended without a reaper.
//!
//! # Limits
//!
//! A process counts as the job's only while it is one that the reaper started. Daemons that a job leaves behind come
//! to the reaper, which only buries them.

mod anchor;
pub mod client;
mod connection;
pub mod journal;
pub mod proc;
pub mod process;
pub mod protocol;
pub mod record;
mod recovery;
mod server;
mod supervise;
pub mod table;

use std::{io, path::Path};

pub use proc::boot_id;

/// Name of the socket in the reaper's directory.
const SOCKET: &str = "socket";
/// What a reaper prints when its socket is open.
const READY: &str = "gridiron-reaper ready";
/// What a reaper prints when another serves the directory.
const BUSY: &str = "gridiron-reaper busy";

/// The reaper could not begin, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum ReaperError {
    /// Another reaper holds the directory's lock.
    #[error("another reaper serves this directory")]
    Busy,
    /// The anchor died before the reaper began.
    #[error("the reaper's anchor (process {0}) is gone")]
    NoAnchor(u32),
    /// A system call failed.
    #[error("{what}: {source}")]
    System {
        /** what was being done */
        what: &'static str,
        /** why it failed */
        source: io::Error,
    },
}

/// Names the step that an error belongs to.
trait Context<T> {
    fn context(self, what: &'static str) -> Result<T, ReaperError>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn context(self, what: &'static str) -> Result<T, ReaperError> {
        self.map_err(|source| ReaperError::System { what, source: source.into() })
    }
}

/// The program `gridiron reaper --dir DIR`: serves jobs from `dir` (an existing directory of our own) until no
/// job manager is connected and no job runs. To be called first thing, from a process with one thread: the process
/// becomes the anchor, and its command line is run a second time to become the reaper.
pub fn main(dir: &Path) -> Result<(), ReaperError> {
    // What a careless parent left open would otherwise be open in every job.
    close_fds::CloseFdsBuilder::new().cloexecfrom(3);
    match anchor::role()? {
        anchor::Role::Anchor => Err(anchor::become_anchor(dir)),
        anchor::Role::Reaper { anchor } => {
            // Before a reaper has begun its work, its anchor has nothing to keep.
            let server = server::Server::open(dir, anchor).inspect_err(|_| anchor::release(anchor));
            server?.run()
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;

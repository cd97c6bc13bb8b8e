//! One at a time: the short steps in which our programs change a cache exclude each other by a lock that goes with its holder.
//!
//! Against stock programs the names in the entry protect, as they do among themselves (gass.md §8.1). Ours could do with
//! these alone, but then a program killed between two steps would leave links of which nobody knows the owner.

use super::error::{CacheError, at};
use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};
use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// The file locked, in the cache's directory; stock programs do not look at it.
pub(super) const FILE: &str = "gridiron.lock";
/// How long to wait for the lock: a step takes well under a millisecond, a recovery some.
const PATIENCE: Duration = Duration::from_secs(30);
/// The same where an executor's thread waits.
const SHORT: Duration = Duration::from_secs(1);
/// Between two tries, at most.
const PAUSE: Duration = Duration::from_millis(20);

/// The right to change the cache; dropping it, or dying, gives it back.
#[derive(Debug)]
pub(super) struct Gate(#[expect(dead_code, reason = "held, not read")] File);

impl Gate {
    /// Waits for the right; blocks.
    pub(super) fn enter(root: &Path) -> Result<Self, CacheError> {
        Self::enter_within(root, PATIENCE)
    }

    /// The same for clearing up, which must not hold anybody up for long.
    pub(super) fn enter_soon(root: &Path) -> Result<Self, CacheError> {
        Self::enter_within(root, SHORT)
    }

    fn enter_within(root: &Path, patience: Duration) -> Result<Self, CacheError> {
        let path = root.join(FILE);
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(at(&path))?;
        let start = Instant::now();
        let mut pause = Duration::from_micros(100);
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self(file)),
                Err(Errno::WOULDBLOCK | Errno::INTR) if start.elapsed() < patience => {
                    thread::sleep(pause);
                    pause = (pause * 2).min(PAUSE);
                }
                Err(Errno::WOULDBLOCK | Errno::INTR) => return Err(CacheError::Busy(path)),
                Err(error) => return Err(at(&path)(io::Error::from(error))),
            }
        }
    }
}

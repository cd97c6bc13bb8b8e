//! The time that deadlines are kept in: it runs on steadily whatever is done to the machine's clock.
//!
//! A job's deadlines lie in the store and outlive the manager, so they cannot be instants of this process; and they must not be
//! wall time, or a clock that is set would let commits run out early or never. So wall time is looked at once, by the first
//! manager after the machine has started, and written down beside the time since that start; from then on this and every
//! later manager counts on from there. After another start of the machine it begins anew, and so do the deadlines
//! (`machine/progress.rs`).
//!
//! What is meant for people, and the end of a credential, stays wall time.

use crate::site::{Durability, replace_private};
use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Counts from an anchor; cheap to copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// What the clock showed when the machine started, as far as we go by it.
    start: Timestamp,
}

/// What the file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Anchor {
    /// Which start of the machine this is about.
    boot: String,
    /// See [`Clock`].
    start: Timestamp,
}

impl Clock {
    /// Goes on from what is written in `file`, or writes it. A file that cannot be read or written costs no more than the
    /// steadiness across a restart of the manager.
    pub fn open(file: &Path) -> Self {
        let boot = crate::reaper::boot_id().unwrap_or_default();
        let known = std::fs::read(file).ok().and_then(|text| serde_json::from_slice::<Anchor>(&text).ok());
        let (anchor, is_new) = anchor(known, &boot, since_start(), Timestamp::now());
        if is_new {
            let text = serde_json::to_vec(&anchor).unwrap_or_default();
            if let Err(error) = replace_private(file, &text, Durability::ProcessesOnly) {
                tracing::warn!(file = %file.display(), %error, "a clock that is set now would shift deadlines");
            }
        }
        Self { start: anchor.start }
    }

    /// Now. Never goes back, and goes on while the machine sleeps.
    pub fn now(&self) -> Timestamp {
        self.start.checked_add(since_start()).unwrap_or(Timestamp::MAX)
    }
}

/// Time since the machine was started.
fn since_start() -> SignedDuration {
    let time = clock_gettime(ClockId::Boottime);
    SignedDuration::new(time.tv_sec, i32::try_from(time.tv_nsec).unwrap_or_default())
}

/// The anchor to go by, and whether it is another than the known one.
fn anchor(known: Option<Anchor>, boot: &str, since_start: SignedDuration, wall: Timestamp) -> (Anchor, bool) {
    match known {
        Some(anchor) if anchor.boot == boot && !boot.is_empty() => (anchor, false),
        _ => {
            let start = wall.checked_sub(since_start).unwrap_or(wall);
            (Anchor { boot: boot.to_owned(), start }, true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_clock_that_is_set_changes_nothing_until_the_machine_starts_again() {
        let minute = SignedDuration::from_mins(1);
        let (first, is_new) = anchor(None, "boot-1", minute, at(1_000_060));
        assert_eq!((first.start, is_new), (at(1_000_000), true));
        // The next manager comes a minute later; meanwhile the clock went back an hour, or forward a day.
        for wall in [at(1_000_120 - 3600), at(1_000_120 + 86400)] {
            let again = anchor(Some(first.clone()), "boot-1", minute + minute, wall);
            assert_eq!(again, (first.clone(), false));
        }
        let (second, is_new) = anchor(Some(first), "boot-2", minute, at(2_000_060));
        assert_eq!((second.start, is_new), (at(2_000_000), true));
    }

    #[test]
    fn managers_of_one_boot_agree_whatever_the_wall_clock_says() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("clock");
        let clock = Clock::open(&file);
        assert!(clock.now().duration_since(Timestamp::now()).abs() < SignedDuration::from_secs(5));
        assert_eq!(Clock::open(&file), clock);
        // As if the clock had been an hour ahead when the first one looked.
        let anchor: Anchor = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        let ahead = Anchor { start: anchor.start + SignedDuration::from_hours(1), ..anchor };
        std::fs::write(&file, serde_json::to_vec(&ahead).unwrap()).unwrap();
        let next = Clock::open(&file);
        assert!(next.now().duration_since(Timestamp::now()) > SignedDuration::from_mins(59));
    }

    #[test]
    fn a_spoilt_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("clock");
        std::fs::write(&file, b"{").unwrap();
        let clock = Clock::open(&file);
        assert_eq!(Clock::open(&file), clock);
    }
}

//! Checksums computed before, as long as the file stays as it was.

use super::condition::Version;
use crate::digest::ReprDigest;
use jiff::Timestamp;
use rustix::fs::Stat;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Most files whose checksum is remembered; then all are forgotten.
const MAX_REMEMBERED: usize = 4096;

/// How long a file must have stayed as it is, in seconds, for its checksum to be remembered.
const SETTLED: i64 = 2;

/// One state of one file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Key {
    device: u64,
    tag: String,
}

/// What has been computed.
#[derive(Debug, Default)]
pub(super) struct Digests(Mutex<HashMap<Key, ReprDigest>>);

impl Key {
    /// None for a file that changed a moment ago: it could change again within the same tick of the file system's clock.
    pub(super) fn of(stat: &Stat, version: &Version, now: Timestamp) -> Option<Self> {
        let settled = stat.st_mtime.saturating_add(SETTLED) < now.as_second();
        settled.then(|| Self { device: stat.st_dev, tag: version.tag.clone() })
    }
}

impl Digests {
    pub(super) fn recall(&self, key: &Key) -> Option<ReprDigest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).copied()
    }

    pub(super) fn remember(&self, key: Key, digest: ReprDigest) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_REMEMBERED {
            known.clear();
        }
        known.insert(key, digest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_everything_is_remembered_for_ever() {
        let digests = Digests::default();
        let key = |number: u64| Key { device: number, tag: String::new() };
        let digest = ReprDigest::of(b"x");
        for number in 0..=MAX_REMEMBERED as u64 {
            digests.remember(key(number), digest);
            assert_eq!(digests.recall(&key(number)), Some(digest));
        }
        assert_eq!(digests.recall(&key(0)), None);
    }
}

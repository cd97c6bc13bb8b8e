//! Who is served: always the owner of the server's credential, and whom else he names (gass.md §2.1 has only the first).

use gsi::{Expect, Gridmap, Peer, Subject};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// Those beside the owner.
#[derive(Debug, Default)]
pub struct Clients {
    listed: Vec<Expect>,
    gridmap: Option<Watched>,
}

impl Clients {
    /// Nobody.
    pub fn none() -> Self {
        Self::default()
    }

    /// Also these identities.
    #[must_use]
    pub fn with_subjects(mut self, subjects: impl IntoIterator<Item = Subject>) -> Self {
        self.listed.extend(subjects.into_iter().map(Expect::Identity));
        self
    }

    /// Also everybody with a line in this grid-mapfile, whatever the account: the server knows only its own. The file is read
    /// again when it has changed; one that is damaged then changes nothing.
    ///
    /// # Errors
    /// When it cannot be read now, or has lines that are none.
    pub fn with_gridmap(mut self, path: PathBuf) -> Result<Self, gsi::GsiError> {
        let stamp = stamp(&path);
        let known = State { stamp, gridmap: Gridmap::read(&path)? };
        self.gridmap = Some(Watched { path, state: Mutex::new(known) });
        Ok(self)
    }

    /// Whether this peer is served by the owner of `own`.
    pub(super) fn admits(&self, peer: &Peer, own: &Subject) -> Result<(), gsi::GsiError> {
        let myself = Expect::Myself.accepts(peer, own);
        let listed = || self.listed.iter().any(|expected| expected.accepts(peer, own).is_ok());
        let mapped = || self.gridmap.as_ref().is_some_and(|gridmap| gridmap.has(&peer.identity));
        if myself.is_err() && (listed() || mapped()) { Ok(()) } else { myself }
    }
}

#[derive(Debug)]
struct Watched {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    stamp: Option<Stamp>,
    gridmap: Gridmap,
}

/// Changes with the file: its length and time of change.
type Stamp = (u64, SystemTime);

fn stamp(path: &std::path::Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.modified().ok()?))
}

impl Watched {
    fn has(&self, subject: &Subject) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamp(&self.path);
        if now != state.stamp {
            state.stamp = now;
            match Gridmap::read(&self.path) {
                Ok(gridmap) => match gridmap.malformed() {
                    None => state.gridmap = gridmap,
                    Some((line, problem)) => {
                        tracing::warn!(file = %self.path.display(), line, problem, "gridmap damaged; the old one stays");
                    }
                },
                Err(error) => tracing::warn!(%error, "gridmap unreadable; the old one stays"),
            }
        }
        state.gridmap.entry(subject).is_some_and(|entry| !entry.accounts.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gridmap_is_read_again_and_a_damaged_one_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gridmap");
        std::fs::write(&path, "\"/O=Grid/CN=ann\" ann\n\"/O=Grid/CN=nobody\"\n").unwrap();
        let clients = Clients::none().with_gridmap(path.clone()).unwrap();
        let gridmap = clients.gridmap.as_ref().unwrap();
        let has = |name: &str| gridmap.has(&Subject::new(format!("/O=Grid/CN={name}")));
        assert!(has("ann") && !has("bob") && !has("nobody"));
        std::fs::write(&path, "\"/O=Grid/CN=bob\" bob\n").unwrap();
        assert!(has("bob") && !has("ann"));
        std::fs::write(&path, "garbage without a slash\n").unwrap();
        assert!(has("bob"));
        std::fs::remove_file(&path).unwrap();
        assert!(has("bob"));
        assert!(Clients::none().with_gridmap(path).is_err());
    }
}

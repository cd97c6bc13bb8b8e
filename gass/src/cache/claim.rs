//! Adding a reference: to a content that is there, or to one that is fetched for it. While somebody fetches, all others
//! wait, in this process, in other processes and in stock programs.

use super::{
    content::{Content, State},
    error::{CacheError, at},
    gate::Gate,
    layout::Layout,
    owner::Owner,
    recovery::recover,
    reference::{Entry, fill_path, remove_fill},
};
use std::{
    fs::OpenOptions,
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// How often to look again at a content that changes under our eyes.
const TRIES: usize = 100;

/// What is to be added.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) layout: Layout,
    pub(super) url: String,
    pub(super) tag: String,
}

/// How it stands.
pub(super) enum Entered {
    /// The reference is made.
    Have(PathBuf),
    /// Nobody has the content: fill it.
    Fill(Claim),
    /// Somebody is at work on it.
    Busy,
}

/// The content was fetched.
pub(super) enum Published {
    /// The reference is made; the content is new.
    Yes(PathBuf),
    /// Somebody overtook us, having believed us dead.
    Overtaken(Download),
}

impl Wanted {
    fn content(&self) -> Content<'_> {
        Content::of(&self.layout, &self.url)
    }

    fn entry(&self) -> Entry<'_> {
        Entry::of(&self.layout, &self.tag, &self.layout.mangle(&self.url))
    }

    /// Makes the reference, or takes the right to fetch. With `once`, a tag that has a reference gets no second one.
    pub(super) fn enter(&self, once: bool) -> Result<Entered, CacheError> {
        let _gate = Gate::enter(self.layout.root())?;
        let (content, entry) = (self.content(), self.entry());
        for _ in 0..TRIES {
            match content.state()? {
                State::Held => return Ok(Entered::Busy),
                State::Abandoned(dead) => recover(&content, &dead)?,
                State::Ready(_) if once && !entry.owners()?.is_empty() => {
                    return Ok(Entered::Have(entry.data_path()));
                }
                State::Ready(strays) => {
                    content.sweep(&strays)?;
                    let owner = Owner::new();
                    if !content.hold(&owner)? {
                        continue;
                    }
                    let added = entry.add(&self.tag, &content, &owner);
                    if added.is_err() {
                        // Whatever hinders us hinders this as well, or not; the first reason counts.
                        let _ = entry.withdraw(&owner);
                    }
                    // Not released: overtaken, and then another content is ready.
                    if !content.release(&owner)? {
                        let _ = entry.withdraw(&owner);
                        content.discard(&owner)?;
                        continue;
                    }
                    return added.map(Entered::Have);
                }
                State::Absent => {
                    let owner = Owner::new();
                    match content.begin(&self.url, &owner) {
                        Ok(true) => return Claim::new(self.clone(), owner).map(Entered::Fill),
                        Ok(false) => return Ok(Entered::Busy),
                        // A stock program removes the directory as we make it.
                        Err(CacheError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        Ok(Entered::Busy)
    }
}

/// The right to fetch a content; everybody else waits. Dropping it gives it up.
pub(super) struct Claim {
    wanted: Wanted,
    owner: Owner,
    download: Option<Download>,
    /// The empty file that stands for the content until then.
    inode: Option<u64>,
}

/// A file on its way into the cache; removed when it does not get there.
#[derive(Debug)]
pub(super) struct Download {
    layout: Layout,
    owner: Owner,
}

impl Download {
    pub(super) fn new(layout: &Layout, owner: &Owner) -> Self {
        Self { layout: layout.clone(), owner: owner.clone() }
    }

    pub(super) fn path(&self) -> PathBuf {
        fill_path(&self.layout, &self.owner)
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        if let Err(error) = remove_fill(&self.layout, &self.owner) {
            tracing::warn!(error = &error as &dyn std::error::Error, "an unfinished download stays");
        }
    }
}

impl Claim {
    /// Inside the gate.
    fn new(wanted: Wanted, owner: Owner) -> Result<Self, CacheError> {
        let download = Some(Download::new(&wanted.layout, &owner));
        let mut claim = Self { wanted, owner, download, inode: None };
        claim.inode = claim.wanted.content().held_inode(&claim.owner)?;
        let path = claim.path();
        // Made here, so that it is private whatever the umask of whoever writes it.
        if let Err(error) = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            claim.give_up()?;
            return Err(at(&path)(error));
        }
        Ok(claim)
    }

    /// Where the content is to be put; replacing the file is fine.
    pub(super) fn path(&self) -> PathBuf {
        fill_path(&self.wanted.layout, &self.owner)
    }

    /// Uses what was fetched before.
    pub(super) fn refill(&self, earlier: &Download) -> Result<(), CacheError> {
        let (from, to) = (earlier.path(), self.path());
        std::fs::rename(&from, &to).map_err(at(&from))
    }

    /// Shows the others that somebody is still at it.
    pub(super) fn touch(&self) {
        use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, utimensat};
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let times = Timestamps { last_access: now, last_modification: now };
        let path = self.wanted.content().held_path(&self.owner);
        if let Err(error) = utimensat(CWD, &path, &times, AtFlags::SYMLINK_NOFOLLOW) {
            tracing::debug!(path = %path.display(), %error, "cannot touch");
        }
    }

    /// Makes what was fetched the content, with our reference.
    pub(super) fn publish(mut self) -> Result<Published, CacheError> {
        let _gate = Gate::enter(self.wanted.layout.root())?;
        let Some(download) = self.download.take() else {
            return Err(CacheError::Locked(self.wanted.url.clone()));
        };
        let (content, entry) = (self.wanted.content(), self.wanted.entry());
        if self.inode.is_none() || content.held_inode(&self.owner)? != self.inode {
            self.inode = None;
            return Ok(Published::Overtaken(download));
        }
        require_file(&download.path())?;
        content.fill(&self.owner, &download.path())?;
        let path = match entry.add(&self.wanted.tag, &content, &self.owner) {
            Ok(path) if content.release(&self.owner)? => path,
            other => {
                let failed = other.err().unwrap_or_else(|| CacheError::Locked(self.wanted.url.clone()));
                self.give_up()?;
                return Err(failed);
            }
        };
        self.inode = None;
        Ok(Published::Yes(path))
    }

    /// Removes all traces; inside the gate.
    fn give_up(&mut self) -> Result<(), CacheError> {
        self.inode = None;
        let withdrawn = self.wanted.entry().withdraw(&self.owner);
        self.wanted.content().discard(&self.owner).and(withdrawn)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.inode.is_none() {
            return;
        }
        let gate = Gate::enter_soon(self.wanted.layout.root());
        if let Err(error) = gate.and_then(|_gate| self.give_up()) {
            tracing::warn!(
                url = self.wanted.url,
                error = &error as &dyn std::error::Error,
                "an entry stays claimed"
            );
        }
    }
}

fn require_file(path: &Path) -> Result<(), CacheError> {
    let file = std::fs::symlink_metadata(path).map_err(at(path))?;
    if file.is_file() {
        return Ok(());
    }
    Err(at(path)(io::Error::other("what was fetched is not a file")))
}

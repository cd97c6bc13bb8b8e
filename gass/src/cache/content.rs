//! The content of one URL, `global/<U>`: who holds it, taking it, giving it back (gass.md §8.1).
//!
//! `data` there means ready. Whoever works on the content renames it to `data.<uniq>`, and others wait. A content that comes
//! into being starts as `data.<uniq>`. All changes of ours happen inside the [`Gate`](super::gate::Gate).

use super::{
    error::{CacheError, at},
    layout::{Layout, link, remove},
    owner::{Life, Owner},
};
use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};
use std::{
    fs::{self, Metadata, OpenOptions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// How long a holder that may live is believed, when neither its file nor the directory change.
pub(super) const BELIEVED: Duration = Duration::from_secs(300);
/// Contents may be programs, hence executable; for their owner only.
const CONTENT_MODE: u32 = 0o700;

/// The directory of one URL's content.
#[derive(Debug, Clone)]
pub(super) struct Content<'a> {
    layout: &'a Layout,
    directory: PathBuf,
    /// The directory's mangled name, the same below every tag.
    mangled: String,
}

/// What is to be seen there.
#[derive(Debug)]
pub(super) enum State {
    /// Nothing.
    Absent,
    /// The content, complete; and held files that somebody left beside it.
    Ready(Vec<Holder>),
    /// Somebody works on it.
    Held,
    /// Those who worked on it are dead, or silent for too long.
    Abandoned(Vec<Holder>),
}

/// A `data.<uniq>` there.
#[derive(Debug, Clone)]
pub(super) struct Holder {
    pub(super) owner: Owner,
    /// Which file.
    pub(super) inode: u64,
    changed: Option<SystemTime>,
}

impl<'a> Content<'a> {
    pub(super) fn of(layout: &'a Layout, url: &str) -> Self {
        Self::of_mangled(layout, layout.mangle(url))
    }

    pub(super) fn of_mangled(layout: &'a Layout, mangled: String) -> Self {
        Self { layout, directory: layout.file(&layout.globals(), &mangled), mangled }
    }

    pub(super) fn layout(&self) -> &'a Layout {
        self.layout
    }

    pub(super) fn mangled(&self) -> &str {
        &self.mangled
    }

    pub(super) fn ready_path(&self) -> PathBuf {
        self.path("data")
    }

    pub(super) fn held_path(&self, owner: &Owner) -> PathBuf {
        self.path(&owner.data())
    }

    pub(super) fn url_path(&self) -> PathBuf {
        self.path("url")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.layout.file(&self.directory, name)
    }

    pub(super) fn state(&self) -> Result<State, CacheError> {
        let names = self.layout.names(&self.directory)?;
        let mut holders = Vec::new();
        for owner in names.iter().filter_map(|name| Owner::of(name)) {
            if let Some(file) = stat(&self.held_path(&owner))? {
                holders.push(Holder { owner, inode: file.ino(), changed: file.modified().ok() });
            }
        }
        if names.iter().any(|name| name == "data") {
            return Ok(State::Ready(holders));
        }
        if holders.is_empty() {
            return Ok(State::Absent);
        }
        let directory = stat(&self.directory)?.and_then(|directory| directory.modified().ok());
        if holders.iter().any(|holder| holder.is_believed(directory)) {
            return Ok(State::Held);
        }
        Ok(State::Abandoned(holders))
    }

    /// Starts a new content with an empty file, and names it. False: somebody else does, too, and has the right of way.
    pub(super) fn begin(&self, url: &str, owner: &Owner) -> Result<bool, CacheError> {
        self.layout.make(&self.directory)?;
        let path = self.held_path(owner);
        let begun = self.layout.place(&self.url_path(), url.as_bytes()).and_then(|()| {
            let made = OpenOptions::new().write(true).create_new(true).mode(CONTENT_MODE).open(&path);
            made.map(drop).map_err(at(&path))
        });
        // A stock program that began between our look and now does not give way.
        let names = begun.and_then(|()| self.layout.names(&self.directory));
        let alone = names.map(|names| {
            let own = owner.data();
            !names.iter().any(|name| *name != own && (name == "data" || Owner::of(name).is_some()))
        });
        if !matches!(alone, Ok(true)) {
            self.discard(owner)?;
        }
        alone
    }

    /// Takes the ready content. False: it is not ready any more.
    pub(super) fn hold(&self, owner: &Owner) -> Result<bool, CacheError> {
        match fs::rename(self.ready_path(), self.held_path(owner)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(at(&self.ready_path())(error)),
        }
    }

    /// Makes the held content ready. False: it is not ours any more, or another one is.
    pub(super) fn release(&self, owner: &Owner) -> Result<bool, CacheError> {
        let (held, ready) = (self.held_path(owner), self.ready_path());
        match renameat_with(CWD, &held, CWD, &ready, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST | Errno::NOENT) => Ok(false),
            // Not every file system can; the two steps that stock takes then.
            Err(Errno::INVAL | Errno::NOSYS) => match fs::hard_link(&held, &ready) {
                Ok(()) => remove(&held).map(|()| true),
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound) =>
                {
                    Ok(false)
                }
                Err(error) => Err(at(&ready)(error)),
            },
            Err(error) => Err(at(&ready)(error.into())),
        }
    }

    /// Which file the owner holds; None when it holds none.
    pub(super) fn held_inode(&self, owner: &Owner) -> Result<Option<u64>, CacheError> {
        Ok(stat(&self.held_path(owner))?.map(|file| file.ino()))
    }

    /// Removes what the owner holds, and the directory when nothing else is there.
    pub(super) fn discard(&self, owner: &Owner) -> Result<(), CacheError> {
        remove(&self.held_path(owner))?;
        self.tidy()
    }

    /// Removes the directory when there is no content in it.
    pub(super) fn tidy(&self) -> Result<(), CacheError> {
        let names = self.layout.names(&self.directory)?;
        if names.iter().any(|name| name == "data" || Owner::of(name).is_some()) {
            return Ok(());
        }
        for name in ["url", "lock"] {
            remove(&self.path(name))?;
        }
        self.layout.prune(&self.directory)
    }

    /// Whether nothing but `global/<U>` has a link to the held content.
    pub(super) fn is_unreferenced(&self, owner: &Owner) -> Result<bool, CacheError> {
        let path = self.held_path(owner);
        let file = fs::symlink_metadata(&path).map_err(at(&path))?;
        Ok(file.nlink() == 1)
    }

    /// Removes what the dead left beside a ready content: they died between the two steps of making it ready, or were
    /// believed dead and overtaken.
    pub(super) fn sweep(&self, strays: &[Holder]) -> Result<(), CacheError> {
        for stray in strays.iter().filter(|stray| !stray.is_believed(None)) {
            remove(&self.held_path(&stray.owner))?;
        }
        // A `lock` is held for the moment of a rename; a stock program breaks one of a dead one as it comes by.
        Ok(())
    }

    /// Puts a finished file in the place of the one the owner holds.
    pub(super) fn fill(&self, owner: &Owner, file: &Path) -> Result<(), CacheError> {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::Permissions::from_mode(CONTENT_MODE);
        fs::set_permissions(file, mode).map_err(at(file))?;
        fs::rename(file, self.held_path(owner)).map_err(at(file))
    }

    /// A further link to the held content.
    pub(super) fn link_held(&self, owner: &Owner, to: &Path) -> Result<(), CacheError> {
        link(&self.held_path(owner), to)
    }
}

impl Holder {
    /// Whether it may still be at work. Its file, and the directory's time, tell how long it has been silent.
    fn is_believed(&self, directory: Option<SystemTime>) -> bool {
        self.owner.life() != Life::Dead && (is_recent(self.changed) || is_recent(directory))
    }
}

/// Whether the time is not long past. A time to come is recent: clocks differ, and are set.
fn is_recent(time: Option<SystemTime>) -> bool {
    time.is_some_and(|time| time.elapsed().unwrap_or_default() < BELIEVED)
}

/// None when there is no such file.
pub(super) fn stat(path: &Path) -> Result<Option<Metadata>, CacheError> {
    match fs::symlink_metadata(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(at(path)(error)),
    }
}

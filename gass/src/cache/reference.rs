//! The references of tags to contents, `local/<T>/<U>`: `data`, the path that users get, and one `data.<uniq>` each.
//!
//! Changes are made while the content is held, so that nobody counts its links meanwhile; the `lock` that stock programs
//! make in these directories needs no regard then, and one that is found is a dead one's.

use super::{
    content::{Content, stat},
    error::{CacheError, at},
    layout::{Layout, link, remove},
    owner::Owner,
};
use std::{fs, io, os::unix::fs::MetadataExt as _, path::PathBuf};

/// How often to make the directories again that somebody removes as we make them.
const TRIES: usize = 100;

/// A tag's entry for a content.
#[derive(Debug, Clone)]
pub(super) struct Entry<'a> {
    layout: &'a Layout,
    /// `local/<T>`
    of_tag: PathBuf,
    /// `local/<T>/<U>`
    directory: PathBuf,
}

/// How many references to drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    One,
    All,
}

impl<'a> Entry<'a> {
    pub(super) fn of(layout: &'a Layout, tag: &str, mangled_url: &str) -> Self {
        Self::of_mangled(layout, &layout.mangle(tag), mangled_url)
    }

    pub(super) fn of_mangled(layout: &'a Layout, mangled_tag: &str, mangled_url: &str) -> Self {
        let of_tag = layout.file(&layout.locals(), mangled_tag);
        let directory = layout.file(&of_tag, mangled_url);
        Self { layout, of_tag, directory }
    }

    /// The path that users get.
    pub(super) fn data_path(&self) -> PathBuf {
        self.path("data")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.layout.file(&self.directory, name)
    }

    fn names(&self) -> Result<Vec<String>, CacheError> {
        self.layout.names(&self.directory)
    }

    /// Those who refer.
    pub(super) fn owners(&self) -> Result<Vec<Owner>, CacheError> {
        Ok(self.names()?.iter().filter_map(|name| Owner::of(name)).collect())
    }

    /// Whether there is anything at all.
    pub(super) fn exists(&self) -> Result<bool, CacheError> {
        Ok(!self.names()?.is_empty())
    }

    /// Adds the owner's reference to the content it holds; gives the path for users.
    pub(super) fn add(&self, tag: &str, content: &Content<'_>, owner: &Owner) -> Result<PathBuf, CacheError> {
        let data = self.data_path();
        for _ in 0..TRIES {
            match self.try_add(tag, content, owner) {
                Err(CacheError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                other => return other.map(|()| data),
            }
        }
        Err(at(&data)(io::ErrorKind::NotFound.into()))
    }

    fn try_add(&self, tag: &str, content: &Content<'_>, owner: &Owner) -> Result<(), CacheError> {
        self.layout.make(&self.directory)?;
        let tag_file = self.layout.file(&self.of_tag, "tag");
        self.layout.place(&tag_file, tag.as_bytes())?;
        link(&tag_file, &self.path("tag"))?;
        content.link_held(owner, &self.data_path())?;
        self.renew(content, owner)?;
        content.link_held(owner, &self.path(&owner.data()))
    }

    /// Points links to a content that was overtaken or replaced at the one there is now.
    pub(super) fn renew(&self, content: &Content<'_>, owner: &Owner) -> Result<(), CacheError> {
        let now = content.held_inode(owner)?;
        if stat(&self.data_path())?.map(|file| file.ino()) == now {
            return Ok(());
        }
        let spare = self.layout.file(&self.layout.temporary(), &owner.to_string());
        for name in self.names()?.iter().filter(|name| *name == "data" || Owner::of(name).is_some()) {
            content.link_held(owner, &spare)?;
            fs::rename(&spare, self.path(name)).map_err(at(&self.path(name)))?;
        }
        Ok(())
    }

    /// Drops references, and the entry with the last. False: there was none.
    pub(super) fn drop_references(&self, count: Count) -> Result<bool, CacheError> {
        let owners = self.owners()?;
        let dropped = match count {
            Count::One => owners.get(..1).unwrap_or_default(),
            Count::All => &owners,
        };
        for owner in dropped {
            remove(&self.path(&owner.data()))?;
        }
        if dropped.len() == owners.len() {
            self.remove()?;
        }
        Ok(!owners.is_empty())
    }

    /// Takes back the owner's reference, and what it had made for it.
    pub(super) fn withdraw(&self, owner: &Owner) -> Result<(), CacheError> {
        remove(&self.path(&owner.data()))?;
        if self.owners()?.is_empty() { self.remove() } else { Ok(()) }
    }

    /// Removes the entry whatever is in it; and the tag, when it has no other.
    pub(super) fn remove(&self) -> Result<(), CacheError> {
        for name in self.names()? {
            remove(&self.path(&name))?;
        }
        let tag_file = self.layout.file(&self.of_tag, "tag");
        if stat(&tag_file)?.is_some_and(|file| file.nlink() == 1) {
            remove(&tag_file)?;
        }
        self.layout.prune(&self.directory)
    }

    /// Whether a link here is to this file.
    pub(super) fn links_to(&self, name: &str, inode: u64) -> Result<bool, CacheError> {
        Ok(stat(&self.path(name))?.is_some_and(|file| file.ino() == inode))
    }
}

/// Every tag's entry for a content. Looks at every tag, so only for the rare case.
pub(super) fn entries_of<'a>(layout: &'a Layout, mangled_url: &str) -> Result<Vec<Entry<'a>>, CacheError> {
    let mut entries = Vec::new();
    for tag in layout.mangled_in(&layout.locals())? {
        let entry = Entry::of_mangled(layout, &tag, mangled_url);
        if entry.exists()? {
            entries.push(entry);
        }
    }
    Ok(entries)
}

/// The file that a download goes to before it becomes an owner's content.
pub(super) fn fill_path(layout: &Layout, owner: &Owner) -> PathBuf {
    layout.file(&layout.temporary(), &format!("fill.{owner}"))
}

/// Removes the unfinished download of an owner.
pub(super) fn remove_fill(layout: &Layout, owner: &Owner) -> Result<(), CacheError> {
    remove(&fill_path(layout, owner))
}

/// The owner of a file among the temporary ones, whichever program's it is.
pub(super) fn owner_of_temporary(name: &str) -> Option<Owner> {
    let name = name.strip_prefix("fill.").or_else(|| name.strip_prefix("tag")).unwrap_or(name);
    Owner::of(&format!("{}{name}", super::owner::HELD))
}

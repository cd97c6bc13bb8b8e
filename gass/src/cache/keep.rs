//! Keeping contents that nobody refers to, up to a limit.
//!
//! The limit stands in a file of its own in the cache's directory, which stock programs do not look at; a kept content is to
//! them a ready one that happens to have no references, and they use it, or remove it, as any other. What was used last
//! is told by the time of the last change of its links: nothing else needs to be written for it.

use super::{
    Cache, CacheError,
    content::{Content, stat},
    error::at,
    gate::Gate,
    layout::{Layout, remove},
    owner::Owner,
};
use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
};

/// Holds the limit: bytes, in decimal.
const FILE: &str = "gridiron.limit";
/// Longest such file read, in bytes.
const MAX_FILE: u64 = 64;

impl Cache {
    /// Up to how many bytes contents are kept that nobody refers to; None: they go with their last reference.
    ///
    /// # Errors
    /// A file that cannot be read, or holds no number.
    pub fn limit(&self) -> Result<Option<u64>, CacheError> {
        limit(&self.layout)
    }

    /// Sets the limit, for everybody who uses this cache, and removes what exceeds it.
    ///
    /// The limit is for all contents together. Contents in use are never removed, so they alone may exceed it.
    ///
    /// # Errors
    /// A cache that cannot be changed.
    pub fn set_limit(&self, bytes: Option<u64>) -> Result<(), CacheError> {
        let path = self.layout.root().join(FILE);
        match bytes {
            None => remove(&path)?,
            Some(bytes) => {
                let spare = self.layout.file(&self.layout.temporary(), &Owner::new().to_string());
                self.layout.place(&spare, format!("{bytes}\n").as_bytes())?;
                fs::rename(&spare, &path).map_err(at(&path))?;
            }
        }
        self.shrink_to(bytes.unwrap_or(0)).map(drop)
    }

    /// Removes what exceeds the limit, if there is one. What was done before stands, whatever comes of this.
    pub(super) fn make_room(&self) {
        let made = match self.limit() {
            Ok(Some(limit)) => self.shrink_to(limit).map(drop),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = made {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot keep the cache below its limit");
        }
    }

    /// Removes contents nobody refers to, the least recently used first, until all together have no more than so many
    /// bytes, or none is left; gives what went: contents and bytes.
    pub(super) fn shrink_to(&self, limit: u64) -> Result<(u64, u64), CacheError> {
        let (mut total, mut kept) = (0_u64, Vec::new());
        for mangled in self.layout.mangled_in(&self.layout.globals())? {
            let content = Content::of_mangled(&self.layout, mangled);
            let Some(file) = stat(&content.ready_path())? else { continue };
            total = total.saturating_add(file.len());
            if file.nlink() == 1 {
                kept.push(((file.ctime(), file.ctime_nsec()), file.len(), content));
            }
        }
        kept.sort_by_key(|(used, ..)| *used);
        let mut gone = (0, 0);
        for (_, size, content) in kept {
            if total <= limit {
                break;
            }
            if self.evict(&content)? {
                total = total.saturating_sub(size);
                gone = (gone.0 + 1, gone.1 + size);
            }
        }
        Ok(gone)
    }

    /// False: somebody refers to it now.
    fn evict(&self, content: &Content<'_>) -> Result<bool, CacheError> {
        let _gate = Gate::enter(self.layout.root())?;
        let owner = Owner::new();
        if !content.hold(&owner)? {
            return Ok(false);
        }
        let is_over = content.is_unreferenced(&owner).unwrap_or(false);
        if is_over || !content.release(&owner)? {
            content.discard(&owner)?;
        }
        Ok(is_over)
    }
}

/// Whether a content stays when nobody refers to it any more: it could be fetched again, but need not.
pub(super) fn is_kept(layout: &Layout, url: &str) -> Result<bool, CacheError> {
    let from_network = ["https:", "http:", "gsiftp:", "ftp:"].iter().any(|scheme| url.starts_with(scheme));
    Ok(from_network && limit(layout)?.is_some_and(|limit| limit > 0))
}

fn limit(layout: &Layout) -> Result<Option<u64>, CacheError> {
    let path = layout.root().join(FILE);
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(at(&path))?,
    };
    let mut text = String::new();
    file.take(MAX_FILE).read_to_string(&mut text).map_err(at(&path))?;
    match text.trim().parse() {
        Ok(limit) => Ok(Some(limit)),
        Err(_) => Err(CacheError::Config {
            path,
            line: text.trim().to_owned(),
            known: "it holds a number of bytes",
        }),
    }
}

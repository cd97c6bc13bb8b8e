//! What can go wrong with the cache.

use crate::GassError;
use std::{io, path::Path, path::PathBuf};

/// The cache could not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// A file or directory of the cache.
    #[error("GASS cache: {}: {source}{}", path.display(), hint(source))]
    Io {
        /** which */
        path: PathBuf,
        /** what the system said */
        source: io::Error,
    },
    /// `config` or `gridiron.limit` says something this program does not know.
    #[error("GASS cache: {}: `{line}` is not supported; {known}", path.display())]
    Config {
        /** the file */
        path: PathBuf,
        /** the line */
        line: String,
        /** what would be understood */
        known: &'static str,
    },
    /// Another program is filling or changing the entry, and goes on doing so.
    #[error("GASS cache: the entry for {0} is in use by another program; try again when that has ended")]
    Locked(String),
    /// The cache as a whole is being changed by another program that does not get on.
    #[error("GASS cache: {}: another program holds this lock for too long", .0.display())]
    Busy(PathBuf),
    /// There is no such entry, or not under this tag.
    #[error("GASS cache: no entry for {url} with tag {tag}")]
    NotFound {
        /** the name asked for */
        url: String,
        /** the tag asked for */
        tag: String,
    },
    /// The content could not be fetched; the cache is as it was before.
    #[error(transparent)]
    Fetch(Box<GassError>),
    /// A name of more than 64 KiB, or one with a NUL or line break in it.
    #[error("GASS cache: a name of {0} bytes is too long, or has a line break in it")]
    BadName(usize),
}

impl CacheError {
    /// The entry does not exist, as opposed to any trouble with the cache.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

impl From<GassError> for CacheError {
    fn from(error: GassError) -> Self {
        Self::Fetch(Box::new(error))
    }
}

/// What to try, for the failures that people meet.
fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            "; the cache must be writable, or name another in GLOBUS_GASS_CACHE_DEFAULT"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; make room: gridiron cache clean, or remove tags that are no longer needed"
        }
        _ => "",
    }
}

/// Names the file in an error.
pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> CacheError + use<> {
    let path = path.to_owned();
    move |source| CacheError::Io { path: path.clone(), source }
}

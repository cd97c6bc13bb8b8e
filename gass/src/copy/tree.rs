//! What is below a directory, here or on a server of ours.

use super::Place;
use crate::error::FileAction;
use crate::listing::Kind;
use crate::{Client, GassError};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How deep directories may lie in each other; deeper is a hostile server, or a loop.
pub const MAX_DEPTH: usize = 128;
/// How much is found at most.
pub const MAX_FOUND: usize = 5_000_000;

/// A file or directory that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it is, below the directory that was looked into.
    pub path: PathBuf,
    /// A directory; it comes before what is in it.
    pub directory: bool,
    /// Bytes of a file, where they are known.
    pub size: Option<u64>,
}

/// Lists a directory, and all directories in it when `recursive`. Sorted by name. Symbolic links to files count as files;
/// those to directories are not followed; what is neither file nor directory is left out.
///
/// # Errors
/// A directory that cannot be read, a server that lists none, more than [`MAX_FOUND`] files.
pub async fn list(client: &Client, place: &Place, recursive: bool) -> Result<Vec<Found>, GassError> {
    let mut found = Vec::new();
    // The last is looked into first.
    let mut open = vec![(PathBuf::new(), 0)];
    while let Some((below, depth)) = open.pop() {
        let mut entries = match place {
            Place::Local(path) => entries_of(path, &below).await?,
            Place::Remote(..) => remote_entries(client, place, &below).await?,
            Place::Stream => return Err(too_much(place, "a stream has no files in it")),
        };
        entries.sort_by(|one, other| one.path.cmp(&other.path));
        if found.len() + entries.len() > MAX_FOUND {
            return Err(too_much(place, "it has too many files"));
        }
        if recursive {
            if depth == MAX_DEPTH && entries.iter().any(|entry| entry.directory) {
                return Err(too_much(place, "its directories lie too deep in each other"));
            }
            let inner = entries.iter().filter(|entry| entry.directory).rev();
            open.extend(inner.map(|entry| (entry.path.clone(), depth + 1)));
        }
        found.extend(entries);
    }
    Ok(found)
}

fn too_much(place: &Place, reason: &str) -> GassError {
    GassError::Local { doing: format!("cannot list {place}"), source: io::Error::other(reason.to_owned()) }
}

async fn remote_entries(client: &Client, place: &Place, below: &Path) -> Result<Vec<Found>, GassError> {
    // A slash at the end makes it a directory.
    let Place::Remote(url, expect) = place.join(&below.join("")) else { return Ok(Vec::new()) };
    let entries = client.list(&url, &expect).await?;
    let found = entries.into_iter().filter_map(|entry| {
        let directory = match entry.kind {
            Kind::File | Kind::Link => false,
            Kind::Directory => true,
            Kind::Other => return None,
        };
        Some(Found { path: below.join(entry.name), directory, size: entry.size })
    });
    Ok(found.collect())
}

async fn entries_of(root: &Path, below: &Path) -> Result<Vec<Found>, GassError> {
    let (root, below) = (root.to_owned(), below.to_owned());
    let listing = tokio::task::spawn_blocking(move || {
        let directory = root.join(&below);
        let failed = |source| GassError::File { path: directory.clone(), action: FileAction::List, source };
        let mut found = Vec::new();
        for entry in fs::read_dir(&directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let mut kind = entry.file_type().map_err(failed)?;
            if kind.is_symlink() {
                match fs::metadata(entry.path()) {
                    Ok(target) if target.is_file() => kind = target.file_type(),
                    // It leads nowhere, or into a directory.
                    Ok(_) | Err(_) => continue,
                }
            }
            let path = below.join(entry.file_name());
            if kind.is_dir() {
                found.push(Found { path, directory: true, size: None });
            } else if kind.is_file() {
                found.push(Found {
                    path,
                    directory: false,
                    size: entry.metadata().ok().map(|file| file.len()),
                });
            }
        }
        Ok(found)
    });
    listing.await.unwrap_or_else(|error| {
        Err(GassError::Local { doing: "cannot list a directory".to_owned(), source: io::Error::other(error) })
    })
}

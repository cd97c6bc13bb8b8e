//! Local files as ends of a copy.
//!
//! Reading and writing happen on threads of their own, in blocks, so that the disk, the processor's encryption and the
//! network work at the same time; what fits into one block takes a single hop.

mod reading;
mod replacing;

pub(super) use reading::{Blocks, Input, SourceFile, standard_input};
pub(super) use replacing::SinkFile;

use crate::GassError;
use crate::error::FileAction;
use std::io;
use std::path::Path;

/// Makes the directories above a file.
pub(super) async fn make_parents(path: &Path) -> Result<(), GassError> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => make_directories(parent).await,
        _ => Ok(()),
    }
}

/// Makes a directory, and those above it.
///
/// # Errors
/// What the system says.
pub async fn make_directories(path: &Path) -> Result<(), GassError> {
    let made = tokio::fs::create_dir_all(path).await;
    made.map_err(|source| GassError::File { path: path.to_owned(), action: FileAction::Open, source })
}

/// What was printed cannot be taken back.
pub(super) fn cannot_verify_a_stream() -> GassError {
    GassError::Local {
        doing: "cannot verify a checksum before it is printed".to_owned(),
        source: io::Error::other("copy to a file instead"),
    }
}

/// Runs work that may wait for the disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, GassError> + Send + 'static,
) -> Result<T, GassError> {
    let broken = |error| GassError::Local {
        doing: "a thread that works on a file ended early".to_owned(),
        source: io::Error::other(error),
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(broken(error)))
}

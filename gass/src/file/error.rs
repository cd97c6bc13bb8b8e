//! What can go wrong with an open file.

use crate::{CacheError, GassError};
use std::{io, path::PathBuf};

/// A file was not opened, or not closed as it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The options contradict each other.
    #[error("cannot open a file like this: {0}")]
    Rejected(&'static str),
    /// Fetching, or writing back.
    #[error(transparent)]
    Gass(Box<GassError>),
    /// The cache.
    #[error(transparent)]
    Cache(CacheError),
    /// A file of this machine.
    #[error("{}: {source}", path.display())]
    Local {
        /** which */
        path: PathBuf,
        /** what the system said */
        source: io::Error,
    },
}

impl From<GassError> for FileError {
    fn from(error: GassError) -> Self {
        Self::Gass(Box::new(error))
    }
}

impl From<CacheError> for FileError {
    fn from(error: CacheError) -> Self {
        match error {
            CacheError::Fetch(error) => Self::Gass(error),
            other => Self::Cache(other),
        }
    }
}

//! What went wrong with a file, and what the client is told of it (gram.md §10).

use super::Desk;
use crate::{
    job::{Failure, FailureKind, FileRole},
    stream::CarryError,
};
use gass::{CacheError, GassError};
use gram::GramError;
use std::{
    io,
    path::{Path, PathBuf},
};

/// A file was not moved.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// Over the network.
    #[error(transparent)]
    Gass(#[from] Box<GassError>),
    /// In the cache.
    #[error(transparent)]
    Cache(#[from] Box<CacheError>),
    /// On this machine.
    #[error("{}: {source}", path.display())]
    Local {
        /** the file */
        path: PathBuf,
        /** what the system said */
        source: io::Error,
    },
    /// There is no credential to move it with.
    #[error("{0}")]
    Credential(String),
}

impl From<GassError> for TransferError {
    fn from(error: GassError) -> Self {
        Self::Gass(Box::new(error))
    }
}

impl From<CarryError> for TransferError {
    fn from(error: CarryError) -> Self {
        match error {
            CarryError::Gass(error) => error.into(),
            CarryError::Local { path, source } => Self::Local { path, source },
            CarryError::Credential(failure) => Self::Credential(failure.message),
            CarryError::Task(error) => Self::Local { path: PathBuf::new(), source: io::Error::other(error) },
        }
    }
}

impl From<CacheError> for TransferError {
    fn from(error: CacheError) -> Self {
        Self::Cache(Box::new(error))
    }
}

/// Names the file in an error of the system's.
pub(super) fn local(path: &Path) -> impl FnOnce(io::Error) -> TransferError + use<> {
    let path = path.to_owned();
    move |source| TransferError::Local { path, source }
}

/// The one place that gives a failed transfer its number and kind; source and destination are as the request has them. A stream's
/// source is the file that the job wrote.
pub(super) fn failure(desk: &Desk, role: FileRole, message: String) -> Failure {
    let (code, kind) = match role {
        FileRole::Executable => (GramError::STAGING_EXECUTABLE, FailureKind::Executable),
        FileRole::Stdin => (GramError::STAGING_STDIN, FailureKind::Stdin),
        FileRole::StageIn(_) | FileRole::StageInShared(_) => {
            (GramError::STAGE_IN_FAILED, FailureKind::FileStageIn)
        }
        FileRole::Stderr(_) => (GramError::OPENING_STDERR, FailureKind::FileStageOut),
        FileRole::Stdout(_) => (GramError::OPENING_STDOUT, FailureKind::FileStageOut),
        FileRole::StageOut(_) => (GramError::STAGE_OUT_FAILED, FailureKind::FileStageOut),
    };
    let (from, to) = desk.job.ends_of(role);
    let from = match role {
        FileRole::Stderr(_) => desk.files.stderr().display().to_string(),
        FileRole::Stdout(_) => desk.files.stdout().display().to_string(),
        _ => from,
    };
    let told = |text: String| Some(text).filter(|text| !text.is_empty());
    Failure { kind: Some(kind), source_url: told(from), destination: told(to), ..Failure::new(code, message) }
}

//! The trust directory (gsi.md §8, §9): CA certificates, signing policies, CRLs; re-read when files change, a broken
//! new file never replacing a good old one.

use crate::GsiError;
use std::path::{Path, PathBuf};

/// A handle on one certificate directory; cheap to clone, shared by all connections.
#[derive(Debug, Clone)]
pub struct TrustDirectory {/* Arc<...> */}

/// One thing that is wrong in a trust directory, for `gridiron check`.
#[derive(Debug, Clone)]
pub struct TrustProblem {
    /// The file.
    pub path: PathBuf,
    /// 1-based line, when known.
    pub line: Option<usize>,
    /// What is wrong and what to do.
    pub message: String,
}

impl TrustDirectory {
    /// Opens a directory (must exist).
    pub fn open(_path: impl AsRef<Path>) -> Result<Self, GsiError> {
        todo!()
    }
    /// The search order of §6.3 (`X509_CERT_DIR` …).
    pub fn open_default() -> Result<Self, GsiError> {
        todo!()
    }
    /// The path.
    pub fn path(&self) -> &Path {
        todo!()
    }
    /// Reads everything and reports every problem.
    pub fn check(&self) -> Vec<TrustProblem> {
        todo!()
    }
}

//! The grid-mapfile (gsi.md §10): subject → local accounts.

use crate::{GsiError, Subject};
use std::path::Path;

/// A parsed grid-mapfile. Also edits (add, delete) keeping the text of other lines untouched.
#[derive(Debug, Clone)]
pub struct Gridmap {/* entries with line numbers */}

/// A successful look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// The local account (pool accounts already leased).
    pub account: String,
    /// 1-based line that decided.
    pub line: usize,
}

/// Why a look-up gave nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// No line has this subject.
    #[error("no entry for {0}")]
    Unmapped(Subject),
    /// The line exists but does not list the account.
    #[error("line {line} does not map {subject} to {account}")]
    AccountNotListed {
        /** who */
        subject: Subject,
        /** the account asked for */
        account: String,
        /** 1-based */
        line: usize,
    },
    /// The line has no account, or no pool account is free, or GRIDMAPDIR is missing.
    #[error("line {line}: {reason}")]
    Unusable {
        /** 1-based */
        line: usize,
        /** why */
        reason: String,
    },
}

impl Gridmap {
    /// Parses the text; malformed lines are kept as problems, never fatal.
    pub fn parse(_text: &[u8]) -> Self {
        todo!()
    }
    /// Reads a file.
    pub fn read(_path: &Path) -> Result<Self, GsiError> {
        todo!()
    }
    /// Malformed lines: (1-based line, message).
    pub fn problems(&self) -> &[(usize, String)] {
        todo!()
    }
    /// Maps a subject, to the default account or to the requested one. `pool` is GRIDMAPDIR.
    pub fn map(
        &self,
        _subject: &Subject,
        _requested: Option<&str>,
        _pool: Option<&Path>,
    ) -> Result<Mapping, MapError> {
        todo!()
    }
}

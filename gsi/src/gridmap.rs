//! The grid-mapfile (gsi.md §10): subject → local accounts.
//!
//! [`Gridmap`] is a parsed file; [`Gridmap::map`] looks a subject up, [`edit`] changes a file line by line. Only pool
//! accounts touch the disk when looked up ([`pool`]).

pub mod edit;
pub(crate) mod line;
pub mod pool;

use crate::{GsiError, Subject};
use line::Line;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Longest grid-mapfile accepted, in bytes.
pub const MAX_GRIDMAP_BYTES: usize = 64 * 1024 * 1024;

/// Where the stock programs look when no variable says otherwise and they run as root.
pub const SYSTEM_GRIDMAP: &str = "/etc/grid-security/grid-mapfile";

/// A parsed grid-mapfile.
#[derive(Debug, Clone, Default)]
pub struct Gridmap {
    entries: Vec<Entry>,
    /// Normalised subject → index of the first entry that has it.
    by_subject: HashMap<String, usize>,
    problems: Vec<(usize, String)>,
    /// The first line that is no entry at all.
    malformed: Option<(usize, String)>,
}

/// One line with a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// 1-based.
    pub line: usize,
    /// Escapes undone and written as in certificates (§7.1).
    pub subject: Subject,
    /// As listed; one that starts with `.` names a pool.
    pub accounts: Vec<String>,
}

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
        /// who
        subject: Subject,
        /// the account asked for
        account: String,
        /// 1-based
        line: usize,
    },
    /// The line has no account, or no pool account is free, or GRIDMAPDIR is missing.
    #[error("line {line}: {reason}")]
    Unusable {
        /// 1-based
        line: usize,
        /// why
        reason: String,
    },
}

/// Why a grid-mapfile cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GridmapError {
    /// The operating system refused.
    #[error("cannot {action} the grid-mapfile {path}: {source}", path = path.display())]
    Io {
        /// read, write ...
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Longer than [`MAX_GRIDMAP_BYTES`].
    #[error("the grid-mapfile {path} is longer than {MAX_GRIDMAP_BYTES} bytes", path = path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// An account name that cannot stand in the file.
    #[error(
        "{0:?} cannot be a local account: it is empty or has a blank, a comma or a control character in it"
    )]
    Account(String),
}

impl Gridmap {
    /// Parses the text; malformed lines are kept as problems, never fatal.
    pub fn parse(text: &[u8]) -> Self {
        let mut map = Self::default();
        for (number, bytes) in (1..).zip(text.split(|&byte| byte == b'\n')) {
            match Line::parse(bytes) {
                Line::Blank => {}
                Line::Malformed(problem) => map.add_malformed(number, problem),
                Line::Entry { subject, accounts, .. } => map.add(Entry { line: number, subject, accounts }),
            }
        }
        map
    }

    fn add_malformed(&mut self, line: usize, problem: String) {
        self.malformed.get_or_insert_with(|| (line, problem.clone()));
        self.problems.push((line, problem));
    }

    fn add(&mut self, entry: Entry) {
        if !entry.subject.as_str().starts_with('/') {
            let problem = format!("{:?} is no subject; one begins with a slash", entry.subject.as_str());
            self.add_malformed(entry.line, problem);
        }
        let known = self.by_subject.entry(entry.subject.normalized());
        let first = *known.or_insert(self.entries.len());
        if let Some(first) = self.entries.get(first) {
            let problem =
                format!("{} stands on line {} already, which decides alone", entry.subject, first.line);
            self.problems.push((entry.line, problem));
        }
        if entry.accounts.is_empty() {
            let problem = format!("{} has no account: add one behind the subject", entry.subject);
            self.problems.push((entry.line, problem));
        }
        self.entries.push(entry);
    }

    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, GsiError> {
        Ok(Self::parse(&read_bytes(path)?))
    }

    /// Malformed and pointless lines: (1-based line, message).
    pub fn problems(&self) -> &[(usize, String)] {
        &self.problems
    }

    /// The first line (1-based) that is nothing a grid-mapfile holds, and what is wrong. Look-ups pass such lines over, as the
    /// stock library does; in a file that has just been changed they tell that something went wrong.
    pub fn malformed(&self) -> Option<(usize, &str)> {
        self.malformed.as_ref().map(|(line, problem)| (*line, problem.as_str()))
    }

    /// All entries, in file order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry that decides for a subject: the first that has it.
    pub fn entry(&self, subject: &Subject) -> Option<&Entry> {
        self.by_subject.get(&subject.normalized()).and_then(|&index| self.entries.get(index))
    }

    /// Maps a subject, to the default account or to the requested one. `pool` is GRIDMAPDIR.
    pub fn map(
        &self,
        subject: &Subject,
        requested: Option<&str>,
        pool: Option<&Path>,
    ) -> Result<Mapping, MapError> {
        let entry = self.entry(subject).ok_or_else(|| MapError::Unmapped(subject.clone()))?;
        let line = entry.line;
        let unusable = |reason: String| MapError::Unusable { line, reason };
        let account = match requested {
            Some(account) => entry.requested(account, subject, pool).ok_or_else(|| {
                MapError::AccountNotListed { subject: subject.clone(), account: account.to_owned(), line }
            })?,
            None => {
                let default =
                    entry.accounts.first().ok_or_else(|| unusable(format!("{subject} has no account")))?;
                match default.strip_prefix('.') {
                    None => default.clone(),
                    Some(prefix) => {
                        pool::lease(pool, prefix, subject).map_err(|error| unusable(error.to_string()))?
                    }
                }
            }
        };
        Ok(Mapping { account, line })
    }

    /// The subject of a local account: that of the first line which lists it, else of its pool lease.
    pub fn subject_of(&self, account: &str, pool: Option<&Path>) -> Option<Subject> {
        let listing = self.entries.iter().find(|entry| entry.accounts.iter().any(|listed| listed == account));
        listing.map(|entry| entry.subject.clone()).or_else(|| pool::holder(pool?, account))
    }
}

impl Entry {
    /// The requested account, when it is listed, or leased already from a pool that is.
    fn requested(&self, account: &str, subject: &Subject, pool: Option<&Path>) -> Option<String> {
        let pools = || self.accounts.iter().filter_map(|listed| listed.strip_prefix('.'));
        let listed = !account.starts_with('.') && self.accounts.iter().any(|listed| listed == account);
        let leased = || pool.and_then(|pool| pool::leased(pool, subject).ok().flatten());
        let from_pool = || {
            pools().any(|prefix| account.starts_with(prefix))
                && leased().is_some_and(|leased| leased == account)
        };
        (listed || from_pool()).then(|| account.to_owned())
    }
}

/// Reads a whole file, within [`MAX_GRIDMAP_BYTES`].
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>, GridmapError> {
    use std::io::Read as _;
    let failed = |source| GridmapError::Io { action: "read", path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut text = Vec::new();
    let most = u64::try_from(MAX_GRIDMAP_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most).read_to_end(&mut text).map_err(failed)?;
    if text.len() > MAX_GRIDMAP_BYTES {
        Err(GridmapError::TooLong { path: path.to_owned() })
    } else {
        Ok(text)
    }
}

/// Where the grid-mapfile is (§6.3): `GRIDMAP`, `GLOBUSMAP`, `globusmap`, `GlobusMap`; then the system's for root and
/// `~/.gridmap` for others.
pub fn default_path() -> Option<PathBuf> {
    let named = ["GRIDMAP", "GLOBUSMAP", "globusmap", "GlobusMap"].into_iter().find_map(std::env::var_os);
    if let Some(path) = named.filter(|path| !path.is_empty()) {
        return Some(path.into());
    }
    if rustix::process::geteuid().is_root() {
        return Some(SYSTEM_GRIDMAP.into());
    }
    crate::credential::home_directory().map(|home| home.join(".gridmap"))
}

#[cfg(test)]
mod tests;

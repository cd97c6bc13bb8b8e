//! Changing a grid-mapfile: one line changes, every other byte stays (`grid-mapfile-add-entry`, `-delete-entry`).
//!
//! A subject that has a line gets its new accounts there, since only the first line counts. Unlike the stock tools,
//! subjects are compared as a look-up compares them (without case), and comments and malformed lines survive.

use super::line::{self, Line};
use super::{GridmapError, read_bytes};
use crate::{GsiError, Subject};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The text of a grid-mapfile, for changing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GridmapText(Vec<u8>);

/// What adding did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added {
    /// A new line at the end: this one.
    New {
        /// As written.
        line: String,
    },
    /// The subject had a line, which now lists these too.
    Extended {
        /// 1-based.
        number: usize,
        /// The changed line.
        line: String,
        /// Those that were not listed before.
        added: Vec<String>,
    },
    /// All were listed already.
    Unchanged {
        /// 1-based.
        number: usize,
        /// The line.
        line: String,
    },
}

/// What removing did to the lines of a subject.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Removed {
    /// Account and 1-based line, before the change.
    pub accounts: Vec<(usize, String)>,
    /// Lines (1-based, before the change) taken out because no account was left.
    pub lines: Vec<usize>,
    /// Lines that stay, with fewer accounts.
    pub changed: Vec<String>,
    /// The subject has a line at all.
    pub found: bool,
}

impl GridmapText {
    /// Takes over a text.
    pub fn new(text: impl Into<Vec<u8>>) -> Self {
        Self(text.into())
    }

    /// Reads a file; one that does not exist is empty.
    ///
    /// # Errors
    /// When it exists but cannot be read, or is too long.
    pub fn read(path: &Path) -> Result<Self, GsiError> {
        match read_bytes(path) {
            Ok(text) => Ok(Self(text)),
            Err(GridmapError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(Self::default())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Maps a subject to accounts as well.
    ///
    /// # Errors
    /// When an account name cannot stand in the file.
    pub fn add(&mut self, subject: &Subject, accounts: &[String]) -> Result<Added, GridmapError> {
        if let Some(bad) = accounts.iter().find(|account| !is_account(account)) {
            return Err(GridmapError::Account(bad.clone()));
        }
        let mut lines = self.lines();
        for (index, bytes) in lines.iter_mut().enumerate() {
            let Line::Entry { subject: found, accounts: listed, .. } = Line::parse(content(bytes)) else {
                continue;
            };
            if !found.matches(subject) {
                continue;
            }
            let mut added: Vec<String> = Vec::new();
            for account in accounts.iter().filter(|account| !listed.contains(account)) {
                if !added.contains(account) {
                    added.push(account.clone());
                }
            }
            let number = index + 1;
            if added.is_empty() {
                return Ok(Added::Unchanged { number, line: lossy(content(bytes)) });
            }
            let mut changed = content(bytes).trim_ascii_end().to_vec();
            changed.push(if listed.is_empty() { b' ' } else { b',' });
            changed.extend(added.join(",").bytes());
            let line = lossy(&changed);
            changed.extend(content_end(bytes));
            *bytes = changed;
            self.0 = lines.concat();
            return Ok(Added::Extended { number, line, added });
        }
        if self.0.last().is_some_and(|&last| last != b'\n') {
            self.0.push(b'\n');
        }
        let line = line::write(subject, accounts);
        self.0.extend(line.bytes());
        self.0.push(b'\n');
        Ok(Added::New { line })
    }

    /// Takes accounts away from a subject, on every line that has it; no accounts given: all. A line without accounts
    /// left goes.
    pub fn remove(&mut self, subject: &Subject, accounts: &[String]) -> Removed {
        let mut removed = Removed::default();
        let mut lines = self.lines();
        for (index, bytes) in lines.iter_mut().enumerate() {
            let Line::Entry { subject: found, accounts: listed, subject_end } = Line::parse(content(bytes))
            else {
                continue;
            };
            if !found.matches(subject) {
                continue;
            }
            removed.found = true;
            let number = index + 1;
            let goes = |account: &String| accounts.is_empty() || accounts.contains(account);
            let (gone, left): (Vec<_>, Vec<_>) = listed.into_iter().partition(goes);
            if left.is_empty() && (accounts.is_empty() || !gone.is_empty()) {
                bytes.clear();
                removed.lines.push(number);
            } else if !gone.is_empty() {
                let mut changed = bytes.get(..subject_end).unwrap_or_default().to_vec();
                changed.push(b' ');
                changed.extend(left.join(",").bytes());
                removed.changed.push(lossy(&changed));
                changed.extend(content_end(bytes));
                *bytes = changed;
            }
            removed.accounts.extend(gone.into_iter().map(|account| (number, account)));
        }
        self.0 = lines.concat();
        removed
    }

    /// Replaces the file at once: a reader sees the old or the new text, never a part. Mode and owner stay; a new file
    /// gets mode 0644, since gridmaps are no secret. A link is followed. With `keep_old`, the old text is kept as
    /// `<path>.old` first, as the stock tools do.
    ///
    /// # Errors
    /// When the operating system refuses; the old file is then as it was.
    pub fn write(&self, path: &Path, keep_old: bool) -> Result<(), GsiError> {
        let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let failed = |source| GridmapError::Io { action: "write", path: path.to_owned(), source };
        Ok(self.replace(&target, keep_old).map_err(failed)?)
    }

    fn replace(&self, target: &Path, keep_old: bool) -> io::Result<()> {
        let old = match std::fs::metadata(target) {
            Ok(old) => Some(old),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if keep_old && old.is_some() {
            std::fs::copy(target, beside(target, "old"))?;
        }
        let new = beside(target, &format!("new.{}", std::process::id()));
        let written = self.write_new(&new, old.as_ref()).and_then(|()| std::fs::rename(&new, target));
        if written.is_err() {
            let _ = std::fs::remove_file(&new);
        }
        written
    }

    fn write_new(&self, new: &Path, old: Option<&std::fs::Metadata>) -> io::Result<()> {
        let mut file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(new)?;
        file.write_all(&self.0)?;
        let made = file.metadata()?;
        if let Some(old) = old.filter(|old| (old.uid(), old.gid()) != (made.uid(), made.gid())) {
            std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()))?;
        }
        let mode = old.map_or(0o644, |old| old.mode() & 0o7777);
        file.set_permissions(std::fs::Permissions::from_mode(mode))?;
        file.sync_all()
    }

    /// Lines with their ends.
    fn lines(&self) -> Vec<Vec<u8>> {
        self.0.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect()
    }
}

fn is_account(account: &str) -> bool {
    !account.is_empty() && !account.contains(|c: char| c.is_whitespace() || c.is_control() || c == ',')
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

/// A line without its end.
fn content(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The end of a line.
fn content_end(line: &[u8]) -> Vec<u8> {
    line.get(content(line).len()..).unwrap_or_default().to_vec()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

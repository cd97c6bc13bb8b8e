//! The ban list: who may not come in, whatever the grid-mapfile says. One ban a line, in the manner of that file:
//!
//! ```text
//! # Who may not use this site.
//! subject "/O=Grid/CN=Eve"   until 2027-01-31 laptop stolen, ticket 4711
//! issuer  "/O=Other/CN=CA"   its key is on the net
//! ```
//!
//! `subject` bans a person or host, whatever proxies they show; `issuer` everybody whom this CA vouches for, directly or
//! through other CAs. Names are compared as in the grid-mapfile. `until` takes a day (the ban ends with it, in UTC) or a
//! moment such as `2027-01-31T12:00:00Z`; without it the ban stays until its line is removed. The rest of the line is
//! the reason. Half a ban list is none: one malformed line makes the whole file unusable, since it may be the ban that
//! matters.

#[cfg(test)]
mod tests;

use crate::gridmap::line::{Written, read_subject};
use crate::{GsiError, Subject};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Longest ban list accepted, in bytes.
pub const MAX_BAN_LIST_BYTES: usize = 16 * 1024 * 1024;
/// Most mistakes told of one file.
const MAX_PROBLEMS: usize = 20;

/// A parsed ban list.
#[derive(Debug, Clone, Default)]
pub struct BanList {
    bans: Vec<Ban>,
    /// Kind and normalised name → indexes of the bans, in file order.
    by_name: HashMap<(Banned, String), Vec<usize>>,
}

/// What a ban is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Banned {
    /// A person or host.
    Subject,
    /// Everybody certified by a CA.
    Issuer,
}

impl std::fmt::Display for Banned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Subject => "subject",
            Self::Issuer => "issuer",
        })
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ban {
    /// 1-based.
    pub line: usize,
    /// What it is about.
    pub kind: Banned,
    /// Whom.
    pub name: Subject,
    /// When it ends; None: it does not.
    pub until: Option<Timestamp>,
    /// Why.
    pub reason: Option<String>,
}

impl std::fmt::Display for Ban {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the {} {} is banned", self.kind, self.name)?;
        if let Some(until) = self.until {
            write!(f, " until {until}")?;
        }
        match &self.reason {
            Some(reason) => write!(f, ": {reason}"),
            None => Ok(()),
        }
    }
}

/// Why a ban list cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BanListError {
    /// The operating system refused.
    #[error("cannot read the ban list {path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Longer than [`MAX_BAN_LIST_BYTES`].
    #[error("the ban list {path} is longer than {MAX_BAN_LIST_BYTES} bytes", path = path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// Lines that are no bans.
    #[error("the ban list {path} is malformed: {}", list(problems), path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// 1-based lines and what is wrong with each.
        problems: Vec<(usize, String)>,
    },
}

fn list(problems: &[(usize, String)]) -> String {
    problems.iter().map(|(line, problem)| format!("line {line}: {problem}")).collect::<Vec<_>>().join("; ")
}

impl BanList {
    /// Parses the text.
    ///
    /// # Errors
    /// The lines (1-based) that are no bans, with what is wrong.
    pub fn parse(text: &[u8]) -> Result<Self, Vec<(usize, String)>> {
        let (mut list, mut problems) = (Self::default(), Vec::new());
        for (number, line) in (1..).zip(text.split(|&byte| byte == b'\n')) {
            match parse_line(number, line) {
                Ok(Some(ban)) => list.add(ban),
                Ok(None) => {}
                Err(problem) => problems.push((number, problem)),
            }
            if problems.len() == MAX_PROBLEMS {
                break;
            }
        }
        if problems.is_empty() { Ok(list) } else { Err(problems) }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`BanListError`].
    pub fn read(path: &Path) -> Result<Self, GsiError> {
        use std::io::Read as _;
        let failed = |source| BanListError::Io { path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(failed)?;
        let most = u64::try_from(MAX_BAN_LIST_BYTES).unwrap_or(u64::MAX).saturating_add(1);
        let mut text = Vec::new();
        file.take(most).read_to_end(&mut text).map_err(failed)?;
        if text.len() > MAX_BAN_LIST_BYTES {
            return Err(BanListError::TooLong { path: path.to_owned() }.into());
        }
        let malformed = |problems| BanListError::Malformed { path: path.to_owned(), problems };
        Ok(Self::parse(&text).map_err(malformed)?)
    }

    fn add(&mut self, ban: Ban) {
        let name = (ban.kind, ban.name.normalized());
        self.by_name.entry(name).or_default().push(self.bans.len());
        self.bans.push(ban);
    }

    /// All bans, in file order, those that have ended too.
    pub fn bans(&self) -> &[Ban] {
        &self.bans
    }

    /// The first ban in force against one of these names.
    pub fn find<'a>(
        &self,
        subjects: impl IntoIterator<Item = &'a Subject>,
        issuers: impl IntoIterator<Item = &'a Subject>,
        now: Timestamp,
    ) -> Option<&Ban> {
        if self.bans.is_empty() {
            return None;
        }
        let subjects = subjects.into_iter().map(|name| (Banned::Subject, name.normalized()));
        let names = subjects.chain(issuers.into_iter().map(|name| (Banned::Issuer, name.normalized())));
        names
            .filter_map(|name| self.by_name.get(&name))
            .flatten()
            .filter_map(|index| self.bans.get(*index))
            .filter(|ban| ban.until.is_none_or(|until| now < until))
            .min_by_key(|ban| ban.line)
    }
}

/// The ban of one line; None for a blank one and a comment.
fn parse_line(number: usize, line: &[u8]) -> Result<Option<Ban>, String> {
    let line = line.trim_ascii();
    if line.is_empty() || line.starts_with(b"#") {
        return Ok(None);
    }
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    let (word, rest) = line.split_at_checked(end).unwrap_or_default();
    let kind = match word {
        b"subject" => Banned::Subject,
        b"issuer" => Banned::Issuer,
        _ => {
            let word = String::from_utf8_lossy(word);
            return Err(format!(
                "{word:?} begins no ban; write: subject \"/O=Grid/CN=Eve\", or issuer \"…\""
            ));
        }
    };
    let Written { subject, end } = match read_subject(rest.trim_ascii_start()) {
        Some(read) => read?,
        None => return Err(format!("{kind} of whom? A name in double quotes is missing")),
    };
    if !subject.as_str().starts_with('/') {
        return Err(format!("{subject:?} is no name; one begins with a slash, as in \"/O=Grid/CN=Eve\""));
    }
    let rest = rest.trim_ascii_start().get(end..).unwrap_or_default();
    let rest = String::from_utf8_lossy(rest).trim().to_owned();
    let (until, reason) = match rest.split_once(char::is_whitespace).unwrap_or((&rest, "")) {
        ("until", rest) => {
            let (moment, reason) = rest.trim().split_once(char::is_whitespace).unwrap_or((rest.trim(), ""));
            (Some(parse_until(moment)?), reason.trim())
        }
        _ => (None, rest.as_str()),
    };
    let reason = Some(reason.trim_start_matches('#').trim()).filter(|reason| !reason.is_empty());
    Ok(Some(Ban { line: number, kind, name: subject, until, reason: reason.map(str::to_owned) }))
}

/// A moment, or the end of a day.
fn parse_until(text: &str) -> Result<Timestamp, String> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    text.parse::<Date>()
        .and_then(Date::tomorrow)
        .and_then(|day| day.to_zoned(TimeZone::UTC))
        .map(|midnight| midnight.timestamp())
        .map_err(|_| {
            format!("until {text:?} is no day and no moment; write 2027-01-31 or 2027-01-31T12:00:00Z")
        })
}

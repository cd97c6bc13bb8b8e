//! Which state of a file a reply is about, and whether a request is about the same one (RFC 9110 §8.8, §13).

use hyper::HeaderMap;
use hyper::header::{HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};
use jiff::Timestamp;
use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};
use rustix::fs::Stat;

/// One state of a file. Its tag changes with file, length and time of change to the nanosecond, so two states have the
/// same only if the file was changed in place twice within one tick of the file system's clock, its length kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Version {
    /// With its quotes.
    pub(super) tag: String,
    /// To the second, as HTTP tells times.
    modified: Timestamp,
}

/// What the conditions of a request say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Carry it out.
    Go,
    /// The client has this state already.
    NotModified,
    /// It is about another state.
    Failed,
}

impl Version {
    pub(super) fn of(stat: &Stat) -> Self {
        let tag =
            format!("\"{:x}-{:x}-{:x}.{:x}\"", stat.st_ino, stat.st_size, stat.st_mtime, stat.st_mtime_nsec);
        Self { tag, modified: Timestamp::from_second(stat.st_mtime).unwrap_or_default() }
    }

    /// For `Last-Modified`.
    pub(super) fn modified(&self) -> Option<String> {
        DateTimePrinter::new().timestamp_to_rfc9110_string(&self.modified).ok()
    }

    /// The order of RFC 9110 §13.2.2, for a request that reads this state.
    pub(super) fn judge_read(&self, headers: &HeaderMap) -> Verdict {
        if self.is_outdated_for(headers) {
            return Verdict::Failed;
        }
        let known = if has(headers, &IF_NONE_MATCH) {
            self.is_listed(headers, &IF_NONE_MATCH, Strength::Weak)
        } else {
            date(headers, &IF_MODIFIED_SINCE).is_some_and(|since| self.modified <= since)
        };
        if known { Verdict::NotModified } else { Verdict::Go }
    }

    /// `If-Match`, or, without it, `If-Unmodified-Since`.
    fn is_outdated_for(&self, headers: &HeaderMap) -> bool {
        if has(headers, &IF_MATCH) {
            return !self.is_listed(headers, &IF_MATCH, Strength::Strong);
        }
        date(headers, &IF_UNMODIFIED_SINCE).is_some_and(|since| self.modified > since)
    }

    /// Whether a `Range` is meant for this state: `If-Range` is absent, or names it.
    pub(super) fn has_range_of(&self, headers: &HeaderMap) -> bool {
        let Some(condition) = headers.get(IF_RANGE) else { return true };
        condition.as_bytes() == self.tag.as_bytes()
            || date(headers, &IF_RANGE).is_some_and(|date| date == self.modified)
    }

    fn is_listed(&self, headers: &HeaderMap, name: &HeaderName, strength: Strength) -> bool {
        headers.get_all(name).iter().any(|list| {
            let list = list.as_bytes();
            list.trim_ascii() == b"*"
                || Tags(list)
                    .any(|(weak, tag)| (strength == Strength::Weak || !weak) && tag == self.tag.as_bytes())
        })
    }
}

/// For a request that replaces this state, or makes a file where there is none. Never [`Verdict::NotModified`].
pub(super) fn judge_write(headers: &HeaderMap, now: Option<&Version>) -> Verdict {
    let fails = match now {
        Some(now) => {
            now.is_outdated_for(headers)
                || has(headers, &IF_NONE_MATCH) && now.is_listed(headers, &IF_NONE_MATCH, Strength::Weak)
        }
        None => has(headers, &IF_MATCH) || date(headers, &IF_UNMODIFIED_SINCE).is_some(),
    };
    if fails { Verdict::Failed } else { Verdict::Go }
}

/// Whether a file must be made, not replaced: `If-None-Match: *`.
pub(super) fn must_be_new(headers: &HeaderMap) -> bool {
    headers.get(IF_NONE_MATCH).is_some_and(|list| list.as_bytes().trim_ascii() == b"*")
}

/// Whether anything depends on the state of the file.
pub(super) fn is_conditional(headers: &HeaderMap) -> bool {
    [IF_MATCH, IF_NONE_MATCH, IF_UNMODIFIED_SINCE].iter().any(|name| has(headers, name))
}

fn has(headers: &HeaderMap, name: &HeaderName) -> bool {
    headers.contains_key(name)
}

/// A date in HTTP's form; others are as good as none.
fn date(headers: &HeaderMap, name: &HeaderName) -> Option<Timestamp> {
    let text = headers.get(name)?.to_str().ok().filter(|text| text.ends_with(" GMT"))?;
    DateTimeParser::new().parse_timestamp(text).ok()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strength {
    Weak,
    Strong,
}

/// The entity tags of a list, with their quotes, and whether they are weak; ends at what is none.
struct Tags<'a>(&'a [u8]);

impl<'a> Iterator for Tags<'a> {
    type Item = (bool, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.0.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b','))?;
        let rest = self.0.get(start..)?;
        let (weak, rest) = match rest.strip_prefix(b"W/") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let inner = rest.strip_prefix(b"\"")?;
        let end = inner.iter().position(|&byte| byte == b'"')? + 2;
        let (tag, rest) = rest.split_at_checked(end)?;
        self.0 = rest;
        Some((weak, tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const EARLIER: &str = "Sun, 06 Nov 1994 08:49:36 GMT";

    fn version() -> Version {
        Version { tag: "\"a\"".to_owned(), modified: Timestamp::from_second(784_111_777).unwrap() }
    }

    fn headers(list: &[(HeaderName, &str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn reading() {
        use Verdict::{Failed, Go, NotModified};
        assert_eq!(version().modified().unwrap(), MODIFIED);
        for (list, expected) in [
            (&[][..], Go),
            (&[(IF_MATCH, "\"a\"")], Go),
            (&[(IF_MATCH, "*")], Go),
            (&[(IF_MATCH, "\"x\", \"a\"")], Go),
            (&[(IF_MATCH, "\"x\"")], Failed),
            (&[(IF_MATCH, "W/\"a\"")], Failed),
            (&[(IF_NONE_MATCH, "\"a\"")], NotModified),
            (&[(IF_NONE_MATCH, "W/\"a\"")], NotModified),
            (&[(IF_NONE_MATCH, "*")], NotModified),
            (&[(IF_NONE_MATCH, "\"x\",,W/\"y\"")], Go),
            (&[(IF_NONE_MATCH, "nonsense")], Go),
            (&[(IF_MODIFIED_SINCE, MODIFIED)], NotModified),
            (&[(IF_MODIFIED_SINCE, EARLIER)], Go),
            (&[(IF_MODIFIED_SINCE, "yesterday")], Go),
            (&[(IF_NONE_MATCH, "\"x\""), (IF_MODIFIED_SINCE, MODIFIED)], Go),
            (&[(IF_UNMODIFIED_SINCE, MODIFIED)], Go),
            (&[(IF_UNMODIFIED_SINCE, EARLIER)], Failed),
            (&[(IF_MATCH, "\"a\""), (IF_UNMODIFIED_SINCE, EARLIER)], Go),
            (&[(IF_MATCH, "\"x\""), (IF_NONE_MATCH, "\"a\"")], Failed),
            (&[(IF_MATCH, "\"a\""), (IF_NONE_MATCH, "\"a\"")], NotModified),
        ] {
            assert_eq!(version().judge_read(&headers(list)), expected, "{list:?}");
        }
    }

    #[test]
    fn writing() {
        let now = version();
        for (list, existing, missing) in [
            (&[][..], Verdict::Go, Verdict::Go),
            (&[(IF_MATCH, "\"a\"")], Verdict::Go, Verdict::Failed),
            (&[(IF_MATCH, "*")], Verdict::Go, Verdict::Failed),
            (&[(IF_NONE_MATCH, "*")], Verdict::Failed, Verdict::Go),
            (&[(IF_NONE_MATCH, "\"a\"")], Verdict::Failed, Verdict::Go),
            (&[(IF_UNMODIFIED_SINCE, EARLIER)], Verdict::Failed, Verdict::Failed),
        ] {
            let headers = headers(list);
            assert_eq!(judge_write(&headers, Some(&now)), existing, "{list:?}");
            assert_eq!(judge_write(&headers, None), missing, "{list:?}");
        }
        assert!(must_be_new(&headers(&[(IF_NONE_MATCH, " * ")])));
        assert!(!must_be_new(&headers(&[(IF_NONE_MATCH, "\"a\"")])));
    }

    #[test]
    fn a_range_is_for_one_state() {
        for (value, expected) in
            [("\"a\"", true), ("\"x\"", false), ("W/\"a\"", false), (MODIFIED, true), (EARLIER, false)]
        {
            assert_eq!(version().has_range_of(&headers(&[(IF_RANGE, value)])), expected, "{value}");
        }
        assert!(version().has_range_of(&HeaderMap::new()));
    }
}

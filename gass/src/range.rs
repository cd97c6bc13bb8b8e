//! Parts of a file: the `Range` of a request, the `Content-Range` of a reply or of an upload in pieces (RFC 9110 §14).

use std::fmt;

/// Most parts one request may ask for; who asks for more gets the whole file.
pub const MAX_RANGES: usize = 64;

/// Bytes `first` to `last`, both included, so never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first byte, counted from 0.
    pub first: u64,
    /// The last byte; not before the first.
    pub last: u64,
}

impl Span {
    /// How many bytes; `u64::MAX` stands for itself and one more.
    pub fn length(&self) -> u64 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }
}

/// What of a file is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All of it: no range, or one that is to be ignored.
    Whole,
    /// These parts, in this order; at least one.
    Parts(Vec<Span>),
    /// Only what lies behind the end.
    Nothing,
}

/// What a `Range` header selects of a file of `length` bytes. What cannot be understood selects everything, as the standard
/// wants it; so do more than [`MAX_RANGES`] parts, and parts that overlap so much that they are more than the whole.
pub fn select(header: &[u8], length: u64) -> Selection {
    let Some(asked) = parse(header) else { return Selection::Whole };
    let parts: Vec<Span> = asked.iter().filter_map(|range| range.of(length)).collect();
    if parts.is_empty() {
        return Selection::Nothing;
    }
    let sum = parts.iter().fold(0_u64, |sum, part| sum.saturating_add(part.length()));
    if sum > length { Selection::Whole } else { Selection::Parts(parts) }
}

/// One range as written.
#[derive(Debug, Clone, Copy)]
enum Asked {
    From(u64),
    Between(Span),
    Last(u64),
}

impl Asked {
    /// None when there is no such byte.
    fn of(self, length: u64) -> Option<Span> {
        let end = length.checked_sub(1)?;
        let (first, last) = match self {
            Self::From(first) => (first, end),
            Self::Between(span) => (span.first, span.last.min(end)),
            Self::Last(0) => return None,
            Self::Last(count) => (length.saturating_sub(count), end),
        };
        (first <= last).then_some(Span { first, last })
    }
}

/// None when it is not `bytes=` and a list of ranges.
fn parse(header: &[u8]) -> Option<Vec<Asked>> {
    let (unit, list) = std::str::from_utf8(header).ok()?.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut asked = Vec::new();
    for range in list.split(',').map(|range| range.trim_matches([' ', '\t'])) {
        if range.is_empty() {
            continue;
        }
        if asked.len() == MAX_RANGES {
            return None;
        }
        let (first, last) = range.split_once('-')?;
        asked.push(match (first, last) {
            ("", last) => Asked::Last(number(last)?),
            (first, "") => Asked::From(number(first)?),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                if first > last {
                    return None;
                }
                Asked::Between(Span { first, last })
            }
        });
    }
    (!asked.is_empty()).then_some(asked)
}

/// Digits only; what is too large for 64 bits is the largest number, which no file reaches.
fn number(digits: &str) -> Option<u64> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// Where a part belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentRange {
    /// `bytes first-last/total`, or `*` for a total nobody knows yet.
    Part {
        /// The first byte, counted from 0.
        first: u64,
        /// The last byte; not before the first, and before the total.
        last: u64,
        /// The length of the whole.
        total: Option<u64>,
    },
    /// `bytes */total`: no part at all.
    Unsatisfied {
        /// The length of the whole.
        total: u64,
    },
}

impl ContentRange {
    /// None when it is malformed, contradicts itself, or is not about bytes.
    pub fn parse(header: &[u8]) -> Option<Self> {
        let (unit, rest) = std::str::from_utf8(header).ok()?.trim().split_once(' ')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        let exact = |digits: &str| number(digits).filter(|&number| number < u64::MAX);
        let (range, total) = rest.trim().split_once('/')?;
        let total = if total == "*" { None } else { Some(exact(total)?) };
        if range == "*" {
            return total.map(|total| Self::Unsatisfied { total });
        }
        let (first, last) = range.split_once('-')?;
        let (first, last) = (exact(first)?, exact(last)?);
        let fits = first <= last && total.is_none_or(|total| last < total);
        fits.then_some(Self::Part { first, last, total })
    }
}

impl fmt::Display for ContentRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Part { first, last, total: Some(total) } => write!(f, "bytes {first}-{last}/{total}"),
            Self::Part { first, last, total: None } => write!(f, "bytes {first}-{last}/*"),
            Self::Unsatisfied { total } => write!(f, "bytes */{total}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spans(selection: Selection) -> Option<Vec<(u64, u64)>> {
        match selection {
            Selection::Whole => None,
            Selection::Parts(parts) => Some(parts.iter().map(|span| (span.first, span.last)).collect()),
            Selection::Nothing => Some(Vec::new()),
        }
    }

    #[test]
    fn ranges_of_ten_bytes() {
        for (header, expected) in [
            ("bytes=0-0", Some(vec![(0, 0)])),
            ("bytes=2-5", Some(vec![(2, 5)])),
            ("bytes=2-", Some(vec![(2, 9)])),
            ("bytes=-3", Some(vec![(7, 9)])),
            ("bytes=-30", Some(vec![(0, 9)])),
            ("bytes=5-99999999999999999999999", Some(vec![(5, 9)])),
            ("Bytes= 0-1 ,, 4-5", Some(vec![(0, 1), (4, 5)])),
            ("bytes=4-5,0-1,20-", Some(vec![(4, 5), (0, 1)])),
            // No such bytes.
            ("bytes=10-", Some(vec![])),
            ("bytes=10-20,30-40", Some(vec![])),
            ("bytes=-0", Some(vec![])),
            ("bytes=99999999999999999999999-", Some(vec![])),
            // Ignored.
            ("bytes=5-2", None),
            ("bytes=", None),
            ("bytes=,", None),
            ("bytes=-", None),
            ("bytes=+1-2", None),
            ("bytes=1", None),
            ("bytes 1-2", None),
            ("lines=1-2", None),
            ("bytes=a-b", None),
            ("bytes=0-8,0-8", None),
        ] {
            assert_eq!(spans(select(header.as_bytes(), 10)), expected, "{header}");
        }
        assert_eq!(select(b"bytes=0-", 0), Selection::Nothing);
        assert_eq!(select(b"bytes=\xff", 10), Selection::Whole);
    }

    #[test]
    fn too_many_ranges_are_the_whole() {
        let list = |count: usize| vec!["1-1"; count].join(",");
        let header = |count| format!("bytes={}", list(count));
        assert!(matches!(select(header(MAX_RANGES).as_bytes(), 1000), Selection::Parts(_)));
        assert_eq!(select(header(MAX_RANGES + 1).as_bytes(), 1000), Selection::Whole);
    }

    #[test]
    fn content_ranges() {
        let part = |first, last, total| Some(ContentRange::Part { first, last, total });
        for (text, expected) in [
            ("bytes 0-9/10", part(0, 9, Some(10))),
            ("bytes 5-9/*", part(5, 9, None)),
            ("bytes */10", Some(ContentRange::Unsatisfied { total: 10 })),
            ("bytes */0", Some(ContentRange::Unsatisfied { total: 0 })),
            ("bytes 0-10/10", None),
            ("bytes 9-5/10", None),
            ("bytes */*", None),
            ("bytes 0-9", None),
            ("bytes -9/10", None),
            ("bytes 0-/10", None),
            ("lines 0-9/10", None),
            ("bytes=0-9/10", None),
            ("bytes 0-99999999999999999999/*", None),
        ] {
            assert_eq!(ContentRange::parse(text.as_bytes()), expected, "{text}");
            if let Some(range) = expected {
                assert_eq!(range.to_string(), text);
            }
        }
    }

    proptest! {
        #[test]
        fn parts_lie_in_the_file(header in "bytes=[0-9,-]{0,30}", length in 0_u64..50) {
            if let Selection::Parts(parts) = select(header.as_bytes(), length) {
                prop_assert!(!parts.is_empty());
                prop_assert!(parts.iter().all(|part| part.first <= part.last && part.last < length));
                prop_assert!(parts.iter().map(Span::length).sum::<u64>() <= length);
            }
        }

        #[test]
        fn content_ranges_survive(text in "bytes [0-9*]{0,4}-?[0-9]{0,4}/[0-9*]{1,4}") {
            if let Some(range) = ContentRange::parse(text.as_bytes()) {
                prop_assert_eq!(ContentRange::parse(range.to_string().as_bytes()), Some(range));
            }
        }
    }
}

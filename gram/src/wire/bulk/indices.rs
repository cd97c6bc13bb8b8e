//! The numbers of an array: `1-1000`, `3`, `1-4,8,10-12`.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Most ranges of one list.
pub const MAX_RANGES: usize = 1000;

/// Numbers in ascending ranges that do not overlap; at least one number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indices(Vec<(u32, u32)>);

/// Text that is no list of numbers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndicesError {
    /// A part is neither a number nor a range.
    #[error("{0:?} is neither a number nor a range such as 1-1000")]
    Malformed(String),
    /// A range or the list is not in ascending order.
    #[error("{0:?} is not above what stands before it")]
    Descending(String),
    /// More than [`MAX_RANGES`] parts.
    #[error("a list of more than {MAX_RANGES} parts")]
    TooMany,
}

impl Indices {
    /// The ranges, in order.
    pub fn ranges(&self) -> impl Iterator<Item = RangeInclusive<u32>> {
        self.0.iter().map(|&(first, last)| first..=last)
    }

    /// The numbers, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.ranges().flatten()
    }

    /// How many numbers.
    pub fn count(&self) -> usize {
        let length = |&(first, last): &(u32, u32)| usize::try_from(last - first).unwrap_or(usize::MAX);
        self.0.iter().map(length).fold(0_usize, |sum, length| sum.saturating_add(length).saturating_add(1))
    }

    /// Lists of at most `most` numbers each, together the same numbers.
    pub fn split(&self, most: usize) -> Vec<Self> {
        let most = u32::try_from(most).unwrap_or(u32::MAX).max(1);
        let mut lists = Vec::new();
        let mut list = Vec::new();
        let mut room = most;
        for &(mut first, last) in &self.0 {
            loop {
                let end = last.min(first.saturating_add(room - 1));
                list.push((first, end));
                room -= end - first + 1;
                if room == 0 {
                    lists.push(Self(std::mem::take(&mut list)));
                    room = most;
                }
                match end.checked_add(1).filter(|next| *next <= last) {
                    Some(next) => first = next,
                    None => break,
                }
            }
        }
        if !list.is_empty() {
            lists.push(Self(list));
        }
        lists
    }
}

impl FromStr for Indices {
    type Err = IndicesError;

    fn from_str(text: &str) -> Result<Self, IndicesError> {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for part in text.split(',') {
            let malformed = || IndicesError::Malformed(part.chars().take(40).collect());
            let number = |digits: &str| {
                let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
                digits.parse::<u32>().ok().filter(|_| plain).ok_or_else(malformed)
            };
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (number(first)?, number(last)?),
                None => (number(part)?, number(part)?),
            };
            if first > last || ranges.last().is_some_and(|(_, before)| *before >= first) {
                return Err(IndicesError::Descending(part.to_owned()));
            }
            if ranges.len() == MAX_RANGES {
                return Err(IndicesError::TooMany);
            }
            ranges.push((first, last));
        }
        Ok(Self(ranges))
    }
}

impl fmt::Display for Indices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (first, last)) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            if first == last { write!(f, "{comma}{first}")? } else { write!(f, "{comma}{first}-{last}")? }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn indices(text: &str) -> Indices {
        text.parse().unwrap()
    }

    #[test]
    fn numbers_and_ranges() {
        assert_eq!(indices("1-3,7,9-10").iter().collect::<Vec<_>>(), [1, 2, 3, 7, 9, 10]);
        assert_eq!((indices("0-4294967295").count(), indices("5").count()), (1 << 32, 1));
        assert_eq!(indices("007").to_string(), "7");
    }

    #[test]
    fn what_is_refused() {
        for text in ["", ",", "1-", "-1", "1-2-3", "a", "+1", "1, 2", "4294967296"] {
            assert!(matches!(text.parse::<Indices>(), Err(IndicesError::Malformed(_))), "{text:?}");
        }
        for text in ["2-1", "1,1", "5-9,8", "5,3"] {
            assert!(matches!(text.parse::<Indices>(), Err(IndicesError::Descending(_))), "{text:?}");
        }
        let many: Vec<_> = (0..=MAX_RANGES).map(|number| (number * 2).to_string()).collect();
        assert_eq!(many.join(",").parse::<Indices>(), Err(IndicesError::TooMany));
        assert!(many[1..].join(",").parse::<Indices>().is_ok());
    }

    #[test]
    fn parts_of_a_list() {
        let shown = |text: &str, most| {
            indices(text).split(most).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown("1-10", 4), "1-4 5-8 9-10");
        assert_eq!(shown("1-3,7,9-12", 4), "1-3,7 9-12");
        assert_eq!(shown("1-2,4294967294-4294967295", 3), "1-2,4294967294 4294967295");
        assert_eq!(shown("1-4", 4), "1-4");
    }

    proptest! {
        #[test]
        fn lists_read_back_and_split_into_the_same(steps in proptest::collection::vec((1u32..50, 0u32..50), 1..20), most in 1usize..60) {
            let mut next = 0;
            let ranges = steps.iter().map(|(gap, length)| {
                let first = next + gap;
                next = first + length;
                (first, next)
            });
            let list = Indices(ranges.collect());
            prop_assert_eq!(list.to_string().parse::<Indices>(), Ok(list.clone()));
            let parts = list.split(most);
            prop_assert!(parts.iter().all(|part| (1..=most).contains(&part.count())));
            prop_assert!(parts.iter().flat_map(Indices::iter).eq(list.iter()));
        }

        #[test]
        fn never_panics(text in "[0-9,-]{0,30}") {
            let _ = text.parse::<Indices>().map(|list| list.count());
        }
    }
}

//! The text of a literal: bytes, the short ones without an allocation. Most words of a request are short, and to allocate and
//! free each of them would take longer than to parse it.

use std::fmt;
use std::ops::Deref;

/// The longest text that is kept in place, in bytes: then a text is as large as a `Vec`.
const SHORT: usize = 22;

/// Bytes that do not change.
#[derive(Clone)]
pub struct Text(Kept);

#[derive(Clone)]
enum Kept {
    Short(u8, [u8; SHORT]),
    Long(Box<[u8]>),
}

impl Text {
    fn short(bytes: &[u8]) -> Option<Self> {
        let mut kept = [0; SHORT];
        kept.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self(Kept::Short(u8::try_from(bytes.len()).ok()?, kept)))
    }
}

impl Deref for Text {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Kept::Short(length, bytes) => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Kept::Long(bytes) => bytes,
        }
    }
}

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Self {
        Self::short(bytes).unwrap_or_else(|| Self(Kept::Long(bytes.into())))
    }
}

impl<const LENGTH: usize> From<&[u8; LENGTH]> for Text {
    fn from(bytes: &[u8; LENGTH]) -> Self {
        bytes.as_slice().into()
    }
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Self {
        Self::short(&bytes).unwrap_or_else(|| Self(Kept::Long(bytes.into())))
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Text {}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_text_is_no_larger_than_a_vector() {
        assert_eq!(size_of::<Text>(), size_of::<Vec<u8>>());
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(bytes in proptest::collection::vec(any::<u8>(), 0..3 * SHORT)) {
            prop_assert_eq!(&*Text::from(bytes.as_slice()), bytes.as_slice());
            prop_assert_eq!(Text::from(bytes.as_slice()), Text::from(bytes));
        }
    }
}

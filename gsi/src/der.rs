//! A small DER writer and reader (gsi.md §15.6): enough for proxies, certificate requests, a CA and encrypted keys.
//!
//! Foreign names and keys are passed through as the bytes they came in, which no builder library does: a proxy's
//! issuer must be its issuer's subject byte for byte (§5.3). Certificates themselves are parsed by x509-parser.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use x509_parser::asn1_rs::Oid;

/// BOOLEAN.
pub const BOOLEAN: u8 = 0x01;
/// INTEGER.
pub const INTEGER: u8 = 0x02;
/// BIT STRING.
pub const BIT_STRING: u8 = 0x03;
/// OCTET STRING.
pub const OCTET_STRING: u8 = 0x04;
/// NULL.
pub const NULL: u8 = 0x05;
/// OBJECT IDENTIFIER.
pub const OBJECT_IDENTIFIER: u8 = 0x06;
/// UTCTime.
pub const UTC_TIME: u8 = 0x17;
/// GeneralizedTime.
pub const GENERALIZED_TIME: u8 = 0x18;
/// SEQUENCE (constructed).
pub const SEQUENCE: u8 = 0x30;
/// SET (constructed).
pub const SET: u8 = 0x31;

/// UTCTime can only say years up to this one; later dates are GeneralizedTime (RFC 5280 §4.1.2.5).
const LAST_UTC_TIME_YEAR: i16 = 2049;

/// What is wrong with DER bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DerError {
    /// The bytes end inside an element.
    #[error("DER ends in the middle of an element")]
    Truncated,
    /// Another element was expected here.
    #[error("DER element has tag {found:#04x} where {expected:#04x} was expected")]
    UnexpectedTag {
        /// The tag the grammar wants.
        expected: u8,
        /// The tag that is there.
        found: u8,
    },
    /// An indefinite, non-minimal or more than four byte long length.
    #[error("DER length is not in the distinguished form")]
    BadLength,
    /// An element longer than the reader allows.
    #[error("DER element of {length} bytes where at most {limit} are allowed")]
    TooLong {
        /// Bytes the element claims to have.
        length: usize,
        /// Bytes it may have.
        limit: usize,
    },
    /// Bytes after the last element.
    #[error("{0} bytes follow the last DER element")]
    TrailingBytes(usize),
    /// A number that does not fit.
    #[error("DER INTEGER is out of range")]
    BadInteger,
}

/// One element: tag, length, the concatenated parts.
#[must_use]
pub fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(length.saturating_add(6));
    out.push(tag);
    push_length(&mut out, length);
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

fn push_length(out: &mut Vec<u8>, length: usize) {
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let bytes = length.to_be_bytes();
            let significant = trim_zeros(&bytes);
            // At most eight length octets, so the count always fits.
            out.push(0x80 | significant.len() as u8);
            out.extend_from_slice(significant);
        }
    }
}

fn trim_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

/// A SEQUENCE of already encoded parts.
#[must_use]
pub fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(SEQUENCE, parts)
}

/// A non-negative INTEGER from big-endian bytes, leading zeros allowed.
#[must_use]
pub fn unsigned_integer(big_endian: &[u8]) -> Vec<u8> {
    match trim_zeros(big_endian) {
        [] => element(INTEGER, &[&[0]]),
        digits @ [first, ..] if *first < 0x80 => element(INTEGER, &[digits]),
        // A set high bit would read as a sign.
        digits => element(INTEGER, &[&[0], digits]),
    }
}

/// A BIT STRING of whole bytes.
#[must_use]
pub fn bit_string(bytes: &[u8]) -> Vec<u8> {
    element(BIT_STRING, &[&[0], bytes])
}

/// An OCTET STRING.
#[must_use]
pub fn octet_string(bytes: &[u8]) -> Vec<u8> {
    element(OCTET_STRING, &[bytes])
}

/// An OBJECT IDENTIFIER from its encoded content.
#[must_use]
pub fn object_identifier(content: &[u8]) -> Vec<u8> {
    element(OBJECT_IDENTIFIER, &[content])
}

/// `[number]` EXPLICIT or constructed, context-specific; `number` below 31.
#[must_use]
pub fn context(number: u8, parts: &[&[u8]]) -> Vec<u8> {
    element(0xA0 | number, parts)
}

/// A certificate date in whole seconds: UTCTime, or GeneralizedTime from 2050 on.
#[must_use]
pub fn time(at: Timestamp) -> Vec<u8> {
    let at = at.to_zoned(TimeZone::UTC);
    if at.year() <= LAST_UTC_TIME_YEAR {
        element(UTC_TIME, &[at.strftime("%y%m%d%H%M%SZ").to_string().as_bytes()])
    } else {
        element(GENERALIZED_TIME, &[at.strftime("%Y%m%d%H%M%SZ").to_string().as_bytes()])
    }
}

/// One certificate extension (RFC 5280 §4.1): OID content, criticality, encoded value.
#[must_use]
pub fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    const TRUE: &[u8] = &[BOOLEAN, 1, 0xFF];
    sequence(&[&object_identifier(oid), if critical { TRUE } else { &[] }, &octet_string(value)])
}

/// The dotted form of an OBJECT IDENTIFIER from its encoded content.
#[must_use]
pub fn dotted(oid: &[u8]) -> String {
    Oid::new(oid.into()).to_id_string()
}

/// How long the element at the start of `bytes` is in all, or `None` while too few bytes are there to tell.
///
/// # Errors
/// When the length is not distinguished, or above `limit`; nothing needs to be allocated before this check.
pub fn element_length(bytes: &[u8], limit: usize) -> Result<Option<usize>, DerError> {
    let Some(&first) = bytes.get(1) else { return Ok(None) };
    let (header, content) = if first < 0x80 {
        (2, usize::from(first))
    } else {
        let octets = usize::from(first & 0x7F);
        if !(1..=4).contains(&octets) {
            return Err(DerError::BadLength);
        }
        let Some(length) = bytes.get(2..2 + octets) else { return Ok(None) };
        if length.first() == Some(&0) {
            return Err(DerError::BadLength);
        }
        let content = length.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        if content < 0x80 {
            return Err(DerError::BadLength);
        }
        (2 + octets, content)
    };
    let length = content.saturating_add(header);
    if length > limit { Err(DerError::TooLong { length, limit }) } else { Ok(Some(length)) }
}

/// Reads elements one after the other from a slice.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the beginning of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The tag of the next element.
    #[must_use]
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next element whole (header included), whatever it is.
    ///
    /// # Errors
    /// When the bytes end or the length is bad.
    pub fn whole(&mut self) -> Result<&'a [u8], DerError> {
        let length = element_length(self.rest, usize::MAX)?.ok_or(DerError::Truncated)?;
        let (element, rest) = self.rest.split_at_checked(length).ok_or(DerError::Truncated)?;
        self.rest = rest;
        Ok(element)
    }

    /// The content of the next element, which must have this tag.
    ///
    /// # Errors
    /// When the tag differs, the bytes end, or the length is bad.
    pub fn content(&mut self, tag: u8) -> Result<&'a [u8], DerError> {
        let found = self.peek().ok_or(DerError::Truncated)?;
        if found != tag {
            return Err(DerError::UnexpectedTag { expected: tag, found });
        }
        let element = self.whole()?;
        let header = match element.get(1) {
            Some(&first) if first >= 0x80 => 2 + usize::from(first & 0x7F),
            _ => 2,
        };
        element.get(header..).ok_or(DerError::Truncated)
    }

    /// A reader over the next element's content.
    ///
    /// # Errors
    /// As [`Reader::content`].
    pub fn nested(&mut self, tag: u8) -> Result<Reader<'a>, DerError> {
        self.content(tag).map(Reader::new)
    }

    /// A small non-negative INTEGER.
    ///
    /// # Errors
    /// When it is negative or above `u32::MAX`.
    pub fn small_integer(&mut self) -> Result<u32, DerError> {
        let content = self.content(INTEGER)?;
        if content.is_empty() || content.len() > 5 || content.first().is_some_and(|byte| *byte >= 0x80) {
            return Err(DerError::BadInteger);
        }
        let value = content.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        u32::try_from(value).map_err(|_| DerError::BadInteger)
    }

    /// Nothing may be left.
    ///
    /// # Errors
    /// When something is.
    pub fn finish(self) -> Result<(), DerError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DerError::TrailingBytes(self.rest.len())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_take_the_shortest_form() {
        assert_eq!(element(OCTET_STRING, &[&[7; 127]])[..3], [4, 127, 7]);
        assert_eq!(element(OCTET_STRING, &[&[7; 128]])[..4], [4, 0x81, 128, 7]);
        assert_eq!(element(OCTET_STRING, &[&[7; 300]])[..5], [4, 0x82, 1, 44, 7]);
    }

    #[test]
    fn integers_never_look_negative() {
        assert_eq!(unsigned_integer(&[]), [2, 1, 0]);
        assert_eq!(unsigned_integer(&[0, 0, 5]), [2, 1, 5]);
        assert_eq!(unsigned_integer(&[0x80]), [2, 2, 0, 0x80]);
    }

    #[test]
    fn dates_change_form_in_2050() {
        let at = |text: &str| time(text.parse().unwrap());
        assert_eq!(at("2049-12-31T23:59:59Z"), b"\x17\x0d491231235959Z");
        assert_eq!(at("2050-01-01T00:00:00Z"), b"\x18\x0f20500101000000Z");
    }

    #[test]
    fn a_length_above_the_limit_is_refused_from_the_header_alone() {
        let header = [SEQUENCE, 0x84, 0x7F, 0xFF, 0xFF, 0xFF];
        assert!(matches!(element_length(&header, 65_536), Err(DerError::TooLong { .. })));
        assert_eq!(element_length(&header[..3], 65_536), Ok(None));
    }

    #[test]
    fn lengths_that_are_not_distinguished_are_refused() {
        for bad in [&[0x30, 0x80][..], &[0x30, 0x81, 5], &[0x30, 0x82, 0, 200], &[0x30, 0x85, 1, 1, 1, 1, 1]]
        {
            assert_eq!(element_length(bad, usize::MAX), Err(DerError::BadLength), "{bad:x?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(content in proptest::collection::vec(any::<u8>(), 0..700), number: u32) {
            let encoded = sequence(&[&octet_string(&content), &unsigned_integer(&number.to_be_bytes())]);
            let mut outer = Reader::new(&encoded);
            let mut inner = outer.nested(SEQUENCE).unwrap();
            prop_assert_eq!(inner.content(OCTET_STRING).unwrap(), &content[..]);
            prop_assert_eq!(inner.small_integer().unwrap(), number);
            inner.finish().unwrap();
            outer.finish().unwrap();
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut reader = Reader::new(&bytes);
            while reader.whole().is_ok() && reader.peek().is_some() {}
            let _ = Reader::new(&bytes).small_integer();
        }
    }
}

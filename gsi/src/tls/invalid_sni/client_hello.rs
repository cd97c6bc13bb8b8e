//! Where the server_name extension of a ClientHello is (RFC 8446 §4.1.2, RFC 6066 §3), without touching the rest.

use std::ops::Range;

/// The handshake message type of a ClientHello.
const CLIENT_HELLO: u8 = 1;

/// One extension of a ClientHello.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Extension {
    /// Registry number.
    pub(super) kind: u16,
    /// Where the two bytes of the number are.
    pub(super) kind_at: Range<usize>,
    /// Where the content is.
    pub(super) content: Range<usize>,
}

/// The length of the handshake message at the start of `bytes` if it is a ClientHello that is there whole.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    let mut cursor = Cursor { bytes, at: 0 };
    if cursor.number(1)? != usize::from(CLIENT_HELLO) {
        return None;
    }
    let body = cursor.vector(3)?;
    Some(body.end)
}

/// Every extension of the ClientHello at the start of `bytes`; nothing when it is not one.
pub(super) fn extensions(bytes: &[u8]) -> Vec<Extension> {
    parse(bytes).unwrap_or_default()
}

fn parse(bytes: &[u8]) -> Option<Vec<Extension>> {
    let end = length(bytes)?;
    let mut cursor = Cursor { bytes: bytes.get(..end)?, at: 4 };
    cursor.skip(2 + 32)?; // legacy_version, random
    cursor.vector(1)?; // legacy_session_id
    cursor.vector(2)?; // cipher_suites
    cursor.vector(1)?; // legacy_compression_methods
    let list = cursor.vector(2)?;
    let mut cursor = Cursor { bytes: bytes.get(..list.end)?, at: list.start };
    let mut found = Vec::new();
    while cursor.at < list.end {
        let start = cursor.at;
        let kind = u16::try_from(cursor.number(2)?).ok()?;
        let content = cursor.vector(2)?;
        found.push(Extension { kind, kind_at: start..start + 2, content });
    }
    Some(found)
}

/// The host_name inside the content of a server_name extension, when it holds exactly one.
pub(super) fn host_name(content: &[u8]) -> Option<&[u8]> {
    let mut cursor = Cursor { bytes: content, at: 0 };
    let list = cursor.vector(2)?;
    let mut cursor = Cursor { bytes: content.get(list)?, at: 0 };
    let kind = cursor.number(1)?;
    let name = cursor.vector(2)?;
    (kind == 0 && cursor.at == cursor.bytes.len()).then(|| cursor.bytes.get(name)).flatten()
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn skip(&mut self, count: usize) -> Option<Range<usize>> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len())?;
        let range = self.at..end;
        self.at = end;
        Some(range)
    }

    /// A big-endian number of `octets` (at most 3) bytes.
    fn number(&mut self, octets: usize) -> Option<usize> {
        let range = self.skip(octets)?;
        Some(self.bytes.get(range)?.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
    }

    /// What follows a length of `octets` bytes.
    fn vector(&mut self, octets: usize) -> Option<Range<usize>> {
        let length = self.number(octets)?;
        self.skip(length)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    fn with_length(octets: usize, content: &[u8]) -> Vec<u8> {
        let length = content.len().to_be_bytes();
        [&length[length.len() - octets..], content].concat()
    }

    /// A ClientHello message with this host name in its server_name, between two other extensions.
    pub(in crate::tls::invalid_sni) fn hello(host_name: &[u8]) -> Vec<u8> {
        let name = [&[0][..], &with_length(2, host_name)].concat();
        let server_name = [&[0, 0][..], &with_length(2, &with_length(2, &name))].concat();
        let extensions = [&[0, 23, 0, 0][..], &server_name, &[0, 43, 0, 1, 9]].concat();
        let body =
            [&[3, 3][..], &[7; 32], &[0], &with_length(2, &[0x13, 2]), &[1, 0], &with_length(2, &extensions)]
                .concat();
        [&[CLIENT_HELLO][..], &with_length(3, &body)].concat()
    }

    #[test]
    fn the_server_name_is_found_among_the_others() {
        let hello = hello(b"Grid User");
        let kinds: Vec<u16> = extensions(&hello).iter().map(|extension| extension.kind).collect();
        assert_eq!(kinds, [23, 0, 43]);
        let content = &hello[extensions(&hello)[1].content.clone()];
        assert_eq!(host_name(content), Some(&b"Grid User"[..]));
    }

    #[test]
    fn a_hello_that_is_cut_anywhere_has_no_extensions() {
        let hello = hello(b"Grid User");
        for end in 0..hello.len() {
            assert_eq!(extensions(&hello[..end]), [], "cut at {end}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at_without_a_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (extensions(&bytes), host_name(&bytes), length(&bytes));
            if let [first, ..] = bytes.as_mut_slice() {
                *first = CLIENT_HELLO;
            }
            let _ = extensions(&bytes);
        }

        #[test]
        fn a_damaged_hello_is_looked_at_without_a_panic(at in 0usize..90, byte: u8) {
            let mut hello = hello(b"Grid User");
            let at = at % hello.len();
            hello[at] = byte;
            for extension in extensions(&hello) {
                prop_assert!(extension.content.end <= hello.len());
            }
        }
    }
}

//! Checksums of whole files, as HTTP names them (`Repr-Digest`, RFC 9530): SHA-256 only.

use base64::{Engine, engine::general_purpose::STANDARD};
use gsi::digest::Sha256;
use hyper::header::HeaderName;
use std::fmt;

/// The header or trailer with a file's checksum.
pub const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");
/// The header that asks for it; its value is [`WANTED`].
pub const WANT_REPR_DIGEST: HeaderName = HeaderName::from_static("want-repr-digest");
/// The only algorithm, strongly wished for.
pub const WANTED: &str = "sha-256=10";

/// Longest header looked at, in bytes: some algorithms beside ours fit in.
const MAX_HEADER: usize = 1024;

/// The SHA-256 of a whole file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReprDigest([u8; 32]);

impl ReprDigest {
    /// Of this content.
    pub fn of(content: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(content);
        hash.into()
    }

    /// The SHA-256 among the checksums of a `Repr-Digest` header, `sha-256=:…:`; None when there is none, or it is
    /// malformed.
    pub fn parse(header: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(header).ok().filter(|text| text.len() <= MAX_HEADER)?;
        let ours = text.split(',').find_map(|one| one.trim().strip_prefix("sha-256="))?;
        let encoded = ours.strip_prefix(':')?.strip_suffix(':')?;
        STANDARD.decode(encoded).ok()?.try_into().ok().map(Self)
    }
}

impl From<Sha256> for ReprDigest {
    fn from(hash: Sha256) -> Self {
        Self(hash.finish())
    }
}

/// The value of a `Repr-Digest` header.
impl fmt::Display for ReprDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha-256=:{}:", STANDARD.encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `printf abc | openssl dgst -sha256 -binary | base64`
    const ABC: &str = "sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:";

    #[test]
    fn headers() {
        let abc = ReprDigest::of(b"abc");
        assert_eq!(abc.to_string(), ABC);
        for header in [ABC.to_owned(), format!("md5=:AAAA:, {ABC}"), format!("{ABC},sha-512=:AAAA:")] {
            assert_eq!(ReprDigest::parse(header.as_bytes()), Some(abc), "{header}");
        }
        for header in
            ["", "sha-256", "sha-256=::", "sha-256=:ungW:", "sha-512=:AAAA:", "sha-256=ungW", "\u{e9}"]
        {
            assert_eq!(ReprDigest::parse(header.as_bytes()), None, "{header}");
        }
        assert_eq!(ReprDigest::parse(format!("{}{ABC}", " ,".repeat(MAX_HEADER)).as_bytes()), None);
    }

    proptest! {
        #[test]
        fn never_panics(header in any::<Vec<u8>>()) {
            let _ = ReprDigest::parse(&header);
        }
    }
}

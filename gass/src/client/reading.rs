//! A file that is being fetched.

use super::reply::accepted;
use super::servers::Lease;
use super::{answer, patiently};
use crate::digest::{REPR_DIGEST, WANT_REPR_DIGEST, WANTED};
use crate::range::ContentRange;
use crate::{GassError, ReprDigest, Url};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{HeaderMap, Response, StatusCode};

/// The size of a file that is sent in chunks.
const REPR_LENGTH: HeaderName = HeaderName::from_static("repr-length");
/// Weak tags do not tell bytes apart.
const WEAK: &[u8] = b"W/";

/// What is wanted of a file. Servers that are not ours send all of it, and no checksum.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The first byte.
    pub offset: u64,
    /// How many bytes at most; None for all that follow.
    pub length: Option<u64>,
    /// Only if the file is still this one; else all of what it is now.
    pub version: Option<Version>,
    /// Its checksum too.
    pub checksum: bool,
}

/// What a server calls one state of a file (a strong `ETag`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(HeaderValue);

impl Wanted {
    /// Whether a stock client could ask for it.
    pub(super) fn is_plain(&self) -> bool {
        self.offset == 0 && self.length.is_none() && !self.checksum
    }

    pub(super) fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = Vec::new();
        let range = match self.length {
            // There is no way to ask for nothing.
            Some(length) => {
                Some(format!("bytes={}-{}", self.offset, self.offset.saturating_add(length.max(1) - 1)))
            }
            None => (self.offset > 0).then(|| format!("bytes={}-", self.offset)),
        };
        if let Some(range) = range.and_then(|range| HeaderValue::try_from(range).ok()) {
            headers.push((header::RANGE, range));
            headers.extend(self.version.clone().map(|version| (header::IF_RANGE, version.0)));
        }
        if self.checksum {
            headers.push((WANT_REPR_DIGEST, HeaderValue::from_static(WANTED)));
            headers.push((header::TE, HeaderValue::from_static("trailers")));
        }
        headers
    }
}

/// The body of a file that was found.
pub struct Reading {
    url: Url,
    body: Incoming,
    /// None when the end has come.
    lease: Option<Lease>,
    start: u64,
    received: u64,
    /// Of the body, where it is known otherwise than by HTTP's framing.
    expected: Option<u64>,
    size: Option<u64>,
    version: Option<Version>,
    checksum: Option<ReprDigest>,
}

impl Reading {
    pub(super) fn new(
        url: Url,
        reply: Response<Incoming>,
        lease: Lease,
        wanted: &Wanted,
    ) -> Result<Self, GassError> {
        // The body of a refusal is not read: stock announces more of it than it sends.
        accepted(&url, &reply)?;
        let headers = reply.headers();
        let number = |name| std::str::from_utf8(headers.get(name)?.as_bytes()).ok()?.trim().parse().ok();
        let mut expected = None;
        let (start, size) =
            if reply.status() == StatusCode::PARTIAL_CONTENT && headers.contains_key(header::CONTENT_RANGE) {
                let range = headers.get(header::CONTENT_RANGE).map(HeaderValue::as_bytes).unwrap_or_default();
                match ContentRange::parse(range) {
                    Some(ContentRange::Part { first, last, total }) if first == wanted.offset => {
                        expected = Some((last - first).saturating_add(1));
                        (first, total)
                    }
                    _ => return Err(answer(&url, &format!("it sends {}", String::from_utf8_lossy(range)))),
                }
            } else {
                expected = expected.or_else(|| number(REPR_LENGTH));
                (0, reply.body().size_hint().exact().or(expected))
            };
        let version = headers.get(header::ETAG).filter(|tag| !tag.as_bytes().starts_with(WEAK));
        let version = version.cloned().map(Version);
        let checksum = checksum(headers);
        let lease = Some(lease);
        Ok(Self {
            url,
            lease,
            start,
            received: 0,
            expected,
            size,
            version,
            checksum,
            body: reply.into_body(),
        })
    }

    /// Which byte of the file comes first: the one that was wanted, or 0 when the server does not know better.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// The size of the whole file, where it is known.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// What the server calls this state of the file.
    pub fn version(&self) -> Option<&Version> {
        self.version.as_ref()
    }

    /// The checksum of the whole file, where the server gives it; certain only at the end.
    pub fn checksum(&self) -> Option<ReprDigest> {
        self.checksum
    }

    /// The next bytes; None at the end.
    ///
    /// # Errors
    /// When less comes than was announced, or nothing for too long.
    pub async fn next(&mut self) -> Result<Option<Bytes>, GassError> {
        while let Some(frame) = patiently(&self.url, "receiving", self.body.frame()).await? {
            let frame = frame.map_err(|error| {
                tracing::debug!(url = %self.url, %error, "body broke off");
                GassError::Truncated { url: self.url.clone(), received: self.received }
            })?;
            match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => {
                    self.received += data.len() as u64;
                    return Ok(Some(data));
                }
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    self.checksum = self.checksum.or_else(|| checksum(&trailers));
                }
            }
        }
        if self.expected.is_some_and(|expected| expected != self.received) {
            return Err(GassError::Truncated { url: self.url.clone(), received: self.received });
        }
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
        Ok(None)
    }
}

fn checksum(headers: &HeaderMap) -> Option<ReprDigest> {
    headers.get(REPR_DIGEST).and_then(|digest| ReprDigest::parse(digest.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_in_headers() {
        let text = |wanted: &Wanted| {
            let headers = wanted.headers();
            let lines = headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
            lines.collect::<Vec<_>>().join("; ")
        };
        let version = Some(Version(HeaderValue::from_static("\"v\"")));
        assert_eq!(text(&Wanted { version: version.clone(), ..Wanted::default() }), "");
        assert_eq!(
            text(&Wanted { offset: 5, version, ..Wanted::default() }),
            "range: bytes=5-; if-range: \"v\""
        );
        assert_eq!(text(&Wanted { offset: 5, length: Some(3), ..Wanted::default() }), "range: bytes=5-7");
        assert_eq!(text(&Wanted { length: Some(0), ..Wanted::default() }), "range: bytes=0-0");
        let last = Wanted { offset: u64::MAX, length: Some(u64::MAX), ..Wanted::default() };
        assert_eq!(text(&last), format!("range: bytes={0}-{0}", u64::MAX));
        assert_eq!(
            text(&Wanted { checksum: true, ..Wanted::default() }),
            "want-repr-digest: sha-256=10; te: trailers"
        );
    }
}

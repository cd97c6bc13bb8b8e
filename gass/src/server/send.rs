//! GET and HEAD of a file: the whole, or parts of it.

use super::Service;
use super::body::{Body, Content, Piece, read_up_to};
use super::condition::{Verdict, Version};
use super::digests::Key;
use super::listing;
use super::place::Place;
use super::reply::{self, Failed};
use super::wish::{listing_form, reads_trailers, wants_digest};
use crate::body::BLOCK;
use crate::digest::{REPR_DIGEST, ReprDigest};
use crate::range::{ContentRange, Selection, Span, select};
use bytes::Bytes;
use gsi::digest::Sha256;
use hyper::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, LAST_MODIFIED, RANGE,
    TRAILER,
};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use jiff::Timestamp;
use rustix::fs::{FileType, OFlags, Stat};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// The length of a file whose `Content-Length` cannot be told, since a trailer follows.
const REPR_LENGTH: HeaderName = HeaderName::from_static("repr-length");

/// What stands between the parts of a reply with several; no file is searched for it, since all lengths are told.
const BOUNDARY: &str = "gridiron-part-7b1d3c52a0e94f68";

const BYTES: &str = "application/octet-stream";

/// An open file and what is known of it.
struct Opened {
    file: File,
    stat: Stat,
    length: u64,
    /// All of it, when it is small.
    content: Option<Bytes>,
}

enum Opening {
    Regular(Opened),
    Directory(File),
}

/// The reply to a GET or HEAD.
pub(super) async fn reply(service: &Service, place: Place, head: &Parts) -> Result<Response<Body>, Failed> {
    let is_root = place.path() == Path::new("/");
    let reads = head.method == Method::GET;
    let opening = spawn_blocking(move || open(&place, reads)).await.map_err(io::Error::other)??;
    match opening {
        Opening::Regular(opened) => regular(service, opened, head).await,
        Opening::Directory(directory) => {
            let path = super::serve::path(head);
            match listing_form(&head.headers, path.ends_with('/')) {
                Some(form) => listing::reply(directory, path, form, reads).await,
                None if is_root => Err(Failed::Refused(super::request::Refusal::NotFound)),
                None => Err(io::Error::from(io::ErrorKind::IsADirectory).into()),
            }
        }
    }
}

fn open(place: &Place, reads: bool) -> io::Result<Opening> {
    let file = File::from(place.open(OFlags::RDONLY)?);
    let stat = super::place::stat(&file)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => return Ok(Opening::Directory(file)),
        FileType::RegularFile => {}
        _ => return Err(io::ErrorKind::InvalidInput.into()),
    }
    let mut length = u64::try_from(stat.st_size).unwrap_or_default();
    let small = usize::try_from(length).ok().filter(|&length| length <= BLOCK);
    let content = match small {
        // A file of /proc has a content and no length.
        Some(0) if reads => Some(Bytes::from(read_up_to(&file, BLOCK)?)),
        Some(length) if reads => Some(Bytes::from(read_up_to(&file, length)?)),
        _ => None,
    };
    if let Some(content) = &content {
        length = content.len() as u64;
    }
    Ok(Opening::Regular(Opened { file, stat, length, content }))
}

async fn regular(service: &Service, opened: Opened, head: &Parts) -> Result<Response<Body>, Failed> {
    let headers = &head.headers;
    let version = Version::of(&opened.stat);
    match version.judge_read(headers) {
        Verdict::Failed => return Err(Failed::Precondition),
        Verdict::NotModified => {
            let mut reply = reply::plain(StatusCode::NOT_MODIFIED);
            describe(&mut reply, &version);
            return Ok(reply);
        }
        Verdict::Go => {}
    }
    let reads = head.method == Method::GET;
    let parts = match headers.get(RANGE).filter(|_| reads && version.has_range_of(headers)) {
        Some(range) => select(range.as_bytes(), opened.length),
        None => Selection::Whole,
    };
    if parts == Selection::Nothing {
        return Err(Failed::Range(opened.length));
    }
    let length = opened.length;
    let mut digest = None;
    let mut trailing = false;
    let key = Key::of(&opened.stat, &version, Timestamp::now());
    let file = Arc::new(opened.file);
    if wants_digest(headers) {
        digest = known_digest(service, key.as_ref(), opened.content.as_ref());
        trailing = digest.is_none() && reads && parts == Selection::Whole && reads_trailers(headers);
        if digest.is_none() && !trailing {
            digest = Some(digest_of(service, &file, key.clone(), length).await?);
        }
    }
    let mut reply = match parts {
        Selection::Parts(spans) => partial(opened.content.as_ref(), &file, &spans, length),
        Selection::Whole | Selection::Nothing => {
            let body = match opened.content {
                Some(content) => Body::text(content),
                None if !reads => Body::empty(),
                None => {
                    let content = Content::new(Arc::clone(&file), whole(length));
                    let content =
                        if trailing { content.with_checksum(&service.digests, key) } else { content };
                    Body::File(Box::new(content))
                }
            };
            let mut reply = reply::with_body(StatusCode::OK, body);
            reply::set(&mut reply, CONTENT_TYPE, BYTES);
            if trailing {
                reply::set(&mut reply, TRAILER, "Repr-Digest");
                reply::set(&mut reply, REPR_LENGTH, length.to_string());
            } else {
                reply::set(&mut reply, CONTENT_LENGTH, length.to_string());
            }
            reply
        }
    };
    describe(&mut reply, &version);
    if let Some(digest) = digest {
        reply::set(&mut reply, REPR_DIGEST, digest.to_string());
    }
    Ok(reply)
}

fn describe(reply: &mut Response<Body>, version: &Version) {
    reply::set(reply, ETAG, &version.tag);
    reply::set(reply, ACCEPT_RANGES, "bytes");
    if let Some(modified) = version.modified() {
        reply::set(reply, LAST_MODIFIED, modified);
    }
}

/// 206 with one part, or with several in their envelope.
fn partial(content: Option<&Bytes>, file: &Arc<File>, spans: &[Span], length: u64) -> Response<Body> {
    let range = |span: &Span| {
        ContentRange::Part { first: span.first, last: span.last, total: Some(length) }.to_string()
    };
    let piece = |span: &Span| match content.and_then(|content| slice(content, span)) {
        Some(bytes) => Piece::Text(bytes),
        None => Piece::Span(*span),
    };
    if let [span] = spans {
        let body = Body::File(Box::new(Content::new(Arc::clone(file), [piece(span)].into())));
        let mut reply = reply::with_body(StatusCode::PARTIAL_CONTENT, body);
        reply::set(&mut reply, CONTENT_TYPE, BYTES);
        reply::set(&mut reply, CONTENT_RANGE, range(span));
        return reply;
    }
    let mut pieces = VecDeque::with_capacity(2 * spans.len() + 1);
    for span in spans {
        let header =
            format!("\r\n--{BOUNDARY}\r\nContent-Type: {BYTES}\r\nContent-Range: {}\r\n\r\n", range(span));
        pieces.push_back(Piece::Text(header.into()));
        pieces.push_back(piece(span));
    }
    pieces.push_back(Piece::Text(format!("\r\n--{BOUNDARY}--\r\n").into()));
    let body = Body::File(Box::new(Content::new(Arc::clone(file), pieces)));
    let mut reply = reply::with_body(StatusCode::PARTIAL_CONTENT, body);
    reply::set(&mut reply, CONTENT_TYPE, format!("multipart/byteranges; boundary={BOUNDARY}"));
    reply
}

fn slice(content: &Bytes, span: &Span) -> Option<Bytes> {
    let (first, end) = (usize::try_from(span.first).ok()?, usize::try_from(span.last).ok()?.checked_add(1)?);
    (first <= end && end <= content.len()).then(|| content.slice(first..end))
}

fn whole(length: u64) -> VecDeque<Piece> {
    length.checked_sub(1).map(|last| Piece::Span(Span { first: 0, last })).into_iter().collect()
}

/// What needs no reading.
fn known_digest(service: &Service, key: Option<&Key>, content: Option<&Bytes>) -> Option<ReprDigest> {
    let remembered = key.and_then(|key| service.digests.recall(key));
    remembered.or_else(|| content.map(|content| ReprDigest::of(content)))
}

/// Reads the whole file for its checksum.
async fn digest_of(
    service: &Service,
    file: &Arc<File>,
    key: Option<Key>,
    length: u64,
) -> Result<ReprDigest, Failed> {
    let file = Arc::clone(file);
    let hashing = spawn_blocking(move || hash(&file, length, Sha256::new()));
    let digest = ReprDigest::from(hashing.await.map_err(io::Error::other)??);
    if let Some(key) = key {
        service.digests.remember(key, digest);
    }
    Ok(digest)
}

/// Adds the first `length` bytes of a file to a checksum.
pub(super) fn hash(file: &File, length: u64, mut hash: Sha256) -> io::Result<Sha256> {
    let mut block = Vec::with_capacity(BLOCK);
    let mut at = 0;
    while at < length {
        let wanted = usize::try_from(length - at).unwrap_or(BLOCK).min(BLOCK);
        block.clear();
        super::body::read_exactly(file, at, wanted, &mut block)?;
        hash.update(&block);
        at += wanted as u64;
    }
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_stay_inside() {
        let content = Bytes::from_static(b"0123456789");
        let cut = |first, last| slice(&content, &Span { first, last });
        assert_eq!(cut(2, 4).unwrap(), "234");
        assert_eq!(cut(9, 9).unwrap(), "9");
        assert!(cut(9, 10).is_none() && cut(0, u64::MAX).is_none());
        assert!(whole(0).is_empty());
    }
}

//! Bodies of replies: texts, files in large blocks read ahead of the network, pages made while they are sent. Memory stays
//! flat whatever their size.

use super::digests::{Digests, Key};
use crate::body::BLOCK;
use crate::digest::{REPR_DIGEST, ReprDigest};
use crate::range::Span;
use bytes::Bytes;
use gsi::digest::Sha256;
use hyper::HeaderMap;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper::header::HeaderValue;
use rustix::buffer::spare_capacity;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

/// What a reply carries.
pub(super) enum Body {
    /// What is in memory.
    Text(Option<Bytes>),
    /// What is on disk.
    File(Box<Content>),
    /// What is made while it is sent; of unknown length.
    Made(mpsc::Receiver<io::Result<Bytes>>),
}

impl Body {
    pub(super) fn empty() -> Self {
        Self::Text(None)
    }

    pub(super) fn text(text: Bytes) -> Self {
        Self::Text(Some(text).filter(|text| !text.is_empty()))
    }

    /// In bytes, where it is known before it is sent.
    pub(super) fn length(&self) -> Option<u64> {
        match self {
            Self::Text(text) => Some(text.as_ref().map_or(0, |text| text.len() as u64)),
            Self::File(content) => content.checksum.is_none().then_some(content.left),
            Self::Made(_) => None,
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Text(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Self::File(content) => content.poll_frame(context),
            Self::Made(blocks) => {
                Poll::Ready(ready!(blocks.poll_recv(context)).map(|block| block.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Text(text) => text.is_none(),
            Self::File(content) => content.left == 0 && content.checksum.is_none(),
            Self::Made(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.length().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// One part of what a file's reply consists of.
#[derive(Debug)]
pub(super) enum Piece {
    /// What stands between parts of a file.
    Text(Bytes),
    /// A part of the file.
    Span(Span),
}

/// Buffers of one transfer, used again and again: fresh memory would cost as much as reading the file.
#[derive(Default)]
struct Pool(Mutex<Vec<Vec<u8>>>);

impl Pool {
    /// An empty buffer for this much. Reading fills what there is room for, so a small one gets a small buffer.
    fn take(&self, length: usize) -> Vec<u8> {
        if length < BLOCK {
            return Vec::with_capacity(length);
        }
        let used = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        used.unwrap_or_else(|| Vec::with_capacity(BLOCK))
    }
}

/// A filled buffer, which goes back when the last bytes of it have been sent.
struct Lent {
    buffer: Vec<u8>,
    pool: Arc<Pool>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.buffer);
        if buffer.capacity() < BLOCK {
            return;
        }
        buffer.clear();
        self.pool.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}

/// Parts of a file; an error when it has become shorter meanwhile.
pub(super) struct Content {
    file: Arc<File>,
    pool: Arc<Pool>,
    pieces: VecDeque<Piece>,
    reading: Option<JoinHandle<io::Result<Block>>>,
    /// Bytes not sent yet.
    left: u64,
    checksum: Option<Checksum>,
}

/// A checksum computed while the file is sent; it goes into a trailer.
struct Checksum {
    /// Away while a block is read.
    hash: Option<Sha256>,
    known: Arc<Digests>,
    key: Option<Key>,
}

struct Block {
    bytes: Bytes,
    hash: Option<Sha256>,
}

impl Content {
    pub(super) fn new(file: Arc<File>, pieces: VecDeque<Piece>) -> Self {
        let length = |piece: &Piece| match piece {
            Piece::Text(text) => text.len() as u64,
            Piece::Span(span) => span.length(),
        };
        let left = pieces.iter().map(length).sum();
        Self { file, pool: Arc::default(), pieces, reading: None, left, checksum: None }
    }

    /// The whole file, with its checksum behind it; what is found is remembered.
    pub(super) fn with_checksum(mut self, known: &Arc<Digests>, key: Option<Key>) -> Self {
        self.checksum = Some(Checksum { hash: Some(Sha256::new()), known: Arc::clone(known), key });
        self
    }

    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.reading.is_none() {
            if let Some(Piece::Text(text)) = self.pieces.front() {
                let text = text.clone();
                self.pieces.pop_front();
                self.left = self.left.saturating_sub(text.len() as u64);
                return Poll::Ready(Some(Ok(Frame::data(text))));
            }
            self.read_on();
        }
        let Some(reading) = &mut self.reading else { return Poll::Ready(self.trailer().map(Ok)) };
        let block = ready!(Pin::new(reading).poll(context)).map_err(io::Error::other).flatten();
        self.reading = None;
        let block = match block {
            Ok(block) => block,
            Err(error) => return Poll::Ready(Some(Err(error))),
        };
        if let Some(checksum) = &mut self.checksum {
            checksum.hash = block.hash;
        }
        self.left = self.left.saturating_sub(block.bytes.len() as u64);
        // The next block is read while this one is encrypted and sent.
        self.read_on();
        Poll::Ready(Some(Ok(Frame::data(block.bytes))))
    }

    /// Starts reading the next block, if the file is next.
    fn read_on(&mut self) {
        let Some(Piece::Span(span)) = self.pieces.front_mut() else { return };
        let wanted = usize::try_from(span.length()).unwrap_or(BLOCK).min(BLOCK);
        let from = span.first;
        match span.last.checked_sub(wanted as u64) {
            Some(last) if last >= from => span.first += wanted as u64,
            _ => drop(self.pieces.pop_front()),
        }
        let (file, pool) = (Arc::clone(&self.file), Arc::clone(&self.pool));
        let mut hash = self.checksum.as_mut().and_then(|checksum| checksum.hash.take());
        self.reading = Some(spawn_blocking(move || {
            let mut buffer = pool.take(wanted);
            read_exactly(&file, from, wanted, &mut buffer)?;
            if let Some(hash) = &mut hash {
                hash.update(&buffer);
            }
            Ok(Block { bytes: Bytes::from_owner(Lent { buffer, pool }), hash })
        }));
    }

    fn trailer(&mut self) -> Option<Frame<Bytes>> {
        let checksum = self.checksum.take()?;
        let digest = ReprDigest::from(checksum.hash?);
        if let Some(key) = checksum.key {
            checksum.known.remember(key, digest);
        }
        let value = HeaderValue::try_from(digest.to_string()).ok()?;
        let mut trailers = HeaderMap::new();
        trailers.insert(REPR_DIGEST, value);
        Some(Frame::trailers(trailers))
    }
}

/// Adds so many bytes of a file to a buffer that has room for them.
///
/// # Errors
/// [`io::ErrorKind::UnexpectedEof`] when it is shorter.
pub(super) fn read_exactly(file: &File, from: u64, length: usize, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.reserve_exact(length);
    let start = buffer.len();
    while buffer.len() - start < length {
        let read = buffer.len() - start;
        match rustix::io::pread(file, spare_capacity(buffer), from + read as u64) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // There may have been room for more.
    buffer.truncate(start + length);
    Ok(())
}

/// So many bytes from the start of a file, or fewer at its end.
pub(super) fn read_up_to(file: &File, length: usize) -> io::Result<Vec<u8>> {
    let mut buffer = Vec::with_capacity(length);
    match read_exactly(file, 0, length, &mut buffer) {
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
        _ => Ok(buffer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use std::os::unix::fs::FileExt;

    fn file(length: usize) -> (Arc<File>, Vec<u8>) {
        let content: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&content, 0).unwrap();
        (Arc::new(file), content)
    }

    #[tokio::test]
    async fn parts_and_texts_come_in_order() {
        let (file, content) = file(3 * BLOCK + 7);
        let end = content.len() as u64 - 1;
        let pieces = [
            Piece::Text("<".into()),
            Piece::Span(Span { first: 5, last: 5 }),
            Piece::Text(">".into()),
            Piece::Span(Span { first: 0, last: end }),
            Piece::Span(Span { first: BLOCK as u64, last: 2 * BLOCK as u64 - 1 }),
        ];
        let body = Body::File(Box::new(Content::new(file, pieces.into())));
        let expected = [b"<", &content[5..6], b">", &content, &content[BLOCK..2 * BLOCK]].concat();
        assert_eq!(body.length(), Some(expected.len() as u64));
        assert!(body.collect().await.unwrap().to_bytes() == expected);
    }

    /// However large a file is, three buffers do: one being read, one waiting, one being sent.
    #[tokio::test]
    async fn memory_stays_flat() {
        let (file, _) = file(40 * BLOCK);
        let pieces = [Piece::Span(Span { first: 0, last: 40 * BLOCK as u64 - 1 })];
        let content = Content::new(file, pieces.into());
        let pool = Arc::clone(&content.pool);
        let mut body = Body::File(Box::new(content));
        while let Some(frame) = body.frame().await {
            frame.unwrap();
        }
        assert!(pool.0.lock().unwrap().len() <= 3);
    }

    #[tokio::test]
    async fn a_file_that_shrinks_is_an_error() {
        let (file, _) = file(2 * BLOCK);
        let pieces = [Piece::Span(Span { first: 0, last: 2 * BLOCK as u64 })];
        let body = Body::File(Box::new(Content::new(file, pieces.into())));
        assert_eq!(body.collect().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn the_checksum_is_computed_on_the_way() {
        let (file, content) = file(BLOCK + 1);
        let known = Arc::new(Digests::default());
        let key = Key::default();
        let pieces = [Piece::Span(Span { first: 0, last: BLOCK as u64 })];
        let content_body = Content::new(file, pieces.into()).with_checksum(&known, Some(key.clone()));
        let body = Body::File(Box::new(content_body));
        assert_eq!(body.length(), None, "a trailer needs chunks");
        let collected = body.collect().await.unwrap();
        let digest = ReprDigest::of(&content);
        assert_eq!(collected.trailers().unwrap()[REPR_DIGEST], digest.to_string());
        assert_eq!(known.recall(&key), Some(digest));
    }
}

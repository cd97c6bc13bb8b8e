//! One GRAM message from or to a stream, under a deadline. Works on any stream, so tests need no TLS.

use crate::GramError;
use crate::wire::{Decoded, MAX_BODY, MAX_HEADER, ReplyHead, RequestHead, WireError};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

/// How much is asked of the stream at once; most messages fit.
const CHUNK: usize = 4096;
/// How long a closing side waits for the peer to read the last reply and close.
const LINGER: Duration = Duration::from_secs(2);

/// A message that did not come or did not go.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The bytes are not a message.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The peer closed before a whole message had come.
    #[error("the peer closed the connection after {received} bytes of a message")]
    Closed {
        /// How many bytes had come.
        received: usize,
    },
    /// The deadline passed.
    #[error("no whole message in time")]
    Deadline,
    /// The stream failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl ExchangeError {
    /// The GRAM number: malformed as [`WireError::code`], everything else is a failed exchange (10).
    pub fn code(&self) -> GramError {
        match self {
            Self::Wire(error) => error.code(),
            Self::Closed { .. } | Self::Deadline | Self::Io(_) => GramError::PROTOCOL_FAILED,
        }
    }
}

/// Reads a request: its header and as many bytes of body as it announces (none when it does not).
pub async fn read_request<S: AsyncRead + Unpin>(
    stream: &mut S,
    deadline: Instant,
) -> Result<(RequestHead, Vec<u8>), ExchangeError> {
    read_request_within(stream, deadline, MAX_BODY).await
}

/// As [`read_request`], with another limit for the body.
pub async fn read_request_within<S: AsyncRead + Unpin>(
    stream: &mut S,
    deadline: Instant,
    max_body: usize,
) -> Result<(RequestHead, Vec<u8>), ExchangeError> {
    let decode = |input: &[u8]| RequestHead::decode_within(input, max_body);
    within(deadline, read_message(stream, decode, |head| head.length.unwrap_or(0))).await
}

/// Reads a reply. One with status 200 must announce its length.
pub async fn read_reply<S: AsyncRead + Unpin>(
    stream: &mut S,
    deadline: Instant,
) -> Result<(ReplyHead, Vec<u8>), ExchangeError> {
    read_reply_within(stream, deadline, MAX_BODY).await
}

/// As [`read_reply`], with another limit for the body.
pub async fn read_reply_within<S: AsyncRead + Unpin>(
    stream: &mut S,
    deadline: Instant,
    max_body: usize,
) -> Result<(ReplyHead, Vec<u8>), ExchangeError> {
    let decode = |input: &[u8]| ReplyHead::decode_within(input, max_body);
    let reading = read_message(stream, decode, |head| head.length.unwrap_or(0));
    let (head, body) = within(deadline, reading).await?;
    if head.status == 200 && head.length.is_none() {
        return Err(WireError::MissingLength.into());
    }
    Ok((head, body))
}

/// Reads a reply that needs no body, such as that to a state update.
pub async fn read_acknowledgement<S: AsyncRead + Unpin>(
    stream: &mut S,
    deadline: Instant,
) -> Result<(ReplyHead, Vec<u8>), ExchangeError> {
    within(deadline, read_message(stream, ReplyHead::decode, |head| head.length.unwrap_or(0))).await
}

/// Writes a whole message and flushes: one write, so that header and body share a record.
pub async fn write_message<S: AsyncWrite + Unpin>(
    stream: &mut S,
    message: &[u8],
    deadline: Instant,
) -> Result<(), ExchangeError> {
    within(deadline, async {
        stream.write_all(message).await?;
        Ok(stream.flush().await?)
    })
    .await
}

/// Ends a connection after the last reply: says so, then reads and drops what the peer had still under way, for a
/// bounded time. Closing at once with bytes unread would reset the connection and could take the reply with it.
pub async fn close<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let drain = async {
        stream.shutdown().await?;
        let mut scratch = [0; CHUNK];
        let mut left = MAX_BODY * 4;
        while left > 0 {
            match stream.read(&mut scratch).await? {
                0 => break,
                count => left = left.saturating_sub(count),
            }
        }
        io::Result::Ok(())
    };
    // How it ends is of no interest: the reply has been written, and the stream is dropped next.
    let _ = tokio::time::timeout(LINGER, drain).await;
}

async fn within<T>(
    deadline: Instant,
    work: impl Future<Output = Result<T, ExchangeError>>,
) -> Result<T, ExchangeError> {
    tokio::time::timeout_at(deadline, work).await.unwrap_or(Err(ExchangeError::Deadline))
}

async fn read_message<S: AsyncRead + Unpin, H>(
    stream: &mut S,
    decode: impl Fn(&[u8]) -> Result<Decoded<H>, WireError>,
    length: impl Fn(&H) -> usize,
) -> Result<(H, Vec<u8>), ExchangeError> {
    let mut buffer = Vec::with_capacity(CHUNK);
    let (head, taken) = loop {
        match decode(&buffer)? {
            Decoded::Value(head, taken) => break (head, taken),
            Decoded::NeedMore => read_more(stream, &mut buffer, MAX_HEADER + MAX_BODY).await?,
        }
    };
    let end = taken + length(&head);
    while buffer.len() < end {
        let missing = end - buffer.len();
        read_more(stream, &mut buffer, missing).await?;
    }
    buffer.truncate(end);
    buffer.drain(..taken);
    Ok((head, buffer))
}

/// Reads once, at most `most` bytes and a chunk.
async fn read_more<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    most: usize,
) -> Result<(), ExchangeError> {
    buffer.reserve(CHUNK.min(most));
    if stream.take(most as u64).read_buf(buffer).await? == 0 {
        return Err(ExchangeError::Closed { received: buffer.len() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http;
    use tokio::io::duplex;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[tokio::test]
    async fn a_message_may_come_byte_by_byte() {
        let (mut near, mut far) = duplex(1);
        let sent = http::encode_request("/s", "vm", b"hello\0");
        let writer = tokio::spawn(async move { far.write_all(&sent).await });
        let (head, body) = read_request(&mut near, soon()).await.unwrap();
        assert_eq!((head.uri.as_str(), body.as_slice()), ("/s", &b"hello\0"[..]));
        writer.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_peer_that_closes_early() {
        let (mut near, mut far) = duplex(64);
        far.write_all(b"HTTP/1.1 200").await.unwrap();
        drop(far);
        let error = read_reply(&mut near, soon()).await.unwrap_err();
        assert!(matches!(error, ExchangeError::Closed { received: 12 }));
        assert_eq!(error.code(), GramError::PROTOCOL_FAILED);
    }

    #[tokio::test]
    async fn a_200_without_a_length() {
        let (mut near, mut far) = duplex(64);
        far.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let error = read_reply(&mut near, soon()).await.unwrap_err();
        assert_eq!(error.code(), GramError::HTTP_UNFRAME_FAILED);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_peer_meets_the_deadline() {
        let (mut near, _far) = duplex(64);
        let error = read_reply(&mut near, soon()).await.unwrap_err();
        assert!(matches!(error, ExchangeError::Deadline));
    }

    #[tokio::test(start_paused = true)]
    async fn closing_waits_for_the_peer_but_not_for_ever() {
        let (near, _far) = duplex(64);
        close(near).await;
    }
}

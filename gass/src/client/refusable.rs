//! A stream on which a failed write does not hide a reply that has arrived.
//!
//! A stock server that refuses an upload answers and closes while data is still coming; its system then resets the
//! connection. Our next write fails, although the refusal lies in the receive buffer and says why. So writes are
//! pretended to succeed once one has failed: what is read next, the reply or the end, decides.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub(super) struct Refusable<S> {
    stream: S,
    broken: bool,
}

impl<S> Refusable<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, broken: false }
    }

    /// `pretended` takes the place of an error.
    fn forgive<T>(&mut self, result: Poll<io::Result<T>>, pretended: T) -> Poll<io::Result<T>> {
        match result {
            Poll::Ready(Err(error)) => {
                tracing::debug!(%error, "write failed; looking for a reply");
                self.broken = true;
                Poll::Ready(Ok(pretended))
            }
            other => other,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Refusable<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Refusable<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.broken {
            return Poll::Ready(Ok(data.len()));
        }
        let written = Pin::new(&mut self.stream).poll_write(context, data);
        self.forgive(written, data.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = data.iter().map(|piece| piece.len()).sum();
        if self.broken {
            return Poll::Ready(Ok(length));
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, data);
        self.forgive(written, length)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.broken {
            return Poll::Ready(Ok(()));
        }
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.forgive(flushed, ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.broken {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

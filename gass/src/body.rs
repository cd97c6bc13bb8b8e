//! HTTP bodies that stream, so that memory stays flat whatever the size of a file.

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::mpsc;

/// Bytes read, sent or stored at once.
pub(crate) const BLOCK: usize = 256 * 1024;

/// A body whose blocks come through a channel. It ends after [`Upload::finish`], and breaks off when the sender is dropped
/// without.
pub(crate) struct Upload(mpsc::Sender<Option<Bytes>>);

pub(crate) struct UploadBody {
    blocks: mpsc::Receiver<Option<Bytes>>,
    finished: bool,
    /// Bytes to come, where that was known at the start; else it is sent chunked.
    left: Option<u64>,
}

/// The transport went away, and with it the reader of the blocks.
#[derive(Debug)]
pub(crate) struct Gone;

/// A place for one block.
pub(crate) struct Place(mpsc::OwnedPermit<Option<Bytes>>);

impl Place {
    pub(crate) fn fill(self, block: Bytes) {
        self.0.send(Some(block));
    }
}

impl Upload {
    pub(crate) fn channel(length: Option<u64>) -> (Self, UploadBody) {
        // One block on the wire, one waiting, one being read.
        let (sender, blocks) = mpsc::channel(1);
        (Self(sender), UploadBody { blocks, finished: false, left: length })
    }

    /// Waits until a block is wanted. Nothing is lost when the waiting is given up.
    pub(crate) async fn place(&self) -> Result<Place, Gone> {
        self.0.clone().reserve_owned().await.map(Place).map_err(|_| Gone)
    }

    /// Everything was sent: the last chunk may go out.
    pub(crate) async fn finish(&self) -> Result<(), Gone> {
        self.0.send(None).await.map_err(|_| Gone)
    }
}

impl UploadBody {
    /// Bytes to come, where that is known.
    pub(crate) fn length(&self) -> Option<u64> {
        self.left
    }
}

impl Body for UploadBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.finished {
            return Poll::Ready(None);
        }
        match ready!(self.blocks.poll_recv(context)) {
            Some(Some(block)) => {
                self.left = self.left.map(|left| left.saturating_sub(block.len() as u64));
                Poll::Ready(Some(Ok(Frame::data(block))))
            }
            Some(None) if self.left.is_none_or(|left| left == 0) => {
                self.finished = true;
                Poll::Ready(None)
            }
            // Without this error a file cut short would look complete to the server.
            Some(None) | None => Poll::Ready(Some(Err(io::ErrorKind::BrokenPipe.into()))),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

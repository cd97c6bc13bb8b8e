//! HTTP bodies that stream, so that memory stays flat whatever the size of a file.

use bytes::Bytes;
use hyper::body::{Body, Frame};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::mpsc;

/// Bytes read, sent or stored at once.
pub(crate) const BLOCK: usize = 256 * 1024;

/// A body whose blocks come through a channel; of unknown length, so it is sent chunked. It ends when the sender is
/// dropped after [`Upload::finish`], and breaks off when it is dropped without.
pub(crate) struct Upload(mpsc::Sender<Option<Bytes>>);

pub(crate) struct UploadBody {
    blocks: mpsc::Receiver<Option<Bytes>>,
    finished: bool,
}

/// The transport went away, and with it the reader of the blocks.
#[derive(Debug)]
pub(crate) struct Gone;

impl Upload {
    pub(crate) fn channel() -> (Self, UploadBody) {
        // One block on the wire, one waiting, one being read.
        let (sender, blocks) = mpsc::channel(1);
        (Self(sender), UploadBody { blocks, finished: false })
    }

    pub(crate) async fn send(&self, block: Bytes) -> Result<(), Gone> {
        self.0.send(Some(block)).await.map_err(|_| Gone)
    }

    /// Everything was sent: the last chunk may go out.
    pub(crate) async fn finish(self) -> Result<(), Gone> {
        self.0.send(None).await.map_err(|_| Gone)
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
            Some(Some(block)) => Poll::Ready(Some(Ok(Frame::data(block)))),
            Some(None) => {
                self.finished = true;
                Poll::Ready(None)
            }
            // Without this error a file cut short would look complete to the server.
            None => Poll::Ready(Some(Err(io::ErrorKind::BrokenPipe.into()))),
        }
    }
}

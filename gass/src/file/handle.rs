//! An open file.

use super::{FileError, Files, Reference, blocking};
use crate::{GassError, Url};
use std::{
    io::{self, SeekFrom},
    path::PathBuf,
    pin::Pin,
    task::{Context, Poll},
};
use tempfile::TempPath;
use tokio::{
    fs::File,
    io::{AsyncRead, AsyncSeek, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf},
    task::JoinHandle,
};

/// An open file. [`close`](Self::close) it: dropping it drops the reference, too, but loses changes.
pub struct Handle {
    body: Body,
    ending: Ending,
}

enum Body {
    File(File),
    Stream(Stream),
}

/// A stream to a server.
pub(super) struct Stream {
    pub(super) writer: DuplexStream,
    /// None once it has ended.
    pub(super) sending: Option<JoinHandle<Result<u64, GassError>>>,
}

/// What close has to do.
pub(super) struct Ending {
    back: Option<WriteBack>,
    reference: Option<Reference>,
    changed: bool,
}

/// A private copy, and where it came from.
pub(super) struct WriteBack {
    pub(super) files: Files,
    pub(super) name: String,
    pub(super) url: Url,
    pub(super) work: TempPath,
}

impl Ending {
    pub(super) fn nothing() -> Self {
        Self { back: None, reference: None, changed: false }
    }

    pub(super) fn drop(reference: Reference) -> Self {
        Self { reference: Some(reference), ..Self::nothing() }
    }

    pub(super) fn write_back(back: WriteBack, reference: Option<Reference>, changed: bool) -> Self {
        Self { back: Some(back), reference, changed }
    }
}

impl Handle {
    pub(super) fn new(file: File, ending: Ending) -> Self {
        Self { body: Body::File(file), ending }
    }

    pub(super) fn streaming(stream: Stream) -> Self {
        Self { body: Body::Stream(stream), ending: Ending::nothing() }
    }

    /// Writes back what was changed, then drops the reference; ends a stream and waits for the server's word.
    ///
    /// Closing again after an error tries again to write back.
    ///
    /// # Errors
    /// What was written did not reach its place. The changes are kept until the handle is dropped.
    pub async fn close(&mut self) -> Result<(), FileError> {
        match &mut self.body {
            Body::Stream(stream) => return stream.end().await,
            Body::File(file) => file.flush().await.map_err(|source| {
                let path = self.ending.back.as_ref().map(|back| back.work.to_path_buf());
                FileError::Local { path: path.unwrap_or_default(), source }
            })?,
        }
        if let Some(back) = &self.ending.back
            && self.ending.changed
        {
            back.write().await?;
            self.ending.changed = false;
        }
        match self.ending.reference.take() {
            Some(reference) => reference.give_back().await,
            None => Ok(()),
        }
    }

    fn file(&mut self) -> io::Result<Pin<&mut File>> {
        match &mut self.body {
            Body::File(file) => Ok(Pin::new(file)),
            Body::Stream(_) => {
                Err(io::Error::new(io::ErrorKind::Unsupported, "a file that is appended to is only written"))
            }
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(back) = self.ending.back.as_ref().filter(|_| self.ending.changed) {
            tracing::warn!(url = %back.url, "dropped without close: changes are lost");
        }
    }
}

impl WriteBack {
    async fn write(&self) -> Result<(), FileError> {
        let local = |source| FileError::Local { path: self.work.to_path_buf(), source };
        let mut file = File::open(&self.work).await.map_err(local)?;
        self.files.client.put(&self.url, &self.files.expect, &mut file).await?;
        // Whoever opens it from now on should see what the server has.
        let (cache, name, work): (_, _, PathBuf) =
            (self.files.cache.clone(), self.name.clone(), self.work.to_path_buf());
        blocking(move || cache.replace(&name, &work)).await
    }
}

impl Stream {
    async fn end(&mut self) -> Result<(), FileError> {
        // When the server has refused, its word is more telling than this.
        let _ = self.writer.shutdown().await;
        let Some(sending) = self.sending.take() else { return Ok(()) };
        match sending.await {
            Ok(sent) => Ok(sent.map(drop)?),
            Err(error) => Err(FileError::Local { path: PathBuf::new(), source: io::Error::other(error) }),
        }
    }
}

impl AsyncRead for Handle {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.file()?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Handle {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.ending.changed = self.ending.back.is_some();
        match &mut self.body {
            Body::File(file) => Pin::new(file).poll_write(context, bytes),
            Body::Stream(stream) => Pin::new(&mut stream.writer).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.body {
            Body::File(file) => Pin::new(file).poll_flush(context),
            Body::Stream(stream) => Pin::new(&mut stream.writer).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}

impl AsyncSeek for Handle {
    fn start_seek(mut self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
        self.file()?.start_seek(position)
    }

    fn poll_complete(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<u64>> {
        self.file()?.poll_complete(context)
    }
}

//! Where a copy goes to: something that knows how much of it is there.

use super::file::{self, SinkFile};
use super::{Options, Place, Transfer};
use crate::client::{Make, Upload, Writing};
use crate::{Client, GassError, ReprDigest, Url};
use bytes::Bytes;
use gsi::Expect;
use std::future::pending;
use tokio::io::AsyncWriteExt;

/// From this size on, in bytes, an upload is worth being taken up again, and so a question whether the server can.
const RESUMABLE: u64 = 8 * 1024 * 1024;

/// One end of a copy, over all attempts.
pub(super) enum Sink<'a> {
    File(Box<FileSink<'a>>),
    Remote(Box<RemoteSink<'a>>),
    Output { written: u64, checksum: bool },
}

impl<'a> Sink<'a> {
    pub(super) fn new(client: &'a Client, transfer: &'a Transfer, checksum: bool, options: &Options) -> Self {
        match &transfer.to {
            Place::Local(path) => {
                // Of a local source the checksum would be that of the same disk.
                let from = match &transfer.from {
                    Place::Remote(url, _) if checksum => Some(url),
                    _ => None,
                };
                Self::File(Box::new(FileSink {
                    file: SinkFile::new(path, transfer.into, from.is_some()),
                    from,
                }))
            }
            Place::Remote(url, expect) => Self::Remote(Box::new(RemoteSink {
                client,
                url,
                expect,
                retries: options.retries > 0,
                make_directories: options.make_directories,
                upload: None,
                size: None,
                writing: None,
                sent: 0,
                checksum,
            })),
            Place::Stream => Self::Output { written: 0, checksum },
        }
    }

    /// How many bytes of the part are there for good. Ends what former attempts have left running.
    pub(super) async fn held(&mut self) -> Result<u64, GassError> {
        match self {
            Self::File(sink) => sink.file.held().await,
            Self::Remote(sink) => sink.held().await,
            Self::Output { written, .. } => Ok(*written),
        }
    }

    /// From now on come the bytes after the first `held`, to `size` in all, where that is known.
    pub(super) async fn begin(
        &mut self,
        held: u64,
        size: Option<u64>,
        checksum: Option<ReprDigest>,
    ) -> Result<(), GassError> {
        match self {
            Self::File(sink) => sink.file.begin(held, size).await,
            Self::Remote(sink) => sink.begin(held, size, checksum).await,
            Self::Output { .. } => Ok(()),
        }
    }

    /// The next bytes.
    pub(super) async fn take(&mut self, block: Bytes) -> Result<(), GassError> {
        if block.is_empty() {
            return Ok(());
        }
        match self {
            Self::File(sink) => sink.file.take(block).await,
            Self::Remote(sink) => match &mut sink.writing {
                Some(writing) => {
                    sink.sent += block.len() as u64;
                    writing.send(block).await
                }
                None => Ok(()),
            },
            Self::Output { written, .. } => {
                *written += block.len() as u64;
                tokio::io::stdout().write_all(&block).await.map_err(cannot_print)
            }
        }
    }

    /// Leaves nothing of it behind, where that is possible.
    pub(super) async fn give_up(&mut self) {
        if let Self::File(sink) = self {
            // Why it cannot be finished does not matter any more.
            let _ = sink.file.held().await;
            sink.file.start_over();
        }
    }

    /// Waits for a refusal; for ever, when none comes.
    pub(super) async fn refusal(&mut self) -> GassError {
        match self {
            Self::Remote(sink) => match &mut sink.writing {
                Some(writing) => writing.refusal().await,
                None => pending().await,
            },
            Self::File(_) | Self::Output { .. } => pending().await,
        }
    }

    /// Everything has come, and `announced` is the checksum it should have. Returns the checksum both ends agree on.
    pub(super) async fn finish(
        &mut self,
        announced: Option<ReprDigest>,
    ) -> Result<Option<ReprDigest>, GassError> {
        match self {
            Self::File(sink) => sink.finish(announced).await,
            Self::Remote(sink) => sink.finish().await,
            Self::Output { checksum, .. } => {
                tokio::io::stdout().flush().await.map_err(cannot_print)?;
                if *checksum { Err(file::cannot_verify_a_stream()) } else { Ok(None) }
            }
        }
    }

    /// Whether what it has taken stays when the connection breaks.
    pub(super) fn keeps(&self) -> bool {
        match self {
            Self::File(_) | Self::Output { .. } => true,
            Self::Remote(sink) => sink.upload.as_ref().is_some_and(|upload| upload.id.is_some()),
        }
    }

    /// Whether what it has taken can be taken back.
    pub(super) fn can_start_over(&self) -> bool {
        match self {
            Self::File(sink) => sink.file.can_start_over(),
            // What has gone to the output of a server stays there.
            Self::Remote(sink) => sink.sent == 0 || !sink.is_output(),
            Self::Output { written, .. } => *written == 0,
        }
    }
}

fn cannot_print(source: std::io::Error) -> GassError {
    GassError::Local { doing: "cannot write to standard output".to_owned(), source }
}

/// A local file, and where its content comes from when that is to be verified.
pub(super) struct FileSink<'a> {
    file: SinkFile,
    from: Option<&'a Url>,
}

impl FileSink<'_> {
    async fn finish(&mut self, announced: Option<ReprDigest>) -> Result<Option<ReprDigest>, GassError> {
        let Some(url) = self.from else {
            self.file.finish().await?;
            return Ok(None);
        };
        let announced = announced.ok_or_else(|| GassError::Unverified { url: url.clone() })?;
        let computed = self.file.complete().await?;
        if computed != Some(announced) {
            // Nothing of it can be trusted.
            self.file.start_over();
            let computed = computed.unwrap_or(ReprDigest::of(b""));
            return Err(GassError::Checksum { url: url.clone(), announced, computed });
        }
        self.file.finish().await?;
        Ok(Some(announced))
    }
}

/// A file on a server.
pub(super) struct RemoteSink<'a> {
    client: &'a Client,
    url: &'a Url,
    expect: &'a Expect,
    retries: bool,
    make_directories: bool,
    /// What can be taken up again.
    upload: Option<Upload>,
    size: Option<u64>,
    writing: Option<Writing>,
    sent: u64,
    checksum: bool,
}

impl RemoteSink<'_> {
    fn is_output(&self) -> bool {
        matches!(self.url, Url::Http { path, .. } if path.starts_with("/dev/"))
    }

    async fn held(&mut self) -> Result<u64, GassError> {
        // Ends the connection, so that the server knows that no more comes.
        self.writing = None;
        match self.upload.as_ref().and_then(|upload| upload.id.as_deref()) {
            Some(id) => {
                let held = self.client.uploaded(self.url, self.expect, id).await?;
                // What is complete has no rest that could be sent.
                Ok(if self.size.is_some_and(|size| held < size) { held } else { 0 })
            }
            None => Ok(0),
        }
    }

    async fn begin(
        &mut self,
        held: u64,
        size: Option<u64>,
        checksum: Option<ReprDigest>,
    ) -> Result<(), GassError> {
        let large = size.is_some_and(|size| size >= RESUMABLE) && self.retries && !self.is_output();
        let mut resumable = false;
        if large || self.checksum || self.make_directories {
            let ours = self.client.make_of(self.url, self.expect).await? == Make::Ours;
            resumable = large && ours;
            if self.checksum && !ours {
                return Err(GassError::Unverified { url: self.url.clone() });
            }
            if self.make_directories && ours && self.upload.is_none() {
                self.make_parents().await?;
            }
        }
        // A name that the server does not know makes it start anew.
        let known = self.upload.take().filter(|_| held > 0).and_then(|upload| upload.id);
        let id = known.or_else(|| resumable.then(|| uuid::Uuid::new_v4().simple().to_string()));
        self.size = size;
        let length = size.map(|size| size.saturating_sub(held));
        let upload = Upload { append: false, length, id, offset: held, checksum };
        self.writing = Some(self.client.start(self.url, self.expect, upload.clone()).await?);
        self.upload = Some(upload);
        Ok(())
    }

    async fn make_parents(&mut self) -> Result<(), GassError> {
        let Url::Http { path, .. } = self.url else { return Ok(()) };
        match path.rsplit_once('/') {
            Some((parent, _)) if !parent.is_empty() => {
                let parent = self.url.join(&format!("{parent}/"))?;
                self.client.make_directories(&parent, self.expect).await
            }
            _ => Ok(()),
        }
    }

    async fn finish(&mut self) -> Result<Option<ReprDigest>, GassError> {
        let Some(writing) = self.writing.take() else { return Ok(None) };
        writing.finish().await?;
        Ok(self.upload.as_ref().and_then(|upload| upload.checksum))
    }
}

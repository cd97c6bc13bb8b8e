//! A local file that is copied, or standard input.

use super::blocking;
use crate::body::BLOCK;
use crate::error::FileAction;
use crate::{GassError, ReprDigest};
use bytes::Bytes;
use gsi::digest::Sha256;
use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Blocks that are read ahead.
const AHEAD: usize = 3;

/// The file, over all attempts.
pub(in crate::copy) struct SourceFile {
    path: Arc<PathBuf>,
    open: Option<Open>,
    checksum: Option<ReprDigest>,
}

/// Held open, so that all attempts read the same file even when another takes its name.
#[derive(Clone)]
struct Open {
    file: Arc<File>,
    /// None for what has no size: pipes, devices. They can be read only once and in order.
    size: Option<u64>,
}

/// What is read of it.
pub(in crate::copy) struct Part {
    pub(in crate::copy) blocks: Blocks,
    /// The byte that comes first.
    pub(in crate::copy) start: u64,
    /// Of the whole file.
    pub(in crate::copy) size: Option<u64>,
}

/// Data in order.
pub(in crate::copy) enum Blocks {
    One(Option<Bytes>),
    Many(mpsc::Receiver<Result<Bytes, GassError>>),
}

impl Blocks {
    /// The next bytes; None at the end.
    pub(in crate::copy) async fn next(&mut self) -> Result<Option<Bytes>, GassError> {
        match self {
            Self::One(block) => Ok(block.take().filter(|block| !block.is_empty())),
            Self::Many(blocks) => blocks.recv().await.transpose(),
        }
    }
}

impl SourceFile {
    pub(in crate::copy) fn new(path: &Path) -> Self {
        Self { path: Arc::new(path.to_owned()), open: None, checksum: None }
    }

    /// Whether it can be read again, and from anywhere.
    pub(in crate::copy) fn is_regular(&self) -> bool {
        self.open.as_ref().is_none_or(|open| open.size.is_some())
    }

    /// Reads from this position on, so many bytes at most.
    pub(in crate::copy) async fn read(
        &mut self,
        position: u64,
        length: Option<u64>,
    ) -> Result<Part, GassError> {
        let (path, known) = (Arc::clone(&self.path), self.open.clone());
        let (open, block) = blocking(move || {
            let open = known.map_or_else(|| open(&path), Ok)?;
            let span = open.span(position, length);
            let block = match span {
                Some((start, end)) if end - start <= BLOCK as u64 => {
                    Some(read_span(&open.file, &path, start, end)?)
                }
                _ => None,
            };
            Ok((open, block))
        })
        .await?;
        let (size, span) = (open.size, open.span(position, length));
        let blocks = match block {
            Some(block) => Blocks::One(Some(block)),
            None => {
                let (tell, blocks) = mpsc::channel(AHEAD);
                let (path, file) = (Arc::clone(&self.path), Arc::clone(&open.file));
                // Ends with the receiver.
                tokio::task::spawn_blocking(move || match span {
                    Some((start, end)) => read_blocks(&file, &path, start, end, &tell),
                    None => read_stream(&file, &path, &tell),
                });
                Blocks::Many(blocks)
            }
        };
        self.open = Some(open);
        Ok(Part { blocks, start: if size.is_some() { position } else { 0 }, size })
    }

    /// The checksum of all of it.
    pub(in crate::copy) async fn checksum(&mut self) -> Result<ReprDigest, GassError> {
        if let Some(checksum) = self.checksum {
            return Ok(checksum);
        }
        let mut hash = Sha256::new();
        let mut part = self.read(0, None).await?;
        while let Some(block) = part.blocks.next().await? {
            hash.update(&block);
        }
        let checksum = hash.into();
        self.checksum = Some(checksum);
        Ok(checksum)
    }
}

impl Open {
    /// The first byte of a part and the one after its last; None without a size.
    fn span(&self, position: u64, length: Option<u64>) -> Option<(u64, u64)> {
        let size = self.size?;
        let end = length.map_or(size, |length| position.saturating_add(length).min(size));
        Some((position.min(end), end))
    }
}

fn open(path: &Path) -> Result<Open, GassError> {
    let failed = |source| GassError::File { path: path.to_owned(), action: FileAction::Open, source };
    let file = OpenOptions::new().read(true).open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    Ok(Open { file: Arc::new(file), size: metadata.is_file().then_some(metadata.len()) })
}

fn cannot_read(path: &Path, source: impl Into<io::Error>) -> GassError {
    GassError::File { path: path.to_owned(), action: FileAction::Read, source: source.into() }
}

/// A part that fits into one block.
fn read_span(file: &File, path: &Path, start: u64, end: u64) -> Result<Bytes, GassError> {
    let mut block = Vec::with_capacity(usize::try_from(end - start).unwrap_or(BLOCK));
    while block.len() < block.capacity() {
        if read_more(file, path, start + block.len() as u64, &mut block)? == 0 {
            return Err(cannot_read(path, became_shorter()));
        }
    }
    Ok(block.into())
}

fn read_blocks(
    file: &File,
    path: &Path,
    mut at: u64,
    end: u64,
    tell: &mpsc::Sender<Result<Bytes, GassError>>,
) {
    while at < end {
        let room = usize::try_from(end - at).unwrap_or(BLOCK).min(BLOCK);
        let mut block = Vec::with_capacity(room);
        let read = match read_more(file, path, at, &mut block) {
            Ok(0) => Err(cannot_read(path, became_shorter())),
            read => read,
        };
        // More may lie in the allocation than was asked for.
        block.truncate(room);
        at += block.len() as u64;
        let failed = read.is_err();
        if tell.blocking_send(read.map(|_| block.into())).is_err() || failed {
            return;
        }
    }
}

/// What has no positions: pipes and devices.
fn read_stream(file: &File, path: &Path, tell: &mpsc::Sender<Result<Bytes, GassError>>) {
    loop {
        let mut block = Vec::with_capacity(BLOCK);
        match rustix::io::read(file, spare_capacity(&mut block)) {
            Ok(0) => return,
            Ok(_) => {
                if tell.blocking_send(Ok(block.into())).is_err() {
                    return;
                }
            }
            Err(Errno::INTR) => {}
            Err(error) => {
                // Nobody may want to know.
                let _ = tell.blocking_send(Err(cannot_read(path, error)));
                return;
            }
        }
    }
}

/// Adds to the block what fits into it, from this position on. 0 at the end of the file.
fn read_more(file: &File, path: &Path, at: u64, block: &mut Vec<u8>) -> Result<usize, GassError> {
    loop {
        match rustix::io::pread(file, spare_capacity(block), at) {
            Err(Errno::INTR) => {}
            read => return read.map_err(|error| cannot_read(path, error)),
        }
    }
}

fn became_shorter() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter while it was read")
}

/// Our standard input.
pub(in crate::copy) struct Input(mpsc::Receiver<io::Result<Bytes>>);

/// Begins to read it.
pub(in crate::copy) fn standard_input() -> Result<Input, GassError> {
    let (tell, blocks) = mpsc::channel(AHEAD);
    let read = move || {
        let input = io::stdin().lock();
        loop {
            let mut block = Vec::with_capacity(BLOCK);
            let read = match rustix::io::read(&input, spare_capacity(&mut block)) {
                Ok(0) => return,
                Err(Errno::INTR) => continue,
                read => read.map(|_| Bytes::from(block)).map_err(io::Error::from),
            };
            let failed = read.is_err();
            if tell.blocking_send(read).is_err() || failed {
                return;
            }
        }
    };
    // Not one of tokio's threads: those are waited for at the end, and a terminal may never say anything.
    let started = std::thread::Builder::new().name("stdin".to_owned()).spawn(read);
    started.map(|_| Input(blocks)).map_err(cannot_read_input)
}

impl Input {
    /// The next bytes; None at the end.
    pub(in crate::copy) async fn next(&mut self) -> Result<Option<Bytes>, GassError> {
        self.0.recv().await.transpose().map_err(cannot_read_input)
    }
}

fn cannot_read_input(source: io::Error) -> GassError {
    GassError::Local { doing: "cannot read standard input".to_owned(), source }
}

//! A local file that is the copy: written beside its name, and given it when it is complete.

use super::blocking;
use crate::blocks;
use crate::body::BLOCK;
use crate::error::FileAction;
use crate::{GassError, ReprDigest};
use bytes::Bytes;
use gsi::digest::Sha256;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Seek, SeekFrom};
use std::mem;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempPath;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Blocks that wait to be written.
const WAITING: usize = 8;
/// Blocks that are taken out of the channel at once.
const TOGETHER: usize = 16;

/// The file, over all attempts.
pub(in crate::copy) struct SinkFile {
    path: PathBuf,
    /// Write into the file that is there, from this byte on.
    into: Option<u64>,
    /// Compute the checksum.
    hash: bool,
    state: State,
    /// A device or pipe: what has gone there is gone.
    final_at_once: bool,
}

enum State {
    /// Nothing was made yet.
    Idle,
    /// So little is expected that it is kept until it is complete.
    Small(Vec<Bytes>),
    /// Nobody writes.
    Open(Box<Target>),
    /// A thread writes what comes through the channel.
    Writing { blocks: mpsc::Sender<Bytes>, thread: JoinHandle<Result<Box<Target>, GassError>> },
}

/// What is written to.
struct Target {
    file: File,
    /// The name it has now and the one it will get; None when it is written in place.
    names: Option<(TempPath, PathBuf)>,
    path: PathBuf,
    /// Where in the file the copy begins.
    base: u64,
    written: u64,
    hash: Option<Sha256>,
}

impl SinkFile {
    pub(in crate::copy) fn new(path: &Path, into: Option<u64>, hash: bool) -> Self {
        Self { path: path.to_owned(), into, hash, state: State::Idle, final_at_once: false }
    }

    /// How many bytes of the copy are there.
    pub(in crate::copy) async fn held(&mut self) -> Result<u64, GassError> {
        self.settle().await?;
        match &self.state {
            State::Open(target) => Ok(target.written),
            State::Idle | State::Small(_) | State::Writing { .. } => {
                self.state = State::Idle;
                Ok(0)
            }
        }
    }

    /// Goes on after the first `held` bytes; the others are dropped.
    pub(in crate::copy) async fn begin(&mut self, held: u64, size: Option<u64>) -> Result<(), GassError> {
        self.settle().await?;
        let mut target = match mem::replace(&mut self.state, State::Idle) {
            State::Open(target) => target,
            State::Idle | State::Small(_) | State::Writing { .. } => {
                if size.is_some_and(|size| size <= BLOCK as u64) {
                    self.state = State::Small(Vec::new());
                    return Ok(());
                }
                let (path, into, hash) = (self.path.clone(), self.into, self.hash);
                let target = blocking(move || Target::open(&path, into, hash)).await?;
                self.final_at_once = target.is_final_at_once();
                target
            }
        };
        if held < target.written {
            target.start_over()?;
        }
        let (blocks, arriving) = mpsc::channel(WAITING);
        let thread = tokio::task::spawn_blocking(move || target.write_all(arriving));
        self.state = State::Writing { blocks, thread };
        Ok(())
    }

    /// The next bytes.
    pub(in crate::copy) async fn take(&mut self, block: Bytes) -> Result<(), GassError> {
        match &mut self.state {
            State::Small(blocks) => blocks.push(block),
            State::Writing { blocks, .. } => {
                if blocks.send(block).await.is_err() {
                    // The thread has ended before its time, and knows why.
                    self.settle().await?;
                }
            }
            State::Idle | State::Open(_) => {}
        }
        Ok(())
    }

    /// Everything has come: waits until it is written, and gives the checksum if that was wanted. The file has not got its
    /// name yet.
    pub(in crate::copy) async fn complete(&mut self) -> Result<Option<ReprDigest>, GassError> {
        self.settle().await?;
        let hash = match &self.state {
            State::Open(target) => target.hash.clone(),
            State::Small(blocks) => {
                let mut hash = Sha256::new();
                blocks.iter().for_each(|block| hash.update(block));
                Some(hash).filter(|_| self.hash)
            }
            State::Idle | State::Writing { .. } => None,
        };
        Ok(hash.map(ReprDigest::from))
    }

    /// Gives the file its name.
    pub(in crate::copy) async fn finish(&mut self) -> Result<(), GassError> {
        self.settle().await?;
        match mem::replace(&mut self.state, State::Idle) {
            State::Open(target) => blocking(move || target.finish()).await,
            State::Small(mut blocks) => {
                let (path, into) = (self.path.clone(), self.into);
                blocking(move || {
                    let mut target = Target::open(&path, into, false)?;
                    target.write(&mut blocks)?;
                    target.finish()
                })
                .await
            }
            State::Idle | State::Writing { .. } => Ok(()),
        }
    }

    /// Forgets what has come.
    pub(in crate::copy) fn start_over(&mut self) {
        self.state = State::Idle;
    }

    /// Whether it can.
    pub(in crate::copy) fn can_start_over(&self) -> bool {
        !self.final_at_once
    }

    /// Waits until what has come is written.
    async fn settle(&mut self) -> Result<(), GassError> {
        match mem::replace(&mut self.state, State::Idle) {
            State::Writing { blocks, thread } => {
                drop(blocks);
                let target = thread.await.map_err(|error| GassError::Local {
                    doing: format!("the thread that writes {} ended early", self.path.display()),
                    source: io::Error::other(error),
                })?;
                self.state = State::Open(target?);
            }
            other => self.state = other,
        }
        Ok(())
    }
}

impl Target {
    /// Opens what stands for this name: a new file beside it, through symbolic links, so that a link stays and what it points
    /// to changes; devices and pipes themselves.
    fn open(path: &Path, into: Option<u64>, hash: bool) -> Result<Box<Self>, GassError> {
        let failed = |source| GassError::File { path: path.to_owned(), action: FileAction::Open, source };
        let hash = hash.then(Sha256::new);
        let in_place = |options: &mut OpenOptions, base| {
            let mut file = options.open(path).map_err(failed)?;
            if base > 0 {
                file.seek(SeekFrom::Start(base)).map_err(failed)?;
            }
            Ok(Box::new(Self {
                file,
                names: None,
                path: path.to_owned(),
                base,
                written: 0,
                hash: hash.clone(),
            }))
        };
        let existing = match fs::metadata(path) {
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        if existing.as_ref().is_some_and(fs::Metadata::is_dir) {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        // `/dev/stdout` may be a file; what was printed into it before is not ours to replace.
        if path.starts_with("/dev") || existing.as_ref().is_some_and(|metadata| !metadata.is_file()) {
            return in_place(OpenOptions::new().append(true), 0);
        }
        if let Some(base) = into {
            return in_place(OpenOptions::new().write(true).create(true).truncate(false), base);
        }
        let name = match &existing {
            Some(_) => {
                // Renaming asks the directory for permission, and the file nothing.
                OpenOptions::new().write(true).open(path).map_err(failed)?;
                fs::canonicalize(path).map_err(failed)?
            }
            None => path.to_owned(),
        };
        let directory =
            name.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // A new file is subject to the umask; an existing one keeps its mode.
        let mode = existing.map_or(0o666, |metadata| metadata.permissions().mode() & 0o7777);
        let made = tempfile::Builder::new()
            .prefix(".gass-")
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(directory);
        // The temporary name would only confuse.
        let made =
            made.map_err(|error| failed(error.raw_os_error().map_or(error, io::Error::from_raw_os_error)))?;
        let (file, temporary) = made.into_parts();
        let names = Some((temporary, name));
        Ok(Box::new(Self { file, names, path: path.to_owned(), base: 0, written: 0, hash }))
    }

    fn is_final_at_once(&self) -> bool {
        self.names.is_none() && !self.file.metadata().is_ok_and(|metadata| metadata.is_file())
    }

    fn failed(&self, source: io::Error) -> GassError {
        GassError::File { path: self.path.clone(), action: FileAction::Write, source }
    }

    fn start_over(&mut self) -> Result<(), GassError> {
        let began = match self.names {
            Some(_) => self.file.set_len(0).and_then(|()| self.file.rewind()),
            None => self.file.seek(SeekFrom::Start(self.base)).map(drop),
        };
        began.map_err(|error| self.failed(error))?;
        self.written = 0;
        self.hash = self.hash.take().map(|_| Sha256::new());
        Ok(())
    }

    fn write_all(mut self: Box<Self>, mut blocks: mpsc::Receiver<Bytes>) -> Result<Box<Self>, GassError> {
        let mut together = Vec::with_capacity(TOGETHER);
        while blocks.blocking_recv_many(&mut together, TOGETHER) > 0 {
            self.write(&mut together)?;
        }
        Ok(self)
    }

    /// Writes these, and takes them out of the list.
    fn write(&mut self, blocks: &mut Vec<Bytes>) -> Result<(), GassError> {
        if let Some(hash) = &mut self.hash {
            blocks.iter().for_each(|block| hash.update(block));
        }
        blocks::write(&self.file, blocks).map_err(|error| self.failed(error))?;
        self.written += blocks.iter().map(|block| block.len() as u64).sum::<u64>();
        blocks.clear();
        Ok(())
    }

    fn finish(self) -> Result<(), GassError> {
        let Some((temporary, name)) = self.names else { return Ok(()) };
        let path = self.path;
        temporary.persist(name).map_err(|error| GassError::File {
            path,
            action: FileAction::Write,
            source: error.error,
        })
    }
}

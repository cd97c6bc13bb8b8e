//! A file from one place to another: whole or not at all, with retries told apart by blame.
//!
//! A copy is a [`source`] that can be opened at a position and a [`sink`] that knows how much it holds. After a failure that
//! may pass ([`retry`]) the source is opened where the sink stands, if it is still the same file; else both start over.
//! Nothing is ever held in memory but a few blocks, and nothing between two servers touches the disk.
//!
//! | Module | Subject |
//! |---|---|
//! | [`source`], [`sink`] | the two ends |
//! | [`file`](mod@file) | local files: read in blocks, written beside their name and renamed at the end |
//! | [`retry`] | whether and when to try again |
//! | [`tree`] | what is below a directory |
//! | [`many`] | many copies at once |

pub mod file;
pub mod many;
pub mod retry;
mod sink;
mod source;
pub mod tree;

use crate::{Client, GassError, ReprDigest, Url};
use bytes::Bytes;
use gsi::Expect;
use retry::Patience;
use sink::Sink;
use source::{Opened, Source};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where a file, or a directory, is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// On this machine.
    Local(PathBuf),
    /// On a server: an https or http URL, and whom the server must be.
    Remote(Url, Expect),
    /// Our standard input, or output.
    Stream,
}

impl Place {
    /// Whether it is written as a directory: with a slash at its end.
    pub fn names_directory(&self) -> bool {
        match self {
            Self::Local(path) => path.as_os_str().as_encoded_bytes().ends_with(b"/"),
            Self::Remote(url, _) => url.names_directory(),
            Self::Stream => false,
        }
    }

    /// What lies at this relative path in this directory.
    #[must_use]
    pub fn join(&self, below: &Path) -> Self {
        match self {
            Self::Local(path) => Self::Local(path.join(below)),
            Self::Remote(url, expect) => Self::Remote(url.child(below.as_os_str()), expect.clone()),
            Self::Stream => Self::Stream,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => write!(f, "{}", path.display()),
            Self::Remote(url, _) => write!(f, "{url}"),
            Self::Stream => f.write_str("-"),
        }
    }
}

/// What to copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// From here.
    pub from: Place,
    /// To there.
    pub to: Place,
    /// The first byte of the source.
    pub offset: u64,
    /// How many bytes at most; None for all that follow.
    pub length: Option<u64>,
    /// For a local file: write into the file that is there, from this byte on, instead of replacing it.
    pub into: Option<u64>,
    /// Text for this system: seven bits, and lines that end with LF alone.
    pub text: bool,
}

impl Transfer {
    /// All of a file, as it is.
    pub fn whole(from: Place, to: Place) -> Self {
        Self { from, to, offset: 0, length: None, into: None, text: false }
    }

    /// Whether the source is copied byte for byte and from end to end, so that its checksum is the copy's.
    fn is_whole(&self) -> bool {
        self.offset == 0 && self.length.is_none() && self.into.is_none() && !self.text
    }
}

/// How to copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Compare checksums; fail where there is none to compare with.
    pub checksum: bool,
    /// How often to try again in a row without any progress between.
    pub retries: u32,
    /// How long to wait before; None for longer and longer.
    pub pause: Option<Duration>,
    /// Make the directories that the copy's name needs.
    pub make_directories: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { checksum: false, retries: retry::RETRIES, pause: None, make_directories: false }
    }
}

/// What became of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// Bytes, each counted once.
    pub bytes: u64,
    /// The checksum that both ends agree on, when it was asked for.
    pub checksum: Option<ReprDigest>,
    /// How often it was tried again.
    pub retries: u32,
}

/// Somebody who looks on. Called from the task that copies.
pub trait Watch: Send + Sync {
    /// The source is open for the first time; so many bytes are to come, where that is known.
    fn opened(&self, size: Option<u64>) {
        let _ = size;
    }
    /// So many further bytes were taken.
    fn moved(&self, bytes: u64) {
        let _ = bytes;
    }
    /// So many of them have to be copied anew.
    fn lost(&self, bytes: u64) {
        let _ = bytes;
    }
    /// It failed, and will be tried again after this pause.
    fn failed(&self, error: &GassError, pause: Duration) {
        let _ = (error, pause);
    }
}

/// Nobody.
impl Watch for () {}

impl Client {
    /// Copies a file. Under its final name there is the old content or all of the new, never a part.
    ///
    /// (Devices, pipes and what `into` writes to are changed in place; so is whatever a stock server does.)
    ///
    /// # Errors
    /// Any [`GassError`]: the last one, when trying again did not help.
    pub async fn copy(
        &self,
        transfer: &Transfer,
        options: &Options,
        watch: &dyn Watch,
    ) -> Result<Copied, GassError> {
        let checksum = options.checksum && transfer.is_whole();
        let mut copying = Copying {
            transfer,
            watch,
            source: Source::new(self, transfer, checksum),
            sink: Sink::new(self, transfer, checksum, options),
            bytes: 0,
            opened: false,
        };
        if let (Place::Local(path), true) = (&transfer.to, options.make_directories) {
            file::make_parents(path).await?;
        }
        let mut patience = Patience::new(options.retries, options.pause);
        let mut before = 0;
        loop {
            match copying.attempt().await {
                Ok(checksum) => {
                    return Ok(Copied { bytes: copying.bytes, checksum, retries: patience.used() });
                }
                Err(error) => {
                    let pause = patience.after(&error, copying.bytes > before);
                    let Some(pause) = pause.filter(|_| copying.can_go_on()) else {
                        copying.sink.give_up().await;
                        return Err(error);
                    };
                    before = copying.bytes;
                    tracing::debug!(from = %transfer.from, to = %transfer.to, %error, ?pause, "copying again");
                    watch.failed(&error, pause);
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }
}

/// A copy that is being made, over all attempts.
struct Copying<'a> {
    transfer: &'a Transfer,
    watch: &'a dyn Watch,
    source: Source<'a>,
    sink: Sink<'a>,
    /// Bytes of the part that the sink has taken.
    bytes: u64,
    opened: bool,
}

impl Copying<'_> {
    /// Copies what the sink does not hold yet.
    async fn attempt(&mut self) -> Result<Option<ReprDigest>, GassError> {
        let mut held = if self.transfer.text { 0 } else { self.sink.held().await? };
        let position = self.transfer.offset.saturating_add(held);
        let left = self.transfer.length.map(|length| length.saturating_sub(held));
        let Opened { mut reader, start, size, continues, checksum } =
            self.source.open(position, left, held > 0).await?;
        if !continues {
            held = 0;
        }
        let size = size.map(|size| size.saturating_sub(self.transfer.offset));
        let size = match (size, self.transfer.length) {
            (Some(size), Some(length)) => Some(size.min(length)),
            (size, _) => size,
        };
        self.sink.begin(held, size.filter(|_| !self.transfer.text), checksum).await?;
        if !std::mem::replace(&mut self.opened, true) {
            self.watch.opened(size);
        }
        match self.bytes.checked_sub(held) {
            Some(lost) => self.watch.lost(lost),
            // A server can have more than it was known to have.
            None => self.watch.moved(held - self.bytes),
        }
        self.bytes = held;
        let mut skip = self.transfer.offset.saturating_add(held).saturating_sub(start);
        let mut left = self.transfer.length.map(|length| length.saturating_sub(held));
        let mut text = Text::default();
        while left != Some(0) {
            let block = tokio::select! {
                block = reader.next() => block?,
                refusal = self.sink.refusal() => return Err(refusal),
            };
            let Some(mut block) = block else { break };
            let skipped = skip.min(block.len() as u64);
            skip -= skipped;
            block = block.split_off(usize::try_from(skipped).unwrap_or(block.len()).min(block.len()));
            if let Some(left) = &mut left {
                block.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= block.len() as u64;
            }
            if block.is_empty() {
                continue;
            }
            let taken = block.len() as u64;
            self.sink.take(if self.transfer.text { text.convert(&block) } else { block }).await?;
            self.bytes += taken;
            self.watch.moved(taken);
        }
        self.sink.finish(reader.checksum()).await
    }

    /// Whether a further attempt would make the same file.
    fn can_go_on(&self) -> bool {
        let goes_on = self.sink.keeps() && self.source.can_continue();
        self.source.can_open_again() && (goes_on || self.sink.can_start_over())
    }
}

/// Text on its way: what the stock client makes of it in ASCII mode (gass.md §3).
#[derive(Default)]
struct Text {
    /// The last byte was a CR; an LF that follows belongs to it.
    after_return: bool,
}

impl Text {
    fn convert(&mut self, block: &[u8]) -> Bytes {
        let mut converted = Vec::with_capacity(block.len());
        for byte in block.iter().map(|byte| byte & 0x7f) {
            let after_return = std::mem::replace(&mut self.after_return, byte == b'\r');
            match byte {
                b'\r' => converted.push(b'\n'),
                b'\n' if after_return => {}
                _ => converted.push(byte),
            }
        }
        converted.into()
    }
}

#[cfg(test)]
mod tests;

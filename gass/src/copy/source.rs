//! Where a copy comes from: something that can be opened at a position.

use super::file::{self, Blocks, Input, SourceFile};
use super::{Place, Transfer};
use crate::client::{Reading, Version, Wanted};
use crate::{Client, GassError, ReprDigest, Url};
use bytes::Bytes;
use gsi::Expect;

/// One end of a copy, over all attempts.
pub(super) enum Source<'a> {
    File { file: SourceFile, checksum: bool },
    Remote(Box<RemoteSource<'a>>),
    Input { used: bool },
}

/// What is being read, from where.
pub(super) struct Opened {
    pub(super) reader: Reader,
    /// The byte of the source that comes first; not after the position that was asked for.
    pub(super) start: u64,
    /// The size of the whole source, where it is known.
    pub(super) size: Option<u64>,
    /// Whether it is still the file that former attempts have read.
    pub(super) continues: bool,
    /// Its checksum, where it is known in advance and asked for.
    pub(super) checksum: Option<ReprDigest>,
}

pub(super) enum Reader {
    File(Blocks),
    Remote(Box<Reading>),
    Input(Input),
}

impl<'a> Source<'a> {
    pub(super) fn new(client: &'a Client, transfer: &'a Transfer, checksum: bool) -> Self {
        match &transfer.from {
            Place::Local(path) => Self::File { file: SourceFile::new(path), checksum },
            Place::Remote(url, expect) => {
                let checksum = match (checksum, &transfer.to) {
                    (false, _) => Checksum::None,
                    (true, Place::Remote(..)) => Checksum::Before,
                    (true, Place::Local(_) | Place::Stream) => Checksum::With,
                };
                Self::Remote(Box::new(RemoteSource { client, url, expect, checksum, version: None }))
            }
            Place::Stream => Self::Input { used: false },
        }
    }

    /// Opens it at this position, for so many bytes at most; `again` when it is to be the file of former attempts.
    pub(super) async fn open(
        &mut self,
        position: u64,
        length: Option<u64>,
        again: bool,
    ) -> Result<Opened, GassError> {
        match self {
            Self::File { file, checksum } => {
                let checksum = if *checksum { Some(file.checksum().await?) } else { None };
                let part = file.read(position, length).await?;
                let reader = Reader::File(part.blocks);
                Ok(Opened { reader, start: part.start, size: part.size, continues: true, checksum })
            }
            Self::Remote(remote) => remote.open(position, length, again).await,
            Self::Input { used } => {
                *used = true;
                let reader = Reader::Input(file::standard_input()?);
                Ok(Opened { reader, start: 0, size: None, continues: true, checksum: None })
            }
        }
    }

    /// Whether it can be read again at all.
    pub(super) fn can_open_again(&self) -> bool {
        match self {
            Self::File { file, .. } => file.is_regular(),
            Self::Remote(_) => true,
            Self::Input { used } => !used,
        }
    }

    /// Whether it can go on in the middle.
    pub(super) fn can_continue(&self) -> bool {
        match self {
            Self::File { file, .. } => file.is_regular(),
            Self::Remote(remote) => remote.version.is_some(),
            Self::Input { .. } => false,
        }
    }
}

/// When the checksum is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Checksum {
    None,
    /// With the file: the server need not read it twice.
    With,
    /// Ahead: the server that gets the file is to check it.
    Before,
}

/// A file on a server.
pub(super) struct RemoteSource<'a> {
    client: &'a Client,
    url: &'a Url,
    expect: &'a Expect,
    checksum: Checksum,
    /// Of the first attempt.
    version: Option<Version>,
}

impl RemoteSource<'_> {
    async fn open(&mut self, position: u64, length: Option<u64>, again: bool) -> Result<Opened, GassError> {
        let checksum = match self.checksum {
            Checksum::Before => {
                let known = self.client.checksum(self.url, self.expect).await?;
                Some(known.ok_or_else(|| GassError::Unverified { url: self.url.clone() })?)
            }
            Checksum::None | Checksum::With => None,
        };
        // Without a version nobody could tell whether the rest belongs to what is there.
        let resumable = !again || self.version.is_some();
        let wanted = Wanted {
            offset: if resumable { position } else { 0 },
            length: length.filter(|_| resumable),
            version: self.version.clone().filter(|_| again),
            checksum: self.checksum == Checksum::With,
        };
        let reading = self.client.open(self.url, self.expect, &wanted).await?;
        let same = self.version.is_some() && self.version.as_ref() == reading.version();
        self.version = reading.version().cloned();
        let (start, size) = (reading.start(), reading.size());
        let continues = !again || same;
        // What is another file now is wanted from its beginning.
        if !continues && start > 0 {
            return Err(GassError::Answer {
                url: self.url.clone(),
                reason: "the file changed, and only its end came".to_owned(),
            });
        }
        Ok(Opened { reader: Reader::Remote(Box::new(reading)), start, size, continues, checksum })
    }
}

impl Reader {
    /// The next bytes; None at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, GassError> {
        match self {
            Self::File(blocks) => blocks.next().await,
            Self::Remote(reading) => reading.next().await,
            Self::Input(input) => input.next().await,
        }
    }

    /// The checksum of the whole source, where it came with it.
    pub(super) fn checksum(&self) -> Option<ReprDigest> {
        match self {
            Self::Remote(reading) => reading.checksum(),
            Self::File(_) | Self::Input(_) => None,
        }
    }
}

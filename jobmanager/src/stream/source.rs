//! The local file a stream is read from, and the record of how far one destination has got. Both are ordinary files of the
//! account; every touch of them happens on a thread that may wait.

use super::position::{MAX_RECORD, Position};
use rustix::fs::OFlags;
use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    task::spawn_blocking,
};

/// Bytes read, sent and kept in memory at once, per stream.
pub(super) const BLOCK: usize = 64 * 1024;

/// The two files of one destination.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// What the job writes.
    pub(super) output: PathBuf,
    /// Where the position is recorded.
    pub(super) record: PathBuf,
    /// The destination, which is part of the record.
    pub(super) url: String,
}

impl Source {
    /// How much there is, in bytes; nothing while the job has not begun to write.
    pub(super) async fn length(&self) -> u64 {
        let path = self.output.clone();
        blocking(move || Ok(std::fs::metadata(path)?.len())).await.unwrap_or(0)
    }

    /// The first `length` bytes; empty when the job has not written anything, or its output was removed.
    pub(super) async fn beginning(&self, length: u64) -> io::Result<Box<dyn AsyncRead + Unpin + Send>> {
        if length == 0 {
            // It may be /dev/null.
            return Ok(Box::new(tokio::io::empty()));
        }
        let path = self.output.clone();
        match blocking(move || open_regular(&path)).await {
            Ok(file) => Ok(Box::new(tokio::fs::File::from_std(file).take(length))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Box::new(tokio::io::empty())),
            Err(error) => Err(error),
        }
    }

    /// How far the destination has got.
    pub(super) async fn position(&self) -> io::Result<Position> {
        let (path, url) = (self.record.clone(), self.url.clone());
        blocking(move || {
            let mut record = Vec::new();
            match File::open(path) {
                Ok(file) => io::Read::take(file, MAX_RECORD as u64 + 1).read_to_end(&mut record)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
                Err(error) => return Err(error),
            };
            Ok(Position::decode(&record, &url))
        })
        .await
    }

    /// Records a position. Survives the death of any process, not a loss of power: that ends the job as well.
    pub(super) async fn record(&self, position: Position) -> io::Result<()> {
        let (path, record) = (self.record.clone(), position.encode(&self.url));
        blocking(move || write_record(&path, &record)).await
    }

    /// The next block from byte `from` on, empty at the present end. With `record`, the position behind the block is
    /// recorded before anybody sees it.
    pub(super) async fn block(&self, from: u64, record: Option<Position>) -> io::Result<Vec<u8>> {
        let source = self.clone();
        blocking(move || {
            let mut block = vec![0; BLOCK];
            let read = open_regular(&source.output)?.read_at(&mut block, from)?;
            block.truncate(read);
            if let Some(position) = record.filter(|_| read > 0) {
                let position = Position { sent: from + read as u64, ..position };
                write_record(&source.record, &position.encode(&source.url))?;
            }
            Ok(block)
        })
        .await
    }
}

/// Opens a regular file. Anything else has no end that could be told, and might keep whoever opens it waiting.
pub(super) fn open_regular(path: &Path) -> io::Result<File> {
    let file = File::options().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"))
}

/// Records of one URL are equally long, so one write in place is all it takes; a shorter URL leaves nothing of a longer.
fn write_record(path: &Path, record: &str) -> io::Result<()> {
    let file = File::options().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.write_all_at(record.as_bytes(), 0)?;
    if file.metadata()?.len() == record.len() as u64 { Ok(()) } else { file.set_len(record.len() as u64) }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::position::Standing;

    #[tokio::test]
    async fn positions_are_recorded_before_their_blocks_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let mut source = Source {
            output: folder.path().join("stdout"),
            record: folder.path().join("stdout.0"),
            url: "https://vm:1/dev/stdout".into(),
        };
        assert_eq!((source.length().await, source.position().await.unwrap()), (0, Position::START));
        std::fs::write(&source.output, vec![b'x'; BLOCK + 3]).unwrap();
        let open = Position { sent: 0, standing: Standing::Open };
        assert_eq!(source.block(0, Some(open)).await.unwrap().len(), BLOCK);
        assert_eq!(source.position().await.unwrap(), Position { sent: BLOCK as u64, ..open });
        assert_eq!(source.block(BLOCK as u64, None).await.unwrap(), b"xxx");
        assert_eq!(source.block(source.length().await, Some(open)).await.unwrap(), b"");
        assert_eq!(source.position().await.unwrap().sent, BLOCK as u64);
        // A shorter URL.
        source.url = "https://vm:1/x".into();
        source.record(Position::START).await.unwrap();
        assert_eq!(source.position().await.unwrap(), Position::START);
    }
}

//! The end of the audit file: whole lines in their order, also when the disk is full for a while.
//!
//! A line that cannot be written waits in memory and is tried again before the next one. What an error has left of it in the
//! file is cut off, so that the file holds nothing but lines.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Lines that may wait; when there are so many, jobs are refused rather than accepted unrecorded.
pub const MAX_WAITING: usize = 1000;

/// The open file, and what waits to be written to it.
#[derive(Debug)]
pub struct Appender {
    path: PathBuf,
    file: File,
    waiting: VecDeque<Vec<u8>>,
}

impl Appender {
    /// Opens or creates the file (0600).
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: append(path)?, waiting: VecDeque::new() })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a line after those that wait. On error it waits, too, unless [`MAX_WAITING`] do already.
    pub fn append(&mut self, line: Vec<u8>) -> io::Result<()> {
        let written = self.catch_up().and_then(|()| self.write(&line));
        if written.is_err() && !self.is_full() {
            self.waiting.push_back(line);
        }
        written
    }

    /// Whether so many lines wait that no more should come.
    pub fn is_full(&self) -> bool {
        self.waiting.len() >= MAX_WAITING
    }

    /// Writes what waits.
    pub fn catch_up(&mut self) -> io::Result<()> {
        while let Some(line) = self.waiting.pop_front() {
            if let Err(error) = self.write(&line) {
                self.waiting.push_front(line);
                return Err(error);
            }
        }
        Ok(())
    }

    /// When somebody has moved the file away (log rotation) the line starts a new one.
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let mut open = self.file.metadata()?;
        if !fs::metadata(&self.path).is_ok_and(|there| (there.dev(), there.ino()) == (open.dev(), open.ino()))
        {
            self.file = append(&self.path)?;
            open = self.file.metadata()?;
        }
        let file = &mut self.file;
        file.write_all(line).inspect_err(|_| {
            // Shortening needs no room.
            if let Err(error) = file.set_len(open.len()) {
                tracing::error!(%error, "part of an audit line stays in the file");
            }
        })
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An appender whose file takes nothing.
    fn on_a_full_disk(path: &Path) -> Appender {
        let mut appender = Appender::open(path).unwrap();
        // Same file, but not for writing: every write fails, as on a full disk.
        appender.file = File::open(path).unwrap();
        appender
    }

    #[test]
    fn lines_wait_in_their_order_for_room() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit");
        let mut appender = on_a_full_disk(&path);
        appender.append(b"1\n".to_vec()).unwrap_err();
        appender.append(b"2\n".to_vec()).unwrap_err();
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
        appender.file = append(&path).unwrap();
        appender.append(b"3\n".to_vec()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n2\n3\n");
    }

    #[test]
    fn not_more_wait_than_may() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit");
        let mut appender = on_a_full_disk(&path);
        for number in 0..MAX_WAITING + 10 {
            appender.append(format!("{number}\n").into_bytes()).unwrap_err();
        }
        assert!(appender.is_full());
        appender.file = append(&path).unwrap();
        appender.catch_up().unwrap();
        assert!(!appender.is_full());
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), MAX_WAITING);
    }

    #[test]
    fn a_line_cut_short_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k", "none"]).arg(folder.path());
        if !mount.status().is_ok_and(|status| status.success()) {
            return println!("skipped: mounting a small file system needs CAP_SYS_ADMIN");
        }
        let path = folder.path().join("audit");
        let mut appender = Appender::open(&path).unwrap();
        let line = [&[b'x'; 4999][..], b"\n"].concat();
        let written = (0..100).take_while(|_| appender.append(line.clone()).is_ok()).count();
        let length = fs::metadata(&path).unwrap().len();
        std::process::Command::new("umount").arg("-l").arg(folder.path()).status().unwrap();
        assert!(written > 5);
        assert_eq!(length, 5000 * written as u64);
    }
}

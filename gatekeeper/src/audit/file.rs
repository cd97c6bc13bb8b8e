//! The audit file itself: appended to, followed when somebody moves it, put aside when it has grown.
//!
//! It holds whole lines in their order, also when the disk is full for a while: a line that cannot be written waits in memory
//! and is tried again before the next one, and what an error has left of it in the file is cut off.

use super::AuditConfig;
use super::reader::rotated;
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Lines that may wait; when there are so many, jobs are refused rather than accepted unrecorded.
const MAX_WAITING: usize = 1000;

/// The open file.
#[derive(Debug)]
pub(super) struct AuditFile {
    path: PathBuf,
    rotate_bytes: u64,
    keep: usize,
    end: Mutex<End>,
}

/// Where the next line goes.
#[derive(Debug)]
struct End {
    file: File,
    waiting: VecDeque<Vec<u8>>,
}

impl AuditFile {
    pub(super) fn open(config: &AuditConfig) -> io::Result<Self> {
        let path = config.file.clone();
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let end = Mutex::new(End { file: append(&path)?, waiting: VecDeque::new() });
        Ok(Self { path, rotate_bytes: config.rotate_bytes, keep: config.keep, end })
    }

    /// Writes a line after those that wait. On error it waits, too, unless [`MAX_WAITING`] do already.
    pub(super) fn append(&self, line: Vec<u8>) -> io::Result<()> {
        let mut end = self.end();
        let written = self.catch_up(&mut end).and_then(|()| self.write(&mut end.file, &line));
        if written.is_err() && end.waiting.len() < MAX_WAITING {
            end.waiting.push_back(line);
        }
        written
    }

    /// Whether a line can be written, or may at least wait.
    pub(super) fn is_open(&self) -> bool {
        let mut end = self.end();
        end.waiting.len() < MAX_WAITING || self.catch_up(&mut end).is_ok()
    }

    fn catch_up(&self, end: &mut End) -> io::Result<()> {
        while let Some(line) = end.waiting.front() {
            self.write(&mut end.file, line)?;
            end.waiting.pop_front();
        }
        Ok(())
    }

    /// When somebody has moved the file away (logrotate) a new one is started.
    fn write(&self, file: &mut File, line: &[u8]) -> io::Result<()> {
        let mut open = file.metadata()?;
        let there = fs::metadata(&self.path);
        if !there.is_ok_and(|there| (there.dev(), there.ino()) == (open.dev(), open.ino())) {
            *file = append(&self.path)?;
            open = file.metadata()?;
        } else if self.rotate_bytes > 0 && open.len() >= self.rotate_bytes {
            match self.put_aside().and_then(|()| append(&self.path)) {
                Ok(new) => {
                    *file = new;
                    open = file.metadata()?;
                }
                // Better too long a file than a decision that is not recorded.
                Err(error) => {
                    tracing::error!(%error, path = %self.path.display(), "audit file not put aside");
                }
            }
        }
        file.write_all(line).inspect_err(|_| {
            // Shortening needs no room.
            if let Err(error) = file.set_len(open.len()) {
                tracing::error!(%error, path = %self.path.display(), "part of an audit line stays there");
            }
        })
    }

    fn end(&self) -> MutexGuard<'_, End> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renames the file to `.1`, what was `.1` to `.2` and so on; the oldest goes.
    fn put_aside(&self) -> io::Result<()> {
        for times in (0..self.keep).rev() {
            match fs::rename(rotated(&self.path, times), rotated(&self.path, times + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if self.keep == 0 { fs::remove_file(&self.path) } else { Ok(()) }
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path, rotate_bytes: u64, keep: usize) -> AuditFile {
        let config = AuditConfig { file: path.to_owned(), rotate_bytes, keep, database: None };
        AuditFile::open(&config).unwrap()
    }

    #[test]
    fn a_moved_file_is_followed_by_a_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("log/a"), folder.path().join("log/b"));
        let file = open(&path, 0, 0);
        file.append(b"1\n".to_vec()).unwrap();
        fs::rename(&path, &moved).unwrap();
        file.append(b"2\n".to_vec()).unwrap();
        assert_eq!((fs::read(&path).unwrap(), fs::read(&moved).unwrap()), (b"2\n".into(), b"1\n".into()));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_full_file_is_put_aside_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let file = open(&path, 4, 2);
        for number in 1..=7 {
            file.append(format!("{number}\n").into_bytes()).unwrap();
        }
        let read = |times| fs::read_to_string(rotated(&path, times)).unwrap();
        assert_eq!((read(0), read(1), read(2)), ("7\n".into(), "5\n6\n".into(), "3\n4\n".into()));
        assert!(!rotated(&path, 3).exists());
    }

    /// Every write fails, as on a full disk: the same file, but not open for writing.
    fn fill(file: &AuditFile) {
        file.end().file = File::open(&file.path).unwrap();
    }

    fn make_room(file: &AuditFile) {
        file.end().file = append(&file.path).unwrap();
    }

    #[test]
    fn lines_wait_in_their_order_for_room() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let file = open(&path, 0, 0);
        fill(&file);
        file.append(b"1\n".to_vec()).unwrap_err();
        file.append(b"2\n".to_vec()).unwrap_err();
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
        assert!(file.is_open(), "some may wait");
        make_room(&file);
        file.append(b"3\n".to_vec()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n2\n3\n");
    }

    #[test]
    fn not_more_wait_than_may() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let file = open(&path, 0, 0);
        fill(&file);
        for number in 0..MAX_WAITING + 10 {
            file.append(format!("{number}\n").into_bytes()).unwrap_err();
        }
        assert!(!file.is_open());
        make_room(&file);
        assert!(file.is_open());
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
        let path = folder.path().join("a");
        let file = open(&path, 0, 0);
        let line = [&[b'x'; 4999][..], b"\n"].concat();
        let written = (0..100).take_while(|_| file.append(line.clone()).is_ok()).count();
        let length = fs::metadata(&path).unwrap().len();
        std::process::Command::new("umount").arg("-l").arg(folder.path()).status().unwrap();
        assert!(written > 5);
        assert_eq!(length, 5000 * written as u64);
    }
}

//! The audit file itself: appended to, followed when somebody moves it, put aside when it has grown.

use super::AuditConfig;
use super::reader::rotated;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The open file.
#[derive(Debug)]
pub(super) struct AuditFile {
    path: PathBuf,
    rotate_bytes: u64,
    keep: usize,
    file: Mutex<File>,
}

impl AuditFile {
    pub(super) fn open(config: &AuditConfig) -> io::Result<Self> {
        let path = config.file.clone();
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let file = Mutex::new(append(&path)?);
        Ok(Self { path, rotate_bytes: config.rotate_bytes, keep: config.keep, file })
    }

    /// Writes a line. When somebody has moved the file away (logrotate) a new one is started.
    pub(super) fn append(&self, line: &[u8]) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let open = file.metadata()?;
        let there = fs::metadata(&self.path);
        if !there.is_ok_and(|there| (there.dev(), there.ino()) == (open.dev(), open.ino())) {
            *file = append(&self.path)?;
        } else if self.rotate_bytes > 0 && open.len() >= self.rotate_bytes {
            match self.put_aside() {
                Ok(()) => *file = append(&self.path)?,
                // Better too long a file than a decision that is not recorded.
                Err(error) => {
                    tracing::error!(%error, path = %self.path.display(), "audit file not put aside");
                }
            }
        }
        file.write_all(line)
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
        file.append(b"1\n").unwrap();
        fs::rename(&path, &moved).unwrap();
        file.append(b"2\n").unwrap();
        assert_eq!((fs::read(&path).unwrap(), fs::read(&moved).unwrap()), (b"2\n".into(), b"1\n".into()));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_full_file_is_put_aside_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let file = open(&path, 4, 2);
        for number in 1..=7 {
            file.append(format!("{number}\n").as_bytes()).unwrap();
        }
        let read = |times| fs::read_to_string(rotated(&path, times)).unwrap();
        assert_eq!((read(0), read(1), read(2)), ("7\n".into(), "5\n6\n".into(), "3\n4\n".into()));
        assert!(!rotated(&path, 3).exists());
    }
}

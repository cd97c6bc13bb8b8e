//! A local file that appears under its name only when it is whole: written beside it, then renamed.

use super::{TransferError, failure::local};
use std::{
    fs::{self, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// Links followed to a file; the system gives up at as many.
const MAX_LINKS: usize = 40;

/// A file on its way. Dropped before it is finished, it leaves nothing behind.
#[derive(Debug)]
pub(super) struct Arrival {
    file: File,
    /// None: written in place, because what is there is no plain file (`/dev/null`).
    whole: Option<Rename>,
}

#[derive(Debug)]
struct Rename {
    from: PathBuf,
    to: PathBuf,
    done: bool,
}

impl Arrival {
    /// Opens it. `temporary` is its name until it is whole, in the same directory: a name of the job's own, so that an earlier attempt
    /// which was cut short is overwritten and, in the end, found and removed.
    pub(super) fn open(path: &Path, temporary: &str) -> Result<Self, TransferError> {
        let path = follow(path).map_err(local(path))?;
        let there = match fs::symlink_metadata(&path) {
            Ok(there) => Some(there),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(local(&path)(error)),
        };
        if let Some(there) = &there
            && !there.is_file()
        {
            return Self::open_in_place(&path, there);
        }
        let from = path.with_file_name(temporary);
        match fs::remove_file(&from) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(local(&from)(error)),
            _ => {}
        }
        // Like any file that a program of the user's makes: what the umask allows.
        let file =
            OpenOptions::new().write(true).create_new(true).mode(0o666).open(&from).map_err(local(&path))?;
        let arrival = Self { file, whole: Some(Rename { from, to: path.clone(), done: false }) };
        if let Some(there) = there {
            let mode = Permissions::from_mode(there.permissions().mode() & 0o7777);
            arrival.file.set_permissions(mode).map_err(local(&path))?;
        }
        Ok(arrival)
    }

    /// Devices take what they are given; nobody reads half of it. A directory says so, a pipe without a reader too.
    fn open_in_place(path: &Path, there: &fs::Metadata) -> Result<Self, TransferError> {
        if there.file_type().is_socket() {
            return Err(local(path)(io::Error::new(io::ErrorKind::InvalidInput, "it is a socket")));
        }
        let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let file = OpenOptions::new().write(true).custom_flags(flags).open(path).map_err(local(path))?;
        Ok(Self { file, whole: None })
    }

    /// Where to write.
    pub(super) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Another handle on the same file, for a writer that wants one of its own.
    pub(super) fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// It is whole: gives it its name.
    pub(super) fn finish(mut self) -> Result<(), TransferError> {
        let Some(whole) = &mut self.whole else { return Ok(()) };
        fs::rename(&whole.from, &whole.to).map_err(local(&whole.to))?;
        whole.done = true;
        Ok(())
    }
}

impl Drop for Rename {
    fn drop(&mut self) {
        if !self.done {
            // Whatever cannot be removed now is removed when the job is cleaned up.
            let _ = fs::remove_file(&self.from);
        }
    }
}

/// Where a file of this path is until it is whole.
pub(super) fn beside(path: &Path, temporary: &str) -> PathBuf {
    follow(path).unwrap_or_else(|_| path.to_owned()).with_file_name(temporary)
}

/// The file that a path means, through links, also one that does not exist yet.
fn follow(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&path) {
            Ok(next) => path = path.parent().unwrap_or(Path::new("/")).join(next),
            // No link, or nothing at all.
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::NotFound) => {
                return Ok(path);
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::from(rustix::io::Errno::LOOP))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    const TEMPORARY: &str = ".gridiron-1.2-in0";

    fn arrive(path: &Path, content: &[u8]) -> Result<(), TransferError> {
        let mut arrival = Arrival::open(path, TEMPORARY)?;
        arrival.file().write_all(content).unwrap();
        arrival.finish()
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        entries.collect()
    }

    #[test]
    fn nothing_is_seen_before_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o750)).unwrap();
        let mut arrival = Arrival::open(&path, TEMPORARY).unwrap();
        arrival.file().write_all(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        arrival.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o750, "the mode stays");
        assert_eq!(names(folder.path()), ["x"]);
    }

    #[test]
    fn what_is_broken_off_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        drop(Arrival::open(&folder.path().join("x"), TEMPORARY).unwrap());
        assert!(names(folder.path()).is_empty());
        // A manager that was killed could not remove it.
        fs::write(folder.path().join(TEMPORARY), "half").unwrap();
        arrive(&folder.path().join("x"), b"whole").unwrap();
        assert_eq!(fs::read(folder.path().join("x")).unwrap(), b"whole");
        assert_eq!(names(folder.path()), ["x"]);
    }

    #[test]
    fn links_are_followed_and_stay() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("there", &link).unwrap();
        arrive(&link, b"1").unwrap();
        arrive(&link, b"2").unwrap();
        assert_eq!(fs::read(folder.path().join("there")).unwrap(), b"2");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        std::os::unix::fs::symlink("round", folder.path().join("round")).unwrap();
        arrive(&folder.path().join("round"), b"").unwrap_err();
    }

    #[test]
    fn what_is_no_file_is_written_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        arrive(Path::new("/dev/null"), b"gone").unwrap();
        assert!(Path::new("/dev/null").metadata().unwrap().file_type().is_char_device());
        arrive(folder.path(), b"").unwrap_err();
        arrive(&folder.path().join("no/such/folder"), b"").unwrap_err();
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
            .unwrap();
        arrive(&pipe, b"").unwrap_err();
    }
}

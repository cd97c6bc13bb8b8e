//! Reading files of a site without being led out of it: no link is followed below the folder that the site file names, and what
//! is not a plain file is not opened for reading. Accounts own what is in their folders, and root reads there.

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, openat2, statat};
use std::{
    fs::{File, Metadata},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::{fd::OwnedFd, unix::fs::MetadataExt as _},
    path::Path,
};

/// A folder that the site file names.
pub(super) struct Place {
    folder: OwnedFd,
}

impl Place {
    /// Opens it. Links on the way to it are the site's own.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        Ok(Self { folder: File::open(folder)?.into() })
    }

    /// A plain file below, for reading, and what it is.
    fn file(&self, name: &Path) -> io::Result<(File, Metadata)> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let file = File::from(openat2(&self.folder, name, flags, Mode::empty(), resolve)?);
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is no plain file"));
        }
        // Another name for somebody else's file is a way out, too.
        if metadata.nlink() > 1 {
            return Err(io::Error::other("it has another name elsewhere (hard link)"));
        }
        Ok((file, metadata))
    }

    /// The last bytes of a file as text, from the beginning of a line.
    pub(super) fn tail(&self, name: impl AsRef<Path>, bytes: u64) -> io::Result<String> {
        let (mut file, metadata) = self.file(name.as_ref())?;
        let skipped = metadata.len().saturating_sub(bytes);
        file.seek(SeekFrom::Start(skipped))?;
        let mut content = Vec::new();
        file.take(bytes).read_to_end(&mut content)?;
        let text = String::from_utf8_lossy(&content).into_owned();
        if skipped == 0 {
            return Ok(text);
        }
        let rest = text.split_once('\n').map_or(text.as_str(), |(_, rest)| rest);
        Ok(format!("… {skipped} bytes before this are left out\n{rest}"))
    }

    /// Names of the folders in it that are no links, with their owners' uids; at most so many.
    pub(super) fn folders(&self, most: usize) -> io::Result<Vec<(String, u32)>> {
        let mut found = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if name.starts_with('.') {
                continue;
            }
            let stat = statat(&self.folder, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)?;
            if rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir() && found.len() < most {
                found.push((name.to_owned(), stat.st_uid));
            }
        }
        found.sort();
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink};

    #[test]
    fn nothing_leads_out() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "s3cret").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("alice")).unwrap();
        fs::write(at("alice/log"), "one\ntwo\nthree\n").unwrap();
        symlink(outside.path().join("secret"), at("alice/link")).unwrap();
        symlink(outside.path(), at("out")).unwrap();
        fs::hard_link(at("alice/log"), at("alice/twin")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, at("alice/fifo"), rustix::fs::FileType::Fifo, Mode::RWXU, 0)
            .unwrap();
        let place = Place::open(folder.path()).unwrap();
        for way_out in
            ["alice/link", "out/secret", "alice/../../secret", "alice/fifo", "alice/log", "alice/none"]
        {
            assert!(place.tail(way_out, 100).is_err(), "{way_out}");
        }
        fs::remove_file(at("alice/twin")).unwrap();
        assert_eq!(place.tail("alice/log", 100).unwrap(), "one\ntwo\nthree\n");
        assert_eq!(place.tail("alice/log", 8).unwrap(), "… 6 bytes before this are left out\nthree\n");
        let names: Vec<_> = place.folders(10).unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["alice"]);
    }
}

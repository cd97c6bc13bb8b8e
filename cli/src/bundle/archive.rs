//! The archive: one file of its owner's alone, and in it a manifest of what is in and what was left out.

use super::mask::mask;
use crate::failure::Failure;
use flate2::{Compression, write::GzEncoder};
use jiff::Timestamp;
use serde::Serialize;
use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// What a bundle holds and lacks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Manifest {
    /// In the bundle.
    pub files: Vec<Included>,
    /// Not in it.
    pub left_out: Vec<LeftOut>,
}

/// One file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Included {
    /// Its name there.
    pub name: String,
    /// What it is, and where it comes from.
    pub what: String,
    /// Its size.
    pub bytes: usize,
    /// Secrets that were masked in it.
    pub masked: usize,
}

/// Something that is not in a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
}

/// A bundle being written.
pub(super) struct Archive {
    tar: tar::Builder<GzEncoder<File>>,
    path: PathBuf,
    folder: String,
    now: Timestamp,
    manifest: Manifest,
}

impl Archive {
    /// Begins a new file, which must not exist, for its owner alone. Everything lies in one folder of the file's name.
    pub(super) fn create(path: &Path, now: Timestamp) -> Result<Self, Failure> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file =
            file.map_err(|error| Failure::local(format!("cannot write {}", path.display()), &error))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Ok(Self {
            tar: tar::Builder::new(GzEncoder::new(file, Compression::default())),
            path: path.to_owned(),
            folder: name.trim_end_matches(".tar.gz").trim_end_matches(".tgz").to_owned(),
            now,
            manifest: Manifest::default(),
        })
    }

    /// Adds a text, without its secrets.
    pub(super) fn add(&mut self, name: &str, what: impl Into<String>, text: &str) -> Result<(), Failure> {
        let (text, masked) = mask(text);
        self.put(name, text.as_bytes())?;
        let (name, what, bytes) = (name.to_owned(), what.into(), text.len());
        self.manifest.files.push(Included { name, what, bytes, masked });
        Ok(())
    }

    /// Adds a value as JSON.
    pub(super) fn add_json(
        &mut self,
        name: &str,
        what: impl Into<String>,
        value: &impl Serialize,
    ) -> Result<(), Failure> {
        // Serialising plain values to a string cannot fail.
        let text = serde_json::to_string_pretty(value).unwrap_or_default();
        self.add(name, what, &(text + "\n"))
    }

    /// Adds what has been read, or notes why it could not be.
    pub(super) fn add_read(
        &mut self,
        name: &str,
        what: &str,
        read: io::Result<String>,
    ) -> Result<(), Failure> {
        match read {
            Ok(text) => self.add(name, what, &text),
            Err(error) => {
                self.leave_out(what, error.to_string());
                Ok(())
            }
        }
    }

    /// Notes something that is not in the bundle.
    pub(super) fn leave_out(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.manifest.left_out.push(LeftOut { what: what.into(), why: why.into() });
    }

    /// Ends the file with its manifest, which is given back.
    pub(super) fn finish(mut self) -> Result<Manifest, Failure> {
        let text = serde_json::to_string_pretty(&self.manifest).unwrap_or_default() + "\n";
        self.put("manifest.json", text.as_bytes())?;
        let path = self.path.clone();
        let ended = self.tar.into_inner().and_then(GzEncoder::finish).and_then(|mut file| file.flush());
        ended.map_err(|error| Failure::local(format!("cannot write {}", path.display()), &error))?;
        Ok(self.manifest)
    }

    fn put(&mut self, name: &str, content: &[u8]) -> Result<(), Failure> {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(u64::try_from(self.now.as_second()).unwrap_or_default());
        let name = format!("{}/{name}", self.folder);
        self.tar
            .append_data(&mut header, name, content)
            .map_err(|error| Failure::local(format!("cannot write {}", self.path.display()), &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::{io::Read as _, os::unix::fs::PermissionsExt as _};

    #[test]
    fn what_is_in_and_what_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site.tar.gz");
        let mut archive = Archive::create(&path, Timestamp::UNIX_EPOCH).unwrap();
        archive.add("a.txt", "a text", "password=s3cret\n").unwrap();
        archive.add_read("b.txt", "a file", Err(io::ErrorKind::PermissionDenied.into())).unwrap();
        let manifest = archive.finish().unwrap();
        assert_eq!((manifest.files[0].masked, manifest.files[0].bytes), (1, 13));
        assert_eq!(manifest.left_out[0].what, "a file");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(Archive::create(&path, Timestamp::UNIX_EPOCH).is_err(), "nothing is overwritten");

        let mut tar = tar::Archive::new(GzDecoder::new(File::open(&path).unwrap()));
        let read = |entry: io::Result<tar::Entry<'_, _>>| {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (entry.path().unwrap().display().to_string(), text)
        };
        let files: Vec<_> = tar.entries().unwrap().map(read).collect();
        assert_eq!(files[0], ("site/a.txt".to_owned(), "password=***\n".to_owned()));
        assert_eq!(files[1].0, "site/manifest.json");
        assert!(!files[1].1.contains("s3cret"));
    }
}

//! Reading and writing credential files with the permission rules of gsi.md §6.2.

use super::CredentialError;
use crate::GsiError;
use crate::certificate::MAX_PEM_BYTES;
use rustix::process::geteuid;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Which rule a file is held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Secrecy {
    /// Keys and proxies: at most 0600.
    Private,
    /// Certificates: at most 0644.
    Public,
}

impl Secrecy {
    fn permitted(self) -> u32 {
        match self {
            Self::Private => 0o600,
            Self::Public => 0o644,
        }
    }
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileProblem {
    /// It is not there.
    #[error("no such file")]
    Missing,
    /// It cannot be opened or read.
    #[error("cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    /// A directory, device or the like.
    #[error("not a regular file")]
    NotRegular,
    /// Nothing in it.
    #[error("the file is empty")]
    Empty,
    /// More than any credential has.
    #[error("the file has {0} bytes; at most {MAX_PEM_BYTES} are read")]
    TooLarge(u64),
    /// Somebody else's.
    #[error("owned by uid {owner}, but must be owned by uid {wanted}, which runs this program")]
    NotOurs {
        /// Whose it is.
        owner: u32,
        /// Who we are.
        wanted: u32,
    },
    /// Others may read or change it.
    #[error("its mode {mode:04o} lets others in; run `chmod {permitted:o} {}`", path.display())]
    TooOpen {
        /// Its mode.
        mode: u32,
        /// The most it may be.
        permitted: u32,
        /// For the command.
        path: PathBuf,
    },
}

/// Reads a whole file after checking what was opened, so that nothing can change in between.
fn read(path: &Path, secrecy: Secrecy) -> Result<Zeroizing<Vec<u8>>, CredentialError> {
    read_checked(path, secrecy).map_err(|problem| CredentialError::File { path: path.to_owned(), problem })
}

fn read_checked(path: &Path, secrecy: Secrecy) -> Result<Zeroizing<Vec<u8>>, FileProblem> {
    // Non-blocking, so that a FIFO in the place of a file does not hold us up.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file =
        OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => FileProblem::Missing,
            _ => FileProblem::Unreadable(error),
        })?;
    let size = check(&file, path, secrecy)?;
    let mut content = Zeroizing::new(Vec::with_capacity(size));
    file.take(MAX_PEM_BYTES as u64).read_to_end(&mut content).map_err(FileProblem::Unreadable)?;
    Ok(content)
}

/// The size of the file, if it may be used.
fn check(file: &File, path: &Path, secrecy: Secrecy) -> Result<usize, FileProblem> {
    let metadata = file.metadata().map_err(FileProblem::Unreadable)?;
    if !metadata.is_file() {
        return Err(FileProblem::NotRegular);
    }
    let (owner, wanted) = (metadata.uid(), geteuid().as_raw());
    // Root's certificate is as good as our own: a gatekeeper with an account of its own is shown the host's.
    if owner != wanted && !(owner == 0 && secrecy == Secrecy::Public) {
        return Err(FileProblem::NotOurs { owner, wanted });
    }
    let (mode, permitted) = (metadata.mode() & 0o777, secrecy.permitted());
    if mode & !permitted != 0 {
        return Err(FileProblem::TooOpen { mode, permitted, path: path.to_owned() });
    }
    match usize::try_from(metadata.len()) {
        Ok(0) => Err(FileProblem::Empty),
        Ok(size) if size <= MAX_PEM_BYTES => Ok(size),
        _ => Err(FileProblem::TooLarge(metadata.len())),
    }
}

/// A file held to the rule for keys.
pub(crate) fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, CredentialError> {
    read(path, Secrecy::Private)
}

/// A file held to the rule for certificates.
pub(crate) fn read_public(path: &Path) -> Result<Zeroizing<Vec<u8>>, CredentialError> {
    read(path, Secrecy::Public)
}

/// Writes a file of mode 0644 in the same way as [`write_private`].
pub(crate) fn write_public(path: &Path, content: &[u8]) -> Result<(), GsiError> {
    write_new(path, content, 0o644)
        .map_err(|source| CredentialError::Write { path: path.to_owned(), source }.into())
}

/// Writes a file of mode 0600 under a name of its own and moves it into place.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<(), GsiError> {
    write_new(path, content, 0o600)
        .map_err(|source| CredentialError::Write { path: path.to_owned(), source }.into())
}

fn write_new(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut random = [0; 8];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| io::Error::other("no randomness"))?;
    let name = path.file_name().ok_or_else(|| io::Error::other("the path names no file"))?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{:016x}", u64::from_ne_bytes(random)));
    let temporary = path.with_file_name(temporary);

    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
    let written = file.write_all(content).and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

//! Pool accounts: leases kept as hard links in a directory (GRIDMAPDIR), shared with the stock programs (gsi.md §10).
//!
//! An account's file with one link is free; with a second link, named after a subject, it is that subject's.

use crate::Subject;
use std::fmt::Write as _;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::SystemTime;

/// Why no pool account was had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// No directory is configured.
    #[error("the entry asks for a pool account, but GRIDMAPDIR is not set")]
    NoDirectory,
    /// All accounts are leased.
    #[error("no account of the pool {0:?} is free")]
    Exhausted(String),
    /// The subject has a lease on an account that is not of the pool.
    #[error("the subject already leases {account}, which is not of the pool {pool:?}; remove that lease")]
    OtherPool {
        /// The leased account.
        account: String,
        /// The pool the entry names.
        pool: String,
    },
    /// The lease's account file is gone.
    #[error("the lease {0} belongs to no account file")]
    Orphan(String),
    /// The operating system refused.
    #[error("pool directory: {0}")]
    Io(#[from] io::Error),
}

/// The account a subject leases from the pool `prefix`: the one it has, else the first free one by name.
///
/// # Errors
/// When there is no directory, or nothing in it is free.
pub fn lease(directory: Option<&Path>, prefix: &str, subject: &Subject) -> Result<String, PoolError> {
    let directory = directory.ok_or(PoolError::NoDirectory)?;
    if let Some(account) = leased(directory, subject)? {
        if account.starts_with(prefix) {
            return Ok(account);
        }
        return Err(PoolError::OtherPool { account, pool: prefix.to_owned() });
    }
    let lease = directory.join(file_name(subject));
    for account in accounts(directory)?.into_iter().filter(|account| account.starts_with(prefix)) {
        let path = directory.join(&account);
        if links(&path) != Some(1) {
            continue;
        }
        match std::fs::hard_link(&path, &lease) {
            // Two subjects may have linked the same account at once; both step back and look on.
            Ok(()) if links(&path) == Some(2) => return Ok(account),
            Ok(()) => std::fs::remove_file(&lease)?,
            // The same subject got a lease through another process just now.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return leased(directory, subject)?.ok_or_else(|| PoolError::Orphan(file_name(subject)));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(PoolError::Exhausted(prefix.to_owned()))
}

/// The account a subject leases now; using a lease touches it, so that old ones can be told.
///
/// # Errors
/// When the directory cannot be read or the lease is broken.
pub fn leased(directory: &Path, subject: &Subject) -> Result<Option<String>, PoolError> {
    let path = directory.join(file_name(subject));
    let lease = match std::fs::metadata(&path) {
        Ok(lease) => lease,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let same = |account: &String| inode(&directory.join(account)) == Some((lease.dev(), lease.ino()));
    let account = accounts(directory)?.into_iter().find(same);
    if let Ok(file) = std::fs::File::options().append(true).open(&path) {
        // Without the right to touch it the lease is still good.
        let _ = file.set_modified(SystemTime::now());
    }
    account.map(Some).ok_or_else(|| PoolError::Orphan(file_name(subject)))
}

/// Who leases an account: the subject in lower case, as the file's name keeps it.
pub fn holder(directory: &Path, account: &str) -> Option<Subject> {
    let wanted = is_account(account).then(|| inode(&directory.join(account))).flatten()?;
    let names =
        std::fs::read_dir(directory).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut leases = names.filter(|name| name.starts_with('%'));
    leases.find(|name| inode(&directory.join(name)) == Some(wanted)).map(|name| Subject::new(unescape(&name)))
}

/// The accounts of a pool directory, by name.
fn accounts(directory: &Path) -> io::Result<Vec<String>> {
    let mut accounts = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        accounts.extend(entry?.file_name().into_string().ok().filter(|name| is_account(name)));
    }
    accounts.sort();
    Ok(accounts)
}

fn is_account(name: &str) -> bool {
    !name.starts_with(['%', '.']) && !name.contains(['~', '/']) && name != "root" && !name.is_empty()
}

fn links(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|file| file.nlink())
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Letters and digits in lower case, everything else `%hh`.
fn file_name(subject: &Subject) -> String {
    let mut name = String::with_capacity(subject.as_str().len() * 2);
    for byte in subject.as_str().bytes() {
        if byte.is_ascii_alphanumeric() {
            name.push(char::from(byte.to_ascii_lowercase()));
        } else {
            let _ = write!(name, "%{byte:02x}");
        }
    }
    name
}

fn unescape(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend(before.bytes());
        let byte = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(b'%'));
        rest = if byte.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    bytes.extend(rest.bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

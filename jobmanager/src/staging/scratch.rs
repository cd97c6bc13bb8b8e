//! The job's own scratch directory (rsl.md §9): `gram_scratch_` and six letters or digits below the directory that `scratch_dir`
//! names. Its name is stored with the job before it is made, so that a crash leaves none behind.

use crate::launch::JobKey;
use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    path::Path,
};

const LETTERS: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const LENGTH: usize = 6;
const PREFIX: &str = "gram_scratch_";

/// A name for the directory of a job. The key is random, and so the name is.
pub fn name(key: JobKey) -> String {
    let mut left = key.high ^ key.low.rotate_left(32);
    let mut name = String::from(PREFIX);
    for _ in 0..LENGTH {
        let letter = LETTERS.get((left % 62) as usize).copied().unwrap_or(b'x');
        name.push(char::from(letter));
        left /= 62;
    }
    name
}

/// Whether a scratch directory can be made below `base`.
pub fn check(base: &Path) -> io::Result<()> {
    if !fs::metadata(base)?.is_dir() {
        return Err(io::Error::from(io::ErrorKind::NotADirectory));
    }
    Ok(rustix::fs::access(base, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)?)
}

/// Makes it, for its owner alone. One that an earlier attempt has made will do; somebody else's will not.
pub(super) fn make(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => return other,
    }
    let there = fs::symlink_metadata(path)?;
    let is_ours = there.uid() == rustix::process::geteuid().as_raw();
    if there.is_dir() && is_ours && there.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "something else has its name"))
}

/// Removes it with everything in it; nothing there is fine.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let ours = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
    match fs::symlink_metadata(path) {
        Ok(there) if ours && there.is_dir() => fs::remove_dir_all(path),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_of_the_stock_form() {
        let name = name(JobKey { high: 0x1234_5678_9abc_def0, low: 77 });
        assert!(name.starts_with(PREFIX) && name.len() == PREFIX.len() + LENGTH, "{name}");
        assert!(name.bytes().skip(PREFIX.len()).all(|byte| byte.is_ascii_alphanumeric()));
        assert_ne!(name, super::name(JobKey { high: 0x1234_5678_9abc_def1, low: 77 }));
    }

    #[test]
    fn made_once_and_removed_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gram_scratch_aaaaaa");
        make(&path).unwrap();
        make(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        fs::create_dir(path.join("sub")).unwrap();
        fs::write(path.join("sub/file"), "x").unwrap();
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn somebody_elses_is_not_taken_and_a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        fs::create_dir(&target).unwrap();
        let path = folder.path().join("gram_scratch_bbbbbb");
        std::os::unix::fs::symlink(&target, &path).unwrap();
        make(&path).unwrap_err();
        remove(&path).unwrap();
        assert!(target.exists());
        fs::set_permissions(&target, fs::Permissions::from_mode(0o777)).unwrap();
        make(&target).unwrap_err();
    }

    #[test]
    fn a_base_must_be_a_directory() {
        let folder = tempfile::tempdir().unwrap();
        check(folder.path()).unwrap();
        check(&folder.path().join("no")).unwrap_err();
        check(Path::new("/dev/null")).unwrap_err();
    }
}

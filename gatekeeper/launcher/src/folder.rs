//! The account's folder below the state directory. It is the account's own; the gatekeeper may pass through it to the
//! control socket, which is the one thing in it that others than the account can open; nobody else gets in.
//!
//! Everything goes through descriptors, and no symbolic link is followed. The state directory is root's, so what stands
//! in it was put there by this module.

use std::{os::fd::OwnedFd, path::Path};

use rustix::{
    fs::{CWD, Mode, OFlags, Stat, fchmod, fchown, fstat, mkdirat, openat},
    io::Errno,
    process::{Gid, Uid},
};

use crate::{Doing, Failure, account::Account};

/// The account: all. The gatekeeper's group: pass through. Others: nothing.
const MODE: u32 = 0o710;

/// The state directory, which only root may write in.
pub fn state(path: &Path) -> Result<OwnedFd, Failure> {
    let doing = || format!("the state directory {}", path.display());
    let folder = openat(CWD, path, flags(), Mode::empty()).doing(doing)?;
    let stat = fstat(&folder).doing(doing)?;
    if stat.st_uid != 0 || stat.st_mode & 0o022 != 0 {
        return Err(Failure::new(doing(), "it must be root's, and nobody else may write in it"));
    }
    Ok(folder)
}

/// The account's folder, made if it is not there.
pub fn open(state: &OwnedFd, account: &Account, gatekeeper_gid: u32) -> Result<OwnedFd, Failure> {
    let doing = || format!("the folder of {}", account.name);
    let name = account.name.as_str();
    match mkdirat(state, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(Failure::new(doing(), error)),
    }
    let folder = openat(state, name, flags(), Mode::empty()).doing(doing)?;
    let stat = fstat(&folder).doing(doing)?;
    // Root's: just made, or made by a launcher that died before it could give it away.
    if stat.st_uid != account.uid && stat.st_uid != 0 {
        let why = format!("it belongs to uid {}, not to {}; move it away", stat.st_uid, account.uid);
        return Err(Failure::new(doing(), why));
    }
    if !is_right(&stat, account.uid, gatekeeper_gid) {
        // The owner last but for the mode, which a change of owner may alter.
        fchown(&folder, Some(Uid::from_raw(account.uid)), Some(Gid::from_raw(gatekeeper_gid)))
            .doing(doing)?;
        fchmod(&folder, Mode::from_raw_mode(MODE)).doing(doing)?;
    }
    Ok(folder)
}

fn is_right(stat: &Stat, uid: u32, gid: u32) -> bool {
    (stat.st_uid, stat.st_gid, stat.st_mode & 0o7777) == (uid, gid, MODE)
}

fn flags() -> OFlags {
    OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::AccountName;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    fn account(uid: u32) -> Account {
        let name = AccountName::new("alice").unwrap();
        Account { name, uid, gid: uid, groups: vec![uid], home: "/".into(), shell: "/bin/sh".into() }
    }

    /// A folder that is root's, which only root can make.
    fn house() -> Option<(tempfile::TempDir, OwnedFd)> {
        let folder = tempfile::tempdir().unwrap();
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: only root can give folders away");
            return None;
        }
        let state = state(folder.path()).unwrap();
        Some((folder, state))
    }

    #[test]
    fn made_and_put_right() {
        let Some((house, state)) = house() else { return };
        let path = house.path().join("alice");
        let look = || {
            let metadata = path.metadata().unwrap();
            (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777)
        };
        open(&state, &account(54_321), 54_322).unwrap();
        assert_eq!(look(), (54_321, 54_322, 0o710));
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o2777)).unwrap();
        open(&state, &account(54_321), 54_323).unwrap();
        assert_eq!(look(), (54_321, 54_323, 0o710));
        // The name has come to mean another account.
        let error = open(&state, &account(54_324), 54_323).unwrap_err();
        assert!(error.why.contains("belongs to uid 54321"), "{error}");
    }

    #[test]
    fn links_are_not_followed() {
        let Some((house, state)) = house() else { return };
        let elsewhere = tempfile::tempdir().unwrap();
        symlink(elsewhere.path(), house.path().join("alice")).unwrap();
        assert!(open(&state, &account(54_321), 54_322).is_err());
        assert_ne!(elsewhere.path().metadata().unwrap().uid(), 54_321);
        symlink(house.path(), elsewhere.path().join("state")).unwrap();
        assert!(super::state(&elsewhere.path().join("state")).is_err());
    }

    #[test]
    fn a_state_directory_that_others_may_write_in() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
        assert!(state(folder.path()).is_err());
        assert!(state(Path::new("/nonexistent")).is_err());
    }
}

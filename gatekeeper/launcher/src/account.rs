//! Looking an account up, and whether it may have a job manager.

use std::{ffi::CString, fs::File, io::Read, os::unix::fs::MetadataExt, path::Path, path::PathBuf};

use nix::unistd::{Gid, User, getgrouplist};

use crate::{
    Doing, Failure, log,
    protocol::{AccountName, Refusal},
    settings::Settings,
};

/// The uids of "nobody": the kernel's, and the one before 16-bit uids had to wrap.
const NOBODY: [u32; 3] = [65_534, 65_535, u32::MAX];
/// Longest list of accounts, in bytes.
const MAX_LIST: u64 = 1024 * 1024;

/// A local account, as the system's user database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Login name.
    pub name: AccountName,
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// All groups, the primary one included.
    pub groups: Vec<u32>,
    /// Home directory.
    pub home: PathBuf,
    /// Login shell.
    pub shell: PathBuf,
}

/// The gatekeeper as the launcher knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gatekeeper {
    /// Its user id.
    pub uid: u32,
    /// Its primary group.
    pub gid: u32,
}

impl Gatekeeper {
    /// Whoever runs this process.
    pub fn ourselves() -> Self {
        Self { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() }
    }
}

/// Looks an account up.
pub fn find(name: &AccountName) -> Result<Option<Account>, Failure> {
    let doing = || format!("looking up the account {name}");
    let Some(user) = User::from_name(name.as_str()).doing(doing)? else { return Ok(None) };
    // Directories that do not tell upper from lower case would give one account several names, and so several managers.
    if user.name != name.as_str() {
        return Ok(None);
    }
    let c_name = CString::new(name.as_str()).doing(doing)?;
    let groups = getgrouplist(&c_name, user.gid).doing(doing)?;
    Ok(Some(Account {
        name: name.clone(),
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
        groups: groups.into_iter().map(Gid::as_raw).collect(),
        home: user.dir,
        shell: user.shell,
    }))
}

/// The gatekeeper's account, which must be an ordinary one.
pub fn gatekeeper(settings: &Settings) -> Result<Account, Failure> {
    let doing = || format!("the gatekeeper's account {}", settings.user);
    let account = find(&settings.user)?
        .ok_or_else(|| Failure::new(doing(), "there is none; make it with useradd(8)"))?;
    if is_root(&account) {
        return Err(Failure::new(doing(), "it has uid 0 or is in group 0, which this is all there to avoid"));
    }
    Ok(account)
}

/// The account, if it may have a job manager.
pub fn admit(name: &AccountName, settings: &Settings, gatekeeper: Gatekeeper) -> Result<Account, Refusal> {
    permits(name, settings.minimum_uid, settings.accounts.as_deref(), gatekeeper)
}

/// See [`admit`]; `list` is the file with the only accounts that may.
pub fn permits(
    name: &AccountName,
    minimum_uid: u32,
    list: Option<&Path>,
    gatekeeper: Gatekeeper,
) -> Result<Account, Refusal> {
    let failed = |failure| {
        log(format_args!("{failure}"));
        Refusal::Failed
    };
    let account = find(name).map_err(failed)?.ok_or(Refusal::Unknown)?;
    // Read each time: a change counts at once. A list that cannot be trusted lists nobody.
    let listed = match list {
        None => true,
        Some(list) => is_listed(&read_list(list).map_err(failed)?, name),
    };
    judge(&account, minimum_uid, listed, gatekeeper).map(|()| account)
}

/// Whether the account may have a job manager. Login shells are not looked at: pool accounts, which nobody shall log
/// in to, have `nologin`, and jobs are no logins.
pub fn judge(account: &Account, minimum: u32, listed: bool, gatekeeper: Gatekeeper) -> Result<(), Refusal> {
    if is_root(account) {
        Err(Refusal::Root)
    } else if account.uid == gatekeeper.uid || account.groups.contains(&gatekeeper.gid) {
        // Its group alone opens the folders of all accounts as far as their control sockets.
        Err(Refusal::Gatekeeper)
    } else if account.uid < minimum || NOBODY.contains(&account.uid) {
        Err(Refusal::Uid)
    } else if !listed {
        Err(Refusal::Unlisted)
    } else {
        Ok(())
    }
}

fn is_root(account: &Account) -> bool {
    account.uid == 0 || account.gid == 0 || account.groups.contains(&0)
}

/// The text of a list that only root can have written.
fn read_list(path: &Path) -> Result<String, Failure> {
    let doing = || format!("reading the list of accounts {}", path.display());
    let file = File::open(path).doing(doing)?;
    let metadata = file.metadata().doing(doing)?;
    if metadata.uid() != 0 || metadata.mode() & 0o022 != 0 || !metadata.is_file() {
        return Err(Failure::new(doing(), "it must be a file of root's that nobody else may write"));
    }
    let mut text = String::new();
    file.take(MAX_LIST + 1).read_to_string(&mut text).doing(doing)?;
    if text.len() as u64 > MAX_LIST {
        return Err(Failure::new(doing(), format!("it has more than {MAX_LIST} bytes")));
    }
    Ok(text)
}

/// Whether a line of the list is this name. Blanks around it and what follows a `#` do not count.
fn is_listed(list: &str, name: &AccountName) -> bool {
    list.lines().filter_map(|line| line.split('#').next()).any(|line| line.trim() == name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATEKEEPER: Gatekeeper = Gatekeeper { uid: 990, gid: 980 };

    fn account(uid: u32, groups: &[u32]) -> Account {
        Account {
            name: AccountName::new("alice").unwrap(),
            uid,
            gid: groups[0],
            groups: groups.to_vec(),
            home: "/home/alice".into(),
            shell: "/bin/sh".into(),
        }
    }

    #[test]
    fn who_may() {
        let judge = |uid, groups: &[u32]| judge(&account(uid, groups), 1000, true, GATEKEEPER);
        assert_eq!(judge(1000, &[1000]), Ok(()));
        assert_eq!(judge(70_000, &[100, 200]), Ok(()));
        assert_eq!(judge(0, &[1000]), Err(Refusal::Root));
        assert_eq!(judge(1000, &[0]), Err(Refusal::Root));
        assert_eq!(judge(1000, &[1000, 0]), Err(Refusal::Root));
        assert_eq!(judge(999, &[1000]), Err(Refusal::Uid));
        assert_eq!(judge(65_534, &[65_534]), Err(Refusal::Uid));
        assert_eq!(judge(990, &[1000]), Err(Refusal::Gatekeeper));
        assert_eq!(judge(1000, &[1000, 980]), Err(Refusal::Gatekeeper));
        assert_eq!(super::judge(&account(1000, &[1000]), 1000, false, GATEKEEPER), Err(Refusal::Unlisted));
        assert_eq!(
            super::judge(&account(0, &[0]), 0, true, GATEKEEPER),
            Err(Refusal::Root),
            "whatever the minimum"
        );
    }

    #[test]
    fn lists() {
        let list = "# people\nalice\n  bob  # until May\n\ncarolx\n";
        let listed = |name| is_listed(list, &AccountName::new(name).unwrap());
        assert!(listed("alice") && listed("bob"));
        assert!(!listed("carol") && !listed("people") && !listed("until"));
    }

    #[test]
    fn lists_that_others_may_write_are_not_read() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("accounts");
        std::fs::write(&list, "alice\n").unwrap();
        std::fs::set_permissions(&list, std::fs::Permissions::from_mode(0o666)).unwrap();
        assert!(read_list(&list).unwrap_err().why.contains("nobody else may write"));
        assert!(read_list(folder.path()).is_err());
        assert!(read_list(&folder.path().join("none")).is_err());
    }

    #[test]
    fn the_database_is_asked() {
        let root = find(&AccountName::new("root").unwrap()).unwrap().unwrap();
        assert_eq!((root.uid, root.gid, is_root(&root)), (0, 0, true));
        assert_eq!(find(&AccountName::new("no-such-account-here").unwrap()).unwrap(), None);
    }
}

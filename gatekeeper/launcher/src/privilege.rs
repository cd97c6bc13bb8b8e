//! Becoming an account for good, and making sure of it. For a process with one thread.

use std::collections::BTreeSet;

use nix::unistd::{
    Gid, Uid, getgroups, getresgid, getresuid, setgid, setgroups, setresgid, setresuid, setuid,
};
use rustix::thread::{
    CapabilitySet, capabilities, capability_is_in_bounding_set, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_no_new_privs,
};

use crate::{Doing, Failure, account::Account};

/// Takes the account's groups, group and user id, each in all its kinds, and verifies that there is no way back.
pub fn become_account(account: &Account) -> Result<(), Failure> {
    let step = |name: &'static str| move || format!("becoming {}: {name}", account.name);
    let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
    let groups: Vec<Gid> = account.groups.iter().copied().map(Gid::from_raw).collect();
    clear_ambient_capability_set().doing(step("ambient capabilities"))?;
    // In this order: without uid 0 the other two are not allowed any more.
    setgroups(&groups).doing(step("setgroups"))?;
    setresgid(gid, gid, gid).doing(step("setresgid"))?;
    setresuid(uid, uid, uid).doing(step("setresuid"))?;
    verify(account)
}

/// Gives up, before [`become_account`], every way in which a program could get privileges that its account has not.
pub fn renounce() -> Result<(), Failure> {
    for capability in CapabilitySet::all().iter().chain(unnamed_capabilities()) {
        // Those that the kernel does not know are an error to ask for.
        if capability_is_in_bounding_set(capability).unwrap_or(false) {
            remove_capability_from_bounding_set(capability)
                .doing(|| "emptying the bounding set".to_owned())?;
        }
    }
    no_new_privileges()
}

/// From now on no set-user-id program gives this process, or what it starts, any privilege.
pub fn no_new_privileges() -> Result<(), Failure> {
    set_no_new_privs(true).doing(|| "forgoing new privileges".to_owned())
}

/// Capabilities of kernels newer than this program.
fn unnamed_capabilities() -> impl Iterator<Item = CapabilitySet> {
    (0..u64::BITS).map(|bit| CapabilitySet::from_bits_retain(1 << bit))
}

/// That every id is the account's, that no capability is left, and that root's ids cannot be taken.
fn verify(account: &Account) -> Result<(), Failure> {
    let doing = || format!("making sure to be {} for good", account.name);
    let failed = |why: &str| Err(Failure::new(doing(), why));
    let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
    let (uids, gids) = (getresuid().doing(doing)?, getresgid().doing(doing)?);
    if [uids.real, uids.effective, uids.saved] != [uid; 3]
        || [gids.real, gids.effective, gids.saved] != [gid; 3]
    {
        return failed("the ids are not the account's");
    }
    let groups: BTreeSet<u32> = getgroups().doing(doing)?.into_iter().map(Gid::as_raw).collect();
    if groups != account.groups.iter().copied().collect() {
        return failed("the groups are not the account's");
    }
    let left = capabilities(None).doing(doing)?;
    if !(left.effective | left.permitted | left.inheritable).is_empty() {
        return failed("capabilities are left");
    }
    let root = (Uid::from_raw(0), Gid::from_raw(0));
    if setuid(root.0).is_ok()
        || setresuid(root.0, root.0, root.0).is_ok()
        || setgid(root.1).is_ok()
        || setgroups(&[root.1]).is_ok()
    {
        return failed("there is a way back to root");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account;
    use crate::protocol::AccountName;

    /// Whoever runs this, it is not possible to verify that one has become somebody else.
    #[test]
    fn one_who_has_not_dropped_is_told() {
        let mut account = account::find(&AccountName::new("root").unwrap()).unwrap().unwrap();
        account.uid = rustix::process::geteuid().as_raw() + 1;
        assert!(verify(&account).is_err());
        if rustix::process::geteuid().is_root() {
            account.uid = 0;
            assert!(verify(&account).is_err(), "root can always go back");
        }
    }
}

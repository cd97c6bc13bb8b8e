//! What `gridiron check` and `gridiron explain` say about a site for many accounts.

use super::{Launcher, open_to_others};
use crate::site::{Problem, Site};
use launcher::{
    account::{self, Gatekeeper},
    protocol::{AccountName, Refusal},
    settings::Limit,
};
use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// What is wrong with a site for many accounts.
pub fn problems(launcher: &Launcher, site: &Site, file: &Path) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut add = |file: &Path, message: String| {
        found.push(Problem { file: file.to_owned(), line: None, message });
    };
    let programs = [std::env::current_exe().ok(), launcher.program().ok()];
    let trusted: Vec<PathBuf> = programs
        .into_iter()
        .chain([Some(file.to_owned()), launcher.accounts.clone()])
        .flatten()
        .chain([site.gatekeeper.state.clone()])
        .chain(launcher.socket.parent().map(Path::to_owned).filter(|folder| folder.exists()))
        .collect();
    for path in trusted {
        if let Some(problem) = open_to_others(&path) {
            add(&path, problem);
        }
    }
    for path in [file, &site.gatekeeper.trust] {
        if path.metadata().is_ok_and(|metadata| metadata.mode() & 0o004 == 0) {
            add(path, "job managers read it as their accounts; try: chmod o+rX".to_owned());
        }
    }
    let gatekeeper = match launcher.gatekeeper() {
        Ok(account) if account.uid != 0 => account,
        Ok(_) => {
            add(file, "[launcher] user: the gatekeeper must not be root".to_owned());
            return found;
        }
        Err(failure) => {
            add(file, format!("{failure}; try: {}", failure.advice.as_deref().unwrap_or_default()));
            return found;
        }
    };
    let user = &launcher.user;
    let log = site.gatekeeper.audit.parent().unwrap_or(Path::new("/"));
    let own =
        [(&*site.gatekeeper.key, "chmod 400"), (log, "chmod 700"), (&*site.gatekeeper.register, "chmod 700")];
    for (path, advice) in own {
        let Ok(metadata) = path.metadata() else { continue }; // missing ones are told of elsewhere
        if metadata.uid() != gatekeeper.uid {
            add(path, format!("it must belong to the gatekeeper's account; try: chown {user}"));
        } else if metadata.mode() & 0o077 != 0 && !metadata.is_dir() {
            add(path, format!("others may read it; try: {advice}"));
        }
    }
    found
}

/// Why the launcher would start no job manager for an account of the gridmap; None: it would.
pub fn objection(launcher: &Launcher, name: &str) -> Option<Refusal> {
    let gatekeeper = launcher.gatekeeper().ok()?;
    let gatekeeper = Gatekeeper { uid: gatekeeper.uid, gid: gatekeeper.gid };
    let Some(name) = AccountName::new(name) else { return Some(Refusal::Name) };
    account::permits(&name, launcher.minimum_uid, launcher.accounts.as_deref(), gatekeeper).err()
}

/// What `gridiron check` shows: every setting and its value.
pub fn shown(launcher: &Launcher) -> Vec<(&'static str, String)> {
    let path = |path: &Path| path.display().to_string();
    let mut shown = vec![
        ("user", launcher.user.to_string()),
        ("socket", path(&launcher.socket)),
        ("program", launcher.program().map(|program| path(&program)).unwrap_or_default()),
        ("minimum_uid", launcher.minimum_uid.to_string()),
        ("accounts", launcher.accounts.as_deref().map_or("all".to_owned(), path)),
        ("umask", format!("{:03o}", launcher.umask.0)),
        ("no_new_privileges", launcher.no_new_privileges.to_string()),
    ];
    let of_ours = |limit| launcher.limits.0.iter().find(|(known, _)| *known == limit);
    shown.extend(Limit::ALL.map(|limit| {
        (limit.name(), of_ours(limit).map_or("the launcher's own".to_owned(), |(_, value)| value.to_string()))
    }));
    shown
}

/// See [`shown`].
pub fn text(launcher: &Launcher) -> String {
    let lines = shown(launcher).into_iter().map(|(name, value)| format!("\n  {name:<24}  {value}"));
    format!("accounts ([launcher]):{}", lines.collect::<String>())
}

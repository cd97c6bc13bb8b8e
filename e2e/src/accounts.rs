//! Throw-away local accounts. Only root can make them; they go when they are dropped, and those that a killed test left
//! behind go before the next ones are made.

use crate::{
    command::{self, Finished},
    stock,
    user::gridiron,
};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Where the names begin; the process id of the test follows.
const PREFIX: &str = "gi-e2e-";
/// How long the user database may be locked by others who make accounts.
const PATIENCE: Duration = Duration::from_secs(30);

/// What kind of account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rank {
    /// A person's: the uid is above all system accounts, the home directory exists.
    Person,
    /// The system's own: the uid is below those of people, and there is no home.
    System,
}

/// An account, with a group of the same name.
#[derive(Debug)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Home directory, below the folder given.
    pub home: PathBuf,
    /// A second group with the account in it, if there is one.
    pub extra_group: Option<String>,
}

/// Accounts made by this process.
static MADE: AtomicU32 = AtomicU32::new(0);

/// Whether accounts can be made here, and can use what has been built; if not, the running test is skipped with the reason.
pub fn can_be_made() -> bool {
    let missing = stock::missing(&["useradd", "userdel", "groupadd", "groupdel", "setpriv"]);
    if !rustix::process::geteuid().is_root() {
        stock::skip("only root can make accounts");
        return false;
    }
    if !missing.is_empty() {
        stock::skip(&format!("not installed: {}", missing.join(" ")));
        return false;
    }
    if let Some(closed) = gridiron().ancestors().skip(1).find(|folder| !is_open(folder)) {
        stock::skip(&format!(
            "other accounts cannot pass through {}, where the programs are",
            closed.display()
        ));
        return false;
    }
    remove_leftovers();
    true
}

/// Whether everybody may pass through a folder.
fn is_open(folder: &Path) -> bool {
    fs::metadata(folder).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0)
}

impl Account {
    /// Makes `<prefix><pid>-<number>-<word>`, with its home below `homes`, and with a second group when asked.
    pub fn new(word: &str, rank: Rank, homes: &Path, with_extra_group: bool) -> Self {
        // Tests may share a process.
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}-{word}", process::id());
        let home = homes.join(word);
        let extra_group = with_extra_group.then(|| format!("{name}-x"));
        if let Some(group) = &extra_group {
            administer("groupadd", &[group]);
        }
        let home_text = home.display().to_string();
        let mut arguments = vec!["--user-group", "--shell", "/bin/sh", "--home-dir", &home_text];
        arguments.extend(match rank {
            Rank::Person => ["--create-home", "--key", "HOME_MODE=0700"].as_slice(),
            Rank::System => &["--system", "--no-create-home"],
        });
        if let Some(group) = &extra_group {
            arguments.extend(["--groups", group]);
        }
        arguments.push(&name);
        administer("useradd", &arguments);
        let number = |option| {
            let told = command::run(id(&[option, &name]));
            told.ok().trim().parse().expect("id prints a number")
        };
        Self { uid: number("-u"), gid: number("-g"), name, home, extra_group }
    }

    /// Runs a shell script as this account, with its groups and nothing else.
    #[track_caller]
    pub fn shell(&self, script: &str) -> Finished {
        let mut command = Command::new(stock::program("setpriv"));
        command.args(["--reuid", &self.uid.to_string(), "--regid", &self.gid.to_string(), "--init-groups"]);
        command.args(["--inh-caps=-all", "sh", "-c", script]).current_dir("/");
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", &self.home);
        command::run(command)
    }

    /// What `id` says of it, with this option.
    #[track_caller]
    pub fn id(&self, option: &str) -> String {
        command::run(id(&[option, &self.name])).ok().trim().to_owned()
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        remove(&self.name, self.extra_group.as_deref());
    }
}

fn id(arguments: &[&str]) -> Command {
    let mut command = Command::new(stock::program("id"));
    command.args(arguments);
    command
}

fn remove(name: &str, extra_group: Option<&str>) {
    // Whatever still runs as the account is what the test is about, and the site's end has ended it.
    attempt("userdel", &["--force", name]);
    if let Some(group) = extra_group {
        attempt("groupdel", &[group]);
    }
}

/// Removes accounts and groups of tests whose process is gone.
fn remove_leftovers() {
    let of_a_dead_test = |name: &str| {
        let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists())
    };
    for (file, tool) in [("/etc/passwd", "userdel"), ("/etc/group", "groupdel")] {
        let text = fs::read_to_string(file).unwrap_or_default();
        for name in text.lines().filter_map(|line| line.split(':').next()).filter(|name| of_a_dead_test(name))
        {
            attempt(tool, &[name]);
        }
    }
}

/// Runs an administrator's tool, again and again while the user database is locked by another one.
#[track_caller]
fn administer(tool: &str, arguments: &[&str]) {
    let finished = attempt(tool, arguments);
    assert_eq!(finished.code, 0, "{finished:#?}");
}

fn attempt(tool: &str, arguments: &[&str]) -> Finished {
    let begun = Instant::now();
    loop {
        let mut command = Command::new(stock::program(tool));
        command.args(arguments);
        let finished = command::run(command);
        // There is no event to wait for: the database is a lock file.
        if !finished.stderr.contains("lock") || begun.elapsed() > PATIENCE {
            return finished;
        }
        thread::sleep(Duration::from_millis(100));
    }
}

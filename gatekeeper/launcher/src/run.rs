//! What the daemon's children do: prepare what needs root, become the account, exec `gridiron`. For a process with one
//! thread; it comes back only with a failure.

use std::{
    fs::File,
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, Stdio},
};

use nix::sys::signal::SigSet;
use rustix::{
    fs::{Mode, OFlags, openat},
    process::{Rlimit, Signal, set_parent_process_death_signal, setrlimit, setsid, umask},
};

use crate::{
    Doing, Failure,
    account::{self, Account, Gatekeeper},
    folder, privilege,
    protocol::AccountName,
    settings::{Limit, Settings},
};

/// The search path of job managers and jobs.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// What is taken over from the launcher's environment, which is root's; anything else stays behind.
const PASSED_ON: [&str; 6] =
    ["GLOBUS_HOSTNAME", "GLOBUS_TCP_PORT_RANGE", "GLOBUS_TCP_SOURCE_RANGE", "LANG", "LC_ALL", "TZ"];
/// And by the gatekeeper alone: where it looks for `globus-nologin`, how it logs, where it says that it is ready.
const PASSED_ON_TO_GATEKEEPER: [&str; 3] = ["GLOBUS_LOCATION", "GRIDIRON_LOG", "NOTIFY_SOCKET"];
/// The log of an account's job manager, in the account's folder.
const LOG: &str = "jobmanager.log";

/// Becomes the account's job manager. Standard output is the pipe on which it will say that it is ready; why it will
/// not is said there too, for the gatekeeper's audit file.
pub fn manager(name: &AccountName, settings: &Settings) -> Failure {
    let failure = try_manager(name, settings).err().unwrap_or_else(|| Failure::new("exec", "came back"));
    let _ = writeln!(std::io::stdout(), "{failure}");
    failure
}

fn try_manager(name: &AccountName, settings: &Settings) -> Result<(), Failure> {
    close_inherited();
    let gatekeeper = account::gatekeeper(settings)?;
    let gatekeeper = Gatekeeper { uid: gatekeeper.uid, gid: gatekeeper.gid };
    // Once more: what has been decided before was decided by another process about the accounts as they were then.
    let account = account::admit(name, settings, gatekeeper)
        .map_err(|refusal| Failure::new(format!("a job manager for {name}"), refusal))?;
    let folder = folder::open(&folder::state(&settings.state)?, &account, gatekeeper.gid)?;
    settle(settings.umask)?;
    for (limit, value) in &settings.limits {
        bound(*limit, *value)?;
    }
    if settings.no_new_privileges {
        privilege::no_new_privileges()?;
    }
    privilege::become_account(&account)?;

    // From here on as the account: the file system decides what may be opened.
    let flags = OFlags::APPEND | OFlags::CREATE | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let log = openat(&folder, LOG, flags, Mode::RUSR | Mode::WUSR)
        .doing(|| format!("opening {LOG} in the folder of {name}"))?;
    let mut command = command(settings, "jobmanager", &account, &PASSED_ON);
    Err(exec(command.stderr(File::from(log)), settings))
}

/// Becomes the gatekeeper, without a way to any other account.
pub fn gatekeeper(settings: &Settings) -> Failure {
    try_gatekeeper(settings).err().unwrap_or_else(|| Failure::new("exec", "came back"))
}

fn try_gatekeeper(settings: &Settings) -> Result<(), Failure> {
    close_inherited();
    let account = account::gatekeeper(settings)?;
    settle(0o077)?;
    bound(Limit::CoreBytes, 0)?; // the host's key is in its memory
    privilege::renounce()?;
    privilege::become_account(&account)?;
    // Whoever restarts a launcher restarts its gatekeeper; the port must be free by then. Set now, as a change of ids
    // clears it.
    set_parent_process_death_signal(Some(Signal::TERM))
        .doing(|| "asking to be told of our parent's end".to_owned())?;
    let passed_on: Vec<&str> = PASSED_ON.iter().chain(&PASSED_ON_TO_GATEKEEPER).copied().collect();
    let mut command = command(settings, "serve", &account, &passed_on);
    Err(exec(&mut command, settings))
}

/// Whatever a careless starter left open goes when `gridiron` begins.
fn close_inherited() {
    close_fds::CloseFdsBuilder::new().cloexecfrom(3);
}

/// A session of its own, no blocked signal, the right umask, and a working directory that is in nobody's way.
fn settle(mask: u32) -> Result<(), Failure> {
    // The daemon reads its signals from a descriptor, and blocks them.
    SigSet::empty().thread_set_mask().doing(|| "unblocking signals".to_owned())?;
    setsid().doing(|| "starting a session".to_owned())?;
    umask(Mode::from_raw_mode(mask));
    std::env::set_current_dir("/").doing(|| "changing to /".to_owned())
}

fn bound(limit: Limit, value: u64) -> Result<(), Failure> {
    let both = Rlimit { current: Some(value), maximum: Some(value) };
    setrlimit(limit.resource(), both).doing(|| format!("setting the limit {} to {value}", limit.name()))
}

/// `gridiron ROLE --config FILE` with an environment made from nothing.
fn command(settings: &Settings, role: &str, account: &Account, passed_on: &[&str]) -> Command {
    let mut command = Command::new(&settings.program);
    command.arg(role).arg("--config").arg(&settings.config).stdin(Stdio::null()).env_clear();
    command.env("PATH", PATH).env("HOME", &account.home).env("SHELL", shell(&account.shell));
    command.env("USER", account.name.as_str()).env("LOGNAME", account.name.as_str());
    command.envs(passed_on.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command
}

/// An empty field means the Bourne shell (passwd(5)).
fn shell(listed: &Path) -> &Path {
    if listed.as_os_str().is_empty() { Path::new("/bin/sh") } else { listed }
}

fn exec(command: &mut Command, settings: &Settings) -> Failure {
    Failure::new(format!("running {}", settings.program.display()), command.exec())
}

//! The daemons of one site as processes: finding them by their command line, stopping them without ever hitting another
//! process that got the same number.

use crate::failure::Failure;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use std::{
    collections::HashMap,
    ffi::OsStr,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::Path,
};

/// How long a daemon may take to stop by itself.
const GRACE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// The daemons of a site, in the order in which they must be stopped: each could start the next one anew.
const ROLES: [&str; 3] = ["serve", "jobmanager", "reaper"];

/// Stops gatekeeper, job managers and reapers of the site file, with the jobs they run. Gives how many there were.
pub fn stop_site(file: &Path) -> Result<usize, Failure> {
    let mut stopped = 0;
    for role in ROLES {
        for pid in with_arguments(&[OsStr::new(role), OsStr::new("--config"), file.as_os_str()])? {
            let jobs = if role == "reaper" { descendants(pid)? } else { Vec::new() };
            for job in jobs {
                stop(job, Signal::KILL)?;
            }
            stop(pid, Signal::TERM)?;
            stopped += 1;
        }
    }
    Ok(stopped)
}

/// The daemons of the site file, each with its role.
pub fn daemons(file: &Path) -> Result<Vec<(&'static str, Pid)>, Failure> {
    let mut found = Vec::new();
    for role in ROLES {
        let pids = with_arguments(&[OsStr::new(role), OsStr::new("--config"), file.as_os_str()])?;
        found.extend(pids.into_iter().map(|pid| (role, pid)));
    }
    Ok(found)
}

/// Whether any daemon of the site file runs.
pub fn site_is_running(file: &Path) -> Result<bool, Failure> {
    Ok(!daemons(file)?.is_empty())
}

/// Signals a process and waits until it is gone; kills it when that takes too long.
fn stop(pid: Pid, signal: Signal) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::local(format!("cannot stop process {}", pid.as_raw_nonzero()), error)
    };
    let handle: OwnedFd = match pidfd_open(pid, PidfdFlags::empty()) {
        Err(Errno::SRCH) => return Ok(()),
        handle => handle.map_err(|error| failed(&error))?,
    };
    for signal in [signal, Signal::KILL] {
        match pidfd_send_signal(&handle, signal) {
            Err(Errno::SRCH) => return Ok(()),
            sent => sent.map_err(|error| failed(&error))?,
        }
        // A pidfd becomes readable when its process has ended.
        let mut ended = [PollFd::new(&handle, PollFlags::IN)];
        if poll(&mut ended, Some(&GRACE)).map_err(|error| failed(&error))? > 0 {
            return Ok(());
        }
    }
    Err(failed(&"it does not end even when killed"))
}

/// Processes whose arguments after the program begin like this.
fn with_arguments(wanted: &[&OsStr]) -> Result<Vec<Pid>, Failure> {
    let matches = |pid: &Pid| {
        let line = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
        let arguments: Vec<&[u8]> = line.split(|byte| *byte == 0).skip(1).collect();
        wanted.iter().map(|word| word.as_bytes()).zip(&arguments).filter(|(a, b)| a == *b).count()
            == wanted.len()
    };
    Ok(all()?.into_iter().filter(matches).collect())
}

/// Everything a process has started, and what that has started; children before parents' later children.
pub fn descendants(ancestor: Pid) -> Result<Vec<Pid>, Failure> {
    let mut children: HashMap<Pid, Vec<Pid>> = HashMap::new();
    for pid in all()? {
        let stat =
            std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
        if let Some(parent) = parent_in(&stat) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut open = vec![ancestor];
    while let Some(pid) = open.pop() {
        for child in children.remove(&pid).unwrap_or_default() {
            found.push(child);
            open.push(child);
        }
    }
    Ok(found)
}

/// The parent's id in a `/proc/PID/stat` line: the second field after the name, which itself may hold blanks and brackets.
fn parent_in(stat: &str) -> Option<Pid> {
    let (_, after_name) = stat.rsplit_once(") ")?;
    Pid::from_raw(after_name.split(' ').nth(1)?.parse().ok()?)
}

fn all() -> Result<Vec<Pid>, Failure> {
    let entries = std::fs::read_dir("/proc").map_err(|error| Failure::local("cannot read /proc", &error))?;
    let pid = |entry: std::io::Result<std::fs::DirEntry>| {
        Pid::from_raw(entry.ok()?.file_name().to_str()?.parse().ok()?)
    };
    Ok(entries.filter_map(pid).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn the_parent_is_found_behind_any_name() {
        assert_eq!(parent_in("7 (a) b) S 12 7 7 0"), Pid::from_raw(12));
        assert_eq!(parent_in("7 (x) S"), None);
        assert_eq!(parent_in(""), None);
    }

    /// A stand-in for a daemon: `sh` ignores the arguments after the script, but they are in its command line.
    #[test]
    fn only_the_daemons_of_this_site_are_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("serve");
        std::fs::write(&script, "exec 3<>fifo; read line <&3").unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            folder.path().join("fifo"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .unwrap();
        let start = |file: &str| {
            Command::new("sh")
                .arg("serve")
                .args(["--config", file])
                .current_dir(folder.path())
                .spawn()
                .unwrap()
        };
        let (mut mine, mut other) = (start("/nowhere/mine.toml"), start("/nowhere/other.toml"));
        let file = Path::new("/nowhere/mine.toml");
        // fork and exec are two steps: the arguments show once the exec is done
        while !site_is_running(file).unwrap() {
            std::thread::yield_now();
        }
        assert_eq!(stop_site(file).unwrap(), 1);
        assert!(!mine.wait().unwrap().success());
        assert!(!site_is_running(file).unwrap());
        assert_eq!(other.try_wait().unwrap(), None);
        other.kill().unwrap();
        other.wait().unwrap();
    }
}

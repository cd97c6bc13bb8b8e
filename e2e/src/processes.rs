//! Stopping everything a site has started, daemons and jobs too.

use crate::command::wait_for_end;
use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};
use std::{
    fs,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How often to look again for what a dying process was just starting.
const ROUNDS: usize = 20;

/// Kills every process whose command line or environment names a path below `dir`.
///
/// Stock job managers leave their parent and the process group, so nothing else than the unique name of the
/// site's folder tells which ones are ours. The calling process is spared.
pub fn kill_all_naming(dir: &Path) {
    for _ in 0..ROUNDS {
        let found = naming(dir);
        if found.is_empty() {
            return;
        }
        let deadline = Instant::now() + Duration::from_secs(5);
        for process in &found {
            pidfd_send_signal(process, Signal::KILL).ok();
        }
        for process in &found {
            wait_for_end(process, deadline);
        }
    }
}

/// How many processes, other than this one, name a path below `dir` in their command line or environment.
pub fn count_naming(dir: &Path) -> usize {
    naming(dir).len()
}

/// The processes, other than this one, whose command line or environment holds the folder's name.
fn naming(dir: &Path) -> Vec<OwnedFd> {
    let needle = dir.as_os_str().as_bytes();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok().and_then(Pid::from_raw))
        .filter(|pid| *pid != getpid())
        // Opened before it is looked at, so that the id cannot come to mean another process in between.
        .filter_map(|pid| Some((pid, pidfd_open(pid, PidfdFlags::empty()).ok()?)))
        .filter(|(pid, _)| {
            let process = PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
            // Another account's process is unreadable, and not ours.
            let holds = |file: &str| {
                fs::read(process.join(file))
                    .is_ok_and(|text| text.windows(needle.len()).any(|part| part == needle))
            };
            (holds("cmdline") || holds("environ")) && !is_zombie(&process)
        })
        .map(|(_, process)| process)
        .collect()
}

/// A zombie's files read as empty, but it may become one between two looks.
fn is_zombie(process: &Path) -> bool {
    fs::read_to_string(process.join("stat"))
        .is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('Z')))
}

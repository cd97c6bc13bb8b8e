//! Stopping everything a site has started, daemons and jobs too.

use crate::command::wait_for_end;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    os::unix::ffi::OsStrExt,
    path::Path,
    process,
    time::{Duration, Instant},
};

/// How often to look again for what a dying process was just starting.
const ROUNDS: usize = 20;

/// Kills every process whose command line or environment names a path below `dir`.
///
/// Stock job managers leave their parent and the process group, so nothing else than the unique name of the
/// site's folder tells which ones are ours. The calling process is spared, and so is its parent.
pub fn kill_all_naming(dir: &Path) {
    for _ in 0..ROUNDS {
        let found = naming(dir);
        if found.is_empty() {
            return;
        }
        for pid in &found {
            kill_process(*pid, Signal::KILL).ok();
        }
        let deadline = Instant::now() + Duration::from_secs(5);
        for pid in found {
            wait_for_end(pid, deadline);
        }
    }
}

/// The processes, other than this one, whose command line or environment holds the folder's name.
pub fn naming(dir: &Path) -> Vec<Pid> {
    let needle = dir.as_os_str().as_bytes();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<i32>().ok()?, entry.path())))
        .filter(|(pid, _)| u32::try_from(*pid) != Ok(process::id()))
        .filter(|(_, path)| {
            // Another account's process is unreadable, and not ours.
            ["cmdline", "environ"].iter().any(|file| {
                fs::read(path.join(file))
                    .is_ok_and(|text| text.windows(needle.len()).any(|window| window == needle))
            })
        })
        .filter(|(_, path)| !is_zombie(path))
        .filter_map(|(pid, _)| Pid::from_raw(pid))
        .collect()
}

/// A zombie's files read as empty, but it may become one between two looks.
fn is_zombie(process: &Path) -> bool {
    fs::read_to_string(process.join("stat"))
        .is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('Z')))
}

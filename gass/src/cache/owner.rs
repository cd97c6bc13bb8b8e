//! Who holds an entry: the `<host>_<pid>_<thread>` in the name `data.<uniq>`, and whether that process still lives.
//!
//! Stock programs write pid and thread in hex. Ours put the process's start time and a count where stock has the thread,
//! `<start>g<count>`: so a process that happens to get a dead one's number is not taken for it.

use rustix::{
    io::Errno,
    process::{Pid, test_kill_process},
};
use std::{
    fmt, fs, process,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// What the names of held and referring links start with.
pub(super) const HELD: &str = "data.";

/// One operation of one process on one host: unique among all that ever touch the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner(String);

impl Owner {
    /// A new one of this process.
    pub(super) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(format!("{}_{:x}_{:x}g{count:x}", host(), process::id(), own_start()))
    }

    /// Of a `data.<uniq>`; None for other names.
    pub(super) fn of(name: &str) -> Option<Self> {
        name.strip_prefix(HELD).filter(|owner| !owner.is_empty()).map(|owner| Self(owner.to_owned()))
    }

    /// `data.<uniq>`.
    pub(super) fn data(&self) -> String {
        format!("{HELD}{self}")
    }

    /// Whether it can still finish what it does.
    pub(super) fn life(&self) -> Life {
        match self.parts() {
            Some((owner_host, pid, start)) if owner_host == host() => life_of(pid, start),
            // Foreign, or a name we cannot read: only time tells.
            _ => Life::Unknown,
        }
    }

    /// Host, process, and the start time when it is one of ours.
    fn parts(&self) -> Option<(&str, u32, Option<u64>)> {
        let (rest, thread) = self.0.rsplit_once('_')?;
        let (host, pid) = rest.rsplit_once('_')?;
        let start = thread.split_once('g').and_then(|(start, _)| u64::from_str_radix(start, 16).ok());
        Some((host, u32::from_str_radix(pid, 16).ok()?, start))
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a holder's process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// On this host, and running.
    Alive,
    /// On this host, and gone.
    Dead,
    /// On another host.
    Unknown,
}

fn life_of(pid: u32, start: Option<u64>) -> Life {
    if let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) {
        return match parse_stat(&stat) {
            // A zombie does nothing any more.
            Some(('Z' | 'X', _)) => Life::Dead,
            Some((_, started)) if start.is_some_and(|start| start != started) => Life::Dead,
            _ => Life::Alive,
        };
    }
    // /proc may hide the processes of other accounts.
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    match pid.map(test_kill_process) {
        None | Some(Err(Errno::SRCH)) => Life::Dead,
        Some(_) => Life::Alive,
    }
}

/// State and start time (clock ticks since boot) of a `/proc/<pid>/stat`; the program's name may hold blanks and brackets.
fn parse_stat(stat: &str) -> Option<(char, u64)> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?.chars().next()?;
    // The 22nd field of the line; state is the third.
    Some((state, fields.nth(18)?.parse().ok()?))
}

fn own_start() -> u64 {
    static START: OnceLock<u64> = OnceLock::new();
    *START.get_or_init(|| {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        parse_stat(&stat).map_or(0, |(_, start)| start)
    })
}

fn host() -> &'static str {
    static HOST: OnceLock<String> = OnceLock::new();
    HOST.get_or_init(|| rustix::system::uname().nodename().to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_name_is_somebody_or_nobody(name in any::<String>(), stat in any::<String>()) {
            if let Some(owner) = Owner::of(&name) {
                prop_assert_eq!(owner.data(), name);
                owner.parts();
            }
            parse_stat(&stat);
        }
    }

    #[test]
    fn this_process_lives_and_says_so() {
        let owner = Owner::new();
        assert_eq!(owner.life(), Life::Alive);
        assert_eq!(Owner::of(&owner.data()), Some(owner.clone()));
        assert_ne!(Owner::new(), owner);
    }

    #[test]
    fn the_dead_are_known() {
        let mut child = process::Command::new("/bin/true").spawn().unwrap();
        let pid = child.id();
        let stock = Owner(format!("{}_{pid:x}_0", host()));
        child.wait().unwrap();
        assert_eq!(stock.life(), Life::Dead);
        let mut child = process::Command::new("/bin/sleep").arg("60").spawn().unwrap();
        let pid = child.id();
        assert_eq!(Owner(format!("{}_{pid:x}_0", host())).life(), Life::Alive);
        let reused = Owner(format!("{}_{pid:x}_1g0", host()));
        assert_eq!(reused.life(), Life::Dead, "another process with the number of one of ours");
        child.kill().unwrap();
        while Owner(format!("{}_{pid:x}_0", host())).life() == Life::Alive {
            std::thread::yield_now();
        }
        // Not waited for until now: a zombie is dead.
        child.wait().unwrap();
    }

    #[test]
    fn others_are_unknown() {
        for name in ["data.elsewhere.example.org_1_0", "data.x", "data._", "data.a_b_c_zz_0"] {
            assert_eq!(Owner::of(name).unwrap().life(), Life::Unknown, "{name}");
        }
        assert_eq!(Owner::of("data"), None);
        assert_eq!(Owner::of("data."), None);
    }

    #[test]
    fn stat_lines() {
        let line = "77 (a) b) S 1 77 77 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 99 1 2";
        assert_eq!(parse_stat(line), Some(('S', 4242)));
        assert_eq!(parse_stat("77 (a"), None);
    }
}

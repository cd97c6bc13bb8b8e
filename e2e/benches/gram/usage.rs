//! Processor time and memory of a site's processes.

use serde::Serialize;
use std::{
    collections::HashMap,
    fs, io,
    ops::{AddAssign, Sub},
    path::{Path, PathBuf},
    process,
};

/// A control group (cgroup version 2), which sums up what its processes use. Nothing else does: the stock gatekeeper ignores
/// SIGCHLD, and what children have used of which nobody hears the end is in nobody's sum.
pub(crate) struct Group(PathBuf);

impl Group {
    /// Makes one below our own. That needs root, or a delegated group (`systemd-run --user --scope`).
    pub(crate) fn make(name: &str) -> io::Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let root = mounts.lines().find_map(|line| match line.split(' ').collect::<Vec<_>>()[..] {
            [_, folder, "cgroup2", ..] => Some(folder),
            _ => None,
        });
        let root = root.ok_or_else(|| io::Error::other("cgroup2 is not mounted"))?;
        let own = fs::read_to_string("/proc/self/cgroup")?;
        let own = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
        let folder = Path::new(root).join(own).join(format!("gridiron-bench-{}-{name}", process::id()));
        fs::create_dir(&folder)?;
        Ok(Self(folder))
    }

    /// For [`join`].
    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    /// Milliseconds of user and system time that all processes of the group, dead or alive, have used up to now.
    pub(crate) fn processor_ms(&self) -> Option<f64> {
        let stat = fs::read_to_string(self.0.join("cpu.stat")).ok()?;
        let microseconds = stat.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
        Some(microseconds.parse::<f64>().ok()? / 1e3)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Left behind only when a process of the site has survived, which is worth seeing.
        fs::remove_dir(&self.0).ok();
    }
}

/// Puts this process, and what it will start, into a group.
pub(crate) fn join(group: &Path) -> io::Result<()> {
    fs::write(group.join("cgroup.procs"), "0")
}

/// Memory of living processes.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Memory {
    /// How many processes.
    pub(crate) processes: i64,
    /// KiB resident, shared pages counted wherever they are mapped.
    pub(crate) rss_kib: i64,
    /// KiB resident, shared pages divided among those who map them.
    pub(crate) pss_kib: i64,
}

impl AddAssign for Memory {
    fn add_assign(&mut self, other: Self) {
        self.processes += other.processes;
        self.rss_kib += other.rss_kib;
        self.pss_kib += other.pss_kib;
    }
}

impl Sub for Memory {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            processes: self.processes - other.processes,
            rss_kib: self.rss_kib - other.rss_kib,
            pss_kib: self.pss_kib - other.pss_kib,
        }
    }
}

/// Memory of all living descendants of this process but those that run the program `job`, which are no overhead.
pub(crate) fn memory_without(ancestor: u32, job: &str) -> Memory {
    let mut sum = Memory::default();
    for process in descendants(ancestor).iter().filter(|process| process.name != job) {
        // A zombie has no memory, and one that ends just now has none to speak of.
        let Ok(text) = fs::read_to_string(format!("/proc/{}/smaps_rollup", process.pid)) else { continue };
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().trim_end_matches("kB").trim().parse().ok()
        };
        let (Some(rss_kib), Some(pss_kib)) = (field("Rss:"), field("Pss:")) else { continue };
        sum += Memory { processes: 1, rss_kib, pss_kib };
    }
    sum
}

/// What `/proc/PID/stat` says.
struct Process {
    pid: u32,
    name: String,
    parent: u32,
}

impl Process {
    /// `pid (name) state ppid …` (proc(5)).
    fn parse(stat: &str) -> Option<Self> {
        let (pid, rest) = stat.split_once(" (")?;
        let (name, rest) = rest.rsplit_once(") ")?;
        let parent = rest.split(' ').nth(1)?.parse().ok()?;
        Some(Self { pid: pid.parse().ok()?, name: name.to_owned(), parent })
    }
}

fn descendants(ancestor: u32) -> Vec<Process> {
    let mut children: HashMap<u32, Vec<Process>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if let Some(process) = Process::parse(&stat) {
            children.entry(process.parent).or_default().push(process);
        }
    }
    let mut found = children.remove(&ancestor).unwrap_or_default();
    let mut at = 0;
    while let Some(process) = found.get(at) {
        let more = children.remove(&process.pid).unwrap_or_default();
        found.extend(more);
        at += 1;
    }
    found
}

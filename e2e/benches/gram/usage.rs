//! Processor time and memory of everything a site has started, from `/proc`.
//!
//! Job managers leave their parents, and most of what a job costs at a stock site is spent by processes that have ended since.
//! So this process adopts all orphans among its descendants and waits for none: what has ended below a living
//! parent is in that parent's sum over its children, and what was orphaned stays, as a zombie of ours, with
//! its own sums. The load client is always waited for, so whatever else descends from us belongs to a site.

use rustix::process::{getpid, set_child_subreaper};
use serde::Serialize;
use std::{
    collections::HashMap,
    fs,
    ops::{AddAssign, Sub},
};

/// Milliseconds in a clock tick of `/proc`: 100 ticks a second on every Linux we build for.
const TICK_MS: u64 = 10;

/// Makes this process the parent of its orphaned descendants.
pub(crate) fn adopt_orphans() {
    set_child_subreaper(Some(getpid())).expect("Linux has subreapers");
}

/// Milliseconds of user and system time that all our descendants, dead or alive, have used up to now.
pub(crate) fn processor_ms() -> u64 {
    descendants().iter().map(|process| process.ticks * TICK_MS).sum()
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

/// Memory of all our living descendants but those that run the program `job`, which are no overhead.
pub(crate) fn memory_without(job: &str) -> Memory {
    let mut sum = Memory::default();
    for process in descendants().iter().filter(|process| process.name != job) {
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
    /// User and system time, its own and that of the children it has waited for.
    ticks: u64,
}

impl Process {
    /// `pid (name) state ppid …`; fields 14 to 17 are the times (proc(5)).
    fn parse(stat: &str) -> Option<Self> {
        let (pid, rest) = stat.split_once(" (")?;
        let (name, rest) = rest.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let ticks = fields.get(11..15)?.iter().map(|field| field.parse::<u64>().unwrap_or_default()).sum();
        let parent = fields.get(1)?.parse().ok()?;
        Some(Self { pid: pid.parse().ok()?, name: name.to_owned(), parent, ticks })
    }
}

fn descendants() -> Vec<Process> {
    let mut children: HashMap<u32, Vec<Process>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if let Some(process) = Process::parse(&stat) {
            children.entry(process.parent).or_default().push(process);
        }
    }
    let mut found = children.remove(&std::process::id()).unwrap_or_default();
    let mut at = 0;
    while let Some(process) = found.get(at) {
        let more = children.remove(&process.pid).unwrap_or_default();
        found.extend(more);
        at += 1;
    }
    found
}

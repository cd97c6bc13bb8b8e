//! Processor time and memory of processes, from `/proc`.

use rustix::param::clock_ticks_per_second;
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// How often the memory of a client is looked at.
const EVERY: Duration = Duration::from_millis(20);

/// Seconds of user and system time that a process has used; of its children too, as far as they have ended, when `children`.
pub(crate) fn processor_seconds(process: &str, children: bool) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // `pid (name) state …`: utime is the 14th field, then stime, and both of the children (proc(5)).
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let range = if children { 13..15 } else { 11..13 };
    let ticks = fields.split_whitespace().enumerate().filter(|(index, _)| range.contains(index));
    let ticks: u64 = ticks.filter_map(|(_, field)| field.parse::<u64>().ok()).sum();
    ticks as f64 / clock_ticks_per_second() as f64
}

/// The most memory, in MiB, that a process has had since [`forget_peak`]; None when it has ended.
pub(crate) fn peak_mib(process: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<f64>().ok().map(|kib| kib / 1024.0)
}

/// Lets the peak of a process begin anew.
pub(crate) fn forget_peak(process: u32) {
    fs::write(format!("/proc/{process}/clear_refs"), "5").expect("the process is ours");
}

/// Watches the peak of one process until it ends.
pub(crate) struct Watched {
    stop: Arc<AtomicBool>,
    kib: Arc<AtomicU64>,
}

impl Watched {
    pub(crate) fn new(process: u32) -> Self {
        let (stop, kib) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, seen) = (Arc::clone(&stop), Arc::clone(&kib));
        thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let Some(mib) = peak_mib(process) else { return };
                seen.fetch_max((mib * 1024.0) as u64, Ordering::Relaxed);
                thread::sleep(EVERY);
            }
        });
        Self { stop, kib }
    }

    pub(crate) fn mib(&self) -> f64 {
        self.stop.store(true, Ordering::Relaxed);
        self.kib.load(Ordering::Relaxed) as f64 / 1024.0
    }
}

/// Over the last minute.
pub(crate) fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(f64::NAN)
}

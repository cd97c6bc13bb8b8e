//! What `/proc` tells about processes that are not our children.

use std::{ffi::CStr, fs, io, time::Duration};

use rustix::time::{ClockId, clock_gettime};

use super::record::{ExitStatus, ProcessId};
use crate::launch::JobKey;

/// What a reaper calls itself (at most 15 bytes), and what is forked from it until it has become a job's program.
pub const REAPER_NAME: &CStr = c"gridiron reaper";
/// Clock ticks per second in `/proc`: fixed by the kernel's interface on every architecture we run on.
const TICKS_PER_SECOND: u64 = 100;

/// The machine's boot id: pids, start times and monotonic clocks mean something only within one boot.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim_end().to_owned())
}

/// Time since boot, the clock of process start times.
pub fn since_boot() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// When the process was started, since boot.
pub fn started_at(process: ProcessId) -> Duration {
    Duration::from_millis(process.start.saturating_mul(1000 / TICKS_PER_SECOND))
}

/// The fields of `/proc/PID/stat` that matter here (their numbers are proc(5)'s).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// 1, 22
    pub process: ProcessId,
    /// 2: it has a reaper's name, so it is one, or was forked from one and has not become a job's program yet
    pub is_reaper: bool,
    /// 3
    pub state: u8,
    /// 4
    pub parent: u32,
    /// 5
    pub group: u32,
    /// 6
    pub session: u32,
    /// 20
    pub threads: u64,
    /// 52: the wait status of a zombie
    pub exit_code: u32,
}

impl Stat {
    /// Forked from a reaper, and dead before the job's program began: whatever killed it, the job has not run.
    pub fn died_unborn(&self) -> bool {
        self.is_reaper && matches!(self.state, b'Z' | b'X')
    }
}

/// Reads a stat file's content.
pub fn parse_stat(bytes: &[u8]) -> Option<Stat> {
    let text = String::from_utf8_lossy(bytes);
    // The name in parentheses is the program's choice and may hold anything, parentheses too.
    let (pid, text) = text.split_once(' ')?;
    let (name, rest) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // `fields` begins with field 3.
    let field = |number: usize| fields.get(number.checked_sub(3)?).copied();
    Some(Stat {
        process: ProcessId { pid: pid.parse().ok()?, start: field(22)?.parse().ok()? },
        is_reaper: name.strip_prefix('(')?.as_bytes() == REAPER_NAME.to_bytes(),
        state: *field(3)?.as_bytes().first()?,
        parent: field(4)?.parse().ok()?,
        group: field(5)?.parse().ok()?,
        session: field(6)?.parse().ok()?,
        threads: field(20)?.parse().ok()?,
        exit_code: field(52)?.parse().ok()?,
    })
}

/// The process that has this pid now.
pub fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Where a process is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /** running or stopped */
    Alive,
    /** a zombie; the status is unknown when the system does not let us see it */
    Ended(ExitStatus),
    /** waited for by its parent */
    Gone,
}

/// Looks at a process that may be gone, and its pid reused.
pub fn life(process: ProcessId) -> Life {
    match stat(process.pid) {
        Some(stat) if stat.process == process => match stat.state {
            // The first thread of a process may end before the others do.
            b'Z' | b'X' if stat.threads <= 1 => Life::Ended(zombie_status(&stat)),
            _ => Life::Alive,
        },
        _ => Life::Gone,
    }
}

/// The kernel shows 0 instead of the exit code to those who may not see it (a set-user-id program's, say), and a
/// true 0 looks the same. The same right decides over the link `exe`: a zombie has none, or we may not ask.
fn zombie_status(stat: &Stat) -> ExitStatus {
    match fs::read_link(format!("/proc/{}/exe", stat.process.pid)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => decode_wait_status(stat.exit_code),
        _ => ExitStatus::Unknown,
    }
}

/// wait(2)'s encoding: low 7 bits the signal, next a core flag, then 8 bits of exit code.
fn decode_wait_status(status: u32) -> ExitStatus {
    let [_, _, code, low] = status.to_be_bytes();
    match low & 0x7f {
        0 => ExitStatus::Exited(code),
        signal => ExitStatus::Signaled(signal),
    }
}

/// All processes, as they are one after the other.
pub fn processes() -> io::Result<Vec<Stat>> {
    let mut processes = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let pid = name.to_str().and_then(|name| name.parse().ok());
        processes.extend(pid.and_then(stat));
    }
    Ok(processes)
}

/// What the process's environment says about its job, as far as we may look; a zombie has none.
pub fn job_of(pid: u32) -> Option<JobKey> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    environment.split(|&byte| byte == 0).find_map(contact_key)
}

/// `GLOBUS_GRAM_JOB_CONTACT=https://host:port/HIGH/LOW/` (gram.md §18) names the job.
fn contact_key(variable: &[u8]) -> Option<JobKey> {
    let contact = std::str::from_utf8(variable).ok()?.strip_prefix("GLOBUS_GRAM_JOB_CONTACT=")?;
    let mut parts = contact.trim_end_matches('/').rsplit('/');
    let low = parts.next()?.parse().ok()?;
    let high = parts.next()?.parse().ok()?;
    Some(JobKey { high, low })
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn our_own_stat() {
        let pid = std::process::id();
        let stat = stat(pid).unwrap();
        assert_eq!((stat.process.pid, stat.parent), (pid, std::os::unix::process::parent_id()));
        assert_eq!(life(stat.process), Life::Alive);
        assert_eq!(life(ProcessId { start: stat.process.start + 1, ..stat.process }), Life::Gone);
        assert!(started_at(stat.process) <= since_boot());
        assert!(processes().unwrap().iter().any(|other| other.process == stat.process));
    }

    #[test]
    fn a_name_of_parentheses() {
        let rest = (4..=52).map(|field| field.to_string()).collect::<Vec<_>>().join(" ");
        let stat = parse_stat(format!("17 (a) Z 1 (b)) S {rest}\n").as_bytes()).unwrap();
        assert_eq!((stat.state, stat.parent, stat.session, stat.exit_code), (b'S', 4, 6, 52));
        assert!(!stat.is_reaper);
        let stat = parse_stat(format!("17 (gridiron reaper) Z {rest}\n").as_bytes()).unwrap();
        assert!(stat.died_unborn());
        assert_eq!(stat.process, ProcessId { pid: 17, start: 22 });
    }

    #[test]
    fn a_zombie_tells_its_exit_code() {
        for (script, status) in [
            ("exit 0", ExitStatus::Exited(0)),
            ("exit 77", ExitStatus::Exited(77)),
            ("kill -9 $$", ExitStatus::Signaled(9)),
        ] {
            let mut child =
                Command::new("/bin/sh").args(["-c", script]).stderr(Stdio::null()).spawn().unwrap();
            let pid = rustix::process::Pid::from_child(&child);
            let options = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
            rustix::process::waitid(rustix::process::WaitId::Pid(pid), options).unwrap();
            let process = stat(child.id()).unwrap().process;
            assert_eq!(life(process), Life::Ended(status), "{script}");
            child.wait().unwrap();
            assert_eq!(life(process), Life::Gone);
        }
    }

    #[test]
    fn the_contact_names_the_job() {
        let key = Some(JobKey { high: 12, low: 34 });
        assert_eq!(contact_key(b"GLOBUS_GRAM_JOB_CONTACT=https://h:1/12/34/"), key);
        assert_eq!(contact_key(b"GLOBUS_GRAM_JOB_CONTACT=https://h:1/12/"), None);
        assert_eq!(contact_key(b"OTHER=https://h:1/12/34/"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_stat_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            parse_stat(&bytes);
            contact_key(&bytes);
        }
    }
}

//! The anchor: the process that inherits the reaper's jobs and never waits for them. See the module above for why.

use std::{
    io::{self, Read},
    os::unix::process::{CommandExt, parent_id},
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, atomic::AtomicBool},
};

use rustix::{
    io::Errno,
    process::{Pid, Signal, getpid, kill_process, set_child_subreaper, setsid},
};
use signal_hook::consts::{SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

use super::{Context, ReaperError, proc, record::ProcessId};

/// Set in the reaper's environment by its anchor, to the anchor's pid.
const ANCHOR: &str = "GRIDIRON_REAPER_ANCHOR";
/// Set in the anchor's environment, to the reaper's directory: tells people, and who cleans up after a test, what it is.
const ANCHOR_OF: &str = "GRIDIRON_ANCHOR_OF";
/// Where an inert program is found. It must not be one of ours: the anchor shall survive whatever makes ours die.
const SLEEP: [&str; 2] = ["/bin/sleep", "/usr/bin/sleep"];

/// Which of the two processes this is.
pub(super) enum Role {
    /** started by the job manager */
    Anchor,
    /** started by the anchor */
    Reaper {
        /** our parent */
        anchor: ProcessId,
    },
}

/// Finds out, and as the reaper waits until the anchor has become what it is to be.
pub(super) fn role() -> Result<Role, ReaperError> {
    let Some(pid) = std::env::var(ANCHOR).ok().and_then(|pid| pid.parse().ok()) else {
        return Ok(Role::Anchor);
    };
    // Our stdin ends when the anchor's exec closes the other end: before that, it could still be killed as one of ours.
    io::stdin().read_to_end(&mut Vec::new()).context("waiting for the anchor")?;
    let anchor = proc::stat(pid).filter(|_| parent_id() == pid).ok_or(ReaperError::NoAnchor(pid))?;
    catch_signals().context("setting signal handlers")?;
    rustix::thread::set_name(proc::REAPER_NAME).context("taking the reaper's name")?;
    // A process may restart one that has died among its descendants; what a job leaves behind comes to us.
    set_child_subreaper(Some(getpid())).context("becoming a subreaper")?;
    Ok(Role::Reaper { anchor: anchor.process })
}

/// Starts the reaper and turns into the anchor; returns only with an error.
pub(super) fn become_anchor(dir: &Path) -> ReaperError {
    try_become_anchor(dir).err().unwrap_or(ReaperError::NoAnchor(std::process::id()))
}

fn try_become_anchor(dir: &Path) -> Result<(), ReaperError> {
    catch_signals().context("setting signal handlers")?;
    match setsid() {
        // Started as a group leader, from a shell: then it has been detached as far as its user wished.
        Ok(_) | Err(Errno::PERM) => {}
        Err(error) => return Err(error).context("starting a session"),
    }
    set_child_subreaper(Some(getpid())).context("becoming a subreaper")?;
    // By its name where it has one, for the sake of process lists; an upgrade may have replaced the file.
    let program = std::env::current_exe().ok().filter(|program| program.exists());
    let mut reaper = Command::new(program.unwrap_or_else(|| "/proc/self/exe".into()));
    let mut arguments = std::env::args_os();
    reaper.arg0(arguments.next().unwrap_or_default()).args(arguments);
    reaper.env(ANCHOR, std::process::id().to_string()).stdin(Stdio::piped());
    let reaper = reaper.spawn().context("starting the reaper")?;
    let dir = std::path::absolute(dir).context("finding the reaper's directory")?;
    std::env::set_current_dir("/").context("changing to /")?;
    for sleep in SLEEP {
        let mut sleep = Command::new(sleep);
        sleep.arg("infinity").env_clear().env(ANCHOR_OF, &dir);
        let _ = sleep.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).exec();
    }
    // No such program: then this process keeps still itself.
    drop(reaper);
    loop {
        std::thread::park();
    }
}

/// Handlers that do nothing. The point is exec: it resets handled signals to their default, but would hand on to every
/// job what our own starter ignores (`nohup` does). An ignored SIGCHLD would even make the kernel bury
/// the anchor's zombies. And a reaper is not to die of the terminal or of a polite request.
fn catch_signals() -> io::Result<()> {
    for signal in [SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    Ok(())
}

/// Ends an anchor, and with it the zombies it keeps.
pub(super) fn release(anchor: ProcessId) {
    let pid = Pid::from_raw(anchor.pid.cast_signed());
    if let (proc::Life::Alive, Some(pid)) = (proc::life(anchor), pid) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

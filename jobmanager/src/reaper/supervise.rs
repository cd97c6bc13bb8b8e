//! What the reaper does with jobs: start, signal, limit, bury.

use std::{io, time::Duration};

use nix::sys::wait::{Id, WaitPidFlag};
use rustix::{
    io::Errno,
    process::{
        Pid, PidfdFlags, Resource, Rlimit, Signal, WaitId, WaitIdOptions, WaitIdStatus, getrlimit,
        kill_process_group, pidfd_open, setrlimit, waitid,
    },
};

use super::{
    proc::{self, Life},
    process,
    protocol::{Command, Refusal, Stage},
    record::{Ending, ExitStatus, ProcessId, Record},
    server::{Due, Orphan, RETRY, Server, not_recorded},
    table::{Job, Phase},
};
use crate::launch::JobKey;

/// Between TERM and KILL.
const GRACE: Duration = Duration::from_secs(5);
/// Jobs in the table, ended ones that the manager has not yet taken note of included.
const MAX_JOBS: usize = 200_000;
/// Timers of jobs that are over and forgotten, besides as many as there are jobs.
const MAX_OLD_TIMERS: usize = 1024;
/// Descriptors of processes get numbers from here on, so that those below stay free for starting jobs.
const PIDFDS_FROM: i32 = 1024;

impl Server {
    /// Starts the job, or the ranks that are missing of one whose start a reaper's death interrupted.
    pub(super) fn start(&mut self, key: JobKey, command: &Command) -> Result<(), Refusal> {
        if self.table.jobs.len() >= MAX_JOBS {
            let message = format!("the reaper has {MAX_JOBS} jobs already");
            return Err(Refusal { stage: Stage::Fork, message });
        }
        let (processes, limit) = (command.processes, command.limit);
        self.record(&Record::Intent { key, processes, limit }).map_err(|error| not_recorded(&error))?;
        while let Some(job) = self.table.jobs.get(&key).filter(|job| job.phase() == Phase::Starting) {
            let rank = job.next_rank();
            let group = job.groups().into_iter().find(|group| self.children.contains_key(group));
            match process::spawn(command, group) {
                Ok(pid) => self.note_start(key, rank, pid, group),
                Err(refusal) => {
                    self.abandon(key);
                    return Err(refusal);
                }
            }
        }
        if let Some(limit) = limit {
            self.drop_old_timers();
            self.timers.insert((proc::since_boot() + limit, key, Due::Limit));
        }
        self.announce(key);
        Ok(())
    }

    /// Jobs mostly end long before their limit: what is kept for them must not become more and more.
    fn drop_old_timers(&mut self) {
        if self.timers.len() > MAX_OLD_TIMERS + 2 * self.table.jobs.len() {
            let jobs = &self.table.jobs;
            self.timers.retain(|(_, key, _)| jobs.contains_key(key));
        }
    }

    fn note_start(&mut self, key: JobKey, rank: u32, pid: u32, group: Option<u32>) {
        // Our child is not waited for, so its pid is its own and its stat is there.
        let start = proc::stat(pid).map_or(0, |stat| stat.process.start);
        let process = ProcessId { pid, start };
        self.children.insert(pid, (key, rank));
        self.record_fact(Record::Started { key, rank, process, group: group.unwrap_or(pid) });
    }

    /// A start that failed half way: nothing of it may go on.
    fn abandon(&mut self, key: JobKey) {
        self.signal(key, Signal::KILL);
        // From here on its processes are nobody's, and are only buried.
        self.children.retain(|_, (other, _)| *other != key);
        self.record_fact(Record::Dropped(key));
    }

    /// Ends the job: TERM now, KILL later.
    pub(super) fn cancel(&mut self, key: JobKey) -> Result<(), Refusal> {
        self.live(key)?;
        self.end(key, Ending::Cancel).map_err(|error| not_recorded(&error))
    }

    fn end(&mut self, key: JobKey, ending: Ending) -> io::Result<()> {
        self.record(&Record::Ending(key, ending))?;
        self.terminate(key);
        Ok(())
    }

    fn terminate(&mut self, key: JobKey) {
        self.signal(key, Signal::TERM);
        // A stopped process would not see the TERM.
        self.signal(key, Signal::CONT);
        self.timers.insert((proc::since_boot() + GRACE, key, Due::Kill));
        // A job none of whose processes was left to be signalled is over now.
        self.announce_end(key);
    }

    /// Stops the job's processes.
    pub(super) fn suspend(&mut self, key: JobKey) -> Result<(), Refusal> {
        self.live(key)?;
        self.record(&Record::Suspended(key)).map_err(|error| not_recorded(&error))?;
        self.signal(key, Signal::STOP);
        self.announce(key);
        Ok(())
    }

    /// Continues them.
    pub(super) fn resume(&mut self, key: JobKey) -> Result<(), Refusal> {
        self.live(key)?;
        self.record(&Record::Resumed(key)).map_err(|error| not_recorded(&error))?;
        self.signal(key, Signal::CONT);
        self.announce(key);
        Ok(())
    }

    /// The manager has the end of the job on disk; a job not known is as good as forgotten.
    pub(super) fn forget(&mut self, key: JobKey) -> Result<(), Refusal> {
        match self.table.jobs.get(&key).map(Job::phase) {
            Some(Phase::Ended(_)) => {
                self.record(&Record::Forgotten(key)).map_err(|error| not_recorded(&error))
            }
            Some(_) => Err(Refusal { stage: Stage::Other, message: format!("job {key} is not over") }),
            None => Ok(()),
        }
    }

    fn live(&self, key: JobKey) -> Result<(), Refusal> {
        match self.table.jobs.get(&key).map(Job::phase) {
            Some(Phase::Starting | Phase::Running) => Ok(()),
            Some(Phase::Ended(_)) | None => {
                Err(Refusal { stage: Stage::NoSuchJob, message: format!("no job {key} is running") })
            }
        }
    }

    /// Signals the job's process groups: all of them belong to it, for each has a process in it not yet waited for.
    fn signal(&self, key: JobKey, signal: Signal) {
        let Some(job) = self.table.jobs.get(&key) else { return };
        for group in job.groups() {
            let ours =
                job.ranks.iter().filter(|rank| rank.group == group && rank.status.is_none()).any(|rank| {
                    self.children.contains_key(&rank.process.pid) || proc::life(rank.process) != Life::Gone
                });
            if ours {
                signal_group(group, signal);
            }
        }
    }

    /// Carries out what has become due.
    pub(super) fn fire_timers(&mut self) {
        let now = proc::since_boot();
        if self.retry.is_some_and(|at| at <= now) {
            self.retry = None;
            if self.write_pending().is_err() {
                self.retry = Some(now + RETRY);
                return;
            }
            self.bury_children();
            for token in self.orphans.keys().copied().collect::<Vec<_>>() {
                self.bury_orphan(token);
            }
        }
        while self.timers.first().is_some_and(|&(at, ..)| at <= now) {
            let Some((_, key, due)) = self.timers.pop_first() else { break };
            match due {
                _ if self.live(key).is_err() => {}
                Due::Kill => self.signal(key, Signal::KILL),
                Due::Limit => {
                    if self.end(key, Ending::Limit).is_err() {
                        self.timers.insert((now + RETRY, key, Due::Limit));
                    }
                }
            }
        }
    }

    /// Takes note of every child that has ended, and only then lets the kernel forget it.
    pub(super) fn bury_children(&mut self) {
        while let Some(pid) = self.ended_child() {
            let Some((child, status)) = child_status(pid, WaitIdOptions::NOWAIT) else { break };
            if let Some(&(key, rank)) = self.children.get(&pid) {
                if self.note_exit(key, rank, status).is_err() {
                    return;
                }
                self.children.remove(&pid);
                let _ = waitid(WaitId::Pid(child), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
                self.announce_end(key);
            } else {
                // A job's leftovers, or a rank of a start that was abandoned.
                let _ = waitid(WaitId::Pid(child), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
            }
        }
    }

    /// The pid of some child that has ended.
    fn ended_child(&self) -> Option<u32> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        match nix::sys::wait::waitid(Id::All, flags) {
            Ok(status) => status.pid().map(|pid| pid.as_raw().cast_unsigned()),
            // Ended by a real-time signal, which that library has no name for.
            Err(nix::Error::EINVAL) => {
                self.children.keys().copied().find(|&pid| child_status(pid, WaitIdOptions::NOWAIT).is_some())
            }
            Err(_) => None,
        }
    }

    /// Looks at a process of an earlier reaper.
    pub(super) fn bury_orphan(&mut self, token: u64) {
        let Some(&Orphan { key, rank, process, ref pidfd }) = self.orphans.get(&token) else { return };
        let status = match proc::life(process) {
            Life::Alive if pidfd.is_some() => return,
            Life::Alive => {
                self.retry.get_or_insert(proc::since_boot() + RETRY);
                return;
            }
            Life::Ended(status) => status,
            Life::Gone => ExitStatus::Unknown,
        };
        if !self.table.jobs.contains_key(&key) {
            self.orphans.remove(&token);
        } else if self.note_exit(key, rank, status).is_ok() {
            self.orphans.remove(&token);
            self.announce_end(key);
        }
    }

    /// Records how a process ended; when that fails, tries again later. The process is still a zombie.
    fn note_exit(&mut self, key: JobKey, rank: u32, status: ExitStatus) -> io::Result<()> {
        let group = self.table.jobs.get(&key).and_then(|job| {
            let group = job.ranks.get(usize::try_from(rank).ok()?)?.group;
            job.ending.and(Some(group))
        });
        if let Err(error) = self.record(&Record::Exited { key, rank, status }) {
            self.retry = Some(proc::since_boot() + RETRY);
            return Err(error);
        }
        // The last process of a job told to end takes with it what it left in its group; while the zombie is there, the
        // group's number is not another's.
        if let (Some(group), Some(Phase::Ended(_))) = (group, self.table.jobs.get(&key).map(Job::phase)) {
            signal_group(group, Signal::KILL);
        }
        Ok(())
    }

    fn announce_end(&mut self, key: JobKey) {
        if matches!(self.table.jobs.get(&key).map(Job::phase), Some(Phase::Ended(_))) {
            self.announce(key);
        }
    }

    /// Puts everything that earlier reapers left under our watch, with its deadlines.
    pub(super) fn take_over(&mut self) {
        let (mut orphans, mut ending) = (Vec::new(), Vec::new());
        for (&key, job) in &self.table.jobs {
            if !matches!(job.phase(), Phase::Starting | Phase::Running) {
                continue;
            }
            for (rank, number) in job.ranks.iter().zip(0..).filter(|(rank, _)| rank.status.is_none()) {
                orphans.push(Orphan { key, rank: number, process: rank.process, pidfd: None });
            }
            if job.ending.is_some() {
                ending.push(key);
            }
            if let (Some(limit), Some(first)) = (job.limit, job.ranks.first()) {
                self.timers.insert((proc::started_at(first.process) + limit, key, Due::Limit));
            }
        }
        for orphan in orphans {
            let pidfd = open_pidfd(orphan.process);
            self.watch_orphan(Orphan { pidfd: pidfd.ok(), ..orphan });
        }
        // Those that had ended before there was a descriptor.
        for token in self.orphans.keys().copied().collect::<Vec<_>>() {
            self.bury_orphan(token);
        }
        // The last reaper may have died before it sent the signal.
        ending.into_iter().for_each(|key| self.terminate(key));
    }
}

fn signal_group(group: u32, signal: Signal) {
    if let Some(group) = Pid::from_raw(group.cast_signed()) {
        let _ = kill_process_group(group, signal);
    }
}

/// How a child ended, if it has.
fn child_status(pid: u32, also: WaitIdOptions) -> Option<(Pid, ExitStatus)> {
    let pid = Pid::from_raw(pid.cast_signed())?;
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | also;
    let status = waitid(WaitId::Pid(pid), options).ok()??;
    Some((pid, exit_status(&status)))
}

fn exit_status(status: &WaitIdStatus) -> ExitStatus {
    let byte = |number: i32| u8::try_from(number & 0xff).ok();
    match (status.exit_status().and_then(byte), status.terminating_signal().and_then(byte)) {
        (Some(code), _) => ExitStatus::Exited(code),
        (_, Some(signal)) => ExitStatus::Signaled(signal),
        _ => ExitStatus::Unknown,
    }
}

/// A descriptor that tells when the process ends; to be looked at afterwards, for the pid may have been reused.
///
/// One is needed per process, and the usual limit of 1024 descriptors is for our jobs to inherit. It counts only
/// when a descriptor is made, so it is lifted for that moment.
fn open_pidfd(process: ProcessId) -> rustix::io::Result<std::os::fd::OwnedFd> {
    let usual = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: usual.maximum, ..usual });
    let pid = Pid::from_raw(process.pid.cast_signed()).ok_or(Errno::SRCH)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty())
        .and_then(|pidfd| rustix::io::fcntl_dupfd_cloexec(pidfd, PIDFDS_FROM));
    let _ = setrlimit(Resource::Nofile, usual);
    pidfd
}

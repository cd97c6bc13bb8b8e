//! The reaper's table of jobs: records go in one after the other, in life and in replay alike. No I/O here.

use std::{collections::HashMap, time::Duration};

use super::{
    protocol::{MAX_PROCESSES, Status},
    record::{Ending, ExitStatus, ProcessId, Record},
};
use crate::{launch::JobKey, scheduler::Outcome};

/// Everything the journal says.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Table {
    /// All jobs not forgotten.
    pub jobs: HashMap<JobKey, Job>,
    /// Reapers so far, oldest first; none when the last ended in order.
    pub anchors: Vec<Anchor>,
    /// The job whose start was begun last: the only one with a process that may have been started and not recorded.
    pub begun: Option<JobKey>,
}

/// A reaper and its anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// The parent, which inherits the reaper's children.
    pub process: ProcessId,
    /// The reaper's own pid.
    pub reaper: u32,
}

/// One job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// How many ranks it is to have.
    pub processes: u32,
    /// Wall time.
    pub limit: Option<Duration>,
    /// Those started, in order.
    pub ranks: Vec<Rank>,
    /// Stopped by request.
    pub suspended: bool,
    /// Told to end.
    pub ending: Option<Ending>,
    /// What became of the ranks not in `ranks` cannot be known.
    pub lost: bool,
}

/// One process of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rank {
    /// Which.
    pub process: ProcessId,
    /// Its process group.
    pub group: u32,
    /// How it ended; while this is None, the process has not been waited for and its pid and group are its own.
    pub status: Option<ExitStatus>,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Some ranks are still to be started.
    Starting,
    /// All ranks have been started, not all have ended.
    Running,
    /// Over.
    Ended(Outcome),
}

/// A record that contradicts the table: the journal has been damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a record that does not fit those before it")]
pub struct Misfit;

impl Table {
    /// Takes in what has happened; leaves the table alone when that cannot be.
    pub fn apply(&mut self, record: &Record) -> Result<(), Misfit> {
        match *record {
            Record::Anchor { anchor, reaper } => self.anchors.push(Anchor { process: anchor, reaper }),
            Record::Intent { key, processes, limit } => {
                let ranks = Vec::new();
                let new = Job { processes, limit, ranks, suspended: false, ending: None, lost: false };
                // Written again when the start of a half-started job goes on.
                let job = self.jobs.get(&key).unwrap_or(&new);
                let fits = job.phase() == Phase::Starting && job.processes == processes && job.limit == limit;
                if !fits || processes > MAX_PROCESSES {
                    return Err(Misfit);
                }
                self.jobs.entry(key).or_insert(new);
                self.begun = Some(key);
            }
            Record::Started { key, rank, process, group } => {
                let job = self.job(key)?;
                if job.phase() != Phase::Starting || job.next_rank() != rank {
                    return Err(Misfit);
                }
                job.ranks.push(Rank { process, group, status: None });
            }
            Record::Exited { key, rank, status } => {
                let index = usize::try_from(rank).map_err(|_| Misfit)?;
                let rank = self.job(key)?.ranks.get_mut(index).ok_or(Misfit)?;
                if rank.status.is_some() {
                    return Err(Misfit);
                }
                rank.status = Some(status);
            }
            // The first reason stays.
            Record::Ending(key, ending) => {
                self.job(key)?.ending.get_or_insert(ending);
            }
            Record::Suspended(key) => self.job(key)?.suspended = true,
            Record::Resumed(key) => self.job(key)?.suspended = false,
            Record::Lost(key) => self.job(key)?.lost = true,
            Record::Dropped(key) | Record::Forgotten(key) => {
                self.jobs.remove(&key).ok_or(Misfit)?;
                self.begun = self.begun.filter(|&begun| begun != key);
            }
        }
        Ok(())
    }

    fn job(&mut self, key: JobKey) -> Result<&mut Job, Misfit> {
        self.jobs.get_mut(&key).ok_or(Misfit)
    }

    /// The shortest journal that leads to this table.
    pub fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        for anchor in &self.anchors {
            records.push(Record::Anchor { anchor: anchor.process, reaper: anchor.reaper });
        }
        let mut jobs: Vec<_> = self.jobs.iter().collect();
        jobs.sort_unstable_by_key(|&(&key, _)| (self.begun == Some(key), key));
        for (&key, job) in jobs {
            records.push(Record::Intent { key, processes: job.processes, limit: job.limit });
            for (rank, number) in job.ranks.iter().zip(0..) {
                records.push(Record::Started { key, rank: number, process: rank.process, group: rank.group });
            }
            for (rank, number) in job.ranks.iter().zip(0..) {
                records.extend(rank.status.map(|status| Record::Exited { key, rank: number, status }));
            }
            records.extend(job.ending.map(|ending| Record::Ending(key, ending)));
            records.extend(job.suspended.then_some(Record::Suspended(key)));
            records.extend(job.lost.then_some(Record::Lost(key)));
        }
        records
    }

    /// The machine has been started anew: nothing runs any more.
    pub fn rebooted(&mut self) {
        self.anchors.clear();
        for job in self.jobs.values_mut() {
            if !matches!(job.phase(), Phase::Ended(_)) {
                job.lost = true;
                for rank in &mut job.ranks {
                    rank.status.get_or_insert(ExitStatus::Unknown);
                }
            }
        }
    }
}

impl Job {
    /// How far it is.
    pub fn phase(&self) -> Phase {
        if self.ranks.iter().any(|rank| rank.status.is_none()) {
            return if self.may_start_more() { Phase::Starting } else { Phase::Running };
        }
        if self.may_start_more() { Phase::Starting } else { Phase::Ended(self.outcome()) }
    }

    /// A job told to end, or lost, starts no further rank.
    fn may_start_more(&self) -> bool {
        self.next_rank() < self.processes && self.ending.is_none() && !self.lost
    }

    /// Number of the rank to be started next.
    pub fn next_rank(&self) -> u32 {
        u32::try_from(self.ranks.len()).unwrap_or(u32::MAX)
    }

    /// The first status in rank order that is not success decides; an unknown one leaves it undecided.
    fn outcome(&self) -> Outcome {
        if self.ending == Some(Ending::Limit) {
            return Outcome::TimeLimit;
        }
        for rank in &self.ranks {
            match rank.status {
                Some(ExitStatus::Exited(0)) => {}
                Some(ExitStatus::Exited(code)) => return Outcome::Exited { code: code.into() },
                Some(ExitStatus::Signaled(signal)) => {
                    return Outcome::Exited { code: 128 + i32::from(signal) };
                }
                Some(ExitStatus::Unknown) | None => return Outcome::Lost,
            }
        }
        // Cancelled before anything ran: as if TERM had found it.
        match (self.lost, self.ranks.is_empty()) {
            (true, _) => Outcome::Lost,
            (false, true) => Outcome::Exited { code: 128 + 15 },
            (false, false) => Outcome::Exited { code: 0 },
        }
    }

    /// What the job manager is told; None while the job is being started.
    pub fn status(&self) -> Option<Status> {
        let pids = || self.ranks.iter().map(|rank| rank.process.pid).collect();
        match self.phase() {
            Phase::Starting => None,
            Phase::Running if self.suspended => Some(Status::Suspended(pids())),
            Phase::Running => Some(Status::Active(pids())),
            Phase::Ended(outcome) => Some(Status::Ended(outcome)),
        }
    }

    /// The process groups that still have a process of the job in them, each once.
    pub fn groups(&self) -> Vec<u32> {
        let mut groups: Vec<u32> =
            self.ranks.iter().filter(|rank| rank.status.is_none()).map(|rank| rank.group).collect();
        groups.sort_unstable();
        groups.dedup();
        groups
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const KEY: JobKey = JobKey { high: 7, low: 9 };

    fn replay(lines: &str) -> Table {
        let mut table = Table::default();
        for line in lines.lines() {
            table.apply(&line.trim().parse().unwrap()).unwrap_or_else(|_| panic!("{line}"));
        }
        table
    }

    fn outcome(lines: &str) -> Phase {
        replay(lines).jobs[&KEY].phase()
    }

    #[test]
    fn the_first_failure_in_rank_order_is_the_jobs() {
        let started = "intent 7.9 3 -\nstarted 7.9 0 5 1 5\nstarted 7.9 1 6 1 5\n";
        assert_eq!(outcome(started), Phase::Starting);
        let started = format!("{started}started 7.9 2 7 1 5\n");
        assert_eq!(outcome(&started), Phase::Running);
        let ended = format!("{started}exited 7.9 2 exit 3\nexited 7.9 0 exit 0\n");
        assert_eq!(outcome(&ended), Phase::Running);
        let killed = format!("{ended}exited 7.9 1 signal 9\n");
        assert_eq!(outcome(&killed), Phase::Ended(Outcome::Exited { code: 137 }));
        let unknown = format!("{ended}exited 7.9 1 unknown\n");
        assert_eq!(outcome(&unknown), Phase::Ended(Outcome::Lost));
    }

    #[test]
    fn a_limit_is_told_from_a_cancellation() {
        let lines = "intent 7.9 1 60\nstarted 7.9 0 5 1 5\nending 7.9 limit\nending 7.9 cancel\nexited 7.9 0 signal 15\n";
        assert_eq!(outcome(lines), Phase::Ended(Outcome::TimeLimit));
        let lines = lines.replace("limit", "cancel");
        assert_eq!(outcome(&lines), Phase::Ended(Outcome::Exited { code: 143 }));
        assert_eq!(outcome("intent 7.9 1 -\nending 7.9 cancel"), Phase::Ended(Outcome::Exited { code: 143 }));
    }

    #[test]
    fn what_ended_before_a_reboot_is_known_and_the_rest_is_lost() {
        let mut table = replay(
            "anchor 2 2 3\nintent 7.9 1 -\nstarted 7.9 0 5 1 5\nintent 7.8 1 -\nstarted 7.8 0 6 1 6\nexited 7.8 0 exit 4",
        );
        table.rebooted();
        assert_eq!(table.anchors, []);
        assert_eq!(table.jobs[&KEY].phase(), Phase::Ended(Outcome::Lost));
        let other = JobKey { low: 8, ..KEY };
        assert_eq!(table.jobs[&other].phase(), Phase::Ended(Outcome::Exited { code: 4 }));
    }

    #[test]
    fn groups_without_a_live_process_are_not_signalled() {
        let table = replay(
            "intent 7.9 3 -\nstarted 7.9 0 5 1 5\nstarted 7.9 1 6 1 5\nstarted 7.9 2 8 2 8\nexited 7.9 2 exit 0\nexited 7.9 0 exit 0",
        );
        assert_eq!(table.jobs[&KEY].groups(), [5]);
    }

    proptest! {
        /// Whatever a damaged journal says, it leads to some table, and the compacted journal to the same.
        #[test]
        fn compaction_keeps_the_table(records in vec(super::super::record::tests::record(), 0..60)) {
            let mut table = Table::default();
            for record in &records {
                let before = table.clone();
                if table.apply(record).is_err() {
                    prop_assert_eq!(&before, &table);
                }
            }
            let mut again = Table::default();
            for record in table.records() {
                prop_assert_eq!(again.apply(&record), Ok(()));
            }
            // With nothing begun, the last job of the list passes for it, which is never `Starting`.
            prop_assert_eq!((again.jobs, again.anchors), (table.jobs, table.anchors));
            prop_assert!(table.begun.is_none() || again.begun == table.begun);
        }
    }
}

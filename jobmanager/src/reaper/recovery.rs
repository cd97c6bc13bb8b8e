//! After a reaper's death: which process may have been started and not recorded.
//!
//! A reaper starts one process at a time, writing `intent` before the first of a job and `started` after each. So at
//! most one process is unaccounted for, it belongs to the job begun last, and it is a child of the anchor, or
//! was never started. Only when the anchor has died as well must processes be asked for their environment.

use std::collections::HashSet;

use super::{
    proc::{self, Stat},
    record::{ProcessId, Record},
    table::{Anchor, Job, Phase, Table},
};
use crate::launch::JobKey;

/// What is to be recorded so that no start is left in doubt. `processes` are all of the machine, `job_of`
/// what a process's environment says.
pub(super) fn resolve_starts(
    table: &Table,
    processes: &[Stat],
    job_of: impl Fn(u32) -> Option<JobKey>,
) -> Vec<Record> {
    let mut records = Vec::new();
    for (&key, job) in &table.jobs {
        if job.phase() != Phase::Starting {
            continue;
        }
        let anchor = table.anchors.last().filter(|_| table.begun == Some(key));
        let heir = anchor.map(|anchor| processes.iter().find(|stat| stat.process == anchor.process));
        let found = match (anchor, heir) {
            (Some(anchor), Some(Some(heir))) => children(table, job, anchor, heir, processes, |pid| {
                job_of(pid).is_none_or(|other| other == key)
            }),
            (Some(_), _) => strays(table, processes, |pid| job_of(pid) == Some(key)),
            (None, _) => Vec::new(),
        };
        let missing = job.processes - job.next_rank();
        let started = (job.next_rank()..job.processes).zip(&found);
        records.extend(started.map(|(rank, stat)| {
            // Caught before it had a group of its own, it is about to have one.
            let own_group = stat.group != heir.flatten().map_or(0, |heir| heir.group);
            let group = if own_group { stat.group } else { stat.process.pid };
            Record::Started { key, rank, process: stat.process, group }
        }));
        if matches!(heir, Some(None)) && found.len() < missing as usize {
            records.push(Record::Lost(key));
        } else if found.is_empty() && job.ranks.is_empty() {
            records.push(Record::Dropped(key));
        }
    }
    records
}

fn known(table: &Table) -> HashSet<ProcessId> {
    table.jobs.values().flat_map(|job| &job.ranks).map(|rank| rank.process).collect()
}

/// The anchor's children that can only be the job's, oldest first. Daemons that other jobs left behind are its
/// children too, but lead sessions of their own or are in groups that we know.
fn children(
    table: &Table,
    job: &Job,
    anchor: &Anchor,
    heir: &Stat,
    processes: &[Stat],
    may_be_the_jobs: impl Fn(u32) -> bool,
) -> Vec<Stat> {
    let known = known(table);
    let last_start = known.iter().map(|process| process.start).max().unwrap_or(0);
    let mut found: Vec<Stat> = processes.to_vec();
    found.retain(|stat| {
        let pid = stat.process.pid;
        let group = stat.group;
        stat.parent == anchor.process.pid
            && stat.session == heir.session
            && pid != anchor.reaper
            && !stat.died_unborn()
            && (group == pid || group == heir.group || job.ranks.iter().any(|rank| rank.group == group))
            && stat.process.start >= last_start
            && !known.contains(&stat.process)
            && may_be_the_jobs(pid)
    });
    found.sort_unstable_by_key(|stat| (stat.process.start, stat.process.pid));
    found
}

/// The processes that carry the job's name in their environment and were not started by one that does.
fn strays(table: &Table, processes: &[Stat], is_the_jobs: impl Fn(u32) -> bool) -> Vec<Stat> {
    let known = known(table);
    let mut found: Vec<Stat> =
        processes.iter().copied().filter(|stat| is_the_jobs(stat.process.pid)).collect();
    let pids: HashSet<u32> = found.iter().map(|stat| stat.process.pid).collect();
    found.retain(|stat| !pids.contains(&stat.parent) && !known.contains(&stat.process));
    found.sort_unstable_by_key(|stat| (stat.process.start, stat.process.pid));
    found
}

/// As [`resolve_starts`], looking at this machine.
pub(super) fn look(table: &Table) -> std::io::Result<Vec<Record>> {
    if table.jobs.values().all(|job| job.phase() != Phase::Starting) {
        return Ok(Vec::new());
    }
    Ok(resolve_starts(table, &proc::processes()?, proc::job_of))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: JobKey = JobKey { high: 7, low: 9 };

    fn table(lines: &str) -> Table {
        let mut table = Table::default();
        lines.lines().for_each(|line| table.apply(&line.trim().parse().unwrap()).unwrap());
        table
    }

    /// pid, parent, group, session, start
    fn stat([pid, parent, group, session, start]: [u32; 5]) -> Stat {
        let process = ProcessId { pid, start: start.into() };
        Stat { process, is_reaper: false, state: b'S', parent, group, session, threads: 1, exit_code: 0 }
    }

    fn resolve(table: &Table, processes: &[[u32; 5]], job_of: &[(u32, JobKey)]) -> Vec<String> {
        let processes: Vec<Stat> = processes.iter().copied().map(stat).collect();
        let job_of = |pid| job_of.iter().find(|(other, _)| *other == pid).map(|(_, key)| *key);
        resolve_starts(table, &processes, job_of).iter().map(Record::to_string).collect()
    }

    const ANCHOR: [u32; 5] = [10, 1, 10, 10, 100];
    const REAPER: [u32; 5] = [11, 10, 10, 10, 100];

    #[test]
    fn a_process_started_and_not_recorded_is_found() {
        let table = table("anchor 10 100 11\nintent 7.9 1 -");
        assert_eq!(resolve(&table, &[ANCHOR, REAPER], &[]), ["dropped 7.9"]);
        let job = [20, 10, 20, 10, 105];
        assert_eq!(resolve(&table, &[ANCHOR, REAPER, job], &[]), ["started 7.9 0 20 105 20"]);
        // Just forked, not in its own group yet.
        let job = [20, 10, 10, 10, 105];
        assert_eq!(resolve(&table, &[ANCHOR, REAPER, job], &[]), ["started 7.9 0 20 105 20"]);
    }

    /// As when everything with the reaper's command line is killed: its child has that until it has become the job.
    #[test]
    fn what_died_before_it_became_the_job_has_not_run() {
        let table = table("anchor 10 100 11\nintent 7.9 1 -");
        let unborn = Stat { is_reaper: true, state: b'Z', exit_code: 9, ..stat([20, 10, 20, 10, 105]) };
        let resolve = |job: Stat| {
            let processes = [stat(ANCHOR), stat(REAPER), job];
            resolve_starts(&table, &processes, |_| None).iter().map(Record::to_string).collect::<Vec<_>>()
        };
        assert_eq!(resolve(unborn), ["dropped 7.9"]);
        assert_eq!(resolve(Stat { is_reaper: false, ..unborn }), ["started 7.9 0 20 105 20"]);
        assert_eq!(resolve(Stat { state: b'R', ..unborn }), ["started 7.9 0 20 105 20"]);
    }

    #[test]
    fn what_other_jobs_left_behind_is_not_the_jobs() {
        let table = table("anchor 10 100 11\nintent 7.8 1 -\nstarted 7.8 0 15 103 15\nintent 7.9 1 -");
        let known = [15, 10, 15, 10, 103];
        let daemon = [16, 10, 16, 16, 104];
        let background = [17, 10, 15, 10, 105];
        let older = [18, 10, 18, 10, 102];
        let elsewhere = [19, 1, 19, 10, 105];
        let named = [21, 10, 21, 10, 105];
        let all = [ANCHOR, REAPER, known, daemon, background, older, elsewhere, named];
        let other = JobKey { low: 8, ..KEY };
        assert_eq!(resolve(&table, &all, &[(21, other)]), ["dropped 7.9"]);
    }

    #[test]
    fn a_half_started_job_waits_for_the_rest() {
        let lines = "anchor 10 100 11\nintent 7.9 3 -\nstarted 7.9 0 15 103 15";
        let known = [15, 10, 15, 10, 103];
        assert_eq!(resolve(&table(lines), &[ANCHOR, known], &[]), [] as [&str; 0]);
        let second = [16, 10, 15, 10, 103];
        assert_eq!(resolve(&table(lines), &[ANCHOR, known, second], &[]), ["started 7.9 1 16 103 15"]);
        // A later reaper has begun another job: then this one had been looked at before.
        let later = format!("{lines}\nanchor 30 200 31\nintent 7.5 1 -");
        let heir = [30, 1, 30, 30, 200];
        let job = [40, 30, 40, 30, 201];
        assert_eq!(resolve(&table(&later), &[heir, job], &[]), ["started 7.5 0 40 201 40"]);
    }

    #[test]
    fn without_the_anchor_what_is_not_found_is_lost() {
        let table = table("anchor 10 100 11\nintent 7.9 1 -");
        assert_eq!(resolve(&table, &[REAPER], &[]), ["lost 7.9"]);
        let job = [20, 1, 20, 10, 105];
        let child = [21, 20, 20, 10, 105];
        assert_eq!(resolve(&table, &[child, job], &[(20, KEY), (21, KEY)]), ["started 7.9 0 20 105 20"]);
        // The anchor's pid, and another process.
        assert_eq!(resolve(&table, &[[10, 1, 10, 10, 500]], &[]), ["lost 7.9"]);
    }
}

//! Very many live jobs in one job manager: how long it takes to ask about all of them, to start the manager again, to end
//! them; what they cost in memory; and whether memory stays where it is while jobs come and go.

use crate::{
    Finished, Running, User,
    command::DEADLINE,
    mortal_site::{MortalSite, Role},
};
use serde::Serialize;
use std::{
    collections::HashMap,
    thread,
    time::{Duration, Instant},
};

/// Between one look and the next.
const PAUSE: Duration = Duration::from_millis(100);
/// How many short jobs are submitted at once while memory is watched.
const WAVE: usize = 250;
/// What takes care of jobs.
const CARERS: [Role; 2] = [Role::JobManager, Role::Reaper];

/// The jobs of one user at one site.
pub struct Crowd<'a> {
    user: &'a User,
    site: &'a mut MortalSite,
    jobs: usize,
    /// Memory with one job.
    kib_with_one: u64,
}

/// What it came to.
#[derive(Debug, Serialize)]
pub struct Figures {
    /// How many jobs lived.
    pub jobs: usize,
    /// From the command to the contacts of all.
    pub submit_seconds: f64,
    /// Of job manager and reaper, for each job beyond the first (Pss).
    pub kib_per_job: f64,
    /// One `gridiron status --all`.
    pub status_seconds: f64,
    /// From the death of the job manager until its successor has told the state of all.
    pub restart_seconds: f64,
    /// While short jobs came and went beside the others.
    pub churn: Churn,
    /// One `gridiron cancel --all`.
    pub cancel_seconds: f64,
}

/// Short jobs, and the memory of job manager and reaper meanwhile.
#[derive(Debug, Serialize)]
pub struct Churn {
    /// How long.
    pub seconds: f64,
    /// How many jobs came and went.
    pub jobs: usize,
    /// KiB (Pss) of job manager and reaper, from the beginning to the end at even intervals.
    pub kib: Vec<u64>,
}

impl<'a> Crowd<'a> {
    /// Submits so many jobs that stay.
    pub fn gather(user: &'a User, site: &'a mut MortalSite, jobs: usize) -> (Self, f64) {
        let one = gridiron(user, &["submit", "-r", site.contact(), "/bin/sleep", "3600"]).job_contact();
        user.until_status(&one, "ACTIVE");
        let kib_with_one = site.memory_kib(&CARERS);
        let array = format!("2-{jobs}");
        let contact = site.contact().to_owned();
        let submitted =
            gridiron(user, &["submit", "-r", &contact, "--array", &array, "/bin/sleep", "3600"]).succeeded();
        let crowd = Self { user, site, jobs, kib_with_one };
        crowd.until_all_are("ACTIVE");
        (crowd, submitted.took.as_secs_f64())
    }

    /// Everything, one after the other; short jobs come and go for so long.
    pub fn measure(user: &'a User, site: &'a mut MortalSite, jobs: usize, churn: Duration) -> Figures {
        let (mut crowd, submit_seconds) = Self::gather(user, site, jobs);
        let kib_per_job = crowd.kib_per_job();
        let status_seconds = crowd.status();
        let restart_seconds = crowd.restart();
        let churn = crowd.churn(churn);
        let cancel_seconds = crowd.cancel();
        Figures { jobs, submit_seconds, kib_per_job, status_seconds, restart_seconds, churn, cancel_seconds }
    }

    /// Memory for each job beyond the first.
    pub fn kib_per_job(&self) -> f64 {
        let further = self.site.memory_kib(&CARERS).saturating_sub(self.kib_with_one);
        further as f64 / (self.jobs - 1) as f64
    }

    /// Seconds for the state of all.
    #[track_caller]
    pub fn status(&self) -> f64 {
        let asked = gridiron(self.user, &["status", "--all"]).succeeded();
        assert_eq!(asked.stdout.lines().count(), self.jobs);
        asked.took.as_secs_f64()
    }

    /// Seconds until a job manager that is killed is replaced and all jobs are known again.
    pub fn restart(&mut self) -> f64 {
        let start = Instant::now();
        self.site.kill(&[Role::JobManager]);
        self.until_all_are("ACTIVE");
        start.elapsed().as_secs_f64()
    }

    /// Ends all; seconds it took.
    #[track_caller]
    pub fn cancel(&self) -> f64 {
        let cancelled = gridiron(self.user, &["cancel", "--all"]);
        assert_eq!(cancelled.code, 0, "{:?}", cancelled.stderr);
        self.until_all_are("FAILED");
        cancelled.took.as_secs_f64()
    }

    /// Short jobs come and go for so long, a wave after the other. They are not recorded among the user's.
    pub fn churn(&self, time: Duration) -> Churn {
        let start = Instant::now();
        let (mut jobs, mut kib) = (0, vec![self.site.memory_kib(&CARERS)]);
        let wave = format!("1-{WAVE}");
        while start.elapsed() < time {
            let mut submit = self.user.gridiron();
            submit.args(["submit", "-r", self.site.contact(), "--array", &wave, "/bin/true"]);
            submit.env("XDG_STATE_HOME", self.user.temporary().join("churn"));
            Running::start(submit, None).finish().succeeded();
            jobs += WAVE;
            if start.elapsed() > time.mul_f64(kib.len() as f64 / 20.0) {
                kib.push(self.site.memory_kib(&CARERS));
            }
        }
        kib.push(self.site.memory_kib(&CARERS));
        Churn { seconds: start.elapsed().as_secs_f64(), jobs, kib }
    }

    /// There is no event to wait for in a command that prints states: it is asked again and again.
    #[track_caller]
    fn until_all_are(&self, state: &str) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let asked = gridiron(self.user, &["status", "--all"]);
            let mut states: HashMap<&str, usize> = HashMap::new();
            for line in asked.stdout.lines() {
                let state = line.split(' ').nth(1).unwrap_or_default().trim_end_matches([',', ':']);
                *states.entry(state).or_default() += 1;
            }
            if states.get(state) == Some(&self.jobs) {
                return;
            }
            assert!(Instant::now() < deadline, "not all are {state}: {states:?} {}", asked.stderr);
            thread::sleep(PAUSE);
        }
    }
}

#[track_caller]
fn gridiron(user: &User, arguments: &[&str]) -> Finished {
    let mut command = user.gridiron();
    command.args(arguments);
    Running::start(command, None).finish()
}

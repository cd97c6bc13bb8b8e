//! Real reapers, killed at every point. The reaper program is this test binary, run again for one hidden test.

use std::{
    collections::HashMap,
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};
use tokio::{sync::mpsc, time::timeout};

use super::{
    client::{Change, Client, ClientError},
    protocol::{Command, Refusal, Request, Stage, Status},
    table::Table,
    *,
};
use crate::{launch::JobKey, scheduler::Outcome};

const DIR_VARIABLE: &str = "GRIDIRON_TEST_REAPER_DIR";
/// Longer than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program behind [`command`].
#[test]
#[ignore = "not a test: the reaper that the tests start"]
fn reaper_process() {
    let dir = std::env::var_os(DIR_VARIABLE).expect("started by a test");
    if let Err(error) = main(Path::new(&dir)) {
        eprintln!("{error}");
    }
}

/// A command line that starts a reaper; `--dir DIR` is to be added.
pub(crate) fn command() -> Vec<OsString> {
    let script = format!(
        "{DIR_VARIABLE}=\"$2\" exec \"$0\" reaper::tests::reaper_process --exact --ignored --nocapture --quiet"
    );
    vec!["/bin/sh".into(), "-c".into(), script.into(), std::env::current_exe().unwrap().into()]
}

/// One account's reaper directory with a manager's client.
struct Rig {
    dir: tempfile::TempDir,
    client: Client,
    changes: mpsc::UnboundedReceiver<Change>,
    ended: HashMap<JobKey, Outcome>,
}

fn key(low: u64) -> JobKey {
    JobKey { high: 5, low }
}

impl Rig {
    fn new() -> Rig {
        let dir = tempfile::tempdir().unwrap();
        let (client, changes) = Rig::connect(&dir);
        Rig { dir, client, changes, ended: HashMap::new() }
    }

    fn connect(dir: &tempfile::TempDir) -> (Client, mpsc::UnboundedReceiver<Change>) {
        let dir = dir.path().join("reaper");
        let mut command = command();
        command.extend(["--dir".into(), dir.clone().into_os_string()]);
        Client::new(dir, command)
    }

    /// As if the manager had been killed: nothing it knew or was about to ask survives.
    fn new_manager(&mut self) {
        (self.client, self.changes) = Rig::connect(&self.dir);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn job(&self, low: u64, script: &str) -> Command {
        Command {
            executable: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            environment: vec![
                ("PATH".into(), "/usr/bin:/bin".into()),
                ("GLOBUS_GRAM_JOB_CONTACT".into(), format!("https://here:1/5/{low}/").into()),
            ],
            directory: self.dir.path().into(),
            stdin: "/dev/null".into(),
            stdout: "out".into(),
            stderr: "err".into(),
            processes: 1,
            limit: None,
        }
    }

    async fn start(&self, low: u64, script: &str) -> Result<Vec<u32>, ClientError> {
        self.start_command(low, self.job(low, script)).await
    }

    async fn start_command(&self, low: u64, command: Command) -> Result<Vec<u32>, ClientError> {
        match self.client.ask(Request::Start(key(low), Box::new(command))).await? {
            Some(Status::Active(pids) | Status::Suspended(pids)) => Ok(pids),
            _ => Ok(Vec::new()),
        }
    }

    async fn change(&mut self) -> Change {
        let change = timeout(PATIENCE, self.changes.recv()).await.expect("no change came").unwrap();
        if let (key, Status::Ended(outcome)) = change {
            let before = self.ended.insert(key, outcome);
            assert!(
                before.is_none_or(|before| before == outcome),
                "{key} ended twice: {before:?}, {outcome:?}"
            );
        }
        change
    }

    async fn outcome(&mut self, low: u64) -> Outcome {
        while !self.ended.contains_key(&key(low)) {
            self.change().await;
        }
        self.ended[&key(low)]
    }

    fn table(&self) -> Table {
        let journal = std::fs::read(self.path("reaper/journal")).unwrap_or_default();
        journal::replay(&journal).table
    }

    /// Kills the reaper that runs now, if one does, and waits until it has gone.
    async fn kill_reaper(&self) {
        if let Some(anchor) = self.table().anchors.last() {
            let reaper = proc::stat(anchor.reaper).filter(|stat| stat.parent == anchor.process.pid);
            if let Some(reaper) = reaper {
                kill_and_wait(reaper.process.pid).await;
            }
        }
    }
}

impl Drop for Rig {
    /// Leaves nothing behind, also when a test fails: no job, no anchor, no reaper.
    fn drop(&mut self) {
        let table = self.table();
        let ranks = table.jobs.values().flat_map(|job| &job.ranks).map(|rank| rank.process);
        for process in ranks.chain(table.anchors.iter().map(|anchor| anchor.process)) {
            if proc::life(process) == proc::Life::Alive {
                kill(process.pid);
            }
        }
        table.anchors.last().into_iter().for_each(|anchor| {
            if proc::stat(anchor.reaper).is_some_and(|stat| stat.parent == anchor.process.pid) {
                kill(anchor.reaper);
            }
        });
    }
}

fn kill(pid: u32) {
    let _ = kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::KILL);
}

async fn kill_and_wait(pid: u32) {
    let gone = wait_for_end(pid);
    kill(pid);
    gone.await;
}

/// Resolves when the process has ended. The descriptor is taken at once, not when first polled.
fn wait_for_end(pid: u32) -> impl Future<Output = ()> {
    let pidfd = pidfd_open(Pid::from_raw(pid.cast_signed()).unwrap(), PidfdFlags::empty());
    async move {
        let Ok(pidfd) = pidfd else { return };
        let patience = rustix::time::Timespec::try_from(PATIENCE).unwrap();
        let wait = move || poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&patience));
        assert_eq!(tokio::task::spawn_blocking(wait).await.unwrap(), Ok(1), "process {pid} does not end");
    }
}

fn exited(code: i32) -> Outcome {
    Outcome::Exited { code }
}

#[tokio::test]
async fn jobs_run_and_their_ends_are_told() {
    let mut rig = Rig::new();
    let pids = rig.start(1, "echo one; exit 3").await.unwrap();
    assert_eq!(pids.len(), 1);
    rig.start(2, "kill -11 $$").await.unwrap();
    assert_eq!(rig.outcome(1).await, exited(3));
    assert_eq!(rig.outcome(2).await, exited(128 + 11));
    assert_eq!(std::fs::read_to_string(rig.path("out")).unwrap(), "one\n");
    // A start that is repeated gives what there is, until it is forgotten.
    rig.start(1, "echo two").await.unwrap();
    assert_eq!(rig.client.ask(Request::Forget(key(1))).await.unwrap(), Some(Status::Ended(exited(3))));
    assert_eq!(std::fs::read_to_string(rig.path("out")).unwrap(), "one\n");
    assert!(!rig.table().jobs.contains_key(&key(1)));
    // Real-time signals have no names.
    rig.start(3, "kill -40 $$").await.unwrap();
    assert_eq!(rig.outcome(3).await, exited(128 + 40));
}

#[tokio::test]
async fn a_job_of_many_processes() {
    let mut rig = Rig::new();
    let mut job = rig.job(1, "echo x; exit $(($$ % 2 * 4))");
    job.processes = 50;
    let pids = rig.start_command(1, job).await.unwrap();
    assert_eq!(pids.len(), 50);
    let expected = if pids.iter().any(|pid| pid % 2 == 1) { 4 } else { 0 };
    assert_eq!(rig.outcome(1).await, exited(expected));
    assert_eq!(std::fs::read_to_string(rig.path("out")).unwrap(), "x\n".repeat(50));
}

#[tokio::test]
async fn what_cannot_be_started_is_refused_and_may_be_tried_again() {
    let mut rig = Rig::new();
    let mut job = rig.job(1, "exit 0");
    job.executable = "/nonexistent".into();
    let refusal = rig.start_command(1, job).await.unwrap_err();
    assert!(matches!(refusal, ClientError::Refused(Refusal { stage: Stage::Executable, .. })), "{refusal}");
    rig.start(1, "exit 9").await.unwrap();
    assert_eq!(rig.outcome(1).await, exited(9));
    let refusal = rig.client.ask(Request::Cancel(key(1))).await.unwrap_err();
    assert!(matches!(refusal, ClientError::Refused(Refusal { stage: Stage::NoSuchJob, .. })), "{refusal}");
}

#[tokio::test]
async fn suspend_resume_and_cancel() {
    let mut rig = Rig::new();
    // TERM is ignored by the first process; a second one that heeds it ends at once.
    let pids = rig
        .start(1, "trap 'echo term; exit 5' TERM; echo ready; while :; do sleep 0.05; done")
        .await
        .unwrap();
    assert!(matches!(rig.change().await, (_, Status::Active(_))));
    while std::fs::read(rig.path("out")).is_ok_and(|out| out.is_empty()) {
        tokio::task::yield_now().await;
    }
    rig.client.ask(Request::Suspend(key(1))).await.unwrap();
    assert!(matches!(rig.change().await, (_, Status::Suspended(_))));
    while proc::stat(pids[0]).unwrap().state != b'T' {
        tokio::task::yield_now().await;
    }
    rig.client.ask(Request::Resume(key(1))).await.unwrap();
    assert!(matches!(rig.change().await, (_, Status::Active(_))));
    rig.client.ask(Request::Suspend(key(1))).await.unwrap();
    rig.client.ask(Request::Cancel(key(1))).await.unwrap();
    assert_eq!(rig.outcome(1).await, exited(5));
    assert_eq!(std::fs::read_to_string(rig.path("out")).unwrap(), "ready\nterm\n");
}

#[tokio::test]
async fn what_does_not_heed_term_is_killed_with_all_it_has_started() {
    let mut rig = Rig::new();
    let pids = rig.start(1, "trap '' TERM; sleep 1000 & echo $!; exec sleep 1000").await.unwrap();
    let out = loop {
        let out = std::fs::read_to_string(rig.path("out")).unwrap();
        if out.ends_with('\n') {
            break out;
        }
        tokio::task::yield_now().await;
    };
    let left = wait_for_end(out.trim().parse().unwrap());
    rig.client.ask(Request::Cancel(key(1))).await.unwrap();
    // The KILL that is due is the next reaper's business.
    rig.kill_reaper().await;
    assert_eq!(rig.outcome(1).await, exited(128 + 9), "{pids:?}");
    left.await;
}

#[tokio::test]
async fn the_limit_outlives_reaper_and_manager() {
    let mut rig = Rig::new();
    let mut job = rig.job(1, "sleep 1000");
    job.limit = Some(Duration::from_secs(1));
    rig.start_command(1, job).await.unwrap();
    rig.new_manager();
    rig.kill_reaper().await;
    rig.client.adopt(vec![(key(1), true)]).await.unwrap();
    assert_eq!(rig.outcome(1).await, Outcome::TimeLimit);
}

#[tokio::test]
async fn a_job_that_ends_with_nobody_there_keeps_its_exit_code() {
    let mut rig = Rig::new();
    for (low, script) in [(1, "read x; exit 42"), (2, "read x; kill -9 $$"), (3, "read x; exit 0")] {
        let fifo = rig.path("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let mut job = rig.job(low, script);
        job.arguments[1] = format!("exec <fifo; {script}").into();
        let pids = rig.start_command(low, job).await.unwrap();
        let ended = wait_for_end(pids[0]);
        // All of ours at once.
        rig.new_manager();
        rig.kill_reaper().await;
        let fifo_path = fifo.clone();
        tokio::task::spawn_blocking(move || std::fs::write(fifo_path, "go\n")).await.unwrap().unwrap();
        ended.await;
        std::fs::remove_file(fifo).unwrap();
    }
    rig.client.adopt((1..=3).map(|low| (key(low), true)).collect()).await.unwrap();
    assert_eq!(rig.outcome(1).await, exited(42));
    assert_eq!(rig.outcome(2).await, exited(128 + 9));
    assert_eq!(rig.outcome(3).await, exited(0));
    // Nothing of the earlier reapers is needed any more.
    while rig.table().anchors.len() != 1 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn without_the_anchor_an_end_unseen_is_lost_and_never_guessed() {
    let mut rig = Rig::new();
    rig.start(1, "sleep 1000").await.unwrap();
    let pids = rig.start(2, "sleep 1000").await.unwrap();
    rig.new_manager();
    let anchor = rig.table().anchors[0].process.pid;
    rig.kill_reaper().await;
    kill_and_wait(anchor).await;
    kill_and_wait(pids[0]).await;
    rig.client.adopt(vec![(key(1), true), (key(2), true), (key(3), true), (key(4), false)]).await.unwrap();
    // Whoever inherited it may bury it at once or later; until then its status is still there to be seen.
    let outcome = rig.outcome(2).await;
    assert!(matches!(outcome, Outcome::Lost | Outcome::Exited { code: 137 }), "{outcome:?}");
    // Never heard of, though it was started once: lost. Never heard of and not known to be started: nothing.
    assert_eq!(rig.outcome(3).await, Outcome::Lost);
    rig.client.ask(Request::Cancel(key(1))).await.unwrap();
    let outcome = rig.outcome(1).await;
    assert!(matches!(outcome, Outcome::Lost | Outcome::Exited { code: 143 }), "{outcome:?}");
    assert!(!rig.ended.contains_key(&key(4)));
    rig.start(4, "exit 6").await.unwrap();
    assert_eq!(rig.outcome(4).await, exited(6));
}

#[tokio::test]
async fn reaper_and_anchor_end_when_there_is_nothing_left_to_do() {
    let mut rig = Rig::new();
    rig.start(1, "exit 1").await.unwrap();
    assert_eq!(rig.outcome(1).await, exited(1));
    let pids = rig.start(2, "sleep 1000").await.unwrap();
    let anchor = rig.table().anchors[0];
    let ends = [wait_for_end(anchor.reaper), wait_for_end(anchor.process.pid)];
    rig.new_manager();
    // The second job is cancelled from outside; both ends are kept for the manager to come.
    kill(pids[0]);
    for end in ends {
        end.await;
    }
    assert!(rig.table().anchors.is_empty());
    rig.client.adopt(vec![(key(1), true), (key(2), true)]).await.unwrap();
    rig.ended.clear();
    assert_eq!(rig.outcome(1).await, exited(1));
    assert_eq!(rig.outcome(2).await, exited(128 + 9));
}

#[tokio::test]
async fn daemons_that_a_job_leaves_behind_are_buried_and_no_descriptor_leaks() {
    let mut rig = Rig::new();
    rig.start(0, "exit 0").await.unwrap();
    rig.outcome(0).await;
    let reaper = rig.table().anchors[0].reaper;
    let open = || std::fs::read_dir(format!("/proc/{reaper}/fd")).unwrap().count();
    let before = open();
    for low in 1..=20 {
        rig.start(low, "(sleep 0.02 & ) ; exit 2").await.unwrap();
    }
    for low in 1..=20 {
        assert_eq!(rig.outcome(low).await, exited(2));
    }
    let children = || proc::processes().unwrap().iter().filter(|stat| stat.parent == reaper).count();
    while children() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(open(), before);
    // The umask is the manager's, and so are the modes of the files.
    rig.start(29, "umask").await.unwrap();
    rig.outcome(29).await;
    let umask = std::process::Command::new("sh").args(["-c", "umask"]).output().unwrap().stdout;
    assert_eq!(std::fs::read(rig.path("out")).unwrap(), umask);
    // What a job sees is its own three.
    std::fs::remove_file(rig.path("out")).unwrap();
    let mut list = rig.job(30, "");
    (list.executable, list.arguments) = ("/bin/ls".into(), vec!["/proc/self/fd".into()]);
    rig.start_command(30, list).await.unwrap();
    rig.outcome(30).await;
    assert_eq!(std::fs::read_to_string(rig.path("out")).unwrap(), "0\n1\n2\n3\n");
}

#[tokio::test]
async fn a_reaper_that_cannot_be_started_fails_only_what_it_has_not_seen() {
    let dir = tempfile::tempdir().unwrap();
    let (client, _changes) = Client::new(dir.path().join("reaper"), vec!["/nonexistent/reaper".into()]);
    let error = client.ask(Request::Cancel(key(1))).await.unwrap_err();
    assert!(error.to_string().contains("/nonexistent/reaper"), "{error}");
    let (client, _changes) = Client::new(dir.path().join("reaper"), vec!["/bin/false".into()]);
    let error = client.adopt(vec![(key(1), true)]).await.unwrap_err();
    assert!(error.to_string().contains("log"), "{error}");
}

/// A few random milliseconds; what is random here is when a process dies.
async fn a_moment(random: &mut u64) {
    *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    tokio::time::sleep(Duration::from_micros((*random >> 33) % 12_000)).await;
}

/// Jobs arrive while reapers and managers die at random instants. Each job says that it ran, and ends with its own
/// code: each must have run exactly once and its true code must be told.
#[tokio::test]
async fn every_job_runs_once_and_ends_with_its_own_code_whoever_dies() {
    const JOBS: u64 = 160;
    let mut rig = Rig::new();
    let mut random = u64::from(std::process::id()) << 20 | u64::from(proc::since_boot().subsec_micros());
    let mut submitted = 0;
    let mut kills = 0;
    while submitted < JOBS {
        // A handful arrive at once; their answers may never come.
        let arriving = submitted..(submitted + 8).min(JOBS);
        submitted = arriving.end;
        let mut starts = tokio::task::JoinSet::new();
        for low in arriving.clone() {
            let script = format!("echo {low}; sleep 0.0{}; exit {}", low % 5, low % 200);
            let mut job = rig.job(low, &script);
            job.processes = 1 + u32::from(low % 7 == 0);
            let client = rig.client.clone();
            starts.spawn(async move {
                (low, client.ask(Request::Start(key(low), Box::new(job.clone()))).await, job)
            });
        }
        a_moment(&mut random).await;
        rig.kill_reaper().await;
        kills += 1;
        if submitted % 3 == 0 {
            // The manager dies as well: what its store knows is which jobs it had begun to submit.
            starts.abort_all();
            rig.new_manager();
            rig.client
                .adopt((0..submitted).map(|low| (key(low), low < arriving.start)).collect())
                .await
                .unwrap();
            for low in arriving {
                let script = format!("echo {low}; sleep 0.0{}; exit {}", low % 5, low % 200);
                let mut job = rig.job(low, &script);
                job.processes = 1 + u32::from(low % 7 == 0);
                rig.start_command(low, job).await.unwrap();
            }
        } else {
            while let Some(start) = starts.join_next().await {
                let (low, result, _) = start.unwrap();
                result.unwrap_or_else(|error| panic!("{low}: {error}"));
            }
        }
    }
    for low in 0..JOBS {
        assert_eq!(rig.outcome(low).await, exited(i32::try_from(low % 200).unwrap()), "job {low}");
    }
    let out = std::fs::read_to_string(rig.path("out")).unwrap();
    let mut ran: Vec<u64> = out.lines().map(|line| line.parse().unwrap()).collect();
    ran.sort_unstable();
    let expected: Vec<u64> =
        (0..JOBS).flat_map(|low| std::iter::repeat_n(low, 1 + usize::from(low % 7 == 0))).collect();
    assert_eq!(ran, expected);
    println!("{kills} reapers killed");
}

/// A file system of its own that can be filled, or None where mounting is not ours to do.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: PathBuf) -> Option<SmallDisk> {
        std::fs::create_dir(&path).unwrap();
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=256k,mode=700", "none"]).arg(&path);
        mount.status().is_ok_and(|status| status.success()).then_some(SmallDisk(path))
    }

    fn fill(&self) {
        let full = std::fs::write(self.0.join("filler"), vec![0; 1024 * 1024]).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn while_the_disk_is_full_nothing_is_started_and_nothing_is_forgotten() {
    let mut rig = Rig::new();
    let Some(disk) = SmallDisk::mount(rig.path("reaper")) else {
        return println!("skipped: mounting a small file system needs CAP_SYS_ADMIN");
    };
    // The last page of the journal has room: jobs until it has not.
    disk_full_jobs(&mut rig, &disk).await;
    drop(disk);
}

async fn disk_full_jobs(rig: &mut Rig, disk: &SmallDisk) {
    rig.start(0, "exit 0").await.unwrap();
    rig.outcome(0).await;
    disk.fill();
    let mut started = 1;
    let refusal = loop {
        match rig.start(started, "echo ran; exit 3").await {
            Ok(_) => started += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refusal, ClientError::Refused(Refusal { stage: Stage::Journal, .. })), "{refusal}");
    // A reaper that dies now is replaced by one that watches, and starts nothing as long as the disk is full.
    rig.kill_reaper().await;
    let refused = started;
    let again = rig.start(refused, "echo ran; exit 3").await.unwrap_err();
    assert!(matches!(again, ClientError::Refused(Refusal { stage: Stage::Journal, .. })), "{again}");
    disk.free();
    for low in 1..started {
        assert_eq!(rig.outcome(low).await, exited(3), "job {low}");
    }
    rig.start(refused, "echo ran; exit 4").await.unwrap();
    assert_eq!(rig.outcome(refused).await, exited(4));
    let out = std::fs::read_to_string(rig.path("out")).unwrap();
    assert_eq!(out, "ran\n".repeat(usize::try_from(refused).unwrap()));
}

/// Run with `--no-capture` for the rate.
#[tokio::test]
async fn a_thousand_short_jobs() {
    let mut rig = Rig::new();
    let begun = std::time::Instant::now();
    let mut starts = tokio::task::JoinSet::new();
    for low in 0..1000 {
        let mut job = rig.job(low, "");
        (job.executable, job.arguments) = ("/bin/true".into(), Vec::new());
        let client = rig.client.clone();
        starts.spawn(async move { client.ask(Request::Start(key(low), Box::new(job))).await });
    }
    starts.join_all().await.into_iter().for_each(|result| drop(result.unwrap()));
    for low in 0..1000 {
        assert_eq!(rig.outcome(low).await, exited(0));
    }
    let rate = 1000.0 / begun.elapsed().as_secs_f64();
    let status = std::fs::read_to_string(format!("/proc/{}/status", rig.table().anchors[0].reaper)).unwrap();
    let memory = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    println!("{rate:.0} jobs/s, reaper's {memory}");
}

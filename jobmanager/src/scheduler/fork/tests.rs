//! What fork adds to the reaper; the reaper's own tests are in `reaper/tests.rs`.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::reaper::tests::command as reaper_command;

/// What makes a good job bad.
type Change<'a> = &'a dyn Fn(&mut Launch);

fn launch(dir: &Path, script: &str) -> Launch {
    Launch {
        key: JobKey { high: 1, low: 2 },
        executable: "/bin/sh".into(),
        arguments: vec!["-c".into(), script.into()],
        environment: vec![("PATH".into(), "/bin:/usr/bin".into())],
        directory: dir.into(),
        stdin: "/dev/null".into(),
        stdout: dir.join("out"),
        stderr: "/dev/null".into(),
        count: 1,
        job_type: JobType::Multiple,
        max_wall_time: None,
    }
}

fn fork(dir: &Path) -> (Fork, mpsc::UnboundedReceiver<SchedulerEvent>) {
    Fork::new(dir.join("reaper"), reaper_command())
}

#[tokio::test]
async fn a_job_from_submission_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let (fork, mut events) = fork(dir.path());
    let mut job = launch(dir.path(), "echo hello; exit 7");
    job.count = 3;
    fork.check(&job).unwrap();
    assert!(!dir.path().join("out").exists(), "a check makes no files");
    let id = fork.submit(job.clone()).await.unwrap();
    assert_eq!(id.0.split(',').filter(|pid| pid.parse::<u32>().is_ok()).count(), 3, "{id:?}");
    assert_eq!(events.recv().await, Some(SchedulerEvent::Active(job.key)));
    let ended = SchedulerEvent::Ended(job.key, Outcome::Exited { code: 7 });
    assert_eq!(events.recv().await, Some(ended.clone()));
    assert_eq!(std::fs::read_to_string(dir.path().join("out")).unwrap(), "hello\n".repeat(3));

    // Over already: cancelling is no error, submitting again starts nothing, adopting tells the end again.
    fork.cancel(job.key, &id).await.unwrap();
    assert_eq!(fork.suspend(job.key, &id).await.unwrap_err().code, GramError::SIGNALING_JOB);
    fork.submit(job.clone()).await.unwrap();
    let other = JobKey { high: 9, low: 9 };
    fork.adopt(vec![(job.key, Some(id.clone())), (other, None)]).await.unwrap();
    assert_eq!(events.recv().await, Some(ended));
    fork.forget(job.key).await;
    fork.adopt(vec![(job.key, Some(id))]).await.unwrap();
    assert_eq!(events.recv().await, Some(SchedulerEvent::Ended(job.key, Outcome::Lost)));
    assert!(events.try_recv().is_err());
}

#[tokio::test]
async fn each_refusal_has_its_number_in_check_and_in_submission() {
    let dir = tempfile::tempdir().unwrap();
    let (fork, _events) = fork(dir.path());
    let text = dir.path().join("text");
    std::fs::write(&text, "not a program").unwrap();
    let good = launch(dir.path(), "exit 0");
    let cases: [(u16, Change<'_>); 11] = [
        (126, &|job| job.count = 0),
        (14, &|job| job.count = MAX_PROCESSES + 1),
        (26, &|job| job.job_type = JobType::Condor),
        (4, &|job| job.directory = "/nonexistent".into()),
        (5, &|job| job.executable = "/nonexistent".into()),
        (72, &|job| job.executable.clone_from(&text)),
        (72, &|job| job.executable = "/tmp".into()),
        (11, &|job| job.stdin = "/nonexistent".into()),
        (73, &|job| job.stdout = "/nonexistent/x".into()),
        (74, &|job| job.stderr = "/nonexistent/x".into()),
        (73, &|job| job.stdout = "/proc/1/cmdline/x".into()),
    ];
    for (code, change) in cases {
        let mut job = good.clone();
        change(&mut job);
        let checked = fork.check(&job).unwrap_err();
        assert_eq!(checked.code, GramError(code), "{checked}");
        let submitted = fork.submit(job).await.unwrap_err();
        assert_eq!(submitted.code, GramError(code), "{submitted}");
    }
    let mut job = good;
    job.arguments.push("x".repeat(3_000_000).into());
    assert_eq!(fork.submit(job).await.unwrap_err().code, GramError::JOB_EXECUTION_FAILED);
}

#[test]
fn mpi_programs_are_started_by_the_launcher_there_is() {
    let dir = tempfile::tempdir().unwrap();
    let mut job = launch(dir.path(), "x");
    job.count = 4;
    let path = std::ffi::OsString::from(format!("/nonexistent:{}", dir.path().display()));
    assert_eq!(mpi_command(&job, &path), None);
    let mpirun = dir.path().join("mpirun");
    std::fs::write(&mpirun, "#!/bin/sh\n").unwrap();
    assert_eq!(mpi_command(&job, &path), None, "not executable");
    std::fs::set_permissions(&mpirun, PermissionsExt::from_mode(0o755)).unwrap();
    let arguments = |option| [option, "4", "/bin/sh", "-c", "x"].map(OsString::from).to_vec();
    assert_eq!(mpi_command(&job, &path), Some((mpirun.clone(), arguments("-np"))));
    let mpiexec = dir.path().join("mpiexec");
    std::fs::copy(&mpirun, &mpiexec).unwrap();
    assert_eq!(mpi_command(&job, &path), Some((mpiexec, arguments("-n"))));
}

#[test]
fn minutes_of_wall_time_and_kinds_of_jobs() {
    let dir = tempfile::tempdir().unwrap();
    let mut job = launch(dir.path(), "x");
    (job.count, job.max_wall_time) = (5, Some(2));
    let multiple = command(&job).unwrap();
    assert_eq!((multiple.processes, multiple.limit), (5, Some(Duration::from_secs(120))));
    job.job_type = JobType::Single;
    assert_eq!(command(&job).unwrap().processes, 1);
}

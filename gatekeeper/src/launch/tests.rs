//! The launcher against managers that are shell scripts and an in-process gRPC server.

use super::*;
use crate::fake::{Fake, serve};
use crate::start::Direct;
use gram::control::v1;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;

const PATIENCE: Duration = Duration::from_secs(20);

fn launcher(state: &Path, script: &str) -> Launcher {
    with(state, &["/bin/sh", "-c", script], PATIENCE)
}

fn with(state: &Path, command: &[&str], patience: Duration) -> Launcher {
    let command = command.iter().map(OsString::from).collect();
    let uid = rustix::process::geteuid().as_raw();
    let starter = Starter::Direct(Direct { state: state.to_owned(), command, uid, patience });
    Launcher::new(state.to_owned(), starter, PATIENCE)
}

fn request() -> v1::SubmitRequest {
    v1::SubmitRequest { request_id: "r".into(), ..Default::default() }
}

#[tokio::test]
async fn a_running_manager_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Arc::new(Fake::default());
    let _server = serve(folder.path(), "alice", &fake);
    let launcher = launcher(folder.path(), "exit 1");
    for _ in 0..3 {
        assert_eq!(launcher.submit("alice", &request()).await.unwrap().message, "r");
    }
    assert_eq!(fake.requests().len(), 3);
}

#[tokio::test]
async fn one_start_for_many_waiting_requests() {
    let folder = tempfile::tempdir().unwrap();
    let (state, fake) = (folder.path().to_owned(), Arc::new(Fake::default()));
    // The script stands for a manager: it leaves a mark, waits for the socket that the test binds, and says ready.
    let script = format!(
        "cd {}/alice && echo started >> starts; until test -S control.sock; do sleep 0.01; done; echo noise; echo ready; exec sleep 0.2",
        state.display()
    );
    let launcher = Arc::new(launcher(&state, &script));
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let launcher = Arc::clone(&launcher);
        requests.spawn(async move { launcher.submit("alice", &request()).await });
    }
    let marks = state.join("alice/starts");
    while !marks.exists() {
        tokio::task::yield_now().await;
    }
    let _server = serve(&state, "alice", &fake);
    while let Some(answer) = requests.join_next().await {
        answer.unwrap().unwrap();
    }
    assert_eq!(fs::read_to_string(marks).unwrap(), "started\n");
    assert_eq!(fake.requests().len(), 10);
    let mode =
        |path: &str| std::os::unix::fs::MetadataExt::mode(&fs::metadata(state.join(path)).unwrap()) & 0o777;
    assert_eq!((mode("alice"), mode("alice/jobmanager.log")), (0o700, 0o600));
}

#[tokio::test]
async fn a_manager_that_leaves_is_asked_once_more() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Arc::new(Fake::default());
    fake.refusals.store(1, Ordering::Relaxed);
    let _server = serve(folder.path(), "alice", &fake);
    let launcher = launcher(folder.path(), "exit 1");
    assert_eq!(launcher.submit("alice", &request()).await.unwrap().message, "r");
    fake.refusals.store(ATTEMPTS, Ordering::Relaxed);
    let error = launcher.submit("alice", &request()).await.unwrap_err();
    assert!(matches!(error, LaunchError::Control(ControlError::Gone(_))), "{error}");
}

#[tokio::test]
async fn a_manager_that_has_gone_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Arc::new(Fake::default());
    let (stop, server) = serve(folder.path(), "alice", &fake);
    let launcher = launcher(folder.path(), "echo why it failed >&2; exit 3");
    launcher.submit("alice", &request()).await.unwrap();
    stop.send(()).unwrap();
    server.await.unwrap();
    let error = launcher.submit("alice", &request()).await.unwrap_err();
    assert!(matches!(error, LaunchError::Start(NotStarted::Ended { .. })), "{error}");
    assert!(error.to_string().contains("exit status: 3"), "{error}");
    let log = fs::read_to_string(folder.path().join("alice/jobmanager.log")).unwrap();
    assert_eq!(log, "why it failed\n");
    // the next one
    let _server = serve(folder.path(), "alice", &fake);
    launcher.submit("alice", &request()).await.unwrap();
}

#[tokio::test]
async fn requests_that_wait_for_a_failing_start_share_its_failure() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!("echo started >> {}/alice/starts; sleep 0.3; exit 1", folder.path().display());
    let launcher = Arc::new(launcher(folder.path(), &script));
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..5 {
        let launcher = Arc::clone(&launcher);
        requests.spawn(async move { launcher.submit("alice", &request()).await });
    }
    while let Some(answer) = requests.join_next().await {
        assert!(answer.unwrap().unwrap_err().to_string().contains("exit status: 1"));
    }
    assert_eq!(fs::read_to_string(folder.path().join("alice/starts")).unwrap(), "started\n");
}

#[tokio::test]
async fn a_manager_that_never_gets_ready_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!("echo $$ > {}/alice/pid; exec sleep 1000", folder.path().display());
    let launcher = with(folder.path(), &["/bin/sh", "-c", &script], Duration::from_millis(300));
    let error = launcher.submit("alice", &request()).await.unwrap_err();
    assert!(matches!(error, LaunchError::Start(NotStarted::NotReady { .. })), "{error}");
    let pid = fs::read_to_string(folder.path().join("alice/pid")).unwrap();
    assert!(!Path::new("/proc").join(pid.trim()).exists());
}

#[tokio::test]
async fn programs_that_are_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let missing = with(folder.path(), &["/nonexistent/program"], PATIENCE);
    let error = missing.submit("alice", &request()).await.unwrap_err();
    assert!(matches!(error, LaunchError::Start(NotStarted::Spawn { .. })), "{error}");
    let error = with(folder.path(), &[], PATIENCE).submit("alice", &request()).await.unwrap_err();
    assert!(matches!(error, LaunchError::Start(NotStarted::NoCommand)), "{error}");
}

#[tokio::test]
async fn a_request_lost_in_mid_air_is_offered_to_the_next_manager() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Arc::new(Fake::default());
    fake.lost.store(2, Ordering::Relaxed);
    let _server = serve(folder.path(), "alice", &fake);
    let reply = launcher(folder.path(), "exit 1").submit("alice", &request()).await.unwrap();
    assert_eq!(reply.message, "r");
    let ids: Vec<_> = fake.requests().into_iter().map(|request| request.request_id).collect();
    assert_eq!(ids, ["r", "r", "r"], "the same request each time");
}

#[tokio::test]
async fn a_request_of_unknown_fate_is_not_said_to_be_refused() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Arc::new(Fake::default());
    fake.lost.store(u32::MAX, Ordering::Relaxed);
    let _server = serve(folder.path(), "alice", &fake);
    let mut launcher = launcher(folder.path(), "exit 1");
    launcher.answer = PAUSE * 2;
    let error = launcher.submit("alice", &request()).await.unwrap_err();
    assert!(matches!(error, LaunchError::InDoubt(_)), "{error}");
    assert!(fake.requests().len() > 1);
}

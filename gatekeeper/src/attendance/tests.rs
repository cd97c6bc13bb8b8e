//! Managers that are in-process gRPC servers, and starters that are scripts which say which one they would have started.

use super::*;
use crate::fake::{Fake, serve};
use crate::start::{Direct, Starter};
use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;

const PATIENCE: Duration = Duration::from_secs(20);

/// Attends managers below `folder`; each start leaves a line in `starts` and fails unless somebody serves.
fn attendance(folder: &Path) -> Attendance {
    let script = format!("echo started >> {}/starts; exit 1", folder.display());
    let command = ["/bin/sh", "-c", &script].map(Into::into).to_vec();
    let uid = rustix::process::geteuid().as_raw();
    let starter = Starter::Direct(Direct { state: folder.to_owned(), command, uid, patience: PATIENCE });
    let launcher = Launcher::new(folder.to_owned(), starter, PATIENCE);
    Attendance::open(folder.join("register"), launcher).unwrap()
}

fn request() -> v1::SubmitRequest {
    v1::SubmitRequest { request_id: "r".into(), ..Default::default() }
}

fn starts(folder: &Path) -> usize {
    fs::read_to_string(folder.join("starts")).unwrap_or_default().lines().count()
}

fn is_registered(folder: &Path) -> bool {
    folder.join("register/alice").exists()
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn registered_until_the_manager_says_that_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Arc::new(Fake::default());
    let _server = serve(folder.path(), "alice", &fake);
    let attendance = attendance(folder.path());
    attendance.submit("alice", &request()).await.unwrap();
    assert!(is_registered(folder.path()));
    fake.leave.notify_one();
    until("taken out", || !is_registered(folder.path())).await;
    assert_eq!(starts(folder.path()), 0, "nobody is missed");
}

#[tokio::test]
async fn a_manager_that_leaves_jobs_behind_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Arc::new(Fake::default());
    fake.unfinished.store(3, Ordering::Relaxed);
    let (stop, server) = serve(folder.path(), "alice", &fake);
    let attendance = attendance(folder.path());
    attendance.submit("alice", &request()).await.unwrap();
    fake.leave.notify_one();
    stop.send(()).unwrap();
    server.await.unwrap();
    until("two attempts", || starts(folder.path()) >= 2).await;
    assert!(is_registered(folder.path()));
    // The next one that comes up is attended, and its goodbye ends it.
    fake.unfinished.store(0, Ordering::Relaxed);
    let _server = serve(folder.path(), "alice", &fake);
    fake.leave.notify_one();
    until("taken out", || !is_registered(folder.path())).await;
}

#[tokio::test]
async fn the_next_gatekeeper_starts_what_is_registered() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("register")).unwrap();
    fs::write(folder.path().join("register/alice"), "").unwrap();
    fs::write(folder.path().join("register/former"), "").unwrap();
    let attendance = attendance(folder.path());
    attendance.resume(|account| account == "alice").unwrap();
    until("started", || starts(folder.path()) > 0).await;
    assert!(is_registered(folder.path()), "as long as it has not been reached");
    attendance.stop();
    assert!(is_registered(folder.path()));
    assert!(!folder.path().join("former").exists(), "nothing was started for it");
}

#[tokio::test]
async fn an_account_whose_manager_never_starts_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let attendance = attendance(folder.path());
    let error = attendance.submit("alice", &request()).await.unwrap_err();
    assert!(matches!(error, LaunchError::Start(_) | LaunchError::Earlier(_)), "{error}");
    until("taken out", || !is_registered(folder.path())).await;
}

#[test]
fn pauses_grow_to_a_limit() {
    let mut pauses = Pauses::default();
    let row: Vec<_> = (0..4).map(|_| pauses.next().as_millis()).collect();
    assert_eq!(row, [0, 100, 200, 400]);
    assert_eq!((0..20).map(|_| pauses.next()).last(), Some(LONGEST_PAUSE));
}

use super::*;

fn key(low: u64) -> JobKey {
    JobKey { high: 16_000_000_000_000_000_000, low }
}

fn record(low: u64, body: &[u8]) -> Record {
    Record { key: key(low), state: 2, body: body.to_vec() }
}

async fn open(dir: &tempfile::TempDir) -> Store {
    Store::open(&dir.path().join("jobs.db")).await.unwrap()
}

#[tokio::test]
async fn what_was_saved_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    store.save(record(2, b"two")).await.unwrap();
    store.save(record(1, b"one")).await.unwrap();
    store.save(record(2, b"two again")).await.unwrap();
    store.save(record(3, b"three")).await.unwrap();
    store.remove(key(3)).await.unwrap();
    store.save_identity("/CN=b".into(), b"port".to_vec()).await.unwrap();
    store.save_identity("/CN=a".into(), Vec::new()).await.unwrap();
    store.remove_identity("/CN=a".into()).await.unwrap();
    store.close().await;
    assert!(matches!(store.save(record(9, b"")).await, Err(StoreError::Closed)));

    let store = open(&dir).await;
    let jobs = store.load_all().await.unwrap();
    assert!(jobs.iter().all(|job| job.this_boot));
    let records: Vec<Record> = jobs.into_iter().map(|job| job.record).collect();
    assert_eq!(records, [record(1, b"one"), record(2, b"two again")]);
    assert_eq!(store.load_identities().await.unwrap(), [("/CN=b".to_owned(), b"port".to_vec())]);
}

#[tokio::test]
async fn a_committed_write_does_not_wait_for_close() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(&dir).await;
    first.save(record(1, b"x")).await.unwrap();
    // A second process would see exactly the files as they are now.
    let copy = tempfile::tempdir().unwrap();
    for file in ["jobs.db", "jobs.db-wal"] {
        std::fs::copy(dir.path().join(file), copy.path().join(file)).unwrap();
    }
    assert_eq!(open(&copy).await.load_all().await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_files_are_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    store.save(record(1, b"x")).await.unwrap();
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
    }
}

#[tokio::test]
async fn rows_of_an_earlier_boot_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    store.save(record(1, b"x")).await.unwrap();
    store.close().await;
    let mut raw = connect(&dir.path().join("jobs.db")).await.unwrap();
    sqlx::query("UPDATE job SET boot = 'another'").execute(&mut raw).await.unwrap();
    drop(raw);
    assert!(!open(&dir).await.load_all().await.unwrap()[0].this_boot);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    open(&dir).await.close().await;
    let mut raw = connect(&dir.path().join("jobs.db")).await.unwrap();
    sqlx::query("PRAGMA user_version = 99").execute(&mut raw).await.unwrap();
    drop(raw);
    let error = Store::open(&dir.path().join("jobs.db")).await.unwrap_err();
    assert!(matches!(error, StoreError::TooNew { found: 99, .. }), "{error}");
}

#[tokio::test]
async fn a_failed_write_is_its_callers_error_and_a_later_one_works() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    assert!(matches!(store.save(record(1, &vec![0; MAX_BODY + 1])).await, Err(StoreError::TooLarge(_))));

    // A trigger fails one of two writes that go in together.
    store.close().await;
    let in_between = async |sql: &'static str| {
        let mut raw = connect(&dir.path().join("jobs.db")).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut raw).await.unwrap();
        sqlx::Connection::close(raw).await.unwrap();
    };
    in_between(
        "CREATE TRIGGER bad BEFORE INSERT ON job WHEN NEW.state = 13 BEGIN SELECT RAISE(FAIL, 'bad'); END",
    )
    .await;
    let store = open(&dir).await;
    let bad = Record { state: 13, ..record(1, b"bad") };
    let (bad_result, good_result) = tokio::join!(store.save(bad.clone()), store.save(record(2, b"good")));
    assert!(matches!(bad_result, Err(StoreError::Write(_))));
    good_result.unwrap();

    store.close().await;
    in_between("DROP TRIGGER bad").await;
    let store = open(&dir).await;
    store.save(bad).await.unwrap();
    assert_eq!(store.load_all().await.unwrap().len(), 2);
}

/// A file system of its own that can be filled, or None, with a word, where mounting is not ours to do.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<SmallDisk> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=1m,mode=700", "none"]).arg(dir.path());
        if mount.status().is_ok_and(|status| status.success()) {
            return Some(SmallDisk(dir));
        }
        println!("skipped: mounting a small file system needs CAP_SYS_ADMIN");
        None
    }

    fn fill(&self) {
        std::fs::write(self.0.path().join("filler"), vec![0; 2 * 1024 * 1024]).unwrap_err();
    }

    fn free(&self) {
        std::fs::remove_file(self.0.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_fails_writes_and_nothing_else() {
    let Some(disk) = SmallDisk::mount() else { return };
    let store = open(&disk.0).await;
    store.save(record(1, &[b'x'; 2000])).await.unwrap();
    disk.fill();
    // The last page of the log has room for a few.
    let mut saved = 1;
    let error = loop {
        match store.save(record(saved + 1, &[b'x'; 2000])).await {
            Ok(()) => saved += 1,
            Err(error) => break error,
        }
    };
    assert!(error.is_about_the_disk(), "{error}");
    // Many at once fail together, and reading still works.
    let writes = (100..200).map(|low| {
        let store = store.clone();
        tokio::spawn(async move { store.save(record(low, &[b'x'; 2000])).await })
    });
    for write in writes.collect::<Vec<_>>() {
        write.await.unwrap().unwrap_err();
    }
    assert_eq!(store.load_all().await.unwrap().len() as u64, saved);
    // So does a new process, which finds what was saved.
    store.close().await;
    let store = open(&disk.0).await;
    assert_eq!(store.load_all().await.unwrap().len() as u64, saved);
    assert!(store.save(record(99, &[b'x'; 200_000])).await.is_err());
    disk.free();
    store.save(record(99, &[b'x'; 200_000])).await.unwrap();
    store.close().await;
    assert_eq!(open(&disk.0).await.load_all().await.unwrap().len() as u64, saved + 1);
}

/// Ten thousand writes by 64 callers; run with `--no-capture` to see the rate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_share_commits() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    let begun = std::time::Instant::now();
    let callers: Vec<_> = (0..64)
        .map(|caller| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 0..156 {
                    store.save(record(caller * 1000 + n, &[b'x'; 1500])).await.unwrap();
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    println!("{:.0} records/s", 64.0 * 156.0 / begun.elapsed().as_secs_f64());
    assert_eq!(store.load_all().await.unwrap().len(), 64 * 156);
}

//! Files moved between real servers and folders; one server is ours, the other one does what the test says.

use super::*;
use crate::{
    job::{
        CacheEntry, Destination, FailureKind, FilePair, FileRole, FileStage, Input, Output, Staging,
        tests::sample,
    },
    launch::JobKey,
};
use gass::{Access, Server, server::Security, server::Settings};
use std::pin::Pin;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::mpsc,
};

/// A folder with a job in it, a folder that is served over http, and what was reported.
struct Stage {
    folder: tempfile::TempDir,
    server: Server,
    job: Job,
    limits: Limits,
    inbox: Inbox,
    reports: mpsc::Receiver<Message>,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["work", "served"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let server = Server::start_with(Settings {
            security: Security::Nobody,
            access: Access { read: true, write: true, ..Access::default() },
            stdout: gass::server::Output::stdout(),
            stderr: gass::server::Output::stderr(),
            port: None,
        })
        .unwrap();
        let mut job = sample();
        job.key = JobKey { high: 1, low: 2 };
        job.spec.directory = folder.path().join("work").into();
        job.spec.gass_cache = folder.path().join("cache").into();
        job.spec.stdout = Output::File("/dev/null".into());
        job.spec.stderr = Output::File("/dev/null".into());
        job.spec.staging = Some(Box::default());
        let (inbox, reports) = mpsc::channel(1000);
        let limits = Limits { patience: Duration::from_secs(0), ..Limits::default() };
        Self { folder, server, job, limits, inbox, reports }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The URL of a file in the served folder, which is made with this content.
    fn served(&self, name: &str, content: &str) -> String {
        fs::write(self.path("served").join(name), content).unwrap();
        self.url(name)
    }

    fn url(&self, name: &str) -> String {
        format!("{}{}", self.server.url(), self.path("served").join(name).display())
    }

    fn lists(&mut self) -> &mut Staging {
        self.job.spec.staging.get_or_insert_default()
    }

    fn desk(&self) -> Desk {
        let site = crate::site_for_tests(self.folder.path());
        let clients = Box::new(|_| -> Pin<Box<dyn Future<Output = _> + Send>> {
            Box::pin(async { Ok(gass::Client::insecure()) })
        });
        Desk {
            streaming: Arc::new(Streaming::with(Arc::new(site), clients)),
            job: self.job.clone(),
            files: crate::site_for_tests(self.folder.path()).job_files(self.job.key),
            credentials: Box::new(|| Ok(gass::Client::insecure())),
            limits: self.limits,
            room: Arc::new(Room::new(self.limits.transfers)),
            reports: self.inbox.clone(),
            number: 0,
        }
    }

    /// Where each file has come to stand since this was last asked.
    fn reports(&mut self) -> Vec<(FileRole, FileStage)> {
        let mut stages = Vec::new();
        while let Ok(message) = self.reports.try_recv() {
            let Message::Happened { event: Event::FileMoved(file), .. } = message else { panic!() };
            self.job.progress.get_or_insert_default().note(file.clone());
            stages.push((file.role, file.stage));
        }
        stages
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn pair(from: &str, to: &str) -> FilePair {
    FilePair { from: from.into(), to: to.into() }
}

#[tokio::test]
async fn inputs_arrive_under_their_names() {
    let mut stage = Stage::new();
    let (one, two, shared) =
        (stage.served("one", "1"), stage.served("two", "22"), stage.served("shared", "333"));
    let absolute = stage.path("absolute").display().to_string();
    let local = format!("file://{}", stage.path("served/one").display());
    let lists = stage.lists();
    lists.stage_in = vec![pair(&one, "one"), pair(&two, &absolute), pair(&local, "local")];
    lists.stage_in_shared = vec![pair(&shared, "shared")];
    stage.job.spec.executable = Input::Url(stage.served("program", "#!/bin/sh\n"));
    fetch(stage.desk()).await.unwrap();
    assert_eq!([stage.read("work/one"), stage.read("absolute"), stage.read("work/local")], ["1", "22", "1"]);
    assert_eq!(stage.read("work/shared"), "333");
    assert!(fs::symlink_metadata(stage.path("work/shared")).unwrap().is_symlink());
    assert_eq!(stage.names("work"), ["local", "one", "shared"], "nothing but the files");
    let files = stage.desk().files;
    let places = places(&stage.job, &files).await.unwrap();
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&places.executable).unwrap().permissions());
    assert_eq!(mode & 0o100, 0o100, "{}", places.executable.display());
    let done =
        stage.reports().into_iter().filter(|(_, stage)| matches!(stage, FileStage::Done { .. })).count();
    assert_eq!(done, 5);
}

/// As after a crash: what is known to be there is not fetched again, what was under way is fetched anew.
#[tokio::test]
async fn what_is_there_is_not_fetched_again() {
    let mut stage = Stage::new();
    let (one, two) = (stage.served("one", "1"), stage.served("two", "2"));
    stage.lists().stage_in = vec![pair(&one, "one"), pair(&two, "two")];
    fetch(stage.desk()).await.unwrap();
    stage.reports();
    stage.job.progress.as_mut().unwrap().files.retain(|file| file.role == FileRole::StageIn(0));
    fs::write(stage.path("work/one"), "mine").unwrap();
    fs::write(stage.path("work/two"), "part").unwrap();
    fetch(stage.desk()).await.unwrap();
    assert_eq!([stage.read("work/one"), stage.read("work/two")], ["mine", "2"]);
}

#[tokio::test]
async fn the_order_holds_where_it_can_be_told() {
    let mut stage = Stage::new();
    let (one, two) = (stage.served("one", "1"), stage.served("two", "2"));
    let copied = format!("file://{}", stage.path("work/x").display());
    stage.lists().stage_in = vec![pair(&one, "x"), pair(&copied, "y"), pair(&two, "x")];
    fetch(stage.desk()).await.unwrap();
    assert_eq!([stage.read("work/x"), stage.read("work/y")], ["1", "2"], "the last entry goes first");
}

#[tokio::test]
async fn a_refused_input_fails_at_once_and_says_which() {
    let mut stage = Stage::new();
    stage.limits.patience = Duration::from_secs(600);
    let (good, missing) = (stage.served("good", "1"), stage.url("missing"));
    stage.lists().stage_in = vec![pair(&good, "good"), pair(&missing, "bad")];
    let failure = fetch(stage.desk()).await.unwrap_err();
    assert_eq!(failure.code, GramError::STAGE_IN_FAILED);
    assert_eq!(failure.kind, Some(FailureKind::FileStageIn));
    assert_eq!((failure.source_url, failure.destination), (Some(missing), Some("bad".into())));
    assert!(failure.message.contains("404"), "{}", failure.message);
    // The other one was broken off, or was there before.
    assert!(stage.names("work").iter().all(|name| name == "good"), "{:?}", stage.names("work"));
}

/// `/dev/full` takes nothing, as a full disk does; it is no file, so it is written in place.
#[tokio::test]
async fn a_full_disk_is_waited_for_and_then_told() {
    let mut stage = Stage::new();
    stage.limits.patience = Duration::from_secs(2);
    let one = stage.served("one", "1");
    stage.lists().stage_in = vec![pair(&one, "/dev/full")];
    let failure = fetch(stage.desk()).await.unwrap_err();
    assert_eq!(failure.code, GramError::STAGE_IN_FAILED);
    assert!(failure.message.contains("No space left on device"), "{}", failure.message);
    assert!(failure.message.contains("given up after 2 attempts"), "{}", failure.message);
}

#[tokio::test]
async fn a_missing_folder_is_the_requests_fault() {
    let mut stage = Stage::new();
    stage.limits.patience = Duration::from_secs(600);
    let one = stage.served("one", "1");
    stage.lists().stage_in = vec![pair(&one, "no/such/folder")];
    let failure = fetch(stage.desk()).await.unwrap_err();
    assert!(failure.message.contains("no/such/folder"), "{}", failure.message);
}

/// A server that closes the first connections without a word, then answers.
async fn moody(vain: usize) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/file", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            if counted.fetch_add(1, Ordering::SeqCst) < vain {
                continue;
            }
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(b"HTTP/1.0 200 Ok\r\nContent-Length: 4\r\n\r\ngood").await;
        }
    });
    (url, connections)
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    let mut stage = Stage::new();
    stage.limits.patience = Duration::from_secs(60);
    let (url, connections) = moody(2).await;
    stage.lists().stage_in = vec![pair(&url, "x")];
    fetch(stage.desk()).await.unwrap();
    assert_eq!(stage.read("work/x"), "good");
    assert_eq!(connections.load(Ordering::SeqCst), 3);
    stage.reports();
    let file = &stage.job.progress.as_ref().unwrap().files[0];
    assert_eq!((file.attempts, file.stage), (3, FileStage::Done { bytes: 4 }));
    assert!(file.trouble.is_some(), "why it took so long stays known");
}

#[tokio::test]
async fn patience_ends() {
    let mut stage = Stage::new();
    stage.limits.patience = Duration::from_secs(4);
    let (url, connections) = moody(usize::MAX).await;
    stage.job.spec.stdin = Input::Url(url.clone());
    let failure = fetch(stage.desk()).await.unwrap_err();
    assert_eq!((failure.code, failure.kind), (GramError::STAGING_STDIN, Some(FailureKind::Stdin)));
    assert_eq!(failure.source_url, Some(url));
    assert!(failure.message.contains("given up after 3 attempts"), "{}", failure.message);
    assert_eq!(connections.load(Ordering::SeqCst), 3, "at once, after 1 and after 2 more seconds");
}

#[tokio::test]
async fn streams_and_files_go_out() {
    let mut stage = Stage::new();
    let files = stage.desk().files;
    files.create(b"proxy", None).unwrap();
    fs::write(files.stdout(), "said").unwrap();
    fs::write(stage.path("work/result"), "42").unwrap();
    let cached = CacheEntry { url: "x-gass-cache://mine".into(), tag: Some("kept".into()) };
    stage.job.spec.stdout = Output::Deliver(vec![
        Destination::Url(stage.url("a")),
        Destination::Cache(cached.clone()),
        Destination::File(stage.path("b").into()),
    ]);
    deliver(stage.desk()).await.unwrap();
    assert_eq!([stage.read("served/a"), stage.read("b")], ["said", "said"]);
    let order: Vec<_> = stage.reports().into_iter().filter(|(_, at)| *at == FileStage::Moving).collect();
    let last_first = [2, 1, 0].map(|number| (FileRole::Stdout(number), FileStage::Moving));
    assert_eq!(order, last_first);

    let (to, local) = (stage.url("out"), format!("file://{}", stage.path("local").display()));
    stage.lists().stage_out = vec![pair("result", &to), pair("result", &local)];
    stage_out(stage.desk()).await.unwrap();
    assert_eq!([stage.read("served/out"), stage.read("local")], ["42", "42"]);

    stage.lists().stage_out = vec![pair("missing", &to)];
    stage.job.progress = None;
    let failure = stage_out(stage.desk()).await.unwrap_err();
    assert_eq!((failure.code, failure.kind), (GramError::STAGE_OUT_FAILED, Some(FailureKind::FileStageOut)));
    assert_eq!((failure.source_url, failure.destination), (Some("missing".into()), Some(to)));
    assert_eq!(stage.read("served/out"), "42");
}

#[tokio::test]
async fn undeliverable_streams_have_their_own_numbers() {
    let mut stage = Stage::new();
    let files = stage.desk().files;
    files.create(b"proxy", None).unwrap();
    fs::write(files.stdout(), "said").unwrap();
    fs::write(files.stderr(), "complained").unwrap();
    let nowhere = Output::Deliver(vec![Destination::Url("http://127.0.0.1:1/x".into())]);
    stage.job.spec.stdout = nowhere.clone();
    assert_eq!(deliver(stage.desk()).await.unwrap_err().code, GramError::OPENING_STDOUT);
    stage.job.spec.stderr = nowhere;
    assert_eq!(deliver(stage.desk()).await.unwrap_err().code, GramError::OPENING_STDERR, "stderr goes first");
}

#[tokio::test]
async fn everything_goes_in_the_end() {
    let mut stage = Stage::new();
    let scratch = stage.path("work/gram_scratch_abcdef");
    let shared = stage.served("shared", "3");
    let inside = scratch.join("in").display().to_string();
    let one = stage.served("one", "1");
    let lists = stage.lists();
    lists.scratch = Some(scratch.clone().into());
    lists.stage_in = vec![pair(&one, &inside), pair(&one, "kept")];
    lists.stage_in_shared = vec![pair(&shared, "link")];
    lists.clean_up = vec!["link".into(), "never there".into(), "folder".into()];
    fs::create_dir(stage.path("work/folder")).unwrap();
    let files = stage.desk().files;
    files.create(b"proxy", None).unwrap();
    fetch(stage.desk()).await.unwrap();
    assert_eq!(stage.read("work/gram_scratch_abcdef/in"), "1");
    fs::write(stage.path("work/.gridiron-1.2-in1"), "part").unwrap();

    clean_up(&stage.job, &files);
    assert_eq!(stage.names("work"), ["folder", "kept"], "no directory but the scratch directory");
    assert!(!files.directory().exists());
    assert_eq!(fs::read_dir(stage.path("cache/global")).unwrap().count(), 0);

    // A manager that comes after a crash cleans again, but not what may be somebody else's by now.
    fs::write(stage.path("work/link"), "a new file").unwrap();
    stage.job.progress.get_or_insert_default().cleaned = true;
    clean_up(&stage.job, &files);
    assert!(Path::new(&stage.path("work/link")).exists());
}

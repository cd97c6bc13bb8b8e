//! Whole job managers: control socket, job contacts, store, fork scheduler with a real reaper; the clients are `gram`'s and `gass`'s.

use super::*;
use crate::{
    job::tests::sample,
    staging::Limits,
    testing::{Person, World, request},
};
use gass::server::{Access, Output, Security, Server, Settings};
use gram::{
    JobContact, JobState, Signal,
    callback::{Listener, Update},
    client::Client,
    control::{JobManagerClient, v1},
};
use std::path::PathBuf;
use tokio::task::JoinHandle;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A job manager of this process's account, as the gatekeeper sees it.
struct Service {
    control: JobManagerClient,
    stop: oneshot::Sender<()>,
    task: JoinHandle<io::Result<()>>,
}

/// Starts a manager and waits until it is ready.
async fn launch(world: &World, idle_exit_seconds: u64) -> (JoinHandle<io::Result<()>>, oneshot::Sender<()>) {
    let config = Config {
        state: world.folder.path().join("state"),
        trust: world.folder.path().join("trust"),
        host: Some("localhost".into()),
        idle_exit_seconds,
        output_stall_seconds: std::num::NonZeroU64::MIN,
        chain_policy: gsi::chain::ChainPolicy::default(),
        control_uids: Vec::new(),
        globus_location: "/usr".into(),
        transfers: Limits::default().transfers,
        transfers_per_job: Limits::default().per_job,
        transfer_patience_seconds: 1,
        reaper_command: crate::reaper::tests::command(),
    };
    let (ready, is_ready) = oneshot::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let ready = move || ready.send(()).map_err(|()| io::ErrorKind::Other.into());
    let task = tokio::spawn(serve(config, ready, async {
        let _ = stopped.await;
    }));
    tokio::time::timeout(PATIENCE, is_ready).await.unwrap().unwrap();
    (task, stop)
}

impl Service {
    async fn start(world: &World, idle_exit_seconds: u64) -> Self {
        let (task, stop) = launch(world, idle_exit_seconds).await;
        let account = crate::account::Account::current().unwrap().name;
        let socket = control::socket_path(&world.folder.path().join("state"), &account);
        let control = control::connect(&socket, rustix::process::geteuid().as_raw()).await.unwrap();
        Self { control, stop, task }
    }

    async fn submit(&self, person: &Person, rsl: &str, callback: Option<&str>) -> v1::SubmitReply {
        self.control.clone().submit(request(person, rsl, callback)).await.unwrap().into_inner()
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap();
    }
}

/// Someone with a call-back listener and a file server, as `globusrun -s` has.
struct Interactive {
    person: Person,
    client: Client,
    listener: Listener,
    server: Server,
    /// What arrives at `/dev/stdout`.
    stdout: PathBuf,
}

impl Interactive {
    async fn new(world: &World, name: &str) -> Self {
        let person = world.person(name);
        let stdout = world.folder.path().join(format!("{name}.stdout"));
        let file = tokio::fs::File::create(&stdout).await.unwrap();
        let server = Server::start_with(Settings {
            security: Security::Myself(person.proxy.clone(), world.trust()),
            access: Access { read: true, write: true, stdout: true, stderr: true },
            stdout: Output::new(file),
            stderr: Output::new(tokio::io::sink()),
            port: None,
        })
        .unwrap();
        Self {
            client: Client::new(&person.proxy, &world.trust()).unwrap(),
            listener: Listener::start(&person.proxy, &world.trust()).await.unwrap(),
            person,
            server,
            stdout,
        }
    }

    async fn heard(&mut self) -> Update {
        tokio::time::timeout(PATIENCE, self.listener.next()).await.unwrap().unwrap()
    }

    /// Submits and waits for the end; the states on the way and the last update.
    async fn run(&mut self, service: &Service, rsl: &str) -> (Vec<JobState>, Update) {
        let reply = service.submit(&self.person, rsl, Some(self.listener.url())).await;
        assert_eq!(reply.error, 0, "{rsl}: {}", reply.message);
        let mut states = Vec::new();
        loop {
            let update = self.heard().await;
            states.push(update.state);
            if update.state.is_terminal() {
                return (states, update);
            }
        }
    }
}

fn contact(reply: &v1::SubmitReply) -> JobContact {
    assert!(matches!(reply.error, 0 | 110), "{reply:?}");
    reply.job_contact.parse().unwrap()
}

#[tokio::test]
async fn interactive_jobs_with_staging_and_output() {
    let world = World::new();
    let service = Service::start(&world, 3600).await;
    let mut alice = Interactive::new(&world, "Alice").await;
    let url = alice.server.url().to_owned();
    let script = world.folder.path().join("script");
    std::fs::write(&script, "#!/bin/sh\necho \"$1 $GREETING\"; cat\n").unwrap();
    let input = world.folder.path().join("input");
    std::fs::write(&input, "from stdin\n").unwrap();
    let output = world.folder.path().join("output");

    let rsl = format!(
        "&(rsl_substitution=(GLOBUSRUN_GASS_URL {url}))(executable=$(GLOBUSRUN_GASS_URL){})(arguments=hello)\
         (environment=(GREETING world))(stdin=$(GLOBUSRUN_GASS_URL){})(stdout=$(GLOBUSRUN_GASS_URL)/dev/stdout)\
         (stderr=$(GLOBUSRUN_GASS_URL){})",
        script.display(),
        input.display(),
        output.display()
    );
    let (states, last) = alice.run(&service, &rsl).await;
    assert_eq!(states, [JobState::StageIn, JobState::Active, JobState::Done], "{last:?}");
    assert_eq!(last.exit_code, Some(0));
    assert_eq!(std::fs::read_to_string(&alice.stdout).unwrap(), "hello world\nfrom stdin\n");
    assert_eq!(std::fs::read_to_string(&output).unwrap(), "", "an empty file is delivered too");

    let (states, last) = alice.run(&service, "&(executable=/bin/sh)(arguments=-c 'exit 3')").await;
    assert_eq!((states.last(), last.exit_code), (Some(&JobState::Done), Some(3)));

    // Merged output of several processes.
    let (_, last) = alice
        .run(
            &service,
            &format!("&(executable=/bin/echo)(arguments=x)(count=3)(stdout={url}{})", output.display()),
        )
        .await;
    assert_eq!(last.state, JobState::Done);
    assert_eq!(std::fs::read_to_string(&output).unwrap(), "x\nx\nx\n");
    service.stop().await;
}

#[tokio::test]
async fn the_error_numbers_that_only_the_machine_can_tell() {
    let world = World::new();
    let service = Service::start(&world, 3600).await;
    let mut alice = Interactive::new(&world, "Alice").await;
    let url = alice.server.url().to_owned();
    for (rsl, code) in [
        ("&(executable=/nonexistent)", 5),
        ("&(executable=/etc/passwd)", 72),
        ("&(executable=/bin/true)(stdin=/nonexistent)", 11),
        ("&(executable=/bin/true)(stdout=/nonexistent/x)", 73),
        ("&(executable=/bin/true)(stderr=/nonexistent/x)", 74),
        ("&(executable=/bin/true)(directory=/nonexistent)", 4),
        ("&(executable=/bin/true)(job_type=condor)", 26),
        ("&(executable=/bin/true)(dry_run=yes)", 41),
        ("&(executable=/nonexistent)(dry_run=yes)", 5),
        ("&(executable=/bin/true)(gass_cache=/proc/nonexistent)", 149),
    ] {
        let reply = service.submit(&alice.person, rsl, None).await;
        assert_eq!(reply.error, code, "{rsl}: {}", reply.message);
    }
    for (rsl, code, kind) in [
        (format!("&(executable={url}/nonexistent)"), 43, Some("executable")),
        (format!("&(executable=/bin/true)(stdin={url}/nonexistent)"), 44, Some("stdin")),
        (format!("&(executable=/bin/true)(stdout={url}/nonexistent/x)"), 73, Some("filestageout")),
        (format!("&(executable=/bin/true)(stderr={url}/nonexistent/x)"), 74, Some("filestageout")),
        ("&(executable=https://localhost:1/x)".into(), 43, Some("executable")),
    ] {
        let (_, last) = alice.run(&service, &rsl).await;
        assert_eq!((last.state, last.failure.0), (JobState::Failed, code), "{rsl}");
        let sent = last.extensions.iter().find(|(name, _)| name == "gt3-failure-type");
        assert_eq!(sent.map(|(_, value)| value.as_str()), kind, "{rsl}");
    }
    service.stop().await;
}

#[tokio::test]
async fn a_job_outlives_its_manager() {
    let world = World::new();
    let alice = Interactive::new(&world, "Alice").await;
    let service = Service::start(&world, 3600).await;
    let flag = world.folder.path().join("flag");
    let rsl = format!(
        "&(executable=/bin/sh)(arguments=-c 'while [ ! -e {} ]; do sleep 0.05; done; exit 4')",
        flag.display()
    );
    let contact = contact(&service.submit(&alice.person, &rsl, None).await);
    while alice.client.status(&contact).await.unwrap().state != Some(JobState::Active) {}
    service.stop().await;
    assert_eq!(alice.client.status(&contact).await.unwrap_err().code.0, 79);

    let service = Service::start(&world, 3600).await;
    assert_eq!(alice.client.status(&contact).await.unwrap().state, Some(JobState::Active));
    std::fs::write(&flag, "").unwrap();
    let status = loop {
        let status = alice.client.status(&contact).await.unwrap();
        if status.state != Some(JobState::Active) {
            break status;
        }
    };
    assert_eq!((status.state, status.exit_code), (Some(JobState::Done), Some(4)));
    service.stop().await;
}

#[tokio::test]
async fn cancel_ends_the_processes() {
    let world = World::new();
    let mut alice = Interactive::new(&world, "Alice").await;
    let service = Service::start(&world, 3600).await;
    let callback = alice.listener.url().to_owned();
    let reply =
        service.submit(&alice.person, "&(executable=/bin/sleep)(arguments=1000)", Some(&callback)).await;
    assert_eq!(alice.heard().await.state, JobState::Active);
    let answer = alice.client.cancel(&contact(&reply)).await.unwrap();
    assert_eq!((answer.state, answer.failure.0), (Some(JobState::Failed), 8));
    let last = alice.heard().await;
    assert_eq!((last.state, last.failure.0), (JobState::Failed, 8));
    service.stop().await;
}

#[tokio::test]
async fn suspended_and_resumed() {
    let world = World::new();
    let mut alice = Interactive::new(&world, "Alice").await;
    let service = Service::start(&world, 3600).await;
    let callback = alice.listener.url().to_owned();
    let reply =
        service.submit(&alice.person, "&(executable=/bin/sleep)(arguments=1000)", Some(&callback)).await;
    let contact = contact(&reply);
    assert_eq!(alice.heard().await.state, JobState::Active);
    alice.client.signal(&contact, &Signal::Suspend("x".into())).await.unwrap();
    assert_eq!(alice.heard().await.state, JobState::Suspended);
    alice.client.signal(&contact, &Signal::Resume("x".into())).await.unwrap();
    assert_eq!(alice.heard().await.state, JobState::Active);
    alice.client.cancel(&contact).await.unwrap();
    service.stop().await;
}

#[tokio::test]
async fn output_kept_in_the_cache_for_a_later_job() {
    let world = World::new();
    let mut alice = Interactive::new(&world, "Alice").await;
    let service = Service::start(&world, 3600).await;
    let cache = world.folder.path().join("cache");
    let rsl = format!(
        "&(executable=/bin/echo)(arguments=kept)(gass_cache={})\
         (stdout=x-gass-cache://$(GLOBUS_GRAM_JOB_CONTACT)stdout anExtraTag)\
         (stderr=x-gass-cache://$(GLOBUS_GRAM_JOB_CONTACT)stderr anExtraTag)",
        cache.display()
    );
    let (_, last) = alice.run(&service, &rsl).await;
    assert_eq!(last.state, JobState::Done);
    let url = format!("x-gass-cache://{}stdout", last.job);
    let path = gass::Cache::open(&cache).unwrap().create(&url, "anExtraTag").unwrap();
    assert_eq!(std::fs::read_to_string(path).unwrap(), "kept\n");
    service.stop().await;
}

#[tokio::test]
async fn describes_and_lists_its_jobs() {
    let world = World::new();
    let alice = Interactive::new(&world, "Alice").await;
    let mut service = Service::start(&world, 3600).await;
    let reply = service.submit(&alice.person, "&(executable=/bin/true)(two_phase=600)", None).await;
    let described = service.control.describe(v1::DescribeRequest {}).await.unwrap().into_inner();
    assert_eq!((described.jobs, described.pid), (1, std::process::id()));
    let jobs = service.control.list(v1::ListRequest {}).await.unwrap().into_inner().jobs;
    assert_eq!((jobs[0].contact.as_str(), jobs[0].state), (reply.job_contact.as_str(), 32));
    assert_eq!(jobs[0].rsl, "&(\"executable\" = \"/bin/true\" )(\"twophase\" = \"600\" )");
    service.stop().await;
}

/// What `status -v` shows: each file that has been tried, where it stands, and what came in its way.
#[tokio::test]
async fn lists_how_far_each_file_is() {
    let world = World::new();
    let mut alice = Interactive::new(&world, "Alice").await;
    let mut service = Service::start(&world, 3600).await;
    let folder = world.folder.path().join("home");
    std::fs::write(folder.join("there"), "12345").unwrap();
    let url = alice.server.url().to_owned();
    let rsl = format!(
        "&(executable=/bin/true)(directory={dir})(file_stage_in=({url}{dir}/missing x)({url}{dir}/there y))",
        dir = folder.display()
    );
    let (_, last) = alice.run(&service, &rsl).await;
    assert_eq!((last.state, last.failure.0), (JobState::Failed, 135));
    let jobs = service.control.list(v1::ListRequest {}).await.unwrap().into_inner().jobs;
    let shown: Vec<_> = jobs[0]
        .files
        .iter()
        .map(|file| (file.attribute.as_str(), file.number, file.to.as_str(), file.stage()))
        .collect();
    // They go at the same time, so the good one may have been broken off.
    assert!(shown.contains(&("file_stage_in", 0, "x", v1::FileStage::Failed)), "{shown:?}");
    let failed = jobs[0].files.iter().find(|file| file.number == 0).unwrap();
    assert!(failed.trouble.contains("404") && failed.attempts == 1, "{failed:?}");
    assert_eq!(failed.from, format!("{url}{}/missing", folder.display()));
    service.stop().await;
}

#[tokio::test]
async fn an_idle_manager_ends_and_the_next_one_starts() {
    let world = World::new();
    let (task, _stop) = launch(&world, 0).await;
    tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap().unwrap();
    let account = crate::account::Account::current().unwrap().name;
    assert!(!control::socket_path(&world.folder.path().join("state"), &account).exists());
    Service::start(&world, 3600).await.stop().await;
}

#[tokio::test]
async fn one_manager_per_account() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lock");
    let first = lock(&path).await.unwrap();
    let second = tokio::spawn({
        let path = path.clone();
        async move { lock(&path).await }
    });
    tokio::task::yield_now().await;
    drop(first);
    second.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_second_manager_gives_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lock");
    let _first = lock(&path).await.unwrap();
    assert_eq!(lock(&path).await.unwrap_err().kind(), io::ErrorKind::AddrInUse);
}

#[test]
fn directories_of_unknown_jobs_go() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["1.2", "3.4"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    remove_strays(folder.path(), &HashSet::from([JobKey { high: 1, low: 2 }]));
    assert!(folder.path().join("1.2").exists());
    assert!(!folder.path().join("3.4").exists());
}

#[test]
fn the_owner_is_read_from_the_record() {
    let body = serde_json::to_vec(&sample()).unwrap();
    assert_eq!(owner(&body).as_deref(), Some("/O=Grid/CN=Alice"));
    assert_eq!(owner(b"{}"), None);
}

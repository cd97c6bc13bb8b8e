//! For tests: a certification authority with people, a scheduler that does what it is told, and a running manager.

use crate::{
    gate::Gate,
    identity::Identities,
    intake,
    launch::{JobKey, Launch},
    manager::{End, INBOX, Manager, Shared},
    scheduler::{Scheduler, SchedulerError, SchedulerEvent, SchedulerId},
    store::Store,
};
use gram::{GramError, control::v1};
use gsi::{
    Credential, Name, ProxyKind, TrustDirectory,
    authority::{Authority, Holder, NewAuthority},
    key::PrivateKey,
    proxy::{self, ProxyRequest},
};
use jiff::Timestamp;
use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

/// A CA, and a folder for everything.
pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    authority: Authority,
}

/// A person: a proxy, and what she delegates.
pub(crate) struct Person {
    pub(crate) proxy: Credential,
    pub(crate) delegated: Credential,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let new = NewAuthority { name: "/O=Grid/CN=Test CA", days: 2, bits: 2048, passphrase: None };
        let authority = Authority::create(&folder.path().join("ca"), &new).unwrap();
        std::fs::create_dir(folder.path().join("trust")).unwrap();
        authority.install(&folder.path().join("trust")).unwrap();
        for directory in ["home", "state/alice/jobs", "state/alice/identities"] {
            std::fs::create_dir_all(folder.path().join(directory)).unwrap();
        }
        Self { folder, authority }
    }

    pub(crate) fn trust(&self) -> TrustDirectory {
        TrustDirectory::open(self.folder.path().join("trust")).unwrap()
    }

    pub(crate) fn person(&self, name: &str) -> Person {
        let key = PrivateKey::generate_rsa(2048).unwrap();
        let subject = Name::parse_one_line(&format!("/O=Grid/CN={name}")).unwrap();
        let certificate = self.authority.issue(&subject, &key.public_key_info(), &Holder::User, 1).unwrap();
        let user = Credential::new(vec![certificate], key).unwrap();
        let proxy = proxy_of(&user, ProxyKind::Full, None);
        let delegated = proxy_of(&proxy, ProxyKind::Limited, None);
        Person { proxy, delegated }
    }

    pub(crate) fn store_path(&self) -> PathBuf {
        self.folder.path().join("jobs.sqlite")
    }

    /// A manager over the store of this world, with a scheduler of its own.
    pub(crate) async fn manager(&self, idle: Duration) -> Running {
        let store = Store::open(&self.store_path()).await.unwrap();
        let stored = store.load_all().await.unwrap();
        let site =
            Arc::new(crate::site::Site { trust: self.trust(), ..crate::site_for_tests(self.folder.path()) });
        let (inbox, messages) = mpsc::channel(INBOX);
        let (events, scheduler_events) = mpsc::unbounded_channel();
        let identities = Arc::new(Identities::new(Arc::clone(&site), store.clone(), inbox.clone()));
        identities.resume(|_| true).await.unwrap();
        let scheduler = Script { events, calls: Arc::default(), refuse: Arc::default() };
        let streaming = Arc::new(crate::stream::Streaming::new(Arc::clone(&site), Arc::clone(&identities)));
        let scheduler_of_shared = scheduler.clone();
        let shared =
            Arc::new(Shared { site, store, scheduler: scheduler_of_shared, identities, streaming, inbox });
        let gate = Arc::new(Gate::default());
        let manager = Manager::resume(Arc::clone(&shared), Arc::clone(&gate), stored).await;
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            manager
                .run(messages, scheduler_events, idle, async {
                    let _ = stopped.await;
                })
                .await
        });
        Running { shared, gate, scheduler, stop, task }
    }
}

pub(crate) fn proxy_of(issuer: &Credential, kind: ProxyKind, lifetime: Option<u64>) -> Credential {
    let request = ProxyRequest { format: None, kind, lifetime, path_length: None };
    proxy::create(issuer, 2048, &request, Timestamp::now()).unwrap()
}

/// A manager under test.
pub(crate) struct Running {
    pub(crate) shared: Arc<Shared<Script>>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) scheduler: Script,
    stop: oneshot::Sender<()>,
    pub(crate) task: JoinHandle<End>,
}

impl Running {
    /// Submits as this person.
    pub(crate) async fn submit(&self, person: &Person, rsl: &str, callback: Option<&str>) -> v1::SubmitReply {
        intake::submit(&self.shared, request(person, rsl, callback)).await.unwrap()
    }

    /// Ends it as SIGTERM does.
    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        assert!(matches!(self.task.await.unwrap(), End::Stopped { .. }));
        self.shared.identities.stop().await;
    }
}

pub(crate) fn request(person: &Person, rsl: &str, callback: Option<&str>) -> v1::SubmitRequest {
    v1::SubmitRequest {
        request_id: uuid::Uuid::new_v4().to_string(),
        identity: person.proxy.identity().as_str().into(),
        service: "jobmanager-fork".into(),
        scheduler: "fork".into(),
        rsl: rsl.into(),
        job_state_mask: 0xF_FFFF,
        callback_url: callback.unwrap_or_default().into(),
        delegated_credential: person.delegated.to_pem().as_bytes().to_vec(),
        client_address: "127.0.0.1:1".into(),
        gatekeeper_host: "localhost".into(),
        gatekeeper_port: 2119,
        gatekeeper_subject: "/O=Grid/CN=localhost".into(),
    }
}

/// A scheduler that records what it is asked and reports what the test says.
#[derive(Clone)]
pub(crate) struct Script {
    events: mpsc::UnboundedSender<SchedulerEvent>,
    calls: Arc<Mutex<Vec<String>>>,
    /// Number of the refusal of checks and submissions; None: everything is fine.
    pub(crate) refuse: Arc<Mutex<Option<u16>>>,
}

impl Script {
    pub(crate) fn report(&self, event: SchedulerEvent) {
        self.events.send(event).unwrap();
    }

    /// Waits until a call beginning with `what` has been made.
    pub(crate) async fn called(&self, what: &str) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while !self.calls().iter().any(|call| call.starts_with(what)) {
            assert!(tokio::time::Instant::now() < deadline, "{what} was not called: {:?}", self.calls());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    fn note(&self, call: String) {
        self.calls.lock().unwrap().push(call);
    }

    fn verdict(&self) -> Result<(), SchedulerError> {
        match *self.refuse.lock().unwrap() {
            Some(code) => Err(SchedulerError { code: GramError(code), message: "told to refuse".into() }),
            None => Ok(()),
        }
    }
}

impl Scheduler for Script {
    fn name(&self) -> &'static str {
        "fork"
    }
    fn check(&self, _: &Launch) -> Result<(), SchedulerError> {
        self.verdict()
    }
    async fn submit(&self, launch: Launch) -> Result<SchedulerId, SchedulerError> {
        self.verdict()?;
        self.note(format!("submit {} {}", launch.key, launch.executable.display()));
        Ok(SchedulerId("77".into()))
    }
    async fn cancel(&self, key: JobKey, id: &SchedulerId) -> Result<(), SchedulerError> {
        self.note(format!("cancel {key} {}", id.0));
        Ok(())
    }
    async fn suspend(&self, key: JobKey, _: &SchedulerId) -> Result<(), SchedulerError> {
        self.note(format!("suspend {key}"));
        self.report(SchedulerEvent::Suspended(key));
        Ok(())
    }
    async fn resume(&self, key: JobKey, _: &SchedulerId) -> Result<(), SchedulerError> {
        self.note(format!("resume {key}"));
        self.report(SchedulerEvent::Active(key));
        Ok(())
    }
    async fn adopt(&self, jobs: Vec<(JobKey, Option<SchedulerId>)>) -> Result<(), SchedulerError> {
        self.note(format!("adopt {}", jobs.len()));
        Ok(())
    }
    async fn forget(&self, key: JobKey) {
        self.note(format!("forget {key}"));
    }
}

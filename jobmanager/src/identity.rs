//! The identities whose jobs this manager runs: each has its delegated credential, and a listener of its own that shows it
//! (no client names its job manager in the TLS handshake, so one port cannot show several).

use crate::{
    job::Failure,
    launch::JobKey,
    listener,
    manager::{Inbox, Message},
    site::{Durability, Site, replace_private},
    store::Store,
};
use gram::{GramError, endpoint};
use gsi::key::KnownKeys;
use gsi::{Acceptor, Connector, Credential, GsiError, KeyPool, Subject, TrustDirectory};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::{
    collections::{HashMap, HashSet},
    io,
    net::Ipv6Addr,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock, RwLock,
        atomic::{AtomicBool, AtomicU16, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::Mutex,
    task::{AbortHandle, JoinSet},
    time::Instant,
};

/// A credential with less left than this is refused and not used (gram.md §13).
pub const MINIMUM_LIFETIME: SignedDuration = SignedDuration::from_secs(600);
/// Keys made ahead for renewals, and how long one is reused.
const KEYS_AHEAD: usize = 1;
const KEY_REUSE: Duration = Duration::from_secs(3600);

/// How often a port that was ours before a restart is tried again …
const PORT_AGAIN: Duration = Duration::from_millis(200);
/// … and for how long before new jobs get another: longer than closed connections hold a port.
const PORT_PATIENCE: Duration = Duration::from_secs(70);

/// What the store keeps of an identity.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    /// Port of its job contacts, taken again after a restart so that old contacts work whole.
    port: u16,
    /// Its credential's file below `identities/`.
    file: String,
}

/// One identity.
#[derive(Debug)]
pub struct Identity {
    /// One-line name.
    pub subject: Subject,
    port: AtomicU16,
    file: PathBuf,
    current: RwLock<Arc<Current>>,
    /// The credential is another than the manager knows of.
    is_news: AtomicBool,
    listening: OnceLock<AbortHandle>,
}

/// What is made from the credential in use.
pub struct Current {
    /// The credential.
    pub credential: Credential,
    /// Shows it to clients of job contacts.
    pub acceptor: Acceptor,
    /// Shows it to call-back listeners.
    pub connector: Connector,
    /// Transfers files with it; made when the first file is moved.
    gass: OnceLock<gass::Client>,
}

impl Current {
    /// Transfers files with this credential.
    pub fn gass(&self, trust: &TrustDirectory) -> Result<gass::Client, Failure> {
        if let Some(client) = self.gass.get() {
            return Ok(client.clone());
        }
        let client = gass::Client::new(&self.credential, trust)
            .map_err(|error| Failure::new(GramError::OPENING_USER_PROXY, error.to_string()))?;
        Ok(self.gass.get_or_init(|| client).clone())
    }
}

impl std::fmt::Debug for Current {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Current").field("identity", self.credential.identity()).finish_non_exhaustive()
    }
}

impl Identity {
    /// Port of its job contacts.
    pub fn port(&self) -> u16 {
        self.port.load(Ordering::Relaxed)
    }

    /// The credential in use and what is made from it.
    pub fn current(&self) -> Arc<Current> {
        match self.current.read() {
            Ok(current) => Arc::clone(&current),
            Err(poisoned) => Arc::clone(&poisoned.into_inner()),
        }
    }

    /// What the manager has to hear when there is another credential than it knows of: how long it lasts.
    pub(crate) fn news(&self) -> Option<Message> {
        self.is_news.swap(false, Ordering::Relaxed).then(|| Message::Credential {
            identity: self.subject.as_str().to_owned(),
            expires: self.current().credential.expires(),
        })
    }

    fn replace(&self, new: Arc<Current>) {
        match self.current.write() {
            Ok(mut current) => *current = new,
            Err(poisoned) => *poisoned.into_inner() = new,
        }
        self.is_news.store(true, Ordering::Relaxed);
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        if let Some(listening) = self.listening.get() {
            listening.abort();
        }
    }
}

/// A credential could not be taken into use.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// It does not make a TLS end.
    #[error("the delegated credential cannot be used: {0}")]
    Credential(#[from] GsiError),
    /// Its file.
    #[error("cannot write the credential file {}: {source}", path.display())]
    File {
        /** which */
        path: PathBuf,
        /** why */
        source: io::Error,
    },
    /// Its listener.
    #[error("cannot listen for job contacts: {0}")]
    Listener(#[source] io::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

impl From<IdentityError> for Failure {
    fn from(error: IdentityError) -> Self {
        let code = match &error {
            IdentityError::Credential(_) => GramError::OPENING_USER_PROXY,
            IdentityError::File { .. } => GramError::OPENING_CACHE_USER_PROXY,
            IdentityError::Listener(_) => GramError::JM_FAILED_ALLOW_ATTACH,
            IdentityError::Store(_) => GramError::WRITING_STATE_FILE,
        };
        Failure::new(code, error.to_string())
    }
}

/// All identities of this manager; cheap to share.
pub struct Identities {
    site: Arc<Site>,
    store: Store,
    inbox: Inbox,
    keys: KeyPool,
    delegated_keys: KnownKeys,
    known: Mutex<HashMap<Subject, Arc<Identity>>>,
}

impl Identities {
    /// None yet.
    pub fn new(site: Arc<Site>, store: Store, inbox: Inbox) -> Self {
        let keys = KeyPool::new(KEYS_AHEAD, KEY_REUSE);
        Self { site, store, inbox, keys, delegated_keys: KnownKeys::default(), known: Mutex::default() }
    }

    /// A credential as the front door hands it over.
    pub fn read(&self, pem: &[u8]) -> Result<Credential, GsiError> {
        Credential::from_pem_knowing(pem, &self.delegated_keys)
    }

    /// Takes a delegated credential: a new identity gets its listener, a known one the credential if it lives longer. Whoever
    /// offers tells the manager of it ([`Identity::news`]), when it is time for that.
    pub async fn offer(&self, credential: Credential) -> Result<Arc<Identity>, IdentityError> {
        let mut known = self.known.lock().await;
        if let Some(identity) = known.get(credential.identity()) {
            if credential.expires() > identity.current().credential.expires() {
                write(&identity.file, &credential)?;
                identity.replace(Arc::new(self.prepare(credential)?));
            }
            return Ok(Arc::clone(identity));
        }
        let name = format!("{}.pem", crate::random_key());
        let file = self.file(&name);
        write(&file, &credential)?;
        let identity = match self.introduce(credential, name).await {
            Ok(identity) => identity,
            Err(error) => {
                let _ = std::fs::remove_file(&file);
                return Err(error);
            }
        };
        known.insert(identity.subject.clone(), Arc::clone(&identity));
        Ok(identity)
    }

    /// Listens for a new identity and stores it; its credential is in the file of this name.
    async fn introduce(&self, credential: Credential, file: String) -> Result<Arc<Identity>, IdentityError> {
        let identity = self.start(credential, self.file(&file), None)?;
        let record = Record { port: identity.port(), file };
        let body = serde_json::to_vec(&record).unwrap_or_default();
        self.store.save_identity(identity.subject.as_str().to_owned(), body).await?;
        Ok(identity)
    }

    /// The identity of this name, if it has a usable credential.
    pub async fn get(&self, subject: &str) -> Option<Arc<Identity>> {
        self.known.lock().await.get(&Subject::new(subject)).cloned()
    }

    /// After a restart: listens again for those that `has_jobs`, on the old ports where they are free; forgets the rest, and
    /// removes credentials that belong to nobody, as a killed manager may leave them.
    pub async fn resume(&self, has_jobs: impl Fn(&str) -> bool) -> Result<(), IdentityError> {
        let mut known = self.known.lock().await;
        let mut files = HashSet::new();
        for (name, body) in self.store.load_identities().await? {
            let Ok(record) = serde_json::from_slice::<Record>(&body) else {
                tracing::warn!(identity = name, "identity record not understood, left out");
                continue;
            };
            if !has_jobs(&name) {
                // What is still there then is tried again at the next start.
                if let Err(error) = self.store.remove_identity(name.clone()).await {
                    tracing::warn!(identity = name, %error, "identity without jobs not removed");
                }
                continue;
            }
            files.insert(record.file.clone());
            let credential = match Credential::read(&self.file(&record.file)) {
                Ok(credential) => credential,
                Err(error) => {
                    tracing::warn!(identity = name, %error, "credential not readable, its job contacts are closed");
                    continue;
                }
            };
            match self.start(credential, self.file(&record.file), Some(record.port)) {
                Ok(identity) => {
                    known.insert(identity.subject.clone(), identity);
                }
                Err(error) => tracing::warn!(identity = name, %error, "its job contacts are closed"),
            }
        }
        self.remove_others(&files);
        Ok(())
    }

    fn remove_others(&self, files: &HashSet<String>) {
        let directory = self.site.directory.join("identities");
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            if !files.contains(entry.file_name().to_string_lossy().as_ref()) {
                let removed = std::fs::remove_file(entry.path());
                tracing::info!(file = %entry.path().display(), ?removed, "credential of nobody with jobs");
            }
        }
    }

    /// Ends all listeners.
    pub async fn stop(&self) {
        self.known.lock().await.clear();
    }

    fn file(&self, name: &str) -> PathBuf {
        self.site.directory.join("identities").join(name)
    }

    fn prepare(&self, credential: Credential) -> Result<Current, IdentityError> {
        let trust = &self.site.trust;
        Ok(Current {
            acceptor: Acceptor::new(&credential, trust)?,
            connector: Connector::new(&credential, trust)?,
            gass: OnceLock::new(),
            credential,
        })
    }

    /// Listens, with the credential that is in `file`.
    fn start(
        &self,
        credential: Credential,
        file: PathBuf,
        port: Option<u16>,
    ) -> Result<Arc<Identity>, IdentityError> {
        let (port, listener) = match port {
            Some(port) => (port, listen_on(port).ok()),
            None => {
                let listener =
                    endpoint::listen_in(endpoint::port_range()).map_err(IdentityError::Listener)?;
                (listener.local_addr().map_err(IdentityError::Listener)?.port(), Some(listener))
            }
        };
        let subject = credential.identity().clone();
        let current = RwLock::new(Arc::new(self.prepare(credential)?));
        let listening = OnceLock::new();
        let identity = Arc::new(Identity {
            subject,
            port: AtomicU16::new(port),
            file,
            current,
            is_news: AtomicBool::new(true),
            listening,
        });
        // The listener holds the identity weakly: it ends when the identity is dropped. And it ends when it finds none, so it
        // starts when there is one, for a client may be waiting already.
        let serving = listener::Serving {
            identity: Arc::downgrade(&identity),
            inbox: self.inbox.clone(),
            keys: self.keys.clone(),
        };
        let listening = match listener {
            Some(listener) => tokio::spawn(serving.run(listener)),
            None => tokio::spawn(listen_again(serving, port)),
        };
        let _ = identity.listening.set(listening.abort_handle());
        Ok(identity)
    }
}

fn listen_on(port: u16) -> io::Result<TcpListener> {
    endpoint::listen((Ipv6Addr::UNSPECIFIED, port).into())
}

/// Waits for a port that was ours before a restart: clients hold contacts that name it. What has taken it is mostly a
/// connection to somewhere, which goes; so new jobs get another port only after a good while, and the old one is still tried.
async fn listen_again(serving: listener::Serving, port: u16) {
    tracing::warn!(port, "the port of job contacts is taken, trying again");
    let begun = Instant::now();
    let mut elsewhere = JoinSet::new();
    loop {
        tokio::time::sleep(PORT_AGAIN).await;
        if let Ok(listener) = listen_on(port) {
            tracing::info!(port, "job contacts answer again");
            serving.clone().run(listener).await;
            return;
        }
        if elsewhere.is_empty() && begun.elapsed() >= PORT_PATIENCE {
            let Some(identity) = serving.identity.upgrade() else { return };
            match endpoint::listen_in(endpoint::port_range())
                .and_then(|listener| Ok((listener.local_addr()?, listener)))
            {
                Ok((address, listener)) => {
                    tracing::error!(port, new = address.port(), "new jobs get contacts with another port");
                    identity.port.store(address.port(), Ordering::Relaxed);
                    elsewhere.spawn(serving.clone().run(listener));
                }
                Err(error) => tracing::error!(%error, "no port for job contacts"),
            }
        }
    }
}

fn write(file: &Path, credential: &Credential) -> Result<(), IdentityError> {
    replace_private(file, credential.to_pem().as_bytes(), Durability::Power)
        .map_err(|source| IdentityError::File { path: file.to_owned(), source })
}

/// Refuses a credential that ends within [`MINIMUM_LIFETIME`] (131).
pub fn check_lifetime(credential: &Credential, now: Timestamp) -> Result<(), Failure> {
    let left = credential.expires().duration_since(now);
    if left >= MINIMUM_LIFETIME {
        return Ok(());
    }
    Err(Failure::new(
        GramError::USER_PROXY_EXPIRED,
        format!(
            "the delegated proxy ends in {} s, at least {} s are needed: make a new proxy",
            left.as_secs().max(0),
            MINIMUM_LIFETIME.as_secs()
        ),
    ))
}

/// The contact of a job of this identity.
pub fn contact(host: &str, port: u16, key: JobKey) -> String {
    format!("https://{host}:{port}/{}/{}/", key.high, key.low)
}

//! A throw-away authority, host, users and gatekeeper.

use crate::Gatekeeper;
use crate::config::ServiceConfig;
use crate::fake::{self, Fake};
use crate::server::start::account_name;
use gsi::authority::{Authority, Holder, NewAuthority};
use gsi::key::PrivateKey;
use gsi::proxy::{self, ProxyRequest};
use gsi::{Certificate, Credential, Name, ProxyKind, TrustDirectory};
use jiff::Timestamp;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Most names have a blank, which stock clients make an invalid SNI of.
pub(super) const ALICE: &str = "/O=Grid/CN=Alice Adams";
pub(super) const MALLORY: &str = "/O=Grid/CN=Mallory Moss";

/// A running site. Alice is mapped to our own account, Mallory is not known.
pub(super) struct House {
    folder: TempDir,
    pub(super) fake: Arc<Fake>,
    pub(super) contact: String,
    pub(super) account: String,
    stop: Option<oneshot::Sender<()>>,
    gatekeeper: Option<JoinHandle<io::Result<()>>>,
    _manager: oneshot::Sender<()>,
}

impl House {
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        make_certificates(folder.path());
        let account = account_name(rustix::process::geteuid().as_raw()).unwrap();
        fs::write(path("grid-mapfile"), format!("\"{ALICE}\" {account},other\n")).unwrap();
        let fake = Arc::new(Fake::default());
        let (manager, _) = fake::serve(&path("state"), &account, &fake);
        let service =
            |scheduler: &str, accept_limited| ServiceConfig { scheduler: scheduler.into(), accept_limited };
        let services = [
            ("jobmanager".to_owned(), service("fork", false)),
            ("limited".to_owned(), service("fork", true)),
            ("broken".to_owned(), service("nothing", false)),
        ];
        fs::create_dir(path("services")).unwrap();
        let mut config = fake::config(folder.path(), services.into());
        config.gridmap = path("grid-mapfile");
        config.audit = path("audit.jsonl");
        config.register = path("register");
        config.state = path("state");
        config.grid_services = Some(path("services"));
        config.nologin = vec![path("nologin")];
        let bound = Gatekeeper::bind(config).await.unwrap();
        let contact = bound.contact();
        let (stop, stopped) = oneshot::channel::<()>();
        let gatekeeper = tokio::spawn(bound.run(async { stopped.await.unwrap_or_default() }));
        Self {
            folder,
            fake,
            contact,
            account,
            stop: Some(stop),
            gatekeeper: Some(gatekeeper),
            _manager: manager,
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `localhost:port`, without the subject.
    pub(super) fn address(&self) -> &str {
        self.contact.rsplitn(2, ":/").last().unwrap()
    }

    /// Stops accepting and gives what is left of the serving task.
    pub(super) fn stop(&mut self) -> JoinHandle<io::Result<()>> {
        self.stop.take().unwrap().send(()).unwrap();
        self.gatekeeper.take().unwrap()
    }

    pub(super) fn credential(&self, name: &str) -> Credential {
        Credential::read(&self.path(&format!("{name}.proxy"))).unwrap()
    }

    pub(super) fn trust(&self) -> TrustDirectory {
        TrustDirectory::open(self.path("certificates")).unwrap()
    }

    pub(super) fn audit(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.path("audit.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Runs the stock globusrun with this proxy; None, with a word on why, when there is none.
    pub(super) async fn globusrun(&self, proxy: &str, tls: &str, arguments: &[&str]) -> Option<Output> {
        let mut command = Command::new("globusrun");
        command
            .args(arguments)
            .env("X509_CERT_DIR", self.path("certificates"))
            .env("X509_USER_PROXY", self.path(&format!("{proxy}.proxy")))
            .env("GLOBUS_GSSAPI_MIN_TLS_PROTOCOL", tls)
            .env("GLOBUS_GSSAPI_MAX_TLS_PROTOCOL", tls)
            .env("GLOBUS_HOSTNAME", "localhost")
            .kill_on_drop(true);
        let run = tokio::time::timeout(Duration::from_secs(60), command.output());
        match run.await.expect("globusrun ends") {
            Ok(output) => Some(output),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                println!("skipped: globusrun is not installed");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// One of the RSA keys that everybody knows.
fn known_rsa_key(number: usize) -> PrivateKey {
    let pem = [
        include_str!("../../../../gsi/test-only-keys/test-only-1.pem"),
        include_str!("../../../../gsi/test-only-keys/test-only-2.pem"),
        include_str!("../../../../gsi/test-only-keys/test-only-3.pem"),
        include_str!("../../../../gsi/test-only-keys/test-only-4.pem"),
    ];
    PrivateKey::from_pem(pem[number].as_bytes(), None).unwrap()
}

/// CA, trust directory, host certificate, and proxies of Alice (full and limited) and Mallory.
fn make_certificates(folder: &Path) {
    let new = NewAuthority { name: "/O=Grid/CN=Test CA", days: 30, bits: 2048, passphrase: None };
    let authority = Authority::create_with_key(&folder.join("ca"), &new, known_rsa_key(0)).unwrap();
    fs::create_dir(folder.join("certificates")).unwrap();
    authority.install(&folder.join("certificates")).unwrap();
    let issue = |name: &str, holder: &Holder, key: PrivateKey| {
        let subject = Name::parse_one_line(name).unwrap();
        let certificate = authority.issue(&subject, &key.public_key_info(), holder, 10).unwrap();
        Credential::new(vec![certificate], key).unwrap()
    };
    let host = issue(
        "/O=Grid/CN=localhost",
        &Holder::Host { names: vec!["localhost".to_owned()] },
        known_rsa_key(1),
    );
    let pem: String = host.chain().iter().map(Certificate::to_pem).collect();
    fs::write(folder.join("host.pem"), pem).unwrap();
    fs::write(folder.join("host.key"), host.key().to_pem().as_bytes()).unwrap();
    fs::set_permissions(folder.join("host.key"), fs::Permissions::from_mode(0o600)).unwrap();
    let alice = issue(ALICE, &Holder::User, known_rsa_key(2));
    let mallory = issue(MALLORY, &Holder::User, known_rsa_key(3));
    for (issuer, kind, name) in [
        (&alice, ProxyKind::Full, "alice"),
        (&alice, ProxyKind::Limited, "limited"),
        (&mallory, ProxyKind::Full, "mallory"),
    ] {
        let request = ProxyRequest { format: None, kind, lifetime: Some(3600), path_length: None };
        let proxy = proxy::create(issuer, 2048, &request, Timestamp::now()).unwrap();
        proxy.write(&folder.join(format!("{name}.proxy"))).unwrap();
    }
}

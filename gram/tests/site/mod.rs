//! A stock gatekeeper with its fork job manager, all files in one temporary folder.

use gram::ResourceContact;
use gram::client::Client;
use gsi::authority::{Authority, Holder, NewAuthority};
use gsi::key::PrivateKey;
use gsi::proxy::{self, ProxyRequest};
use gsi::{Certificate, Credential, Name, ProxyKind, TrustDirectory};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

const ALICE: &str = "/O=Grid/CN=Alice Adams";

pub(crate) struct StockSite {
    folder: TempDir,
    gatekeeper: Child,
    pub(crate) contact: ResourceContact,
}

impl StockSite {
    /// None, with a word on why, when it is not installed.
    pub(crate) fn start() -> Option<Self> {
        let (Some(gatekeeper), Some(manager)) = (find("globus-gatekeeper"), find("globus-job-manager"))
        else {
            println!("skipped: globus-gatekeeper and globus-job-manager are not installed");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        make_certificates(folder.path());
        for name in ["home", "state", "services"] {
            fs::create_dir(path(name)).unwrap();
        }
        let account = Command::new("id").arg("-un").output().unwrap().stdout;
        fs::write(path("gridmap"), format!("\"{ALICE}\" {}", String::from_utf8(account).unwrap())).unwrap();
        let options = format!(
            "-globus-toolkit-version 6.2\n-target-globus-location /usr\n-x509-cert-dir {}\n\
             -state-file-dir {state}\n-globus-job-dir {state}\n",
            path("certificates").display(),
            state = path("state").display(),
        );
        fs::write(path("manager.conf"), options).unwrap();
        // Through env(1), so that jobs' files do not go to the real home of whoever runs the tests.
        let line = format!(
            "stderr_log,local_cred - /usr/bin/env env HOME={} {} -conf {} -type fork\n",
            path("home").display(),
            manager.display(),
            path("manager.conf").display(),
        );
        fs::write(path("services/jobmanager"), line).unwrap();
        let mut gatekeeper = Command::new(gatekeeper)
            .args(["-foreground", "-port", "0"])
            .arg("-logfile")
            .arg(path("gatekeeper.log"))
            .arg("-grid_services")
            .arg(path("services"))
            .arg("-gridmap")
            .arg(path("gridmap"))
            .arg("-x509_cert_dir")
            .arg(path("certificates"))
            .arg("-x509_user_cert")
            .arg(path("host.pem"))
            .arg("-x509_user_key")
            .arg(path("host.key"))
            .arg("-pidfile")
            .arg(path("gatekeeper.pid"))
            .env("GLOBUS_HOSTNAME", "localhost")
            .env_remove("X509_USER_PROXY")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(gatekeeper.stdout.take().unwrap()).lines();
        let contact =
            lines.find_map(|line| Some(line.ok()?.strip_prefix("GRAM contact: ")?.to_owned())).unwrap();
        let contact = contact.parse().unwrap();
        Some(Self { folder, gatekeeper, contact })
    }

    pub(crate) fn credential(&self) -> Credential {
        Credential::read(&self.folder.path().join("alice.proxy")).unwrap()
    }

    pub(crate) fn trust(&self) -> TrustDirectory {
        TrustDirectory::open(self.folder.path().join("certificates")).unwrap()
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.credential(), &self.trust()).unwrap()
    }
}

impl Drop for StockSite {
    /// Ends the gatekeeper, and the job managers it started: each has left its number in a file.
    fn drop(&mut self) {
        let _ = self.gatekeeper.kill();
        let _ = self.gatekeeper.wait();
        let mut folders = vec![self.folder.path().join("state")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "pid") {
                    let pid = fs::read_to_string(path).unwrap_or_default();
                    let _ = Command::new("kill").arg(pid.trim()).stderr(Stdio::null()).status();
                }
            }
        }
    }
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join(program)).find(|file| file.exists())
}

fn make_certificates(folder: &Path) {
    let new = NewAuthority { name: "/O=Grid/CN=Test CA", days: 30, bits: 2048, passphrase: None };
    let authority = Authority::create(&folder.join("ca"), &new).unwrap();
    fs::create_dir(folder.join("certificates")).unwrap();
    authority.install(&folder.join("certificates")).unwrap();
    let issue = |name: &str, holder: &Holder| {
        let key = PrivateKey::generate_rsa(2048).unwrap();
        let subject = Name::parse_one_line(name).unwrap();
        let certificate = authority.issue(&subject, &key.public_key_info(), holder, 10).unwrap();
        Credential::new(vec![certificate], key).unwrap()
    };
    let host = issue("/O=Grid/CN=localhost", &Holder::Host { names: vec!["localhost".to_owned()] });
    let pem: String = host.chain().iter().map(Certificate::to_pem).collect();
    fs::write(folder.join("host.pem"), pem).unwrap();
    fs::write(folder.join("host.key"), host.key().to_pem().as_bytes()).unwrap();
    fs::set_permissions(folder.join("host.key"), fs::Permissions::from_mode(0o600)).unwrap();
    let request =
        ProxyRequest { format: None, kind: ProxyKind::Full, lifetime: Some(7200), path_length: None };
    let proxy = proxy::create(&issue(ALICE, &Holder::User), 2048, &request, jiff::Timestamp::now()).unwrap();
    proxy.write(&folder.join("alice.proxy")).unwrap();
}

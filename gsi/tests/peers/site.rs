//! A throw-away site: CA, trust directory, host and user, made with our own authority.

use gsi::authority::{Authority, Holder, NewAuthority};
use gsi::key::PrivateKey;
use gsi::proxy::{self, ProxyRequest};
use gsi::tls::Versions;
use gsi::{Acceptor, Certificate, Connector, Credential, Name, ProxyFormat, ProxyKind, TrustDirectory};
use jiff::Timestamp;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// The user's name has a blank, as nearly all do: stock clients make an invalid SNI of it.
pub(crate) const USER: &str = "/O=Grid/CN=Grid User";
pub(crate) const HOST: &str = "/O=Grid/CN=host\\/localhost";

pub(crate) struct Site {
    directory: TempDir,
    pub(crate) authority: Authority,
    pub(crate) user: Credential,
    pub(crate) host: Credential,
}

/// One of the RSA keys that everybody knows.
fn known_rsa_key(number: usize) -> PrivateKey {
    let pem = [
        include_str!("../../test-only-keys/test-only-1.pem"),
        include_str!("../../test-only-keys/test-only-2.pem"),
        include_str!("../../test-only-keys/test-only-3.pem"),
        include_str!("../../test-only-keys/test-only-4.pem"),
    ];
    PrivateKey::from_pem(pem[number].as_bytes(), None).unwrap()
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::with_authority_key(known_rsa_key(0))
    }

    /// A site whose CA has the same name, and whose users nobody else trusts.
    pub(crate) fn elsewhere() -> Self {
        Self::with_authority_key(known_rsa_key(3))
    }

    fn with_authority_key(key: PrivateKey) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let new = NewAuthority { name: "/O=Grid/CN=Test CA", days: 30, bits: 2048, passphrase: None };
        let folder = directory.path().join("ca");
        let authority = Authority::create_with_key(&folder, &new, key).unwrap();
        std::fs::create_dir(directory.path().join("certificates")).unwrap();
        authority.install(&directory.path().join("certificates")).unwrap();
        let issue = |name: &str, holder: &Holder, key: PrivateKey| {
            let subject = Name::parse_one_line(name).unwrap();
            let certificate = authority.issue(&subject, &key.public_key_info(), holder, 10).unwrap();
            Credential::new(vec![certificate], key).unwrap()
        };
        let user = issue(USER, &Holder::User, known_rsa_key(1));
        let holder = Holder::Host { names: vec!["localhost".to_owned()] };
        let host = issue(HOST, &holder, known_rsa_key(2));
        let site = Self { directory, authority, user, host };
        site.write_pair("user", &site.user);
        site.write_pair("host", &site.host);
        site
    }

    /// A certificate of this CA made by openssl's and nobody's rules but ours.
    pub(crate) fn issue(&self, name: &str, holder: &Holder) -> Credential {
        let key = known_rsa_key(3);
        let subject = Name::parse_one_line(name).unwrap();
        let certificate = self.authority.issue(&subject, &key.public_key_info(), holder, 10).unwrap();
        Credential::new(vec![certificate], key).unwrap()
    }

    fn write_pair(&self, what: &str, credential: &Credential) {
        let pem: String = credential.chain().iter().map(Certificate::to_pem).collect();
        std::fs::write(self.path(&format!("{what}cert.pem")), pem).unwrap();
        let key = self.path(&format!("{what}key.pem"));
        std::fs::write(&key, credential.key().to_pem().as_bytes()).unwrap();
        restrict(&key);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn trust(&self) -> TrustDirectory {
        TrustDirectory::open(self.path("certificates")).unwrap()
    }

    pub(crate) fn acceptor(&self, credential: &Credential, versions: Versions) -> Acceptor {
        Acceptor::with_versions(credential, &self.trust(), versions)
    }

    pub(crate) fn connector(&self, credential: &Credential, versions: Versions) -> Connector {
        Connector::with_versions(credential, &self.trust(), versions)
    }

    /// A proxy of the user, in memory and as the file `proxy`.
    pub(crate) fn proxy(&self, format: ProxyFormat, kind: ProxyKind) -> Credential {
        let request = ProxyRequest { format: Some(format), kind, lifetime: Some(3600), path_length: None };
        let proxy = proxy::create(&self.user, 2048, &request, Timestamp::now()).unwrap();
        proxy.write(&self.path("proxy")).unwrap();
        proxy
    }

    /// A stock program in this site's environment; `None`, with a word on why, when it is not installed.
    pub(crate) fn stock(&self, program: &str) -> Option<Command> {
        if !installed(program) {
            eprintln!("skipped: {program} is not installed");
            return None;
        }
        let mut command = Command::new(program);
        command
            .env("X509_CERT_DIR", self.path("certificates"))
            .env("X509_USER_PROXY", self.path("proxy"))
            // Set, they would come before the proxy (gsi.md §6.3).
            .env_remove("X509_USER_CERT")
            .env_remove("X509_USER_KEY")
            .env("GRIDMAP", self.path("grid-mapfile"))
            .current_dir(self.directory.path());
        Some(command)
    }
}

pub(crate) fn restrict(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .any(|folder| folder.join(program).exists())
}

/// The stock name of what limits a stock program to one version.
pub(crate) fn only(command: &mut Command, versions: Versions) {
    let name = match versions {
        Versions::Tls12 => "TLS1_2_VERSION",
        Versions::Tls13 => "TLS1_3_VERSION",
        Versions::Both => return,
    };
    command.env("GLOBUS_GSSAPI_MIN_TLS_PROTOCOL", name).env("GLOBUS_GSSAPI_MAX_TLS_PROTOCOL", name);
}

/// Runs a program without holding up the runtime.
pub(crate) async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

pub(crate) fn text(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

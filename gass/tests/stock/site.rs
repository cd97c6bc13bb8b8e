//! A throw-away CA with users, and the stock programs in its environment.

use gsi::authority::{Authority, Holder, NewAuthority};
use gsi::key::PrivateKey;
use gsi::proxy::{self, ProxyRequest};
use gsi::{Certificate, Credential, Name, ProxyKind, TrustDirectory};
use jiff::Timestamp;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use tempfile::TempDir;

pub(crate) struct Site {
    directory: TempDir,
    user: Credential,
    authority: Authority,
}

impl Site {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let new = NewAuthority { name: "/O=Grid/CN=Test CA", days: 30, bits: 2048, passphrase: None };
        let authority = Authority::create(&directory.path().join("ca"), &new).unwrap();
        std::fs::create_dir(directory.path().join("certificates")).unwrap();
        authority.install(&directory.path().join("certificates")).unwrap();
        // With a blank, as nearly all have it: stock clients make an invalid SNI of it.
        let user = issue(&authority, "/O=Grid/CN=Grid User");
        Self { directory, user, authority }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn trust(&self) -> TrustDirectory {
        TrustDirectory::open(self.path("certificates")).unwrap()
    }

    /// A proxy of the user, in memory and as the file `proxy`, which stock programs use.
    pub(crate) fn proxy(&self, kind: ProxyKind) -> Credential {
        let request = ProxyRequest { format: None, kind, lifetime: Some(3600), path_length: None };
        let proxy = proxy::create(&self.user, 2048, &request, Timestamp::now()).unwrap();
        proxy.write(&self.path("proxy")).unwrap();
        proxy
    }

    /// Somebody else of the same CA, in memory and as the file `stranger`.
    pub(crate) fn stranger(&self) -> Credential {
        let stranger = issue(&self.authority, "/O=Grid/CN=Somebody Else");
        stranger.write(&self.path("stranger")).unwrap();
        stranger
    }

    /// None, with a word on why, when the program is not installed.
    pub(crate) fn stock(&self, program: &str) -> Option<Command> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        if !std::env::split_paths(&path).any(|folder| folder.join(program).exists()) {
            println!("skipped: {program} is not installed");
            return None;
        }
        let mut command = Command::new(program);
        command
            .env("X509_CERT_DIR", self.path("certificates"))
            .env("X509_USER_PROXY", self.path("proxy"))
            .env_remove("X509_USER_CERT")
            .env_remove("X509_USER_KEY")
            .env("GLOBUS_HOSTNAME", "localhost")
            .env("HOME", self.directory.path())
            .current_dir(self.directory.path());
        Some(command)
    }

    /// `globus-url-copy`; what it printed when it failed.
    pub(crate) async fn copy(&self, from: &str, to: &str) -> Option<Result<(), String>> {
        self.copy_as("proxy", from, to).await
    }

    /// The same with the credential of another file.
    pub(crate) async fn copy_as(&self, proxy: &str, from: &str, to: &str) -> Option<Result<(), String>> {
        let mut command = self.stock("globus-url-copy")?;
        command.env("X509_USER_PROXY", self.path(proxy)).args([from, to]);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        Some(if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        })
    }

    /// `globus-gass-server` with these options.
    pub(crate) fn server(&self, options: &[&str]) -> Option<StockServer> {
        let mut command = self.stock("globus-gass-server")?;
        command.args(options).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut url = String::new();
        output.read_line(&mut url).unwrap();
        Some(StockServer { child, output, url: url.trim_end().to_owned() })
    }
}

fn issue(authority: &Authority, name: &str) -> Credential {
    let key = PrivateKey::generate_rsa(2048).unwrap();
    let subject = Name::parse_one_line(name).unwrap();
    let certificate: Certificate =
        authority.issue(&subject, &key.public_key_info(), &Holder::User, 10).unwrap();
    Credential::new(vec![certificate], key).unwrap()
}

/// A running `globus-gass-server`, killed when dropped.
pub(crate) struct StockServer {
    child: Child,
    output: BufReader<ChildStdout>,
    pub(crate) url: String,
}

impl StockServer {
    /// The next bytes of its stdout.
    pub(crate) fn read(&mut self, length: usize) -> String {
        let mut text = vec![0; length];
        self.output.read_exact(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }
}

impl Drop for StockServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

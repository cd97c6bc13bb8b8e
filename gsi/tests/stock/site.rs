//! A CA and a user made by openssl, with a trust directory.

use gsi::{Certificate, TrustDirectory};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

pub(crate) const CA: &str = "/O=Grid/OU=peer/CN=Peer CA";
pub(crate) const USER: &str = "/O=Grid/OU=peer/CN=Grid User";

pub(crate) struct Site {
    pub(crate) directory: TempDir,
    hash: String,
}

impl Site {
    pub(crate) fn new() -> Self {
        let mut site = Self { directory: tempfile::tempdir().unwrap(), hash: String::new() };
        let usage = "keyUsage=critical,keyCertSign,cRLSign";
        site.openssl(&[
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem",
        ]);
        site.openssl(&["req", "-x509", "-key", "ca.key", "-out", "ca.pem", "-subj", CA, "-addext", usage]);
        site.openssl(&[
            "req", "-newkey", "rsa:2048", "-nodes", "-keyout", "user.key", "-out", "user.csr", "-subj", USER,
        ]);
        site.openssl(&[
            "x509", "-req", "-in", "user.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-out", "user.pem",
        ]);
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(site.path("user.key"), permissions).unwrap();
        site.hash = site.certificates("ca.pem").remove(0).subject().hash();
        std::fs::create_dir(site.path("certificates")).unwrap();
        std::fs::copy(site.path("ca.pem"), site.trust_file("0")).unwrap();
        site.policy(r#"'"/O=Grid/*"'"#);
        site
    }

    /// Lets the CA sign what this condition allows.
    pub(crate) fn policy(&self, patterns: &str) {
        let text =
            format!("access_id_CA X509 '{CA}'\npos_rights globus CA:sign\ncond_subjects globus {patterns}\n");
        std::fs::write(self.trust_file("signing_policy"), text).unwrap();
    }

    pub(crate) fn trust_file(&self, suffix: &str) -> PathBuf {
        self.path("certificates").join(format!("{}.{suffix}", self.hash))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn certificates(&self, name: &str) -> Vec<Certificate> {
        Certificate::from_pem(&std::fs::read(self.path(name)).unwrap()).unwrap()
    }

    pub(crate) fn trust(&self) -> TrustDirectory {
        TrustDirectory::open(self.path("certificates")).unwrap()
    }

    pub(crate) fn openssl(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("openssl");
        if arguments.first() == Some(&"req") && !arguments.contains(&"-subj") {
            command.args(arguments).args(["-subj", CA]);
        } else {
            command.args(arguments);
        }
        let output = command.current_dir(self.directory.path()).output().unwrap();
        assert!(output.status.success(), "openssl {arguments:?}: {}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// `grid-proxy-init` from one credential to another; None when it is not installed.
    pub(crate) fn grid_proxy_init(&self, from: [&str; 2], to: &str, options: &[&str]) -> Option<Output> {
        let mut command = stock("grid-proxy-init")?;
        command.args(["-q", "-cert", from[0], "-key", from[1], "-out", to, "-certdir", "certificates"]);
        let command = command.args(options).env_remove("X509_USER_PROXY").current_dir(self.directory.path());
        Some(command.output().unwrap())
    }
}

/// A stock program; None, with a word on why, when it is not installed.
pub(crate) fn stock(program: &str) -> Option<Command> {
    let folders = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];
    let found = folders.iter().map(|folder| Path::new(folder).join(program)).find(|path| path.exists());
    if found.is_none() {
        eprintln!("skipped: {program} is not installed");
    }
    found.map(Command::new)
}

pub(crate) fn text(output: &Output) -> String {
    let printed = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{}\n{}{}", output.status, printed[0], printed[1])
}

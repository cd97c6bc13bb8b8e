//! The demo's folder: what is where, making it and removing it.

use crate::{
    exit::Exit,
    failure::Failure,
    processes,
    proxy::{self, NewProxy},
    site::{
        self,
        create::{self, Settings},
    },
};
use gsi::authority::{Authority, Holder, NewAuthority};
use jiff::Timestamp;
use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

/// Everybody is on this machine, and the name works without any DNS.
const HOST: &str = "localhost";
/// The longest path of a Unix socket, without the closing NUL.
const SOCKET_PATH: usize = 107;
/// Lifetime of the demo's certificates.
const DAYS: u32 = 30;
/// In the demo's folder: marks it as ours to remove, and names the folder of the job managers' files.
const MARKER: &str = "gridiron-demo.json";

/// The demo's folder.
#[derive(Debug)]
pub struct Layout {
    folder: PathBuf,
    state: PathBuf,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Marker {
    state: PathBuf,
}

/// The demo's user.
#[derive(Debug)]
pub struct User {
    /// Certificate subject.
    pub identity: String,
    /// The local account it is mapped to: the one this program runs as.
    pub account: String,
}

impl Layout {
    /// Takes a folder that is empty or absent, and marks it.
    pub fn new(folder: &Path) -> Result<Self, Failure> {
        let failed =
            |error: std::io::Error| Failure::local(format!("cannot use {}", folder.display()), &error);
        create::make_folder(folder, 0o700)?;
        let folder = std::fs::canonicalize(folder).map_err(failed)?;
        if std::fs::read_dir(&folder).map_err(failed)?.next().is_some() {
            let failure = Failure::new(Exit::Local, format!("{} is not empty", folder.display()));
            return Err(failure
                .try_this(format!("another folder, or: gridiron demo --stop --dir {}", folder.display())));
        }
        let state = state_folder(&folder, &account()?).map_err(failed)?;
        let marker =
            serde_json::to_string(&Marker { state: state.clone() }).map_err(|error| failed(error.into()))?;
        create::write_new(&folder.join(MARKER), 0o600, marker.as_bytes())?;
        Ok(Self { folder, state })
    }

    /// The folder of a demo that was left running.
    pub fn existing(folder: &Path) -> Result<Self, Failure> {
        let read = || -> std::io::Result<Self> {
            let folder = std::fs::canonicalize(folder)?;
            let marker: Marker = serde_json::from_slice(&std::fs::read(folder.join(MARKER))?)?;
            Ok(Self { folder, state: marker.state })
        };
        read().map_err(|error| {
            Failure::new(Exit::Negative, format!("no demo was left in {}: {error}", folder.display()))
                .try_this("the folder that was given to: gridiron demo --keep --dir DIR")
        })
    }

    /// The folder, absolute.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The site file.
    pub fn site_file(&self) -> PathBuf {
        self.folder.join(site::FILE_NAME)
    }

    /// The trust directory.
    pub fn trust(&self) -> PathBuf {
        self.folder.join("certificates")
    }

    /// The user's proxy.
    pub fn proxy(&self) -> PathBuf {
        self.folder.join("user/proxy.pem")
    }

    /// Makes the site: CA, host and user certificate, proxy, gridmap, site file.
    pub fn make(&self) -> Result<User, Failure> {
        let settings = Settings {
            listen: Some("127.0.0.1:0".to_owned()),
            host: Some(HOST.to_owned()),
            state: (self.state != self.folder.join("state")).then(|| self.state.clone()),
            user: None,
            run_as_root: nix::unistd::geteuid().is_root(), // on loopback, for minutes
        };
        create::create(&self.folder, &settings)?;
        let account = account()?;
        // A name of its own, so that trust directories of several demos can be put together.
        let id = uuid::Uuid::new_v4().simple().to_string();
        let short = id.get(..8).unwrap_or(&id);
        let name = format!("/O=Gridiron/OU=Demo/CN=Demo CA {short}");
        let new = NewAuthority { name: &name, days: DAYS, bits: 2048, passphrase: None };
        let authority = Authority::create(&self.folder.join("ca"), &new)?;
        authority.install(&self.trust())?;
        let host = Holder::Host { names: vec![HOST.to_owned()] };
        let host_subject = format!("/O=Gridiron/OU=Demo/CN={HOST}");
        create::pair(&authority, &host_subject, &host, DAYS, &self.folder.join("host"))?;

        let identity = format!("/O=Gridiron/OU=Demo/CN={account}");
        create::make_folder(&self.folder.join("user"), 0o700)?;
        create::pair(&authority, &identity, &Holder::User, DAYS, &self.folder.join("user/user"))?;
        let pair = self.user_pair();
        let new = NewProxy { issuer: Some(pair), out: Some(self.proxy()), ..NewProxy::default() };
        let mut no_passphrase = || {
            Err(Failure::new(Exit::Local, "the demo's key is not encrypted, yet a passphrase is asked for"))
        };
        proxy::create(&new, &mut no_passphrase, Timestamp::now())?;
        let line = format!("\"{identity}\" {account}\n");
        std::fs::write(self.folder.join("grid-mapfile"), line)
            .map_err(|error| Failure::local("cannot write the gridmap", &error))?;
        Ok(User { identity, account })
    }

    /// Writes `env.sh`, which points clients, stock ones included, at the demo.
    pub fn write_environment(&self, contact: &str) -> Result<(), Failure> {
        let (certificate, key) = self.user_pair();
        let variables = [
            ("X509_CERT_DIR", self.trust().display().to_string()),
            ("X509_USER_PROXY", self.proxy().display().to_string()),
            // Not X509_USER_CERT and X509_USER_KEY: clients would then use those in place of the proxy (gsi.md §6.3).
            ("GRIDIRON_USER_CERT", certificate.display().to_string()),
            ("GRIDIRON_USER_KEY", key.display().to_string()),
            ("GRIDMAP", self.folder.join("grid-mapfile").display().to_string()),
            ("GRIDIRON_CONFIG", self.site_file().display().to_string()),
            ("GRIDIRON_CONTACT", contact.to_owned()),
            ("GLOBUS_HOSTNAME", HOST.to_owned()),
        ];
        let line = |(name, value): &(&str, String)| format!("export {name}={}\n", shell_word(value));
        let text: String = variables.iter().map(line).collect();
        create::write_new(&self.folder.join("env.sh"), 0o644, text.as_bytes())
    }

    /// What to say to a person who kept the demo.
    pub fn how_to_go_on(&self) -> String {
        let folder = shell_word(&self.folder.display().to_string());
        format!(
            "The site goes on running. Use it:\n  . {folder}/env.sh\n  gridiron run /bin/hostname\n  \
             globus-job-run $GRIDIRON_CONTACT /bin/hostname\nStop it:\n  gridiron demo --stop --dir {folder}"
        )
    }

    /// Stops every process of the demo; gives how many there were.
    pub fn stop(&self) -> Result<usize, Failure> {
        processes::stop_site(&self.site_file())
    }

    /// Removes every file of the demo.
    pub fn remove(&self) -> Result<(), Failure> {
        for folder in [&self.state, &self.folder] {
            match std::fs::remove_dir_all(folder) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(Failure::local(format!("cannot remove {}", folder.display()), &error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn user_pair(&self) -> (PathBuf, PathBuf) {
        (self.folder.join("user/usercert.pem"), self.folder.join("user/userkey.pem"))
    }
}

/// Where the job managers' files go: below `folder`, unless that makes the paths of their sockets too long.
fn state_folder(folder: &Path, account: &str) -> std::io::Result<PathBuf> {
    let state = folder.join("state");
    if gram::control::socket_path(&state, account).as_os_str().len() <= SOCKET_PATH {
        return Ok(state);
    }
    Ok(tempfile::Builder::new().prefix("gridiron-").tempdir_in("/tmp")?.keep())
}

/// The account this program runs as.
fn account() -> Result<String, Failure> {
    let uid = nix::unistd::geteuid();
    match nix::unistd::User::from_uid(uid) {
        Ok(Some(user)) => Ok(user.name),
        Ok(None) => Err(Failure::new(Exit::Local, format!("no account has the uid {uid}"))
            .try_this("run as a user of the system's user database")),
        Err(error) => Err(Failure::local("cannot read the user database", &error)),
    }
}

/// A word that a POSIX shell takes literally.
fn shell_word(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-:=,@+%".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_words() {
        assert_eq!(shell_word("/tmp/d-1"), "/tmp/d-1");
        assert_eq!(shell_word("/tmp/a b"), "'/tmp/a b'");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
        assert_eq!(shell_word(""), "''");
    }

    #[test]
    fn sockets_of_deep_folders_go_elsewhere() {
        let deep = Path::new("/tmp").join("x".repeat(100));
        let state = state_folder(&deep, "alice").unwrap();
        assert!(!state.starts_with(&deep));
        std::fs::remove_dir(&state).unwrap();
        assert_eq!(state_folder(Path::new("/tmp/d"), "alice").unwrap(), Path::new("/tmp/d/state"));
    }

    #[test]
    fn only_a_demo_can_be_stopped() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Layout::existing(folder.path()).is_err());
        std::fs::write(folder.path().join("precious"), "").unwrap();
        assert!(Layout::new(folder.path()).is_err());
        assert!(folder.path().join("precious").exists());
    }
}

//! What all jobs of this manager share: the account, the directories, the host, the trust anchors.

use crate::{account::Account, config::Config, launch::JobKey, request::MachineFacts, staging::Limits};
use gsi::TrustDirectory;
use std::{
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// Variables of our own environment that jobs get too (gram.md §18).
const PASSED_ON: [&str; 3] = ["PATH", "GLOBUS_TCP_PORT_RANGE", "GLOBUS_TCP_SOURCE_RANGE"];

/// How the names of recorded positions end.
const POSITION: &str = ".sent";

/// The site as this manager sees it; made once at start.
#[derive(Debug, Clone)]
pub struct Site {
    /// Whom jobs run as.
    pub account: Account,
    /// `<state>/<account>`: everything this manager keeps.
    pub directory: PathBuf,
    /// Name in contacts.
    pub host: String,
    /// Whom we trust.
    pub trust: TrustDirectory,
    /// GLOBUS_LOCATION.
    pub globus_location: PathBuf,
    /// What this machine is.
    pub machine: MachineFacts,
    /// How long a destination of output may take nothing.
    pub output_stall: Duration,
    /// PATH and its like, for jobs.
    pub inherited: Vec<(OsString, OsString)>,
    /// How much is moved at once, and how patiently.
    pub limits: Limits,
}

impl Site {
    /// From the configuration and our own environment.
    pub fn new(config: &Config) -> io::Result<Self> {
        let account = Account::current()?;
        let uname = rustix::system::uname();
        let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
        Ok(Self {
            directory: config.state.join(&account.name),
            host: config.host.clone().unwrap_or_else(gram::endpoint::host_name),
            trust: TrustDirectory::open(&config.trust)
                .map_err(io::Error::other)?
                .with_policy(config.chain_policy),
            globus_location: config.globus_location.clone(),
            machine: MachineFacts {
                os_name: text(uname.sysname()),
                os_version: text(uname.release()),
                cpu_type: text(uname.machine()),
                manufacturer: "pc".into(),
            },
            output_stall: Duration::from_secs(config.output_stall_seconds.get()),
            limits: config.limits(),
            inherited: PASSED_ON
                .iter()
                .filter_map(|name| Some(((*name).into(), std::env::var_os(name)?)))
                .collect(),
            account,
        })
    }

    /// The directory of one job, mode 0700.
    pub fn job_files(&self, key: JobKey) -> JobFiles {
        JobFiles(self.directory.join("jobs").join(key.to_string()))
    }

    /// The trust directory's path.
    pub fn trust_path(&self) -> &Path {
        self.trust.path()
    }
}

/// The files of one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFiles(PathBuf);

impl JobFiles {
    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.0
    }
    /// The delegated proxy, mode 0600.
    pub fn proxy(&self) -> PathBuf {
        self.file("x509_user_proxy")
    }
    /// Output that is delivered at the end.
    pub fn stdout(&self) -> PathBuf {
        self.file("stdout")
    }
    /// See stdout.
    pub fn stderr(&self) -> PathBuf {
        self.file("stderr")
    }
    /// How far the output has got to one of its destinations.
    pub fn position(&self, stream: &str, number: u16) -> PathBuf {
        self.file(format!("{stream}.{number}{POSITION}"))
    }
    /// Forgets how far the output has got to all of them.
    pub fn forget_positions(&self) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.0)? {
            let entry = entry?;
            if entry.file_name().as_encoded_bytes().ends_with(POSITION.as_bytes()) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
    /// A fetched executable of a job that was accepted before these were kept in the cache.
    pub fn executable(&self) -> PathBuf {
        self.file("executable")
    }
    /// See executable.
    pub fn stdin(&self) -> PathBuf {
        self.file("stdin")
    }
    /// Holds the URL of `remote_io_url`.
    pub fn remote_io(&self) -> PathBuf {
        self.file("remote_io_file")
    }
    fn file(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.0.join(name.as_ref())
    }

    /// Makes the directory (0700, parents too) and puts the proxy and the remote I/O URL there.
    pub fn create(&self, proxy: &[u8], remote_io_url: Option<&str>) -> io::Result<()> {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        // Nobody looks here before the job exists, so nothing has to be replaced in one go.
        write_private(&self.proxy(), proxy)?;
        if let Some(url) = remote_io_url {
            write_private(&self.remote_io(), format!("{url}\n").as_bytes()).map(drop)?;
        }
        Ok(())
    }

    /// Replaces the proxy; a job that reads it meets the old one or the new one, never a part.
    pub fn write_proxy(&self, proxy: &[u8]) -> io::Result<()> {
        replace_private(&self.proxy(), proxy, Durability::ProcessesOnly)
    }

    /// Replaces the URL that the job finds by GLOBUS_REMOTE_IO_URL.
    pub fn write_remote_io(&self, url: &str) -> io::Result<()> {
        replace_private(&self.remote_io(), format!("{url}\n").as_bytes(), Durability::ProcessesOnly)
    }

    /// Removes everything; nothing there is fine.
    pub fn remove(&self) -> io::Result<()> {
        match std::fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// What a file has to survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The death of any process.
    ProcessesOnly,
    /// A loss of power too.
    Power,
}

/// Writes a new file with mode 0600.
fn write_private(path: &Path, content: &[u8]) -> io::Result<std::fs::File> {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    Ok(file)
}

/// Writes a file with mode 0600 in place of what may be there. When it fails, on a full disk for instance, what was there
/// stays, and no part of the new secret lies about.
pub(crate) fn replace_private(path: &Path, content: &[u8], durability: Durability) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    match std::fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = write_private(&unfinished, content).and_then(|file| {
        if durability == Durability::Power {
            file.sync_all()?;
        }
        std::fs::rename(&unfinished, path)
    });
    written.inspect_err(|_| {
        let _ = std::fs::remove_file(&unfinished);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_secret_that_cannot_be_put_in_place_leaves_no_part() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credential");
        // A folder in its place stands for whatever may go wrong.
        std::fs::create_dir(&path).unwrap();
        replace_private(&path, b"secret", Durability::Power).unwrap_err();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn job_files_are_private_and_go_completely() {
        let folder = tempfile::tempdir().unwrap();
        let files = JobFiles(folder.path().join("jobs/1.2"));
        files.create(b"secret", Some("https://vm:1")).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(files.directory()), 0o700);
        assert_eq!(mode(&files.proxy()), 0o600);
        assert_eq!(std::fs::read(files.remote_io()).unwrap(), b"https://vm:1\n");
        files.write_proxy(b"other").unwrap();
        assert_eq!(std::fs::read(files.proxy()).unwrap(), b"other");
        assert_eq!(mode(&files.proxy()), 0o600);
        files.write_remote_io("https://vm:2").unwrap();
        assert_eq!(std::fs::read(files.remote_io()).unwrap(), b"https://vm:2\n");
        files.remove().unwrap();
        files.remove().unwrap();
        assert!(!files.directory().exists());
    }
}

//! A user: a folder, a proxy, and commands of either make in a clean environment.

use crate::{
    command::{self, DEADLINE, Finished, Running, wait_for_end},
    pki::{Identity, Pki, host_name},
    stock,
};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::{
    env,
    ffi::OsStr,
    fs,
    os::{
        fd::OwnedFd,
        unix::fs::{PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Whose program it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The Grid Community Toolkit's, from Debian.
    Stock,
    /// Gridiron.
    Ours,
}

/// The classic names our program answers to.
pub const CLASSIC: &[&str] = &[
    "globusrun",
    "globus-job-run",
    "globus-job-submit",
    "globus-job-status",
    "globus-job-get-output",
    "globus-job-cancel",
    "globus-job-clean",
    "globus-gass-cache",
    "globus-gass-cache-destroy",
    "globus-gass-server",
    "globus-gass-server-shutdown",
    "grid-proxy-init",
    "grid-proxy-info",
    "grid-proxy-destroy",
    "grid-cert-info",
    "grid-mapfile-add-entry",
    "grid-mapfile-delete-entry",
    "grid-mapfile-check-consistency",
    "globus-url-copy",
];

/// Somebody with commands of one make. The folder goes with the user.
pub struct User {
    /// Whose commands they are.
    pub client: Kind,
    /// The authority of the user's certificates.
    pub pki: Pki,
    folder: PathBuf,
    links: PathBuf,
    dir: TempDir,
}

impl User {
    /// A user without a proxy. `None`, with the reason told, when stock programs are missing.
    pub fn new(client: Kind) -> Option<Self> {
        let mut needed = Vec::from(["openssl"]);
        needed.extend(if client == Kind::Stock { stock::CLIENT } else { &[] });
        let missing = stock::missing(&needed);
        if !missing.is_empty() {
            stock::skip(&format!("not installed: {}", missing.join(" ")));
            return None;
        }
        let dir = temporary_folder();
        let make = |name: &str| {
            let path = dir.path().join(name);
            fs::create_dir(&path).expect("writable");
            path
        };
        let (folder, links) = (make("user"), make("bin"));
        if client == Kind::Ours {
            let program = gridiron();
            for name in CLASSIC {
                symlink(&program, links.join(name)).expect("writable");
            }
        }
        Some(Self { client, pki: Pki::shared(), folder, links, dir })
    }

    /// The folder above the user's, for whatever else the test needs; it is removed with the user.
    pub fn temporary(&self) -> &Path {
        self.dir.path()
    }

    /// A path in the user's folder, which is the working directory of the user's commands.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a file in the user's folder; returns its absolute path.
    pub fn write(&self, name: &str, content: &str) -> String {
        fs::write(self.file(name), content).expect("writable");
        self.file(name).display().to_string()
    }

    /// Makes a script that can be run in the user's folder; returns its absolute path.
    pub fn script(&self, name: &str, content: &str) -> String {
        let path = self.write(name, content);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("ours");
        path
    }

    /// Reads a file.
    #[track_caller]
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Renames one of the user's files.
    #[track_caller]
    pub fn rename(&self, from: &str, to: &str) {
        fs::rename(self.file(from), self.file(to)).unwrap_or_else(|error| panic!("{from}: {error}"));
    }

    /// Replaces the user's proxy by one of this person with these options of `grid-proxy-init`.
    #[track_caller]
    pub fn proxy_init(&self, identity: &Identity, options: &[&str]) {
        let mut command = self.command("grid-proxy-init");
        command.arg("-q").arg("-cert").arg(&identity.certificate).arg("-key").arg(&identity.key);
        command.arg("-out").arg(self.file("proxy")).args(options);
        let made = command::run(command);
        assert_eq!(made.code, 0, "{made:#?}");
    }

    /// One of the user's commands by its classic name, in the user's environment: nothing of ours leaks into it.
    pub fn command(&self, program: &str) -> Command {
        let file = match self.client {
            Kind::Stock => stock::program(program),
            Kind::Ours => self.links.join(program),
        };
        self.at_home(Command::new(file))
    }

    /// `gridiron` itself in the user's environment, whatever make the user's other commands are.
    pub fn gridiron(&self) -> Command {
        self.at_home(Command::new(gridiron()))
    }

    /// The command in the user's environment.
    pub fn at_home(&self, mut command: Command) -> Command {
        command
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.folder)
            .env("LC_ALL", "C")
            .env("TMPDIR", self.dir.path())
            .env("GLOBUS_HOSTNAME", host_name())
            .env("X509_CERT_DIR", &self.pki.trust)
            .env("X509_USER_PROXY", self.file("proxy"))
            .current_dir(&self.folder);
        command
    }

    /// Runs one of the user's commands to its end.
    #[track_caller]
    pub fn run<S: AsRef<OsStr>>(&self, program: &str, arguments: impl IntoIterator<Item = S>) -> Finished {
        self.start(program, arguments).finish()
    }

    /// Starts one of the user's commands.
    #[track_caller]
    pub fn start<S: AsRef<OsStr>>(&self, program: &str, arguments: impl IntoIterator<Item = S>) -> Running {
        let mut command = self.command(program);
        command.args(arguments);
        Running::start(command, None)
    }

    /// Runs one of the user's commands with this on its standard input.
    #[track_caller]
    pub fn run_with_input<S: AsRef<OsStr>>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = S>,
        input: &str,
    ) -> Finished {
        let mut command = self.command(program);
        command.args(arguments);
        Running::start(command, Some(input.as_bytes())).finish()
    }

    /// Asks `globusrun -status` until it answers this.
    #[track_caller]
    pub fn until_status(&self, job: &str, status: &str) {
        self.until(&["globusrun", "-status", job], status);
    }

    /// Asks `globus-job-status` until it answers this.
    #[track_caller]
    pub fn until_job_status(&self, job: &str, status: &str) {
        self.until(&["globus-job-status", job], status);
    }

    /// There is no event to wait for in a command that prints a state: it is asked again and again.
    #[track_caller]
    fn until(&self, command: &[&str], status: &str) {
        let [program, arguments @ ..] = command else { return };
        let deadline = Instant::now() + DEADLINE;
        loop {
            let out = self.run(program, arguments);
            if out.stdout.lines().next() == Some(status) {
                return;
            }
            assert!(Instant::now() < deadline, "never {status}: {out:#?}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// The process of a job that writes its id to the user's file `pid`; waits for it.
    #[track_caller]
    pub fn job_process(&self) -> JobProcess {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Ok(text) = fs::read_to_string(self.file("pid")) {
                let pid = text.trim().parse().ok().and_then(Pid::from_raw).expect("a process id");
                return JobProcess(pidfd_open(pid, PidfdFlags::empty()).expect("the job runs"));
            }
            assert!(Instant::now() < deadline, "the job did not start");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A job's process. The handle keeps the id from meaning another process later.
pub struct JobProcess(OwnedFd);

impl JobProcess {
    /// Waits until it has ended; false when it does not within the deadline.
    pub fn ends(&self) -> bool {
        wait_for_end(&self.0, Instant::now() + DEADLINE)
    }

    /// Whether it still runs.
    pub fn runs(&self) -> bool {
        !wait_for_end(&self.0, Instant::now())
    }
}

/// A new folder in the system's place for temporary ones; it goes when it is dropped.
pub fn temporary_folder() -> TempDir {
    tempfile::Builder::new().prefix("gridiron-e2e-").tempdir().expect("/tmp is writable")
}

/// Our program: `GRIDIRON` names it, else it lies where cargo puts it, beside the test programs' folder.
pub fn gridiron() -> PathBuf {
    if let Some(named) = env::var_os("GRIDIRON") {
        return named.into();
    }
    let test = env::current_exe().expect("this program has a path");
    let built = test.ancestors().nth(2).map(Path::to_owned).unwrap_or_default().join("gridiron");
    assert!(built.is_file(), "{} is not built: cargo build --bins", built.display());
    built
}

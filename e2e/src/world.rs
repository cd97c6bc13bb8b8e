//! One site, one user, the user's commands; and the matrix of both makes of both.

use crate::{
    command::{DEADLINE, Finished, Running, wait_for_end},
    our_site::OurSite,
    pki::{Identity, Pki, host_name},
    stock,
    stock_site::StockSite,
};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
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
const CLASSIC: &[&str] = &[
    "globusrun",
    "globus-job-run",
    "globus-job-submit",
    "globus-job-status",
    "globus-job-get-output",
    "globus-job-cancel",
    "globus-job-clean",
    "grid-proxy-init",
    "grid-proxy-info",
    "grid-proxy-destroy",
    "grid-cert-info",
    "grid-mapfile-add-entry",
    "grid-mapfile-delete-entry",
    "grid-mapfile-check-consistency",
];

/// What differs from site to site.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Lines of the gridmap besides those for the two known users.
    pub gridmap_lines: Vec<String>,
    /// Environment of the site's programs besides the usual.
    pub site_environment: Vec<(&'static str, String)>,
}

impl Setup {
    /// The gridmap: Alice and Carol are whoever runs the tests.
    pub fn gridmap(&self, pki: &Pki) -> String {
        let account = account();
        let mut text = String::new();
        for known in [&pki.alice, &pki.carol] {
            text.push_str(&format!("\"{}\" {account}\n", known.subject));
        }
        for line in &self.gridmap_lines {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// The services by name, with whether they take limited proxies.
    pub fn services(&self) -> [(&'static str, bool); 3] {
        [("jobmanager", false), ("jobmanager-fork", false), ("jobmanager-limited", true)]
    }
}

/// The account that runs the tests, and so the sites and the jobs.
pub fn account() -> String {
    let output = Command::new("id").arg("-un").output().expect("id(1) runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

enum Site {
    Stock(StockSite),
    Ours(OurSite),
}

/// A site, a user with a proxy, and the user's commands.
pub struct World {
    /// Whose commands the user has.
    pub client: Kind,
    /// Whose site it is.
    pub server: Kind,
    /// The authority behind both.
    pub pki: Pki,
    site: Site,
    proxy: PathBuf,
    links: PathBuf,
    dir: TempDir,
}

impl World {
    /// Starts the site and makes Alice's proxy. `None`, with the reason told, when stock programs are missing.
    pub fn new(client: Kind, server: Kind, setup: &Setup) -> Option<Self> {
        let mut needed = Vec::from(["openssl"]);
        needed.extend(if client == Kind::Stock { stock::CLIENT } else { &[] });
        needed.extend(if server == Kind::Stock { stock::SITE } else { &[] });
        let missing = stock::missing(&needed);
        if !missing.is_empty() {
            stock::skip(&format!("not installed: {}", missing.join(" ")));
            return None;
        }
        let pki = Pki::shared();
        let dir = tempfile::Builder::new().prefix("gridiron-e2e-").tempdir().expect("/tmp is writable");
        let folder = |name: &str| {
            let path = dir.path().join(name);
            fs::create_dir(&path).expect("writable");
            path
        };
        let (at, links) = (folder("site"), folder("bin"));
        folder("user");
        if client == Kind::Ours {
            for name in CLASSIC {
                symlink(gridiron(), links.join(name)).expect("writable");
            }
        }
        let site = match server {
            Kind::Stock => Site::Stock(StockSite::start(&at, &pki, setup)),
            Kind::Ours => Site::Ours(OurSite::start(&at, &pki, setup)),
        };
        let proxy = dir.path().join("user").join("proxy");
        let world = Self { client, server, pki, site, proxy, links, dir };
        world.proxy_init(&world.pki.alice.clone(), &[]);
        Some(world)
    }

    /// The site's contact, `host:port`.
    pub fn contact(&self) -> &str {
        match &self.site {
            Site::Stock(site) => site.contact(),
            Site::Ours(site) => site.contact(),
        }
    }

    /// The contact of one of the site's services.
    pub fn service(&self, name: &str) -> String {
        format!("{}/{name}", self.contact())
    }

    /// A path in the user's folder, which is the working directory of the user's commands.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join("user").join(name)
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
        command.arg("-out").arg(&self.proxy).args(options);
        let made = crate::command::run(command);
        assert_eq!(made.code, 0, "{made:#?}");
    }

    /// A proxy of this person that ended yesterday; `openssl` makes it, no tool for proxies would.
    pub fn expired_proxy(&self, identity: &Identity, name: &str) {
        let file = |name: &str| self.file(name).display().to_string();
        let (certificate, key) =
            (identity.certificate.display().to_string(), identity.key.display().to_string());
        let extensions =
            self.write("expired.ext", "1.3.6.1.5.5.7.1.14=critical,DER:300C300A06082B06010505071501\n");
        let (request, leaf, leaf_key) = (file("expired.csr"), file("expired.pem"), file("expired.key"));
        let openssl = |arguments: &[&str]| {
            let mut command = Command::new("openssl");
            command.args(arguments);
            let made = crate::command::run(command);
            assert_eq!(made.code, 0, "{made:#?}");
        };
        let subject = format!("{}/CN=12345", identity.subject);
        openssl(&[
            "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", &subject, "-keyout", &leaf_key, "-out",
            &request,
        ]);
        openssl(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            &certificate,
            "-CAkey",
            &key,
            "-set_serial",
            "12345",
            "-days",
            "-1",
            "-extfile",
            &extensions,
            "-out",
            &leaf,
        ]);
        let parts = [leaf, leaf_key, certificate].map(|part| fs::read_to_string(part).expect("just made"));
        let path = self.write(name, &parts.concat());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("ours");
    }

    /// One of the user's commands by its classic name, in the user's environment: nothing of ours leaks into it.
    pub fn command(&self, program: &str) -> Command {
        let file = match self.client {
            Kind::Stock => stock::program(program),
            Kind::Ours => self.links.join(program),
        };
        let mut command = Command::new(file);
        command
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path().join("user"))
            .env("LC_ALL", "C")
            .env("TMPDIR", self.dir.path())
            .env("GLOBUS_HOSTNAME", host_name())
            .env("X509_CERT_DIR", &self.pki.trust)
            .env("X509_USER_PROXY", &self.proxy)
            .current_dir(self.dir.path().join("user"));
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
                return JobProcess {
                    pid,
                    handle: pidfd_open(pid, PidfdFlags::empty()).expect("the job runs"),
                };
            }
            assert!(Instant::now() < deadline, "the job did not start");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// `globusrun -s -r <contact> <rsl>`: runs a job and brings its output.
    #[track_caller]
    pub fn job(&self, rsl: &str) -> Finished {
        self.run("globusrun", ["-s", "-r", self.contact(), rsl])
    }
}

/// A job's process. The handle keeps the id from meaning another process later.
pub struct JobProcess {
    pid: Pid,
    handle: OwnedFd,
}

impl JobProcess {
    /// Waits until it has ended; false when it does not within the deadline.
    pub fn ends(&self) -> bool {
        wait_for_end(self.pid, Instant::now() + DEADLINE)
    }

    /// Whether it still runs.
    pub fn runs(&self) -> bool {
        pidfd_send_signal(&self.handle, Signal::CONT).is_ok()
    }
}

impl Drop for World {
    #[expect(clippy::print_stderr, reason = "a failing test tells what the site logged")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            match &self.site {
                Site::Stock(site) => eprintln!("--- stock site\n{}", site.logs()),
                Site::Ours(site) => eprintln!("--- our site\n{}", site.logs()),
            }
        }
    }
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

/// Runs a scenario in one world. For [`matrix!`].
pub fn play(client: Kind, server: Kind, scenario: fn(&World)) {
    if let Some(world) = World::new(client, server, &Setup::default()) {
        scenario(&world);
    }
}

/// Makes four tests of each scenario: both makes of client at both makes of site.
#[macro_export]
macro_rules! matrix {
    ($($scenario:ident),+ $(,)?) => {$(
        mod $scenario {
            use $crate::{Kind::{Ours, Stock}, world::play};

            #[test]
            fn stock_to_stock() {
                play(Stock, Stock, super::$scenario);
            }

            #[test]
            fn stock_to_ours() {
                play(Stock, Ours, super::$scenario);
            }

            #[test]
            fn ours_to_stock() {
                play(Ours, Stock, super::$scenario);
            }

            #[test]
            fn ours_to_ours() {
                play(Ours, Ours, super::$scenario);
            }
        }
    )+};
}

//! One site, one user, the user's commands; and the matrix of both makes of both.

use crate::{
    command::{Finished, Running},
    our_site::OurSite,
    pki::{Identity, Pki, host_name},
    stock,
    stock_site::StockSite,
};
use std::{
    env,
    ffi::OsStr,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
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
        use std::os::unix::fs::PermissionsExt;
        let path = self.write(name, content);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("ours");
        path
    }

    /// Reads a file.
    #[track_caller]
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
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

    /// `globusrun -s -r <contact> <rsl>`: runs a job and brings its output.
    #[track_caller]
    pub fn job(&self, rsl: &str) -> Finished {
        self.run("globusrun", ["-s", "-r", self.contact(), rsl])
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

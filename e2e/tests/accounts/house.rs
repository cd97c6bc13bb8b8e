//! A site for many accounts, started by root; two people with accounts of their own; and looking at processes.

use e2e::{
    Finished, Kind, User,
    accounts::{self, Account, Rank},
    by_hand::Speaker,
    our_site::{OurSite, write_site},
    pki::Identity,
    processes,
    user::gridiron,
    world::Setup,
};
use std::{
    collections::BTreeSet,
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, chown},
    path::PathBuf,
    time::{Duration, Instant},
};

/// A person with a certificate and an account.
pub(crate) struct Person {
    pub(crate) user: User,
    pub(crate) identity: Identity,
    pub(crate) account: Account,
}

/// The site. Fields are dropped in this order: first what runs, then the accounts it runs as.
pub(crate) struct House {
    site: Option<OurSite>,
    setup: Setup,
    pub(crate) alice: Person,
    pub(crate) bob: Person,
    /// An account of the system's, which runs no jobs.
    pub(crate) system: Account,
    /// Whom the gatekeeper runs as.
    pub(crate) gatekeeper: Account,
}

impl House {
    /// Starts the site; `tables` are lines of `[launcher]` and further tables, `gridmap` more lines of the gridmap made
    /// from the accounts. None, with the reason told: not root, or something is not installed.
    pub(crate) fn new(tables: &str, gridmap: fn(&Self) -> Vec<String>) -> Option<Self> {
        let mut house = Self::not_served(tables)?;
        house.map(gridmap(&house));
        house.serve();
        Some(house)
    }

    /// Maps both people, after these lines.
    pub(crate) fn map(&self, lines: Vec<String>) {
        let both = [&self.alice, &self.bob]
            .map(|person| format!("\"{}\" {}", person.identity.subject, person.account.name));
        let text: Vec<String> = lines.into_iter().chain(both).collect();
        fs::write(self.file("grid-mapfile"), text.join("\n") + "\n").unwrap();
    }

    /// Everything but the running site.
    pub(crate) fn not_served(tables: &str) -> Option<Self> {
        let (user, other) = (User::new(Kind::Stock)?, User::new(Kind::Stock)?);
        if !accounts::can_be_made() {
            return None;
        }
        // Others than root have to come to their own things.
        fs::set_permissions(user.temporary(), Permissions::from_mode(0o711)).unwrap();
        let homes = user.temporary().join("homes");
        fs::create_dir(&homes).unwrap();
        let (alice, bob) = (user.pki.alice.clone(), user.pki.carol.clone());
        let person = |user: User, identity: Identity, word, extra| {
            user.proxy_init(&identity, &[]);
            Person { user, identity, account: Account::new(word, Rank::Person, &homes, extra) }
        };
        let house = Self {
            site: None,
            setup: Setup::default(),
            alice: person(user, alice, "alice", true),
            bob: person(other, bob, "bob", false),
            system: Account::new("system", Rank::System, &homes, false),
            gatekeeper: Account::new("gk", Rank::System, &homes, false),
        };
        house.write(tables);
        Some(house)
    }

    fn write(&self, tables: &str) {
        let (dir, pki) = (self.dir(), &self.alice.user.pki);
        fs::create_dir(&dir).unwrap();
        for folder in ["state", "run", "register"] {
            fs::create_dir(dir.join(folder)).unwrap();
        }
        let key = dir.join("hostkey.pem");
        fs::copy(&pki.host.key, &key).unwrap();
        let launcher = format!(
            "\n[launcher]\nuser = {:?}\nsocket = \"run/launcher.sock\"\n{tables}\n",
            self.gatekeeper.name
        );
        write_site(&dir, pki, &key, &self.setup, "", &launcher);
        for ours in [key, dir.join("log"), dir.join("register")] {
            chown(ours, Some(self.gatekeeper.uid), Some(self.gatekeeper.gid)).unwrap();
        }
    }

    pub(crate) fn serve(&mut self) {
        self.site = Some(OurSite::serve(&self.dir(), &self.setup));
    }

    /// Serves the site once more, after its processes were killed: what they left running stays.
    pub(crate) fn serve_again(&mut self) {
        let old = self.site.replace(OurSite::serve(&self.dir(), &self.setup));
        std::mem::forget(old); // its end would end all the site's processes
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.alice.user.temporary().join("site")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// A path below the state directory.
    pub(crate) fn state(&self, name: &str) -> PathBuf {
        self.dir().join("state").join(name)
    }

    pub(crate) fn site(&self) -> &OurSite {
        self.site.as_ref().unwrap()
    }

    pub(crate) fn contact(&self) -> &str {
        self.site().contact()
    }

    /// `globusrun -s` by this person.
    #[track_caller]
    pub(crate) fn job(&self, person: &Person, rsl: &str) -> Finished {
        person.user.run("globusrun", ["-s", "-r", self.contact(), rsl])
    }

    /// A running job of this person: contact and process id.
    #[track_caller]
    pub(crate) fn long_job(&self, person: &Person) -> (String, u32) {
        let file = person.account.home.join("pid");
        let rsl = "&(executable=/bin/sh)(arguments=-c \"echo $$ > p; mv p pid; exec sleep 1000\")";
        let out = person.user.run("globusrun", ["-b", "-r", self.contact(), rsl]);
        let contact = out.job_contact();
        until("the job writes its id", || file.exists());
        let pid = fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        fs::remove_file(file).unwrap();
        (contact, pid)
    }

    pub(crate) fn speaker<'a>(&'a self, person: &'a Person) -> Speaker<'a> {
        let user = &person.user;
        Speaker { identity: &person.identity, pki: &user.pki, folder: user.temporary() }
    }

    /// The last line of the audit file.
    pub(crate) fn last_audit(&self) -> String {
        let text = fs::read_to_string(self.file("log/audit.jsonl")).unwrap();
        text.lines().last().unwrap_or_default().to_owned()
    }

    /// The site's processes that were started as `gridiron ROLE`, or with this word first.
    pub(crate) fn processes(&self, role: &str) -> Vec<u32> {
        let named = self.file("gridiron.toml").display().to_string();
        let mut found: Vec<u32> = all_processes()
            .into_iter()
            .filter(|pid| {
                let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                let words: Vec<&str> = line.split('\0').collect();
                words.get(1) == Some(&role) && words.contains(&named.as_str())
            })
            .collect();
        found.sort_unstable();
        found
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(site) = &self.site
        {
            eprintln!("--- our site\n{}", site.logs());
            for person in [&self.alice, &self.bob] {
                let log = self.state(&person.account.name).join("jobmanager.log");
                eprintln!("--- {}\n{}", person.account.name, fs::read_to_string(log).unwrap_or_default());
            }
        }
        // Also what a test has started by itself; before the accounts go.
        processes::kill_all_naming(&self.dir());
    }
}

fn all_processes() -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// There is no event to wait for: looks again and again.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The processes that hold a socket which listens on this TCP port.
pub(crate) fn listeners(port: u16) -> BTreeSet<u32> {
    let mut inodes = BTreeSet::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        for line in fs::read_to_string(table).unwrap_or_default().lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // 0A: listening
            if fields[3] == "0A" && fields[1].ends_with(&format!(":{port:04X}")) {
                inodes.insert(format!("socket:[{}]", fields[9]));
            }
        }
    }
    assert!(!inodes.is_empty(), "somebody listens on port {port}");
    let holds = |pid: &u32| {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        open.filter_map(|entry| fs::read_link(entry.path()).ok())
            .any(|target| inodes.contains(target.to_string_lossy().as_ref()))
    };
    all_processes().into_iter().filter(holds).collect()
}

/// A line of /proc/PID/status, as words.
pub(crate) fn status(pid: u32, line: &str) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let found = text.lines().find_map(|known| known.strip_prefix(line)?.strip_prefix(':').map(str::to_owned));
    found.unwrap_or_else(|| panic!("no {line} in {text}")).split_whitespace().map(str::to_owned).collect()
}

/// The port in `host:port` or `https://host:port/…`.
pub(crate) fn port(contact: &str) -> u16 {
    let authority = contact.trim_start_matches("https://").split('/').next().unwrap();
    authority.rsplit(':').next().unwrap().parse().unwrap()
}

/// Runs `gridiron` to its end in the site's folder, as root.
pub(crate) fn ours(house: &House, arguments: &[&str]) -> Finished {
    let mut command = std::process::Command::new(gridiron());
    command.args(arguments).current_dir(house.dir()).env("PATH", "/usr/bin:/bin");
    e2e::command::run(command)
}

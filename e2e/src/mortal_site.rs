//! A site of ours whose processes die by `kill -9`, one by one or all at once. `gridiron serve` is started again as a
//! service manager would do it: the gatekeeper of a personal site, the launcher of a site for many accounts. Nobody starts
//! the others but the site itself.

use crate::{
    accounts::Account,
    command::{self, Running, lifeline, wait_for_end},
    pki::{Pki, host_name},
    processes,
    user::gridiron,
};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::{
    fs,
    net::TcpListener,
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt, fs::chown},
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Ports tried for the gatekeeper: below those that the system gives to connections, so that it is free again after each
/// death.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// What can die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// What is root, at a site for many accounts.
    Launcher,
    /// The front door.
    Gatekeeper,
    /// The account's job manager.
    JobManager,
    /// The account's reaper.
    Reaper,
}

impl Role {
    /// The first argument of its command line.
    fn word(self) -> &'static str {
        match self {
            Self::Launcher => "listen",
            Self::Gatekeeper => "serve",
            Self::JobManager => "jobmanager",
            Self::Reaper => "reaper",
        }
    }
}

/// The site. Dropping it stops it with all its jobs.
pub struct MortalSite {
    dir: PathBuf,
    file: PathBuf,
    contact: String,
    /// Who runs the jobs.
    account: String,
    roles: &'static [Role],
    /// Environment of the site's programs besides the usual.
    environment: Vec<(&'static str, String)>,
    /// What the service manager starts: the first of the roles.
    served: Option<Running>,
}

impl MortalSite {
    /// Makes a personal site in `dir` and serves it.
    pub fn start(dir: &Path, pki: &Pki) -> Self {
        Self::start_in(dir, pki, Vec::new())
    }

    /// The same, with more environment for the site's programs.
    pub fn start_in(dir: &Path, pki: &Pki, environment: Vec<(&'static str, String)>) -> Self {
        fs::create_dir(dir.join("log")).expect("writable");
        let roles = &[Role::Gatekeeper, Role::JobManager, Role::Reaper];
        let account = crate::world::account();
        let mut site = Self::write(dir, pki, &pki.host.key, &account, roles, "run_as_root = true\n");
        site.environment = environment;
        site.serve();
        site
    }

    /// Makes a site in `dir` where root starts everything: the gatekeeper runs as the one account, jobs as the other.
    pub fn start_with_launcher(dir: &Path, pki: &Pki, gatekeeper: &Account, person: &Account) -> Self {
        for folder in ["log", "register", "run", "state"] {
            fs::create_dir(dir.join(folder)).expect("writable");
        }
        let key = dir.join("hostkey.pem");
        fs::copy(&pki.host.key, &key).expect("writable");
        for own in [&key, &dir.join("log"), &dir.join("register")] {
            chown(own, Some(gatekeeper.uid), Some(gatekeeper.gid)).expect("only root comes here");
        }
        let launcher = format!("[launcher]\nuser = {:?}\nsocket = \"run/launcher.sock\"\n", gatekeeper.name);
        let roles = &[Role::Launcher, Role::Gatekeeper, Role::JobManager, Role::Reaper];
        let mut site = Self::write(dir, pki, &key, &person.name, roles, &launcher);
        site.serve();
        site
    }

    /// Writes the files of a site that nobody serves yet.
    fn write(dir: &Path, pki: &Pki, key: &Path, account: &str, roles: &'static [Role], more: &str) -> Self {
        let port = free_port();
        let host = host_name();
        fs::write(dir.join("grid-mapfile"), format!("\"{}\" {account}\n", pki.alice.subject))
            .expect("writable");
        let text = format!(
            "[gatekeeper]\nlisten = \"[::]:{port}\"\nhost = {host:?}\ncertificate = {:?}\nkey = {key:?}\n\
             trust = {trust:?}\n{more}[jobmanager]\nhost = {host:?}\n",
            pki.host.certificate,
            trust = pki.trust,
        );
        let file = dir.join("gridiron.toml");
        fs::write(&file, text).expect("writable");
        let contact = format!("{host}:{port}");
        Self {
            dir: dir.to_owned(),
            file,
            contact,
            account: account.to_owned(),
            roles,
            environment: Vec::new(),
            served: None,
        }
    }

    /// Starts `gridiron serve`, unless it runs, and waits until it serves.
    #[track_caller]
    pub fn serve(&mut self) {
        if self.served.is_some() {
            return;
        }
        let mut command = lifeline(&gridiron());
        command.arg("serve").arg("--config").arg(&self.file).env_remove("X509_USER_PROXY");
        command.envs(self.environment.iter().cloned());
        let served = Running::start(command, None);
        served.wait_for("GRAM contact: ");
        self.served = Some(served);
    }

    /// What can die here; the first is what has to be [served](Self::serve) again.
    pub fn roles(&self) -> &'static [Role] {
        self.roles
    }

    /// `host:port`, the same after every death.
    pub fn contact(&self) -> &str {
        &self.contact
    }

    /// Kills every process of these roles at once; gives how many there were.
    pub fn kill(&mut self, roles: &[Role]) -> usize {
        let victims: Vec<OwnedFd> = roles.iter().flat_map(|role| self.processes(*role)).collect();
        for victim in &victims {
            pidfd_send_signal(victim, Signal::KILL).ok();
        }
        let deadline = Instant::now() + command::DEADLINE;
        for victim in &victims {
            assert!(wait_for_end(victim, deadline), "a process outlives SIGKILL");
        }
        if self.roles.first().is_some_and(|first| roles.contains(first)) {
            self.served = None;
        }
        victims.len()
    }

    /// Waits until a process of this role runs.
    #[track_caller]
    pub fn wait_for(&self, role: Role) {
        let deadline = Instant::now() + command::DEADLINE;
        while self.processes(role).is_empty() {
            assert!(Instant::now() < deadline, "no {role:?} comes up");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// KiB of memory of the processes of these roles; shared pages are divided among those who map them (Pss).
    pub fn memory_kib(&self, roles: &[Role]) -> u64 {
        let pss = |(pid, _): (Pid, OwnedFd)| {
            let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", pid.as_raw_nonzero())).ok()?;
            let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
            line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()
        };
        roles.iter().flat_map(|role| self.found(*role)).filter_map(pss).sum()
    }

    /// A number of `/proc/<pid>/status` of the one process of this role, such as `VmRSS` (kB).
    #[track_caller]
    pub fn status_number(&self, role: Role, name: &str) -> u64 {
        let pids: Vec<Pid> = self.found(role).into_iter().map(|(pid, _)| pid).collect();
        let [pid] = pids.as_slice() else { panic!("not exactly one {role:?}: {pids:?}") };
        let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.unwrap_or_else(|| panic!("no number {name} in {status}"))
    }

    /// The processes of a role.
    fn processes(&self, role: Role) -> Vec<OwnedFd> {
        self.found(role).into_iter().map(|(_, process)| process).collect()
    }

    /// The processes of a role: those whose command line is exactly that of this site.
    fn found(&self, role: Role) -> Vec<(Pid, OwnedFd)> {
        let wanted = [role.word().as_bytes(), b"--config", self.file.as_os_str().as_bytes()];
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok().and_then(Pid::from_raw))
            // Opened before it is looked at, so that the id cannot come to mean another process in between.
            .filter_map(|pid| Some((pid, pidfd_open(pid, PidfdFlags::empty()).ok()?)))
            .filter(|(pid, _)| {
                let line = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
                line.split(|byte| *byte == 0).skip(1).take(wanted.len()).eq(wanted) && !is_unborn(*pid)
            })
            .collect()
    }

    /// The folder of the jobs' own folders.
    pub fn job_directories(&self) -> PathBuf {
        self.account().join("jobs")
    }

    fn account(&self) -> PathBuf {
        self.dir.join("state").join(&self.account)
    }

    /// What everybody has logged, for messages of failing tests.
    pub fn logs(&self) -> String {
        let mut logs = self.served.as_ref().map(Running::errors_so_far).unwrap_or_default();
        for file in ["jobmanager.log", "reaper/log"] {
            logs.push_str(&fs::read_to_string(self.account().join(file)).unwrap_or_default());
        }
        logs
    }
}

impl Drop for MortalSite {
    fn drop(&mut self) {
        processes::kill_all_naming(&self.dir);
    }
}

/// A job between fork and exec has the reaper's command line. It may have become the job when the signal comes, and
/// killing a job is not what this is about.
fn is_unborn(pid: Pid) -> bool {
    let stat = |pid: &str| fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let own = stat(&pid.as_raw_nonzero().to_string());
    let parent = own.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)).unwrap_or_default();
    stat(parent).contains("(gridiron reaper)")
}

fn free_port() -> u16 {
    let start = u16::try_from(std::process::id() % 10_000).unwrap_or_default();
    let ports = PORTS.start + start..PORTS.end;
    ports
        .chain(PORTS)
        .find(|port| TcpListener::bind(("::", *port)).is_ok())
        .expect("one of ten thousand ports is free")
}

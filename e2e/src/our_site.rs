//! Our site: `gridiron serve` with the same certificates, gridmap and services as the stock one.

use crate::{
    command::{DEADLINE, Running, lifeline},
    pki::{Pki, host_name},
    processes,
    user::gridiron,
    world::Setup,
};
use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// A running site of ours. Dropping it stops it, its job managers and their jobs.
pub struct OurSite {
    dir: PathBuf,
    contact: String,
    gatekeeper: Running,
}

impl OurSite {
    /// Writes the site file and serves it, as whoever runs the tests: root, too, for once.
    pub fn start(dir: &Path, pki: &Pki, setup: &Setup) -> Self {
        write_site(dir, pki, &pki.host.key, setup, "run_as_root = true\n", "");
        Self::serve(dir, setup)
    }

    /// Serves the site in the folder.
    pub fn serve(dir: &Path, setup: &Setup) -> Self {
        let gatekeeper = Self::gatekeeper_of(dir, &setup.site_environment);
        let printed = gatekeeper.wait_for("\n");
        let contact =
            printed.lines().find_map(|line| line.strip_prefix("GRAM contact: ")).unwrap_or_else(|| {
                panic!("no contact from gridiron serve: {printed} {}", gatekeeper.errors_so_far())
            });
        // Without the subject: clients then check the host's name, as they do at a real site.
        let contact = contact.splitn(3, ':').take(2).collect::<Vec<_>>().join(":");
        Self { dir: dir.to_owned(), contact, gatekeeper }
    }

    /// Starts a gatekeeper for the site file in this folder.
    pub fn gatekeeper_of(dir: &Path, environment: &[(&'static str, String)]) -> Running {
        let mut command = lifeline(&gridiron());
        command.arg("serve").arg("--config").arg(dir.join("gridiron.toml"));
        command.env_remove("X509_USER_PROXY").envs(environment.iter().cloned()).current_dir(dir);
        Running::start(command, None)
    }

    /// `host:port`.
    pub fn contact(&self) -> &str {
        &self.contact
    }

    /// A file of the site.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The process that was started, `gridiron serve` or what it has become.
    pub fn gatekeeper(&self) -> &Running {
        &self.gatekeeper
    }

    /// The lines of the audit file when there are more than so many: a refused client may have ended before the line is
    /// written.
    #[track_caller]
    pub fn audit_beyond(&self, lines: usize) -> Vec<serde_json::Value> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let audit = self.audit();
            if audit.len() > lines || Instant::now() > deadline {
                return audit;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The lines of the audit file.
    #[track_caller]
    pub fn audit(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.file("log/audit.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("the audit file holds JSON")).collect()
    }

    /// What the gatekeeper and the job managers have logged, for messages of failing tests.
    pub fn logs(&self) -> String {
        let mut logs = self.gatekeeper.errors_so_far();
        let accounts = fs::read_dir(self.file("state")).into_iter().flatten().flatten();
        let managers = accounts.map(|account| account.path().join("jobmanager.log"));
        for file in managers.chain([self.file("log/audit.jsonl")]) {
            logs.push_str(&fs::read_to_string(file).unwrap_or_default());
        }
        logs
    }
}

/// Writes the site file, with more lines for `[gatekeeper]` and more tables, and the gridmap.
pub fn write_site(dir: &Path, pki: &Pki, key: &Path, setup: &Setup, more: &str, tables: &str) {
    let file = |name: &str| dir.join(name);
    fs::write(file("grid-mapfile"), setup.gridmap(pki)).expect("temporary folder is writable");
    fs::create_dir(file("log")).expect("writable");
    let (certificate, key) = match &setup.host {
        Some((certificate, key)) => (certificate.as_path(), key.as_path()),
        None => (pki.host.certificate.as_path(), key),
    };
    let names_patience =
        setup.jobmanager_lines.iter().any(|line| line.starts_with("transfer_patience_seconds"));
    let mut text = format!(
        "[gatekeeper]\nlisten = \"[::]:0\"\nhost = {host:?}\ncertificate = {certificate:?}\nkey = {key:?}\ntrust = {trust:?}\n\
         gridmap = \"grid-mapfile\"\naudit = \"log/audit.jsonl\"\nstate = \"state\"\n{more}\n{}\n\
         [jobmanager]\nhost = {host:?}\n{patience}{}\n{tables}",
        setup.gatekeeper_lines.join("\n"),
        setup.jobmanager_lines.join("\n"),
        host = host_name(),
        trust = setup.trust(pki),
        patience = if names_patience { "" } else { "transfer_patience_seconds = 2\n" },
    );
    for (name, accept_limited) in setup.services() {
        text.push_str(&format!(
            "\n[service.{name}]\nscheduler = \"fork\"\naccept_limited = {accept_limited}\n"
        ));
    }
    text.push_str("\n[service.jobmanager-broken]\nscheduler = \"no such thing\"\n");
    fs::write(file("gridiron.toml"), text).expect("writable");
}

impl Drop for OurSite {
    fn drop(&mut self) {
        processes::kill_all_naming(&self.dir);
    }
}

//! Our site: `gridiron serve` with the same certificates, gridmap and services as the stock one.

use crate::{
    command::{Running, lifeline},
    pki::{Pki, host_name},
    processes,
    user::gridiron,
    world::Setup,
};
use std::{
    fs,
    path::{Path, PathBuf},
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
        let mut command = lifeline(&gridiron());
        command.arg("serve").arg("--config").arg(dir.join("gridiron.toml"));
        command.env_remove("X509_USER_PROXY").envs(setup.site_environment.iter().cloned()).current_dir(dir);
        let gatekeeper = Running::start(command, None);
        let printed = gatekeeper.wait_for("\n");
        let contact =
            printed.lines().find_map(|line| line.strip_prefix("GRAM contact: ")).unwrap_or_else(|| {
                panic!("no contact from gridiron serve: {printed} {}", gatekeeper.errors_so_far())
            });
        // Without the subject: clients then check the host's name, as they do at a real site.
        let contact = contact.splitn(3, ':').take(2).collect::<Vec<_>>().join(":");
        Self { dir: dir.to_owned(), contact, gatekeeper }
    }

    /// `host:port`.
    pub fn contact(&self) -> &str {
        &self.contact
    }

    /// The process that was started, `gridiron serve` or what it has become.
    pub fn process(&self) -> &Running {
        &self.gatekeeper
    }

    /// What the gatekeeper and the job managers have logged, for messages of failing tests.
    pub fn logs(&self) -> String {
        let mut logs = self.gatekeeper.errors_so_far();
        for entry in fs::read_dir(self.dir.join("log")).into_iter().flatten().flatten() {
            logs.push_str(&fs::read_to_string(entry.path()).unwrap_or_default());
        }
        logs
    }
}

/// Writes the site file, with more lines for `[gatekeeper]` and more tables, and the gridmap.
pub fn write_site(dir: &Path, pki: &Pki, key: &Path, setup: &Setup, more: &str, tables: &str) {
    let file = |name: &str| dir.join(name);
    fs::write(file("grid-mapfile"), setup.gridmap(pki)).expect("temporary folder is writable");
    fs::create_dir(file("log")).expect("writable");
    let mut text = format!(
        "[gatekeeper]\nlisten = \"[::]:0\"\nhost = {host:?}\ncertificate = {:?}\nkey = {key:?}\ntrust = {trust:?}\n\
         gridmap = \"grid-mapfile\"\naudit = \"log/audit.jsonl\"\nstate = \"state\"\n{more}\n\
         [jobmanager]\nhost = {host:?}\n{tables}",
        pki.host.certificate,
        host = host_name(),
        trust = pki.trust,
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

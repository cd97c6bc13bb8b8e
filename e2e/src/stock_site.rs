//! A stock site: a real globus-gatekeeper with its fork job manager, all its files in one temporary folder.

use crate::{
    command::{Running, lifeline},
    pki::{Pki, host_name},
    processes,
    stock::program,
    world::Setup,
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A running stock gatekeeper. Dropping it stops it, its job managers and their jobs.
pub struct StockSite {
    dir: PathBuf,
    contact: String,
    // Held for its end: dropped after `drop` has killed what it started.
    _gatekeeper: Running,
}

/// Bytes of address space for each of the stock site's job managers and what it starts.
const MEMORY: u64 = 4 << 30;

impl StockSite {
    /// Starts the gatekeeper in the foreground, as whoever runs the tests: root and ordinary users both can.
    pub fn start(dir: &Path, pki: &Pki, setup: &Setup) -> Self {
        let file = |name: &str| dir.join(name);
        for folder in ["home", "state", "services"] {
            fs::create_dir_all(file(folder)).expect("temporary folder is writable");
        }
        let gridmap = file("grid-mapfile");
        fs::write(&gridmap, setup.gridmap(pki)).expect("writable");
        // The job manager runs globus-url-copy for output; that one finds the trust directory only through this option.
        let options = format!(
            "-globus-toolkit-version 6.2\n-target-globus-location /usr\n-x509-cert-dir {}\n\
             -state-file-dir {state}\n-globus-job-dir {state}\n-log-levels FATAL|ERROR|WARN\n-log-pattern {}\n",
            setup.trust(pki).display(),
            file("jobmanager.log").display(),
            state = file("state").display(),
        );
        fs::write(file("jobmanager.conf"), options).expect("writable");
        for (name, accept_limited) in setup.services() {
            let limited = if accept_limited { ",accept_limited" } else { "" };
            // Through env(1), so that jobs' files do not go to the real home of whoever runs the tests; with a bound, as some
            // requests have the stock job manager take all the memory there is.
            let line = format!(
                "stderr_log,local_cred{limited} - {} env HOME={} {} --as={MEMORY} {} -conf {} -type fork\n",
                program("env").display(),
                file("home").display(),
                program("prlimit").display(),
                program("globus-job-manager").display(),
                file("jobmanager.conf").display(),
            );
            fs::write(file("services").join(name), line).expect("writable");
        }
        fs::write(file("services").join("jobmanager-broken"), "no such thing\n").expect("writable");

        let mut command = lifeline(&program("globus-gatekeeper"));
        command
            .args(["-foreground", "-port", "0"])
            .arg("-logfile")
            .arg(file("gatekeeper.log"))
            .arg("-grid_services")
            .arg(file("services"))
            .arg("-gridmap")
            .arg(&gridmap)
            .arg("-x509_cert_dir")
            .arg(setup.trust(pki))
            .arg("-x509_user_cert")
            .arg(&pki.host.certificate)
            .arg("-x509_user_key")
            .arg(&pki.host.key)
            .arg("-pidfile")
            .arg(file("gatekeeper.pid"))
            .env("GLOBUS_HOSTNAME", host_name())
            .env("LC_ALL", "C")
            .env_remove("X509_USER_PROXY")
            .envs(setup.site_environment.iter().map(|(name, value)| (name, value)))
            .current_dir(dir);
        let gatekeeper = Running::start(command, None);
        let printed = gatekeeper.wait_for("\n");
        let contact = printed
            .lines()
            .find_map(|line| line.strip_prefix("GRAM contact: "))
            .unwrap_or_else(|| panic!("no contact from the stock gatekeeper: {printed}"));
        // Without the subject: clients then check the host's name, as they do at a real site.
        let contact = contact.splitn(3, ':').take(2).collect::<Vec<_>>().join(":");
        Self { dir: dir.to_owned(), contact, _gatekeeper: gatekeeper }
    }

    /// `host:port`.
    pub fn contact(&self) -> &str {
        &self.contact
    }

    /// What the gatekeeper and the job managers have logged, for messages of failing tests.
    pub fn logs(&self) -> String {
        ["gatekeeper.log", "jobmanager.log"]
            .map(|name| fs::read_to_string(self.dir.join(name)).unwrap_or_default())
            .concat()
    }
}

impl Drop for StockSite {
    fn drop(&mut self) {
        processes::kill_all_naming(&self.dir);
    }
}

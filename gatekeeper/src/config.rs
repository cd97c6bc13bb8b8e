//! The `[gatekeeper]` table of gridiron.toml and the `[service.NAME]` tables.

use serde::Deserialize;
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// The front door's settings; unknown keys are errors.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address, default `[::]:2119` (dual-stack); port 0 = ephemeral.
    pub listen: String,
    /// Name in contacts; default the host's name.
    pub host: Option<String>,
    /// Host certificate.
    pub certificate: PathBuf,
    /// Host key.
    pub key: PathBuf,
    /// Trust directory.
    pub trust: PathBuf,
    /// grid-mapfile.
    pub gridmap: PathBuf,
    /// Pool accounts' lease directory (GRIDMAPDIR).
    pub gridmapdir: Option<PathBuf>,
    /// Audit log file (JSON lines).
    pub audit: PathBuf,
    /// The gatekeeper's own folder of accounts with unfinished jobs; made when missing.
    pub register: PathBuf,
    /// State directory shared with the job managers: `<state>/<account>/`.
    pub state: PathBuf,
    /// Folder of classic service files, read in addition to `[service.*]`.
    pub grid_services: Option<PathBuf>,
    /// While one of these files exists nobody is let in.
    #[serde(default = "default_nologin")]
    pub nologin: Vec<PathBuf>,
    /// Lets a gatekeeper without a launcher run as root, with all its jobs. For throw-away sites on loopback.
    #[serde(default)]
    pub run_as_root: bool,
    /// Bounds on what a peer can use up.
    #[serde(default)]
    pub limits: Limits,
    /// Services by name (filled from `[service.NAME]` by the caller).
    #[serde(skip)]
    pub services: BTreeMap<String, ServiceConfig>,
    /// The command line that starts a job manager (filled by the caller): program and arguments. It must print `ready`
    /// on its standard output once its control socket answers; the pipe is closed after that.
    #[serde(skip)]
    pub jobmanager_command: Vec<std::ffi::OsString>,
    /// The launcher's socket (filled by the caller): job managers are started there, each as its account. None: a
    /// personal gatekeeper, which starts them itself.
    #[serde(skip)]
    pub launcher: Option<PathBuf>,
}

/// One `[service.NAME]` table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceConfig {
    /// Scheduler adapter: "fork".
    pub scheduler: String,
    /// Limited proxies may submit.
    #[serde(default)]
    pub accept_limited: bool,
}

/// The `[gatekeeper.limits]` table: deadlines in seconds, and how many connections are served at once.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// For the TLS handshake and delegation.
    pub handshake_seconds: u64,
    /// For the request to arrive, and for the reply to be taken.
    pub request_seconds: u64,
    /// For the job manager's answer.
    pub answer_seconds: u64,
    /// For a job manager to start.
    pub start_seconds: u64,
    /// For running requests to finish when the gatekeeper stops.
    pub stop_seconds: u64,
    /// Connections served at once; more wait to be accepted.
    pub connections: usize,
    /// Of these, from one address (an IPv6 /64 counts as one); more are closed at once.
    pub connections_per_address: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake_seconds: 60,
            request_seconds: 30,
            answer_seconds: 600, // as long as a stock gatekeeper gives the whole exchange
            start_seconds: 30,
            stop_seconds: 30,
            connections: 512,
            connections_per_address: 256,
        }
    }
}

impl Limits {
    /// [`Self::handshake_seconds`].
    pub fn handshake(&self) -> Duration {
        Duration::from_secs(self.handshake_seconds)
    }

    /// [`Self::request_seconds`].
    pub fn request(&self) -> Duration {
        Duration::from_secs(self.request_seconds)
    }

    /// [`Self::answer_seconds`].
    pub fn answer(&self) -> Duration {
        Duration::from_secs(self.answer_seconds)
    }

    /// [`Self::start_seconds`].
    pub fn start(&self) -> Duration {
        Duration::from_secs(self.start_seconds)
    }

    /// [`Self::stop_seconds`].
    pub fn stop(&self) -> Duration {
        Duration::from_secs(self.stop_seconds)
    }
}

/// Where stock gatekeepers look: `/etc/nologin`, `/etc/globus-nologin`, `$GLOBUS_LOCATION/etc/globus-nologin`.
pub fn default_nologin() -> Vec<PathBuf> {
    let mut files = vec![PathBuf::from("/etc/nologin"), PathBuf::from("/etc/globus-nologin")];
    if let Some(location) = std::env::var_os("GLOBUS_LOCATION").filter(|location| !location.is_empty()) {
        files.push(PathBuf::from(location).join("etc/globus-nologin"));
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "listen = '[::]:0'\ncertificate = 'c'\nkey = 'k'\ntrust = 't'\ngridmap = 'g'\naudit = 'a'\nregister = 'r'\nstate = 's'\n";

    #[test]
    fn limits_have_defaults_one_by_one() {
        let config: Config = toml::from_str(&format!("{TABLE}[limits]\nconnections = 7\n")).unwrap();
        assert_eq!(config.limits, Limits { connections: 7, ..Limits::default() });
        assert!(config.nologin.contains(&PathBuf::from("/etc/nologin")));
    }

    #[test]
    fn unknown_keys_are_errors_that_name_them() {
        for text in [format!("lissten = 'x'\n{TABLE}"), format!("{TABLE}[limits]\nconnectoins = 7\n")] {
            let error = toml::from_str::<Config>(&text).unwrap_err().to_string();
            assert!(error.contains("lissten") || error.contains("connectoins"), "{error}");
        }
    }
}

//! The `[gatekeeper]` table of gridiron.toml and the `[service.NAME]` tables.

mod limits;

pub use limits::{Limit, Limits};

use crate::audit::AuditConfig;
use crate::audit::database::check_url;
use gsi::chain::{ChainPolicy, CrlOutOfDate};
use gsi::signature::MIN_RSA_BITS;
use serde::Deserialize;
use std::{collections::BTreeMap, path::PathBuf};

/// The front door's settings; unknown keys are errors.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
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
    /// Ban list; default `banned` beside the gridmap, which need not be there. One that is named here must be.
    pub banned: Option<PathBuf>,
    /// A CA's revocation list that has run out: refuse everything of that CA, or warn.
    #[serde(default)]
    pub crl_out_of_date: CrlOutOfDate,
    /// Fewest bits of every RSA key in a client's chain; not less than 2048.
    #[serde(default = "default_min_rsa_bits")]
    pub min_rsa_bits: usize,
    /// Pool accounts' lease directory (GRIDMAPDIR).
    pub gridmapdir: Option<PathBuf>,
    /// Audit log file (JSON lines).
    pub audit: PathBuf,
    /// It is put aside (`.1`, `.2` …) when it has so many megabytes; 0: never.
    #[serde(default = "default_audit_megabytes")]
    pub audit_megabytes: u64,
    /// So many files that were put aside are kept.
    #[serde(default = "default_audit_files")]
    pub audit_files: usize,
    /// A database that gets every audit line too: a `sqlite:` or `postgres:` URL without a password.
    pub audit_database: Option<String>,
    /// Address of the metrics page for Prometheus, such as `127.0.0.1:9119`; none: no page.
    pub metrics: Option<String>,
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

impl Config {
    /// How chains are judged here.
    #[must_use]
    pub fn chain_policy(&self) -> ChainPolicy {
        ChainPolicy { crl_out_of_date: self.crl_out_of_date, min_rsa_bits: self.min_rsa_bits }
    }

    /// The ban list.
    #[must_use]
    pub fn bans_file(&self) -> PathBuf {
        self.banned.clone().unwrap_or_else(|| self.gridmap.with_file_name("banned"))
    }

    /// Where and how decisions are recorded.
    #[must_use]
    pub fn audit_config(&self) -> AuditConfig {
        AuditConfig {
            file: self.audit.clone(),
            rotate_bytes: self.audit_megabytes.saturating_mul(1_000_000),
            keep: self.audit_files,
            database: self.audit_database.clone(),
        }
    }

    /// What is wrong with the numbers and addresses.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = self.limits.problems();
        if self.min_rsa_bits < MIN_RSA_BITS {
            problems.push(format!(
                "`min_rsa_bits` is {}; keys of less than {MIN_RSA_BITS} bits cannot be let in",
                self.min_rsa_bits
            ));
        }
        if let Some(Err(error)) = self.audit_database.as_deref().map(check_url) {
            problems.push(error.to_string());
        }
        problems
    }
}

/// One `[service.NAME]` table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceConfig {
    /// Scheduler adapter: "fork".
    pub scheduler: String,
    /// Limited proxies may submit.
    #[serde(default)]
    pub accept_limited: bool,
}

fn default_audit_megabytes() -> u64 {
    64
}

fn default_audit_files() -> usize {
    16
}

fn default_min_rsa_bits() -> usize {
    MIN_RSA_BITS
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

//! The `[gatekeeper]` table of gridiron.toml and the `[service.NAME]` tables.

use serde::Deserialize;
use std::{collections::BTreeMap, path::PathBuf};

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
    /// State directory shared with the job managers: `<state>/<account>/`.
    pub state: PathBuf,
    /// Folder of classic service files, read in addition to `[service.*]`.
    pub grid_services: Option<PathBuf>,
    /// Services by name (filled from `[service.NAME]` by the caller).
    #[serde(skip)]
    pub services: BTreeMap<String, ServiceConfig>,
    /// The command line that starts a job manager (filled by the caller): program and first arguments.
    #[serde(skip)]
    pub jobmanager_command: Vec<std::ffi::OsString>,
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

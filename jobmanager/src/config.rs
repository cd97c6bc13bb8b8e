//! The `[jobmanager]` table of gridiron.toml.

use crate::staging::Limits;
use serde::Deserialize;
use std::{
    num::{NonZeroU16, NonZeroU64},
    path::PathBuf,
    time::Duration,
};

/// Settings of the job managers; unknown keys are errors.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// State directory, the same as the gatekeeper's: this account's files are below `<state>/<account>/`.
    pub state: PathBuf,
    /// Trust directory.
    pub trust: PathBuf,
    /// Name in job contacts; default the host's name.
    pub host: Option<String>,
    /// Exit after this many seconds with no job and no request.
    #[serde(default = "default_idle")]
    pub idle_exit_seconds: u64,
    /// How long, in seconds, the receiver of a job's output may take nothing once the job has ended; then the job fails with
    /// 73 or 74.
    #[serde(default = "default_stall")]
    pub output_stall_seconds: NonZeroU64,
    /// Uids that may use the control socket besides our own (the gatekeeper's account).
    #[serde(default)]
    pub control_uids: Vec<u32>,
    /// What GLOBUS_LOCATION and $(GLOBUS_LOCATION) are.
    #[serde(default = "default_location")]
    pub globus_location: PathBuf,
    /// Files of all jobs of an account that are moved at once.
    #[serde(default = "default_transfers")]
    pub transfers: NonZeroU16,
    /// Files of one job that are moved at once.
    #[serde(default = "default_transfers_per_job")]
    pub transfers_per_job: NonZeroU16,
    /// Seconds for which a transfer that fails for a reason that may pass (unreachable, cut, 5xx, disk full) is tried again.
    #[serde(default = "default_transfer_patience")]
    pub transfer_patience_seconds: u32,
    /// How the certificates of job contacts' clients are judged (filled by the caller, as for the gatekeeper).
    #[serde(skip)]
    pub chain_policy: gsi::chain::ChainPolicy,
    /// The command line that starts a reaper (filled by the caller).
    #[serde(skip)]
    pub reaper_command: Vec<std::ffi::OsString>,
}

impl Config {
    /// How much is moved at once, and how patiently.
    pub fn limits(&self) -> Limits {
        Limits {
            transfers: self.transfers,
            per_job: self.transfers_per_job,
            patience: Duration::from_secs(self.transfer_patience_seconds.into()),
        }
    }
}

fn default_transfers() -> NonZeroU16 {
    Limits::default().transfers
}
fn default_transfers_per_job() -> NonZeroU16 {
    Limits::default().per_job
}
fn default_transfer_patience() -> u32 {
    Limits::PATIENCE
}
fn default_idle() -> u64 {
    60
}
fn default_stall() -> NonZeroU64 {
    NonZeroU64::MIN.saturating_add(59)
}
fn default_location() -> PathBuf {
    PathBuf::from("/usr")
}

//! Our site: `gridiron serve` with the same certificates, gridmap and services as the stock one.

use crate::{command::Running, pki::Pki, processes, world::Setup};
use std::path::{Path, PathBuf};

/// A running site of ours. Dropping it stops it, its job managers and their jobs.
pub struct OurSite {
    dir: PathBuf,
    contact: String,
    _gatekeeper: Option<Running>,
}

impl OurSite {
    /// Starts it.
    pub fn start(dir: &Path, _pki: &Pki, _setup: &Setup) -> Self {
        Self { dir: dir.to_owned(), contact: String::new(), _gatekeeper: None }
    }

    /// `host:port`.
    pub fn contact(&self) -> &str {
        &self.contact
    }

    /// What it has logged, for messages of failing tests.
    pub fn logs(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }
}

impl Drop for OurSite {
    fn drop(&mut self) {
        processes::kill_all_naming(&self.dir);
    }
}

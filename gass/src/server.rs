//! The small server that `run -o/-s/-w` embeds (gass.md §4, §6): self authorization, `/dev/stdout`, `/dev/stderr`,
//! reads with `-s`, writes only with `-w` (the stock server's hole of §6 is closed).

use crate::GassError;
use gsi::{Credential, TrustDirectory};

/// What peers may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Access {
    /** GET files */
    pub read: bool,
    /** PUT and append files */
    pub write: bool,
    /** write /dev/stdout */
    pub stdout: bool,
    /** write /dev/stderr */
    pub stderr: bool,
}

/// A running server; dropping it stops it.
pub struct Server {/* owner decides */}

impl Server {
    /// Listens on GLOBUS_TCP_PORT_RANGE / an ephemeral port.
    pub async fn start(
        _credential: &Credential,
        _trust: &TrustDirectory,
        _access: Access,
    ) -> Result<Self, GassError> {
        todo!()
    }
    /// `https://host:port`, no trailing slash.
    pub fn url(&self) -> &str {
        todo!()
    }
    /// Waits until running transfers have ended and their data is flushed, at most `limit`.
    pub async fn drain(&self, _limit: std::time::Duration) {
        todo!()
    }
}

//! The call-back listener of a client (gram.md §9): hears state updates of its jobs.

use crate::{GramError, JobContact, JobState};
use gsi::{Credential, TrustDirectory};

/// One state update.
#[derive(Debug, Clone)]
pub struct Update {
    /** which job */
    pub job: JobContact,
    /** state */
    pub state: JobState,
    /** why it failed */
    pub failure: GramError,
    /** exit code when sent */
    pub exit_code: Option<i32>,
    /** all extensions */
    pub extensions: Vec<(String, String)>,
}

/// A running listener; dropping it stops it.
pub struct Listener {/* owner decides */}

impl Listener {
    /// Listens on GLOBUS_TCP_PORT_RANGE / an ephemeral port, GLOBUS_HOSTNAME or the local name in the URL.
    pub async fn start(
        _credential: &Credential,
        _trust: &TrustDirectory,
    ) -> Result<Self, crate::client::ClientError> {
        todo!()
    }
    /// `https://host:port/`.
    pub fn url(&self) -> &str {
        todo!()
    }
    /// The next update (updates that arrive before the job's contact is known are kept: match by contact path).
    pub async fn next(&mut self) -> Option<Update> {
        todo!()
    }
}

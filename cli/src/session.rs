//! Who we are and whom we trust: what every client command opens first.

use crate::{exit::Exit, failure::Failure};
use gsi::{Credential, TrustDirectory, credential::Purpose};

/// A user's credential and trust directory, found in the classic places, and a GRAM client with them.
#[derive(Clone)]
pub struct Session {
    /// The user's proxy (or unencrypted key pair).
    pub credential: Credential,
    /// `X509_CERT_DIR` and so on.
    pub trust: TrustDirectory,
    /// GRAM client with the two.
    pub client: gram::client::Client,
}

impl Session {
    /// Finds credential and trust directory (gsi.md §6.3); refuses an expired credential with advice.
    pub fn open() -> Result<Self, Failure> {
        let credential = Credential::find(Purpose::User).map_err(|error| {
            Failure::new(Exit::Credential, format!("no usable credential: {error}"))
                .try_this("gridiron proxy init")
        })?;
        if credential.expires() <= jiff::Timestamp::now() {
            let what =
                format!("the credential of {} expired at {}", credential.identity(), credential.expires());
            return Err(Failure::new(Exit::Credential, what).try_this("gridiron proxy init"));
        }
        let trust = TrustDirectory::open_default().map_err(|error| {
            Failure::new(Exit::Credential, format!("no usable trust directory: {error}"))
                .try_this("set X509_CERT_DIR to a directory of CA certificates, or: gridiron ca install")
        })?;
        Self::new(credential, trust)
    }

    /// With this credential and trust directory.
    pub fn new(credential: Credential, trust: TrustDirectory) -> Result<Self, Failure> {
        let client = gram::client::Client::new(&credential, &trust)
            .map_err(|error| Failure::new(Exit::Credential, error.message))?;
        Ok(Self { credential, trust, client })
    }
}

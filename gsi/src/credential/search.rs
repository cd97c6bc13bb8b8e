//! Where the default credential is looked for (gsi.md §6.3).

use super::{Credential, CredentialError, FileProblem};
use crate::GsiError;
use crate::key::KeyError;
use jiff::Timestamp;
use rustix::process::geteuid;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The variables that are looked at.
const VARIABLES: [&str; 4] = ["X509_USER_PROXY", "X509_USER_CERT", "X509_USER_KEY", "GLOBUS_LOCATION"];

/// Which default to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// What a person uses: proxy, then user key.
    User,
    /// What a service uses: host certificate first, then as a person.
    Host,
}

/// A place that was looked at in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The file.
    pub path: PathBuf,
    /// Why it was passed over.
    pub reason: String,
}

pub(super) fn list(tried: &[Tried]) -> String {
    tried.iter().fold(String::new(), |mut text, Tried { path, reason }| {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n  {}: {reason}", path.display());
        text
    })
}

/// `X509_USER_PROXY`, or `/tmp/x509up_u<uid>`.
#[must_use]
pub fn default_proxy_path() -> PathBuf {
    Environment::of_process().proxy_path()
}

/// The effective user's home directory from the password database, not from `HOME` (§6.2).
#[must_use]
pub fn home_directory() -> Option<PathBuf> {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten();
    user.map(|user| user.dir)
}

/// What the search depends on.
#[derive(Debug, Clone, Default)]
pub(super) struct Environment {
    pub(super) variables: HashMap<&'static str, OsString>,
    pub(super) home: Option<PathBuf>,
    pub(super) uid: u32,
    /// `/etc/grid-security`.
    pub(super) grid_security: PathBuf,
}

/// Files that make one credential.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Proxy(PathBuf),
    Pair { certificate: PathBuf, key: PathBuf },
}

impl Environment {
    pub(super) fn of_process() -> Self {
        let set = VARIABLES.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
        Self {
            variables: set.filter(|(_, value)| !value.is_empty()).collect(),
            home: home_directory(),
            uid: geteuid().as_raw(),
            grid_security: PathBuf::from("/etc/grid-security"),
        }
    }

    pub(super) fn proxy_path(&self) -> PathBuf {
        self.path("X509_USER_PROXY").unwrap_or_else(|| PathBuf::from(format!("/tmp/x509up_u{}", self.uid)))
    }

    fn path(&self, variable: &str) -> Option<PathBuf> {
        self.variables.get(variable).map(PathBuf::from)
    }

    /// Every place in the order of preference.
    fn places(&self, purpose: Purpose) -> Vec<Place> {
        let named = self.path("X509_USER_CERT").zip(self.path("X509_USER_KEY"));
        let named = named.map(|(certificate, key)| Place::Pair { certificate, key });
        let globus = self.home.as_ref().map(|home| home.join(".globus"));
        let mut places = Vec::new();
        if purpose == Purpose::Host {
            places.extend(named.clone());
            places.push(pair(&self.grid_security, "host"));
            places.extend(self.path("GLOBUS_LOCATION").map(|location| pair(&location.join("etc"), "host")));
            places.extend(globus.as_deref().map(|globus| pair(globus, "host")));
        }
        places.push(Place::Proxy(self.proxy_path()));
        places.extend(named);
        places.extend(globus.as_deref().map(|globus| pair(globus, "user")));
        places
    }

    /// The first place whose files are there, may be used and need no passphrase decides.
    pub(super) fn find(&self, purpose: Purpose, now: Timestamp) -> Result<Credential, GsiError> {
        let mut tried = Vec::new();
        for place in self.places(purpose) {
            match place.read() {
                Ok(credential) if credential.expires() <= now => {
                    let (subject, at) = (credential.subject().clone(), credential.expires());
                    return Err(
                        CredentialError::Expired { path: place.path().to_owned(), subject, at }.into()
                    );
                }
                Ok(credential) => return Ok(credential),
                Err(error) => tried.push(passed_over(error)?),
            }
        }
        Err(CredentialError::NotFound { tried }.into())
    }
}

fn pair(directory: &Path, what: &str) -> Place {
    let file = |part| directory.join(format!("{what}{part}.pem"));
    Place::Pair { certificate: file("cert"), key: file("key") }
}

impl Place {
    fn read(&self) -> Result<Credential, GsiError> {
        match self {
            Self::Proxy(path) => Credential::read(path),
            Self::Pair { certificate, key } => Credential::read_pair(certificate, key, None),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Proxy(path) | Self::Pair { certificate: path, .. } => path,
        }
    }
}

/// A missing, forbidden or encrypted file is passed over; a damaged one ends the search.
fn passed_over(error: GsiError) -> Result<Tried, GsiError> {
    match error {
        GsiError::Credential(CredentialError::File { path, problem }) => {
            let reason = match &problem {
                FileProblem::Missing => "not there".to_owned(),
                other => other.to_string(),
            };
            Ok(Tried { path, reason })
        }
        GsiError::Credential(CredentialError::Content { path, source })
            if matches!(source.key_error(), Some(KeyError::PassphraseNeeded)) =>
        {
            Ok(Tried { path, reason: source.to_string() })
        }
        other => Err(other),
    }
}

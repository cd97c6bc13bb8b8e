//! The trust directory (gsi.md §8, §9): CA certificates, signing policies, CRLs; re-read when files change, a broken
//! new file never replacing a good old one.
//!
//! Files are read when a chain first needs them, by the hash of the CA's name, and kept parsed. At most once per
//! [`RECHECK_INTERVAL`] and CA their dates are looked at again; an expired CRL is looked at every time.

mod check;
mod files;
mod signatures;
#[cfg(test)]
mod tests;

pub(crate) use files::AuthorityFiles;

use crate::GsiError;
use crate::certificate::Certificate;
use crate::chain::ChainPolicy;
use crate::name::Name;
use crate::signature::SignatureError;
use files::Stamps;
use jiff::Timestamp;
use signatures::VerifiedSignatures;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a CA's files are trusted to be unchanged before their dates are looked at again.
pub const RECHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A handle on one certificate directory; cheap to clone, shared by all connections. It carries what the site has
/// decided about chains, so that whoever checks one goes by it.
#[derive(Debug, Clone)]
pub struct TrustDirectory {
    shared: Arc<Shared>,
    policy: ChainPolicy,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    /// By the hash of the CA's name. Only CAs with files are kept, so strangers cannot make it grow.
    authorities: Mutex<HashMap<String, Cached>>,
    signatures: VerifiedSignatures,
}

#[derive(Debug)]
struct Cached {
    /// None: to be looked at again before it is used.
    looked_at: Option<Instant>,
    stamps: Stamps,
    files: Arc<AuthorityFiles>,
}

/// One thing that is wrong in a trust directory, for `gridiron check`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustProblem {
    /// The file.
    pub path: PathBuf,
    /// 1-based line, when known.
    pub line: Option<usize>,
    /// What is wrong and what to do.
    pub message: String,
}

/// Why there is no trust directory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The path given is not a directory one can read.
    #[error("cannot use {path} as directory of trusted CA certificates: {source}", path = path.display())]
    Unusable {
        /// The path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// None of the usual places exists.
    #[error("no directory of trusted CA certificates: set X509_CERT_DIR, or create one of {}", list(tried))]
    NotFound {
        /// The usual places.
        tried: Vec<PathBuf>,
    },
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

impl TrustDirectory {
    /// Opens a directory (must exist).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, GsiError> {
        let path = path.as_ref();
        let unusable = |source| TrustError::Unusable { path: path.to_owned(), source };
        std::fs::read_dir(path).map_err(unusable)?;
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            authorities: Mutex::default(),
            signatures: VerifiedSignatures::default(),
        });
        Ok(Self { shared, policy: ChainPolicy::default() })
    }

    /// The same directory, with a site's own decisions.
    #[must_use]
    pub fn with_policy(self, policy: ChainPolicy) -> Self {
        Self { policy, ..self }
    }

    /// The site's decisions.
    pub fn policy(&self) -> ChainPolicy {
        self.policy
    }

    /// The search order of §6.3 (`X509_CERT_DIR` …).
    pub fn open_default() -> Result<Self, GsiError> {
        if let Some(path) = std::env::var_os("X509_CERT_DIR").filter(|path| !path.is_empty()) {
            return Self::open(path);
        }
        let home = crate::credential::home_directory().map(|home| home.join(".globus/certificates"));
        let installed =
            std::env::var_os("GLOBUS_LOCATION").map(|at| PathBuf::from(at).join("share/certificates"));
        let system = PathBuf::from("/etc/grid-security/certificates");
        let tried: Vec<_> = home.into_iter().chain([system]).chain(installed).collect();
        match tried.iter().find(|path| path.is_dir()) {
            Some(path) => Self::open(path),
            None => Err(TrustError::NotFound { tried }.into()),
        }
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Has every file looked at again when it is next needed, without waiting for [`RECHECK_INTERVAL`].
    pub fn look_again(&self) {
        self.lock().values_mut().for_each(|known| known.looked_at = None);
    }

    /// Reads everything and reports every problem.
    pub fn check(&self) -> Vec<TrustProblem> {
        check::check(&self.shared.path, self.policy, Timestamp::now())
    }

    /// What the directory holds about the CA of this name, re-read when it changed.
    pub(crate) fn authority(&self, name: &Name, now: Timestamp) -> Arc<AuthorityFiles> {
        let hash = name.hash();
        let known = self.lock().get(&hash).map(|known| (known.looked_at, Arc::clone(&known.files)));
        if let Some((looked_at, files)) = &known
            && looked_at.is_some_and(|looked_at| looked_at.elapsed() < RECHECK_INTERVAL)
            && !files.has_expired_list(now)
        {
            return Arc::clone(files);
        }
        let stamps = Stamps::take(&self.shared.path, &hash);
        if let Some(known) = self.lock().get_mut(&hash).filter(|known| known.stamps == stamps) {
            known.looked_at = Some(Instant::now());
            return Arc::clone(&known.files);
        }
        if let Some((_, files)) = known.as_ref().filter(|_| stamps.is_empty())
            && let Err(error) = std::fs::read_dir(&self.shared.path)
        {
            // Not one CA has been taken away, but all at once: being unmounted or replaced is no decision about trust.
            let path = self.shared.path.display();
            tracing::error!(%path, %error, "the trust directory has gone; what was read before stays in force");
            return Arc::clone(files);
        }
        let files = Arc::new(AuthorityFiles::read(&stamps, known.as_ref().map(|(_, files)| &**files)));
        if files.is_empty() {
            self.lock().remove(&hash);
        } else {
            let cached = Cached { looked_at: Some(Instant::now()), stamps, files: Arc::clone(&files) };
            self.lock().insert(hash, cached);
        }
        files
    }

    /// Checks that `issuer` signed `certificate`, remembering the answer: the same users come again and again.
    pub(crate) fn verify_signature(
        &self,
        certificate: &Certificate,
        issuer: &Certificate,
    ) -> Result<(), SignatureError> {
        let pair = (*certificate.fingerprint(), *issuer.fingerprint());
        self.shared.signatures.remember(pair, || certificate.verify_signature(issuer))
    }

    /// Checks that `issuer` signed `list`, remembering the answer: lists are long.
    pub(crate) fn verify_list(
        &self,
        list: &crate::crl::RevocationList,
        issuer: &Certificate,
    ) -> Result<(), SignatureError> {
        let pair = (*list.fingerprint(), *issuer.fingerprint());
        self.shared.signatures.remember(pair, || list.verify_signature(issuer))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Cached>> {
        // Every change to the map is a single call, so a panic elsewhere cannot leave it half changed.
        self.shared.authorities.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

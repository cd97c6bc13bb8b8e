//! A small certification authority and certificate requests, for sites without one.
//!
//! A CA directory holds `cacert.pem`, `cakey.pem` (0600, encrypted when a passphrase was given), `serial` (the next
//! number, hexadecimal), `index` (one line per certificate: serial, notAfter, state, subject) and, after a revocation,
//! `crl.pem`. [`Authority::trust_files`] gives what goes into a trust directory.

mod files;
mod issue;
mod revoke;

pub use files::{Index, IndexEntry, State};
pub use issue::{Holder, request};

use crate::certificate::CertificateType;
use crate::credential::CredentialError;
use crate::key::PrivateKey;
use crate::{Certificate, GsiError, Name, Subject};
use std::path::{Path, PathBuf};

/// What the CA cannot do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// There is a CA in this directory already.
    #[error("{} is there already; choose another directory, or remove it to start anew", .0.display())]
    Exists(PathBuf),
    /// No CA in this directory.
    #[error("{} holds no certification authority; make one with `gridiron ca init`", .0.display())]
    Missing(PathBuf),
    /// A file of the CA cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of the CA is damaged.
    #[error("{}, line {line}: {reason}", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// 1-based.
        line: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// The certificate of the directory is not that of a CA.
    #[error("{0} is not a certification authority")]
    NotAnAuthority(Subject),
    /// The signing policy would make every peer refuse the certificate.
    #[error("{subject} is outside of what this authority signs ({namespace}/...); ask for a name below that")]
    OutsideNamespace {
        /// The name asked for.
        subject: Subject,
        /// What all names start with.
        namespace: String,
    },
    /// A host name that cannot stand in a certificate.
    #[error("{0:?} is not a host name")]
    BadHostName(String),
    /// Nothing to revoke.
    #[error("no certificate with serial number {0} was issued here")]
    UnknownSerial(String),
    /// Revoked before.
    #[error("the certificate with serial number {0} has been revoked already")]
    AlreadyRevoked(String),
    /// A lifetime that does not fit into a certificate.
    #[error("a lifetime of {0} days cannot be written into a certificate")]
    Lifetime(u32),
    /// The system gave no random numbers.
    #[error("the system gave no random numbers")]
    NoRandomness,
}

/// A certification authority with its key.
#[derive(Debug)]
pub struct Authority {
    directory: PathBuf,
    certificate: Certificate,
    key: PrivateKey,
}

/// What a new authority is to be.
#[derive(Debug, Clone)]
pub struct NewAuthority<'a> {
    /// Its name in one-line form, such as `/O=Grid/OU=My Site/CN=My Site CA`.
    pub name: &'a str,
    /// How long it lives, in days.
    pub days: u32,
    /// RSA key size: 2048, 3072 or 4096.
    pub bits: u32,
    /// Encrypts the key when given.
    pub passphrase: Option<&'a str>,
}

/// One file for a trust directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustFile {
    /// Its name there, such as `6af08547.signing_policy`.
    pub name: String,
    /// Its content.
    pub content: String,
}

impl Authority {
    /// Makes a self-signed CA in a directory, which is created with mode 0700. Generates an RSA key, so call it on a
    /// blocking thread.
    ///
    /// # Errors
    /// When there is one already, the name is malformed, or files cannot be written.
    pub fn create(directory: &Path, new: &NewAuthority<'_>) -> Result<Self, GsiError> {
        Name::parse_one_line(new.name)?;
        Self::create_with_key(directory, new, PrivateKey::generate_rsa(new.bits)?)
    }

    /// The same with a key that exists already.
    ///
    /// # Errors
    /// As [`Authority::create`].
    pub fn create_with_key(
        directory: &Path,
        new: &NewAuthority<'_>,
        key: PrivateKey,
    ) -> Result<Self, GsiError> {
        let name = Name::parse_one_line(new.name)?;
        files::prepare(directory)?;
        let certificate = issue::self_signed(&name, &key, new.days)?;
        let authority = Self { directory: directory.to_owned(), certificate, key };
        files::write_new_authority(&authority, new.passphrase)?;
        Ok(authority)
    }

    /// Opens the CA of a directory.
    ///
    /// # Errors
    /// When there is none, its files are damaged or too open, or the passphrase is missing or wrong.
    pub fn open(directory: &Path, passphrase: Option<&str>) -> Result<Self, GsiError> {
        let (certificate, key) = files::read_authority(directory, passphrase)?;
        let subject = || certificate.subject().subject().clone();
        if certificate.kind() != CertificateType::Authority {
            return Err(AuthorityError::NotAnAuthority(subject()).into());
        }
        if !key.belongs_to(certificate.public_key_info()) {
            return Err(CredentialError::KeyMismatch(subject()).into());
        }
        Ok(Self { directory: directory.to_owned(), certificate, key })
    }

    /// Its certificate.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Where its files are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What the names of everything it signs start with: its own name without the last part.
    #[must_use]
    pub fn namespace(&self) -> &str {
        let name = self.certificate.subject().subject().as_str();
        // The last `/` that starts an attribute; a value may hold an escaped one.
        let attributes = name.rmatch_indices('/').map(|(at, _)| at);
        let mut starts =
            attributes.filter(|at| name.get(..*at).is_some_and(|before| !before.ends_with('\\')));
        starts.next().and_then(|at| name.get(..at)).unwrap_or_default()
    }

    /// The signing policy peers need (§8): everything below [`Authority::namespace`].
    #[must_use]
    pub fn signing_policy(&self) -> String {
        let name = escape(self.certificate.subject().subject().as_str());
        let namespace = escape(&escape(self.namespace()));
        format!(
            "# What {name} may sign.\n\
             access_id_CA   X509    '{name}'\n\
             pos_rights     globus  CA:sign\n\
             cond_subjects  globus  '\"{namespace}/*\"'\n"
        )
    }

    /// Everything a peer's trust directory needs to trust this CA, under both kinds of hash (§8).
    ///
    /// # Errors
    /// When the CRL cannot be read.
    pub fn trust_files(&self) -> Result<Vec<TrustFile>, GsiError> {
        let certificate = self.certificate.to_pem();
        let policy = self.signing_policy();
        let crl = self.crl_pem()?;
        let name = self.certificate.subject();
        let mut files = Vec::new();
        for hash in [name.hash(), name.old_hash()] {
            let mut add = |suffix: &str, content: &str| {
                files.push(TrustFile { name: format!("{hash}.{suffix}"), content: content.to_owned() });
            };
            add("0", &certificate);
            add("signing_policy", &policy);
            if let Some(crl) = &crl {
                add("r0", crl);
            }
        }
        Ok(files)
    }

    /// Writes [`Authority::trust_files`] into a trust directory, replacing older ones.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn install(&self, trust_directory: &Path) -> Result<Vec<PathBuf>, GsiError> {
        let write = |file: TrustFile| files::write_public(&trust_directory.join(file.name), &file.content);
        self.trust_files()?.into_iter().map(write).collect()
    }
}

/// Protects what would end a quoted word of a signing policy.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '\\' | '\'' | '"' | '*') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[cfg(test)]
mod tests;

//! Credentials: a certificate chain with its key, in memory and as files (gsi.md §6).

mod file;
mod search;

use crate::certificate::{CertificateType, MAX_PEM_BYTES, ProxyKind};
use crate::chain::MAX_CHAIN_LENGTH;
use crate::key::{self, KeyError, KnownKeys, PrivateKey};
use crate::{Certificate, GsiError, Subject, chain};
use jiff::Timestamp;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

pub use file::FileProblem;
pub(crate) use file::{read_private, read_public, write_private, write_public};
pub use search::{Purpose, Tried, default_proxy_path, home_directory};

/// What can be wrong with a credential.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// A file cannot be used as it is.
    #[error("{}: {problem}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        problem: FileProblem,
    },
    /// A file was read and what is in it cannot be used.
    #[error("{}: {source}", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong with its content.
        source: Box<GsiError>,
    },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Text that is not PEM.
    #[error("not a PEM file: {0}")]
    Pem(String),
    /// A PEM block that has no place in a credential.
    #[error("unexpected PEM block {0}; expected certificates and one private key")]
    UnexpectedBlock(String),
    /// Two keys where one was expected.
    #[error("more than one private key")]
    SeveralKeys,
    /// No certificate.
    #[error("no certificate found")]
    NoCertificate,
    /// More certificates than any chain has.
    #[error("{0} certificates; at most {MAX_CHAIN_LENGTH} are taken")]
    TooManyCertificates(usize),
    /// No certificate belongs to the key.
    #[error("the private key belongs to none of the certificates (the first is {0})")]
    KeyMismatch(Subject),
    /// A credential that has ended.
    #[error("{}: the credential of {subject} expired at {at}; make a new one (`gridiron proxy init`)", path.display())]
    Expired {
        /// The file it is from.
        path: PathBuf,
        /// Whose.
        subject: Subject,
        /// When.
        at: Timestamp,
    },
    /// The search of §6.3 found nothing that can be used.
    #[error(
        "no usable credential found; make one with `gridiron proxy init`. Looked at:{}",
        search::list(tried)
    )]
    NotFound {
        /// Every place looked at, and why it was passed over.
        tried: Vec<Tried>,
    },
}

/// A certificate chain (leaf first) with the leaf's private key; cheap to clone.
#[derive(Clone)]
pub struct Credential {
    inner: Arc<Inner>,
}

struct Inner {
    leaf: Certificate,
    chain: Vec<Certificate>,
    key: PrivateKey,
    identity: Subject,
    expires: Timestamp,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("subject", self.subject())
            .field("expires", &self.expires())
            .finish()
    }
}

impl Credential {
    /// Chain (any order, sorted here) and key. Certificates that do not belong to the chain are dropped.
    ///
    /// # Errors
    /// When no certificate belongs to the key.
    pub fn new(chain: Vec<Certificate>, key: PrivateKey) -> Result<Self, GsiError> {
        if chain.len() > MAX_CHAIN_LENGTH {
            return Err(CredentialError::TooManyCertificates(chain.len()).into());
        }
        let chain = sort(chain, &key)?;
        let leaf = chain.first().ok_or(CredentialError::NoCertificate)?.clone();
        let identity = identity(&chain).unwrap_or_else(|| leaf.subject().subject().clone());
        let expires = chain.iter().map(Certificate::not_after).min().unwrap_or(leaf.not_after());
        Ok(Self { inner: Arc::new(Inner { leaf, chain, key, identity, expires }) })
    }

    /// A proxy file's text (§6.1).
    ///
    /// # Errors
    /// When it is not PEM, holds anything but certificates and one key, or they do not belong together.
    pub fn from_pem(pem: &[u8]) -> Result<Self, GsiError> {
        Self::from_blocks(pem, |block| PrivateKey::from_pem_block(block, None))
    }

    /// As [`Credential::from_pem`], for many credentials with few keys.
    ///
    /// # Errors
    /// As [`Credential::from_pem`].
    pub fn from_pem_knowing(pem: &[u8], keys: &KnownKeys) -> Result<Self, GsiError> {
        Self::from_blocks(pem, |block| keys.read(block))
    }

    fn from_blocks(
        pem: &[u8],
        read_key: impl Fn(&pem::Pem) -> Result<PrivateKey, KeyError>,
    ) -> Result<Self, GsiError> {
        let mut chain = Vec::new();
        let mut key = None;
        for block in blocks(pem)? {
            match block.tag() {
                "CERTIFICATE" | "X509 CERTIFICATE" => chain.push(Certificate::from_der(block.contents())?),
                label if key::is_key_label(label) => {
                    if key.replace(read_key(&block)?).is_some() {
                        return Err(CredentialError::SeveralKeys.into());
                    }
                }
                other => return Err(CredentialError::UnexpectedBlock(other.to_owned()).into()),
            }
        }
        Self::new(chain, key.ok_or(KeyError::Missing)?)
    }

    /// Reads a proxy file, with the permission checks of §6.2.
    ///
    /// # Errors
    /// When the file may not be used or its content cannot; the message names the file and what to do.
    pub fn read(path: &Path) -> Result<Self, GsiError> {
        let text = read_private(path)?;
        Self::from_pem(&text).map_err(|source| content(path, source))
    }

    /// Reads certificate and key files, with the permission checks of §6.2. The certificate file may hold the rest of
    /// the chain too.
    ///
    /// # Errors
    /// As [`Credential::read`], and when the key is encrypted and the passphrase is missing or wrong.
    pub fn read_pair(certificate: &Path, key: &Path, passphrase: Option<&str>) -> Result<Self, GsiError> {
        let text = read_public(certificate)?;
        let chain = Certificate::from_pem(&text).map_err(|source| content(certificate, source))?;
        let text = read_private(key)?;
        let private = PrivateKey::from_pem(&text, passphrase).map_err(|source| content(key, source))?;
        Self::new(chain, private).map_err(|source| content(certificate, source))
    }

    /// The search order of §6.3.
    ///
    /// # Errors
    /// When nothing is found, or the first thing that is found is damaged or has expired.
    pub fn find(purpose: Purpose) -> Result<Self, GsiError> {
        search::Environment::of_process().find(purpose, Timestamp::now())
    }

    /// Proxy file text: leaf, key, rest of the chain.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        let key = self.inner.key.to_pem();
        let rest: String = self.inner.chain.iter().skip(1).map(Certificate::to_pem).collect();
        let leaf = self.inner.leaf.to_pem();
        // Sized at once, so that growing leaves no copy of the key behind.
        let mut text = Zeroizing::new(String::with_capacity(leaf.len() + key.len() + rest.len()));
        text.push_str(&leaf);
        text.push_str(&key);
        text.push_str(&rest);
        text
    }

    /// Writes a proxy file, mode 0600 (§6.1). It appears whole or not at all: a reader never sees half of it, and a
    /// link in its place is replaced, not followed.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), GsiError> {
        write_private(path, self.to_pem().as_bytes())
    }

    /// Leaf first.
    #[must_use]
    pub fn chain(&self) -> &[Certificate] {
        &self.inner.chain
    }

    /// The certificate of the key.
    #[must_use]
    pub fn leaf(&self) -> &Certificate {
        &self.inner.leaf
    }

    /// The leaf's key.
    #[must_use]
    pub fn key(&self) -> &PrivateKey {
        &self.inner.key
    }

    /// Identity (proxy CNs stripped).
    #[must_use]
    pub fn identity(&self) -> &Subject {
        &self.inner.identity
    }

    /// Leaf subject.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        self.inner.leaf.subject().subject()
    }

    /// Earliest notAfter of the chain.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.inner.expires
    }

    /// The leaf is a limited proxy.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        matches!(self.inner.leaf.kind(), CertificateType::Proxy(_, ProxyKind::Limited))
    }
}

fn content(path: &Path, source: GsiError) -> GsiError {
    CredentialError::Content { path: path.to_owned(), source: Box::new(source) }.into()
}

fn blocks(pem: &[u8]) -> Result<Vec<pem::Pem>, CredentialError> {
    if pem.len() > MAX_PEM_BYTES {
        return Err(CredentialError::Pem(format!("{} bytes; at most {MAX_PEM_BYTES} are read", pem.len())));
    }
    pem::parse_many(pem).map_err(|error| CredentialError::Pem(error.to_string()))
}

/// The chain from the certificate of the key upwards, as far as issuers are there.
fn sort(mut pool: Vec<Certificate>, key: &PrivateKey) -> Result<Vec<Certificate>, CredentialError> {
    let first = pool.first().ok_or(CredentialError::NoCertificate)?.subject().subject().clone();
    let leaf = pool.iter().position(|certificate| key.belongs_to(certificate.public_key_info()));
    let mut next = Some(leaf.ok_or(CredentialError::KeyMismatch(first))?);
    let mut chain: Vec<Certificate> = Vec::with_capacity(pool.len());
    while let Some(index) = next {
        let certificate = pool.remove(index);
        next = match certificate.is_self_issued() {
            true => None,
            false => pool.iter().position(|issuer| certificate.issuer().chains_to(issuer.subject())),
        };
        chain.push(certificate);
    }
    Ok(chain)
}

/// §5.5. In a file with proxies only, the last one's issuer is the end entity.
fn identity(chain: &[Certificate]) -> Option<Subject> {
    let named = chain::identity(chain).map(Certificate::subject);
    named.or_else(|| chain.last().map(Certificate::issuer)).map(|name| name.subject().clone())
}

#[cfg(test)]
mod tests;

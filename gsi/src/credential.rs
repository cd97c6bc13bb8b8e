//! Credentials and where they are looked for (gsi.md §6).

use crate::{Certificate, GsiError, Subject, key::PrivateKey};
use jiff::Timestamp;
use std::path::Path;
use zeroize::Zeroizing;

/// A certificate chain (leaf first) with the leaf's private key; cheap to clone (Arc inside).
#[derive(Clone)]
pub struct Credential {/* Arc */}

/// Which default to look for (§6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /** proxy, then user key */
    User,
    /** host certificate first */
    Host,
}

impl Credential {
    /// Chain (any order, sorted here) and key.
    pub fn new(_chain: Vec<Certificate>, _key: PrivateKey) -> Result<Self, GsiError> {
        todo!()
    }
    /// A proxy file's text (§6.1).
    pub fn from_pem(_pem: &[u8]) -> Result<Self, GsiError> {
        todo!()
    }
    /// Reads a proxy file, with the permission checks of §6.2.
    pub fn read(_path: &Path) -> Result<Self, GsiError> {
        todo!()
    }
    /// Reads certificate and key files, with the permission checks of §6.2.
    pub fn read_pair(_certificate: &Path, _key: &Path, _passphrase: Option<&str>) -> Result<Self, GsiError> {
        todo!()
    }
    /// The search order of §6.3.
    pub fn find(_purpose: Purpose) -> Result<Self, GsiError> {
        todo!()
    }
    /// Proxy file text: leaf, key, rest of the chain.
    pub fn to_pem(&self) -> Zeroizing<String> {
        todo!()
    }
    /// Writes a proxy file: unlink, create exclusively, mode 0600 (§6.1).
    pub fn write(&self, _path: &Path) -> Result<(), GsiError> {
        todo!()
    }
    /// Leaf first.
    pub fn chain(&self) -> &[Certificate] {
        todo!()
    }
    /// The leaf's key.
    pub fn key(&self) -> &PrivateKey {
        todo!()
    }
    /// Identity (proxy CNs stripped).
    pub fn identity(&self) -> &Subject {
        todo!()
    }
    /// Leaf subject.
    pub fn subject(&self) -> &Subject {
        todo!()
    }
    /// Earliest notAfter of the chain.
    pub fn expires(&self) -> Timestamp {
        todo!()
    }
    /// The leaf is a limited proxy.
    pub fn is_limited(&self) -> bool {
        todo!()
    }
}

/// `/tmp/x509up_u<uid>` or `X509_USER_PROXY`.
pub fn default_proxy_path() -> std::path::PathBuf {
    todo!()
}

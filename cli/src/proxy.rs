//! Making, reading and removing the user's proxy; used by `proxy …` and by the classic `grid-proxy-*`.

use crate::failure::Failure;
use gsi::{Credential, ProxyFormat, ProxyKind};
use jiff::Timestamp;
use std::path::{Path, PathBuf};

/// What to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewProxy {
    /// User certificate and key; `None`: `X509_USER_CERT`/`KEY`, then `~/.globus/user{cert,key}.pem`.
    pub issuer: Option<(PathBuf, PathBuf)>,
    /// Where to write; `None`: the default proxy path.
    pub out: Option<PathBuf>,
    /// Format; `None`: RFC.
    pub format: Option<ProxyFormat>,
    /// Full, limited, …
    pub kind: ProxyKind,
    /// Lifetime in seconds.
    pub lifetime: u64,
    /// RSA key size.
    pub bits: u32,
    /// Path length constraint.
    pub path_length: Option<u32>,
}

/// Where the issuer's key pair is (existing files are not checked).
pub fn issuer_paths(_proxy: &NewProxy) -> Result<(PathBuf, PathBuf), Failure> {
    todo!()
}

/// Reads the issuer (asking `passphrase` only when the key is encrypted), signs the proxy, writes it; gives it and its path.
pub fn create(
    _proxy: &NewProxy,
    _passphrase: &mut dyn FnMut() -> Result<String, Failure>,
    _now: Timestamp,
) -> Result<(Credential, PathBuf), Failure> {
    todo!()
}

/// Overwrites with zeros and removes. `Ok(false)`: there was none.
pub fn destroy(_path: &Path) -> Result<bool, Failure> {
    todo!()
}

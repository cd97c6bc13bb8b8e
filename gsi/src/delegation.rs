//! Delegation in both roles (gsi.md §4, §5.6): request, sign, assemble; and the pool of ready-made keys.

use crate::{Certificate, Credential, GsiError, Subject, key::PrivateKey};
use std::sync::Arc;

/// What the initiator delegates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DelegationMode {
    /** flag '0' */
    None,
    /** flag 'D', limited proxy */
    Limited,
    /** flag 'D', full proxy */
    Full,
}

/// Keys for delegation requests, so that no submission waits for RSA key generation: a few made ahead in idle time, and
/// one key per identity reused for a bounded time (§5.6).
#[derive(Debug, Clone)]
pub struct KeyPool {/* Arc */}

impl KeyPool {
    /// A pool that keeps `ahead` keys ready and reuses an identity's key for `reuse`.
    pub fn new(_ahead: usize, _reuse: std::time::Duration) -> Self {
        todo!()
    }
    /// The key for this identity.
    pub async fn key_for(&self, _identity: &Subject) -> Result<Arc<PrivateKey>, GsiError> {
        todo!()
    }
}

/// Acceptor, step 6: DER PKCS#10 request for this key.
pub fn request(_key: &PrivateKey) -> Result<Vec<u8>, GsiError> {
    todo!()
}
/// Initiator, step 7: signs the peer's request.
pub fn sign(_issuer: &Credential, _request: &[u8], _mode: DelegationMode) -> Result<Certificate, GsiError> {
    todo!()
}
/// Acceptor: the delegated credential from the new certificate, its key and the rest of the chain.
pub fn assemble(
    _certificate: Certificate,
    _key: &PrivateKey,
    _chain: &[Certificate],
) -> Result<Credential, GsiError> {
    todo!()
}

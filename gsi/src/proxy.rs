//! Issuing proxy certificates (gsi.md §5.3).

use crate::{Certificate, Credential, GsiError, ProxyFormat, ProxyKind};
use jiff::Timestamp;

/// What proxy to make.
#[derive(Debug, Clone)]
pub struct ProxyRequest {
    /// None: the issuer's format, RFC under an end-entity certificate.
    pub format: Option<ProxyFormat>,
    /// Kind.
    pub kind: ProxyKind,
    /// Lifetime in seconds from now; None: as long as the issuer.
    pub lifetime: Option<u64>,
    /// Path length constraint.
    pub path_length: Option<u32>,
}

/// Signs a proxy over `public_key_info` (DER SPKI) with the issuer's leaf key.
pub fn issue(
    _issuer: &Credential,
    _public_key_info: &[u8],
    _request: &ProxyRequest,
    _now: Timestamp,
) -> Result<Certificate, GsiError> {
    todo!()
}

/// `grid-proxy-init`: a new RSA key of `bits` and a proxy over it, as a complete credential.
pub fn create(
    _issuer: &Credential,
    _bits: u32,
    _request: &ProxyRequest,
    _now: Timestamp,
) -> Result<Credential, GsiError> {
    todo!()
}

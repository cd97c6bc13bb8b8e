//! rustls set-up: versions, provider, certificate verification, token framing, and the stock clients' invalid SNI.

/// TLS versions to offer: from gsi.conf / `GLOBUS_GSSAPI_MIN_TLS_PROTOCOL` and `..._MAX_TLS_PROTOCOL` (§11, §14).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /** offer 1.2 */
    pub tls12: bool,
    /** offer 1.3 */
    pub tls13: bool,
}

impl Versions {
    /// From environment and gsi.conf; both by default.
    pub fn from_environment() -> Self {
        todo!()
    }
}

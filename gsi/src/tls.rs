//! TLS for GSI (gsi.md §2, §15): provider, versions, and the two configurations.
//!
//! Certificates are checked by [`verifier`], which calls [`crate::chain`]; names are not, since that needs the
//! authorization mode ([`crate::authorization`]). Both sides always authenticate. There is no resumption: a ticket on a
//! GSI-wrapped channel breaks stock clients (§2), and every connection is to be checked against today's CRLs.

pub mod framing;
mod invalid_sni;
mod transport;
mod verifier;

pub use invalid_sni::filtered;
pub use transport::MAX_HANDSHAKE;
pub(crate) use transport::{Framing, Transport};
pub(crate) use verifier::Verifier;

use crate::settings::{self, SettingsError};
use crate::{Credential, GsiError};
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::CertificateDer;
use std::sync::{Arc, LazyLock};

/// What can be wrong with the TLS set-up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// gsi.conf, or the environment variable that overrides it, names no version.
    #[error(
        "{key}={value} is no TLS version; set TLS1_2_VERSION, TLS1_3_VERSION or 0 in gsi.conf or GLOBUS_GSSAPI_{key}"
    )]
    UnknownVersion {
        /// The setting.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// gsi.conf is broken.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The minimum is above the maximum, or the maximum below what is supported.
    #[error("no TLS version is both at least {MIN_KEY} and at most {MAX_KEY}; 1.2 and 1.3 are supported")]
    NoVersion,
    /// The library refused the configuration.
    #[error("TLS cannot be set up")]
    Library(#[from] rustls::Error),
}

/// The setting with the lowest version, as for the stock programs (§11).
const MIN_KEY: &str = "MIN_TLS_PROTOCOL";
/// The setting with the highest version.
const MAX_KEY: &str = "MAX_TLS_PROTOCOL";

/// Which TLS versions are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Versions {
    /// 1.2 and 1.3.
    #[default]
    Both,
    /// 1.2 only.
    Tls12,
    /// 1.3 only.
    Tls13,
}

impl Versions {
    /// What `GLOBUS_GSSAPI_MIN_TLS_PROTOCOL` and `GLOBUS_GSSAPI_MAX_TLS_PROTOCOL`, or gsi.conf, ask for (§11, §14).
    ///
    /// # Errors
    /// When gsi.conf is broken, a value is unknown, or no version is left.
    pub fn from_environment() -> Result<Self, TlsError> {
        let value = |key| Ok::<_, TlsError>(settings::value(key)?.unwrap_or_default());
        Self::between(&value(MIN_KEY)?, &value(MAX_KEY)?)
    }

    /// The versions from `min` to `max`, in the words of gsi.conf; empty or `0` is no limit.
    ///
    /// # Errors
    /// When a value is unknown or nothing is left.
    pub fn between(min: &str, max: &str) -> Result<Self, TlsError> {
        let min = version_number(MIN_KEY, min)?.unwrap_or(2);
        let max = version_number(MAX_KEY, max)?.unwrap_or(3);
        match (min <= 2 && max >= 2, min <= 3 && max >= 3) {
            (true, true) => Ok(Self::Both),
            (true, false) => Ok(Self::Tls12),
            (false, true) => Ok(Self::Tls13),
            (false, false) => Err(TlsError::NoVersion),
        }
    }

    fn list(self) -> &'static [&'static SupportedProtocolVersion] {
        static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
        static ONLY_TLS12: [&SupportedProtocolVersion; 1] = [&TLS12];
        static ONLY_TLS13: [&SupportedProtocolVersion; 1] = [&TLS13];
        match self {
            Self::Both => &BOTH,
            Self::Tls12 => &ONLY_TLS12,
            Self::Tls13 => &ONLY_TLS13,
        }
    }
}

/// The minor number of TLS 1.x.
fn version_number(key: &'static str, value: &str) -> Result<Option<u8>, TlsError> {
    match value {
        "" | "0" => Ok(None),
        "TLS1_VERSION_DEPRECATED" => Ok(Some(0)),
        "TLS1_1_VERSION_DEPRECATED" => Ok(Some(1)),
        "TLS1_2_VERSION" => Ok(Some(2)),
        "TLS1_3_VERSION" => Ok(Some(3)),
        other => Err(TlsError::UnknownVersion { key, value: other.to_owned() }),
    }
}

static INITIATOR_PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));

static ACCEPTOR_PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(invalid_sni::restoring(rustls::crypto::aws_lc_rs::default_provider())));

/// What a credential shows to the other end: the leaf and the rest of the chain, without a root (§2).
pub(crate) fn presented(credential: &Credential) -> Arc<SingleCertAndKey> {
    let roots_left_out =
        credential.chain().iter().filter(|certificate| certificate.subject() != certificate.issuer());
    let chain = roots_left_out.map(|certificate| CertificateDer::from(certificate.der().to_vec())).collect();
    // `CertifiedKey::new` checks nothing: webpki, which would, does not know proxies (§15.1).
    Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, credential.key().signing_key())))
}

/// The initiator's configuration for one connection; the verifier keeps that connection's peer.
pub(crate) fn initiator(
    versions: Versions,
    shown: Arc<SingleCertAndKey>,
    verifier: Arc<Verifier>,
) -> Result<Arc<ClientConfig>, GsiError> {
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&INITIATOR_PROVIDER))
        .with_protocol_versions(versions.list())
        .map_err(TlsError::Library)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(shown);
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// The acceptor's configuration for one connection; the verifier keeps that connection's peer.
pub(crate) fn acceptor(
    versions: Versions,
    shown: Arc<SingleCertAndKey>,
    verifier: Arc<Verifier>,
) -> Result<Arc<ServerConfig>, GsiError> {
    let mut config = ServerConfig::builder_with_provider(Arc::clone(&ACCEPTOR_PROVIDER))
        .with_protocol_versions(versions.list())
        .map_err(TlsError::Library)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(shown);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_the_stock_programs_read_them() {
        let both = Versions::between("", "0").unwrap();
        assert_eq!(both, Versions::Both);
        assert_eq!(Versions::between("TLS1_VERSION_DEPRECATED", "TLS1_2_VERSION").unwrap(), Versions::Tls12);
        assert_eq!(Versions::between("TLS1_3_VERSION", "").unwrap(), Versions::Tls13);
    }

    #[test]
    fn a_range_without_a_supported_version_is_refused() {
        assert!(matches!(Versions::between("TLS1_3_VERSION", "TLS1_2_VERSION"), Err(TlsError::NoVersion)));
        assert!(matches!(Versions::between("", "TLS1_1_VERSION_DEPRECATED"), Err(TlsError::NoVersion)));
        let unknown = Versions::between("1.2", "").unwrap_err().to_string();
        assert!(unknown.contains("MIN_TLS_PROTOCOL=1.2"), "{unknown}");
    }
}

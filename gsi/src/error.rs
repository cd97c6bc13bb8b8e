//! Everything that can go wrong in GSI: one enum over the failures of each module.
//!
//! Each module defines its own failures beside the rules that produce them; callers that only pass a failure on take
//! this one. Match on it to tell refusals apart (`GsiError::Chain(ChainError::Expired { .. })`).

use crate::certificate::CertificateError;
use crate::credential::CredentialError;
use crate::key::KeyError;
use crate::name::NameError;
use crate::trust::TrustError;

/// A failure of the security layer. Variants carry the path, name or peer concerned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GsiError {
    /// A distinguished name is malformed.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A certificate is malformed.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A private key is unusable.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A connection failed.
    #[error(transparent)]
    Connection(#[from] crate::connection::ConnectionError),
    /// A credential or its file is unusable.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// A delegation failed.
    #[error(transparent)]
    Delegation(#[from] crate::delegation::DelegationError),
    /// A proxy cannot be issued.
    #[error(transparent)]
    Proxy(#[from] crate::proxy::ProxyError),
    /// A certificate request is refused.
    #[error(transparent)]
    Request(#[from] crate::request::RequestError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] crate::tls::TlsError),
    /// The certification authority cannot do that.
    #[error(transparent)]
    Authority(#[from] crate::authority::AuthorityError),
    /// A certificate chain is refused.
    #[error(transparent)]
    Chain(#[from] crate::chain::ChainError),
    /// A grid-mapfile cannot be read or written.
    #[error(transparent)]
    Gridmap(#[from] crate::gridmap::GridmapError),
    /// A ban list cannot be used.
    #[error(transparent)]
    BanList(#[from] crate::banlist::BanListError),
    /// The peer is not who it should be.
    #[error(transparent)]
    Authorization(#[from] crate::authorization::AuthorizationError),
    /// There is no usable trust directory.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// I/O on a socket or file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl GsiError {
    /// What is wrong with a private key, when that is what is wrong; also when the file it came from is told with it.
    pub fn key_error(&self) -> Option<&KeyError> {
        match self {
            Self::Key(error) => Some(error),
            Self::Credential(CredentialError::Content { source, .. }) => source.key_error(),
            _ => None,
        }
    }
}

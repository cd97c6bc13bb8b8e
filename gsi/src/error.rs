//! Everything that can go wrong in GSI: one enum over the failures of each module.
//!
//! Each module defines its own failures beside the rules that produce them; callers that only pass a failure on take
//! this one. Match on it to tell refusals apart (`GsiError::Chain(ChainError::Expired { .. })`).

use crate::certificate::CertificateError;
use crate::key::KeyError;
use crate::name::NameError;

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
    /// Placeholder until each module adds its own variants.
    #[error("{0}")]
    Other(String),
    /// I/O on a socket or file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

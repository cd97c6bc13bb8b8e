//! What a refused chain is called by machines, and where the file lies that refused it.

use super::ChainError;
use crate::signature::SignatureError;
use std::path::Path;

impl ChainError {
    /// The stable name of the reason, for audit records and programs. Documented in docs/refusals.md.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "no_certificate",
            Self::TooLong => "chain_too_long",
            Self::UnknownAuthority { .. } | Self::UntrustedRoot { .. } => "unknown_ca",
            Self::MissingIssuer { .. } => "incomplete_chain",
            Self::Signature { reason: SignatureError::Wrong, .. } => "bad_signature",
            Self::Signature { .. } => "weak_signature",
            Self::WeakKey { .. } => "weak_key",
            Self::NotYetValid { .. } => "not_yet_valid",
            Self::Expired { .. } => "expired",
            Self::UnknownCriticalExtension { .. } => "unknown_extension",
            Self::NotAuthority { .. } => "not_a_ca",
            Self::KeyUsage { .. } => "key_usage",
            Self::AuthorityPathLength { .. } | Self::ProxyPathLength { .. } => "path_length",
            Self::MissingPolicy { .. } => "no_signing_policy",
            Self::BrokenPolicy { .. } => "broken_signing_policy",
            Self::OutsidePolicy { .. } => "outside_signing_policy",
            Self::Revoked { .. } => "revoked",
            Self::CrlExpired { .. } | Self::CrlNotYetValid { .. } => "crl_out_of_date",
            Self::CrlSignature { .. } | Self::BrokenCrl { .. } => "broken_crl",
            Self::ProxyUnderAuthority { .. }
            | Self::MixedFormats { .. }
            | Self::FullUnderLimited { .. }
            | Self::ProxyAlternativeName { .. } => "bad_proxy",
            Self::RestrictedProxy { .. } => "restricted_proxy",
            Self::NoEndEntity { .. } => "no_end_entity",
        }
    }

    /// The file that refuses it, or that is missing, and the line of it where one decides.
    pub fn place(&self) -> Option<(&Path, Option<usize>)> {
        match self {
            Self::UnknownAuthority { directory, .. } | Self::UntrustedRoot { directory, .. } => {
                Some((directory, None))
            }
            Self::MissingPolicy { path, .. }
            | Self::Revoked { path, .. }
            | Self::CrlExpired { path, .. }
            | Self::CrlNotYetValid { path, .. }
            | Self::CrlSignature { path, .. }
            | Self::BrokenCrl { path, .. } => Some((path, None)),
            Self::BrokenPolicy { path, line, .. } | Self::OutsidePolicy { path, line, .. } => {
                Some((path, *line))
            }
            Self::Empty
            | Self::TooLong
            | Self::MissingIssuer { .. }
            | Self::Signature { .. }
            | Self::WeakKey { .. }
            | Self::NotYetValid { .. }
            | Self::Expired { .. }
            | Self::UnknownCriticalExtension { .. }
            | Self::NotAuthority { .. }
            | Self::KeyUsage { .. }
            | Self::AuthorityPathLength { .. }
            | Self::ProxyUnderAuthority { .. }
            | Self::MixedFormats { .. }
            | Self::FullUnderLimited { .. }
            | Self::ProxyPathLength { .. }
            | Self::RestrictedProxy { .. }
            | Self::ProxyAlternativeName { .. }
            | Self::NoEndEntity { .. } => None,
        }
    }
}

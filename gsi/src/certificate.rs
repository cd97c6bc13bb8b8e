//! One parsed certificate and what kind of proxy it is (gsi.md §5.1, §5.2).

use crate::{GsiError, Name};
use jiff::Timestamp;

/// How a proxy certificate is marked (§5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProxyFormat {
    /** RFC 3820 */
    Rfc,
    /** "GSI 3" */
    Draft,
    /** "GSI 2" */
    Legacy,
}

/// What a proxy may do (§5.1, policy language).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProxyKind {
    /** inheritAll */
    Full,
    /** no job submission */
    Limited,
    /** own identity */
    Independent,
    /** own policy */
    Restricted,
}

/// What a certificate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CertificateType {
    /// A certification authority.
    Authority,
    /// An end-entity certificate.
    EndEntity,
    /// A proxy.
    Proxy(ProxyFormat, ProxyKind),
}

/// A parsed X.509 certificate; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {/* owner decides; keep Arc inside */}

impl Certificate {
    /// Parses DER.
    pub fn from_der(_der: &[u8]) -> Result<Self, GsiError> {
        todo!()
    }
    /// All certificates of a PEM text, in file order.
    pub fn from_pem(_pem: &[u8]) -> Result<Vec<Self>, GsiError> {
        todo!()
    }
    /// One PEM block.
    pub fn to_pem(&self) -> String {
        todo!()
    }
    /// The DER.
    pub fn der(&self) -> &[u8] {
        todo!()
    }
    /// Subject name.
    pub fn subject(&self) -> &Name {
        todo!()
    }
    /// Issuer name.
    pub fn issuer(&self) -> &Name {
        todo!()
    }
    /// What it is.
    pub fn kind(&self) -> CertificateType {
        todo!()
    }
    /// Proxy path length constraint, when present.
    pub fn proxy_path_length(&self) -> Option<u32> {
        todo!()
    }
    /// DER of the SubjectPublicKeyInfo.
    pub fn public_key_info(&self) -> &[u8] {
        todo!()
    }
    /// Start of validity.
    pub fn not_before(&self) -> Timestamp {
        todo!()
    }
    /// End of validity.
    pub fn not_after(&self) -> Timestamp {
        todo!()
    }
    /// dNSNames of the subject alternative name.
    pub fn dns_names(&self) -> &[String] {
        todo!()
    }
    /// Serial number, big-endian bytes.
    pub fn serial(&self) -> &[u8] {
        todo!()
    }
}

//! Delegation in both roles (gsi.md §4): request, sign, assemble. The connection carries the pieces.

mod pool;

pub use pool::{DelegationKey, KeyPool};

use crate::certificate::{CertificateType, MAX_CERTIFICATE_BYTES};
use crate::der::{self, DerError, Reader};
use crate::key::PrivateKey;
use crate::proxy::{self, ProxyRequest};
use crate::request::{self, CertificateRequest};
use crate::signature::{self, SignatureError};
use crate::{Certificate, Credential, GsiError, ProxyKind, Subject};
use jiff::Timestamp;

/// The subject stock acceptors put into a request; the initiator ignores it.
const PLACEHOLDER: &str = "NULL SUBJECT NAME ENTRY";

/// Content octets of 2.5.4.3, commonName.
const OID_COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// PrintableString.
const PRINTABLE_STRING: u8 = 0x13;

/// What the initiator delegates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DelegationMode {
    /// Flag `0`: nothing.
    None,
    /// Flag `D`: a limited proxy.
    Limited,
    /// Flag `D`: a full proxy; a limited one if that is all the initiator has itself.
    Full,
}

/// Why a delegation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DelegationError {
    /// Nothing was to be delegated.
    #[error("nothing is to be delegated")]
    NotWanted,
    /// The certificate that came back is for another key.
    #[error("the delegated certificate {0} is for another key than the one requested")]
    WrongKey(Subject),
    /// The certificate that came back is not a proxy of who sent it.
    #[error("the delegated certificate {subject} is not a proxy made by {peer}")]
    NotTheirs {
        /// Subject of the certificate.
        subject: Subject,
        /// Who sent it.
        peer: Subject,
    },
    /// The certificate that came back is not signed by who sent it.
    #[error("the delegated certificate {subject} is not signed by {peer}: {source}")]
    Signature {
        /// Subject of the certificate.
        subject: Subject,
        /// Who sent it.
        peer: Subject,
        /// What is wrong.
        source: SignatureError,
    },
    /// No chain to put the certificate in front of.
    #[error("the peer showed no certificate to delegate from")]
    NoChain,
    /// The concatenated certificates of an in-band delegation cannot be taken apart.
    #[error("the delegated chain is malformed: {0}")]
    Malformed(#[from] DerError),
}

/// Acceptor, step 6: DER PKCS#10 request for this key. It asks for nothing in particular, as the initiator decides.
///
/// # Errors
/// When signing fails.
pub fn request(key: &PrivateKey) -> Result<Vec<u8>, GsiError> {
    let name = der::element(PRINTABLE_STRING, &[PLACEHOLDER.as_bytes()]);
    let attribute = der::sequence(&[&der::object_identifier(OID_COMMON_NAME), &name]);
    request::write(&der::sequence(&[&der::element(der::SET, &[&attribute])]), &[], key)
}

/// Initiator, step 7: signs the peer's request, for as long as the issuer lives.
///
/// # Errors
/// When the request is malformed or not signed by its own key, or the issuer may not delegate.
pub fn sign(issuer: &Credential, request: &[u8], mode: DelegationMode) -> Result<Certificate, GsiError> {
    let kind = match mode {
        DelegationMode::None => return Err(DelegationError::NotWanted.into()),
        DelegationMode::Full if !issuer.is_limited() => ProxyKind::Full,
        DelegationMode::Full | DelegationMode::Limited => ProxyKind::Limited,
    };
    let request = CertificateRequest::from_der(request)?;
    let wanted = ProxyRequest { format: None, kind, lifetime: None, path_length: None };
    proxy::issue(issuer, request.public_key_info(), &wanted, Timestamp::now())
}

/// Acceptor: the delegated credential from the new certificate, its key and the chain the initiator showed, leaf first.
///
/// # Errors
/// When the certificate is not a proxy for this key, made by the first of the chain.
pub fn assemble(
    certificate: Certificate,
    key: &PrivateKey,
    chain: &[Certificate],
) -> Result<Credential, GsiError> {
    let issuer = chain.first().ok_or(DelegationError::NoChain)?;
    let subject = || certificate.subject().subject().clone();
    let peer = || issuer.subject().subject().clone();
    if !key.belongs_to(certificate.public_key_info()) {
        return Err(DelegationError::WrongKey(subject()).into());
    }
    let is_proxy = matches!(certificate.kind(), CertificateType::Proxy(..));
    if !is_proxy || certificate.issuer().as_der() != issuer.subject().as_der() {
        return Err(DelegationError::NotTheirs { subject: subject(), peer: peer() }.into());
    }
    signature::verify(
        issuer.public_key_info(),
        certificate.signature_algorithm(),
        certificate.to_be_signed(),
        certificate.signature(),
    )
    .map_err(|source| DelegationError::Signature { subject: subject(), peer: peer(), source })?;
    Credential::new(std::iter::once(certificate).chain(chain.iter().cloned()).collect(), key.clone())
}

/// Initiator, in-band: the new certificate and the chain it was made from, without the root, one after the other.
pub(crate) fn join(certificate: &Certificate, issuer: &Credential) -> Vec<u8> {
    let chain = issuer.chain().iter().filter(|certificate| !certificate.is_self_issued());
    std::iter::once(certificate).chain(chain).flat_map(|certificate| certificate.der()).copied().collect()
}

/// Acceptor, in-band: takes the certificates apart again.
pub fn split(joined: &[u8]) -> Result<Vec<Certificate>, GsiError> {
    let mut reader = Reader::new(joined);
    let mut chain = Vec::new();
    while reader.peek().is_some() {
        let der = reader.whole().map_err(DelegationError::Malformed)?;
        if der.len() > MAX_CERTIFICATE_BYTES {
            let too_long = DerError::TooLong { length: der.len(), limit: MAX_CERTIFICATE_BYTES };
            return Err(DelegationError::Malformed(too_long).into());
        }
        chain.push(Certificate::from_der(der)?);
    }
    Ok(chain)
}

#[cfg(test)]
mod tests;

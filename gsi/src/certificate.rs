//! One parsed certificate and what kind of proxy it is (gsi.md §5.1, §5.2).

mod kind;
#[cfg(test)]
mod tests;

pub use kind::{
    CertificateType, KeyUsage, OID_DRAFT_PROXY_CERT_INFO, OID_INDEPENDENT, OID_INHERIT_ALL, OID_LIMITED,
    OID_PROXY_CERT_INFO, ProxyCertInfo, ProxyFormat, ProxyKind,
};

use crate::der::{self, DerError, Reader};
use crate::name::NameError;
use crate::signature::{self, SignatureError};
use crate::{GsiError, Name};
use jiff::Timestamp;
use kind::{Details, classify};
use pem::{EncodeConfig, LineEnding, Pem};
use std::ops::Range;
use std::sync::Arc;
use x509_parser::asn1_rs::FromDer as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::X509Extension;
use x509_parser::public_key::PublicKey;
use x509_parser::time::ASN1Time;

/// Longest certificate accepted, in bytes of DER.
pub const MAX_CERTIFICATE_BYTES: usize = 64 * 1024;
/// Longest PEM text accepted, in bytes.
pub const MAX_PEM_BYTES: usize = 4 * 1024 * 1024;

/// Why a certificate was refused before any question of trust.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Not X.509.
    #[error("not an X.509 certificate: {0}")]
    Malformed(String),
    /// Its subject or issuer is no name.
    #[error("in a certificate: {0}")]
    Name(#[from] NameError),
    /// Longer than [`MAX_CERTIFICATE_BYTES`] or [`MAX_PEM_BYTES`].
    #[error("{0} bytes are too long for a certificate or a PEM file")]
    TooLong(usize),
    /// The PEM text is broken.
    #[error("broken PEM: {0}")]
    Pem(String),
    /// An extension that cannot be read.
    #[error("certificate {subject}: the extension {extension} is malformed: {reason}")]
    Extension {
        /// Subject of the certificate.
        subject: String,
        /// Name or dotted OID.
        extension: String,
        /// What is wrong.
        reason: String,
    },
    /// The same extension twice, or both proxyCertInfo extensions.
    #[error("certificate {subject}: the extension {extension} occurs more than once")]
    DuplicateExtension {
        /// Subject of the certificate.
        subject: String,
        /// Name or dotted OID.
        extension: String,
    },
    /// A proxy whose subject is not its issuer plus one CN.
    #[error("proxy certificate {subject}: its subject must be that of its issuer {issuer} plus one CN")]
    ProxyName {
        /// Subject of the proxy.
        subject: String,
        /// Its issuer.
        issuer: String,
    },
}

/// One extension, as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extension<'a> {
    /// Contents of the OBJECT IDENTIFIER.
    pub oid: &'a [u8],
    /// Must be understood.
    pub critical: bool,
    /// DER inside the OCTET STRING.
    pub value: &'a [u8],
}

/// A parsed X.509 certificate; cheap to clone.
#[derive(Clone)]
pub struct Certificate(Arc<Parsed>);

struct Parsed {
    der: Vec<u8>,
    fingerprint: Fingerprint,
    to_be_signed: Range<usize>,
    signature_algorithm: Range<usize>,
    signature: Range<usize>,
    public_key_info: Range<usize>,
    serial: Range<usize>,
    rsa_bits: Option<usize>,
    subject: Name,
    issuer: Name,
    not_before: Timestamp,
    not_after: Timestamp,
    details: Details,
    extensions: Vec<(Vec<u8>, bool, Range<usize>)>,
    kind: CertificateType,
}

/// SHA-256 over the DER of a certificate.
pub type Fingerprint = [u8; 32];

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.0.der == other.0.der
    }
}

impl Eq for Certificate {}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate")
            .field("subject", &self.0.subject.subject().as_str())
            .field("kind", &self.0.kind)
            .finish_non_exhaustive()
    }
}

impl Certificate {
    /// Parses DER.
    pub fn from_der(der: &[u8]) -> Result<Self, GsiError> {
        Ok(Self::decode(der)?)
    }

    fn decode(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(CertificateError::TooLong(der.len()));
        }
        let malformed = |reason: &dyn std::fmt::Display| CertificateError::Malformed(reason.to_string());
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|error| malformed(&error))?;
        if !rest.is_empty() {
            return Err(malformed(&format_args!("{} bytes follow it", rest.len())));
        }
        let tbs = &parsed.tbs_certificate;
        let (subject, issuer) = (Name::from_parsed(tbs.subject())?, Name::from_parsed(tbs.issuer())?);
        let details = Details::read(tbs.extensions(), subject.subject().as_str())?;
        let kind = classify(&details, tbs.subject());
        if kind.is_proxy() && !Name::extends_by_common_name(tbs.subject(), tbs.issuer()) {
            let (subject, issuer) = (subject.subject().to_string(), issuer.subject().to_string());
            return Err(CertificateError::ProxyName { subject, issuer });
        }
        let algorithm = signature_algorithm(der).map_err(|error| malformed(&error))?;
        let rsa_bits = match tbs.public_key().parsed() {
            Ok(PublicKey::RSA(key)) => Some(modulus_bits(key.modulus)),
            _ => None,
        };
        let extension =
            |x: &X509Extension<'_>| (x.oid.as_bytes().to_vec(), x.critical, range_in(der, x.value));
        Ok(Self(Arc::new(Parsed {
            fingerprint: fingerprint(der),
            to_be_signed: range_in(der, tbs.as_ref()),
            signature_algorithm: range_in(der, algorithm),
            signature: range_in(der, &parsed.signature_value.data),
            public_key_info: range_in(der, tbs.public_key().raw),
            serial: range_in(der, tbs.raw_serial()),
            rsa_bits,
            not_before: timestamp(tbs.validity().not_before)?,
            not_after: timestamp(tbs.validity().not_after)?,
            extensions: tbs.extensions().iter().map(extension).collect(),
            der: der.to_vec(),
            subject,
            issuer,
            details,
            kind,
        })))
    }

    /// All certificates of a PEM text, in file order; other sections (keys) are passed over.
    pub fn from_pem(pem: &[u8]) -> Result<Vec<Self>, GsiError> {
        if pem.len() > MAX_PEM_BYTES {
            return Err(CertificateError::TooLong(pem.len()).into());
        }
        let mut found = Vec::new();
        let sections = pem::parse_many(pem).map_err(|error| CertificateError::Pem(error.to_string()))?;
        for section in sections {
            if section.tag() == "CERTIFICATE" || section.tag() == "X509 CERTIFICATE" {
                found.push(Self::from_der(section.contents())?);
            }
        }
        Ok(found)
    }

    /// One PEM block.
    pub fn to_pem(&self) -> String {
        let section = Pem::new("CERTIFICATE", self.der());
        pem::encode_config(&section, EncodeConfig::new().set_line_ending(LineEnding::LF))
    }

    /// The DER.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }
    /// SHA-256 over the DER.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.0.fingerprint
    }
    /// Subject name.
    pub fn subject(&self) -> &Name {
        &self.0.subject
    }
    /// Issuer name.
    pub fn issuer(&self) -> &Name {
        &self.0.issuer
    }
    /// Issuer and subject are the same name.
    pub fn is_self_issued(&self) -> bool {
        self.0.subject.chains_to(&self.0.issuer)
    }
    /// What it is.
    pub fn kind(&self) -> CertificateType {
        self.0.kind
    }
    /// Proxy path length constraint, when present.
    pub fn proxy_path_length(&self) -> Option<u32> {
        self.0.details.proxy.as_ref().and_then(|(_, info)| info.path_length)
    }
    /// The proxyCertInfo carries a policy field, which nobody here can apply (§5.4 rule 7).
    pub fn has_proxy_policy(&self) -> bool {
        self.0.details.proxy.as_ref().is_some_and(|(_, info)| info.has_policy)
    }
    /// Path length of the basicConstraints of a CA, when present.
    pub fn authority_path_length(&self) -> Option<u32> {
        self.0.details.authority_path_length
    }
    /// DER of the SubjectPublicKeyInfo.
    pub fn public_key_info(&self) -> &[u8] {
        self.slice(&self.0.public_key_info)
    }
    /// Size of the modulus, for an RSA key.
    pub fn rsa_bits(&self) -> Option<usize> {
        self.0.rsa_bits
    }
    /// Start of validity.
    pub fn not_before(&self) -> Timestamp {
        self.0.not_before
    }
    /// End of validity.
    pub fn not_after(&self) -> Timestamp {
        self.0.not_after
    }
    /// dNSNames of the subject alternative name.
    pub fn dns_names(&self) -> &[String] {
        &self.0.details.dns_names
    }
    /// A subject or issuer alternative name is present.
    pub fn has_alternative_names(&self) -> bool {
        self.0.details.alternative_names
    }
    /// The keyUsage, when present.
    pub fn key_usage(&self) -> Option<KeyUsage> {
        self.0.details.key_usage
    }
    /// Serial number, big-endian bytes.
    pub fn serial(&self) -> &[u8] {
        self.slice(&self.0.serial)
    }
    /// The bytes that are signed.
    pub fn to_be_signed(&self) -> &[u8] {
        self.slice(&self.0.to_be_signed)
    }
    /// Contents of the AlgorithmIdentifier of the signature (without the SEQUENCE header).
    pub fn signature_algorithm(&self) -> &[u8] {
        self.slice(&self.0.signature_algorithm)
    }
    /// The signature.
    pub fn signature(&self) -> &[u8] {
        self.slice(&self.0.signature)
    }
    /// Checks that `issuer` signed it; says nothing about the issuer's right to.
    ///
    /// # Errors
    /// When the signature is wrong, weak or of a kind not supported.
    pub fn verify_signature(&self, issuer: &Certificate) -> Result<(), SignatureError> {
        let key = issuer.public_key_info();
        signature::verify(key, self.signature_algorithm(), self.to_be_signed(), self.signature())
    }
    /// All extensions, in file order.
    pub fn extensions(&self) -> impl Iterator<Item = Extension<'_>> {
        self.0.extensions.iter().map(|(oid, critical, value)| Extension {
            oid,
            critical: *critical,
            value: self.slice(value),
        })
    }
    /// The extension with this OID (contents of the OBJECT IDENTIFIER).
    pub fn extension(&self, oid: &[u8]) -> Option<Extension<'_>> {
        self.extensions().find(|extension| extension.oid == oid)
    }

    fn slice(&self, range: &Range<usize>) -> &[u8] {
        self.0.der.get(range.clone()).unwrap_or_default()
    }
}

/// Contents of the AlgorithmIdentifier beside the signature, of a certificate or list; the parser does not keep it.
pub(crate) fn signature_algorithm(signed: &[u8]) -> Result<&[u8], DerError> {
    let mut fields = Reader::new(signed).nested(der::SEQUENCE)?;
    fields.content(der::SEQUENCE)?;
    fields.content(der::SEQUENCE)
}

/// SHA-256.
pub(crate) fn fingerprint(der: &[u8]) -> Fingerprint {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
    digest.as_ref().try_into().unwrap_or_default()
}

fn modulus_bits(modulus: &[u8]) -> usize {
    let significant = modulus.iter().skip_while(|&&byte| byte == 0);
    let leading = significant.clone().next().map_or(0, |first| first.leading_zeros() as usize);
    (significant.count() * 8).saturating_sub(leading)
}

fn timestamp(time: ASN1Time) -> Result<Timestamp, CertificateError> {
    Timestamp::from_second(time.timestamp()).map_err(|error| CertificateError::Malformed(error.to_string()))
}

/// Where `inner`, a slice of `outer`, lies in it.
pub(crate) fn range_in(outer: &[u8], inner: &[u8]) -> Range<usize> {
    let start = (inner.as_ptr() as usize).saturating_sub(outer.as_ptr() as usize);
    start..start + inner.len()
}

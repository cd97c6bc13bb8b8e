//! One parsed certificate and what kind of proxy it is (gsi.md §5.1, §5.2).

use crate::der::{self, DerError, Reader};
use crate::signature::{self, SignatureError};
use crate::{GsiError, Name};
use jiff::Timestamp;
use pem::{EncodeConfig, LineEnding, Pem};
use std::ops::Range;
use std::sync::Arc;
use x509_parser::asn1_rs::FromDer as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension, X509Extension};
use x509_parser::public_key::PublicKey;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Name;

/// Longest certificate accepted, in bytes of DER.
pub const MAX_CERTIFICATE_BYTES: usize = 64 * 1024;
/// Longest PEM text accepted, in bytes.
pub const MAX_PEM_BYTES: usize = 4 * 1024 * 1024;

/// proxyCertInfo of RFC 3820, 1.3.6.1.5.5.7.1.14 (contents of the OBJECT IDENTIFIER).
pub const OID_PROXY_CERT_INFO: &[u8] = &[0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x0E];
/// proxyCertInfo of the draft, 1.3.6.1.4.1.3536.1.222.
pub const OID_DRAFT_PROXY_CERT_INFO: &[u8] = &[0x2B, 0x06, 0x01, 0x04, 0x01, 0x9B, 0x50, 0x01, 0x81, 0x5E];
/// Policy language inheritAll, 1.3.6.1.5.5.7.21.1.
pub const OID_INHERIT_ALL: &[u8] = &[0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x15, 0x01];
/// Policy language independent, 1.3.6.1.5.5.7.21.2.
pub const OID_INDEPENDENT: &[u8] = &[0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x15, 0x02];
/// Policy language limited, 1.3.6.1.4.1.3536.1.1.1.9.
pub const OID_LIMITED: &[u8] = &[0x2B, 0x06, 0x01, 0x04, 0x01, 0x9B, 0x50, 0x01, 0x01, 0x01, 0x09];

const OID_KEY_USAGE: &[u8] = &[0x55, 0x1D, 0x0F];
const OID_SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1D, 0x11];
const OID_ISSUER_ALT_NAME: &[u8] = &[0x55, 0x1D, 0x12];
const OID_BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1D, 0x13];

/// How a proxy certificate is marked (§5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProxyFormat {
    /// RFC 3820.
    Rfc,
    /// "GSI 3".
    Draft,
    /// "GSI 2": by name only.
    Legacy,
}

impl std::fmt::Display for ProxyFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Rfc => "RFC 3820",
            Self::Draft => "draft",
            Self::Legacy => "legacy",
        })
    }
}

/// What a proxy may do (§5.1, policy language).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProxyKind {
    /// inheritAll: everything its owner may.
    Full,
    /// No job submission.
    Limited,
    /// An identity of its own, no rights of its owner.
    Independent,
    /// Rights by a policy we do not understand.
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

impl CertificateType {
    /// True for every proxy.
    pub fn is_proxy(self) -> bool {
        matches!(self, Self::Proxy(..))
    }
}

/// Why a certificate was refused before any question of trust.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Not X.509.
    #[error("not an X.509 certificate: {0}")]
    Malformed(String),
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

/// The keyUsage extension (RFC 5280 §4.2.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUsage(u16);

impl KeyUsage {
    /// digitalSignature.
    pub fn digital_signature(self) -> bool {
        self.0 & 1 != 0
    }
    /// keyCertSign.
    pub fn certificate_signing(self) -> bool {
        self.0 & 1 << 5 != 0
    }
    /// cRLSign.
    pub fn crl_signing(self) -> bool {
        self.0 & 1 << 6 != 0
    }
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

/// What the extensions say.
#[derive(Default)]
struct Details {
    authority: bool,
    authority_path_length: Option<u32>,
    key_usage: Option<KeyUsage>,
    dns_names: Vec<String>,
    alternative_names: bool,
    proxy: Option<(ProxyFormat, ProxyCertInfo)>,
}

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
        let (subject, issuer) = (Name::from_parsed(tbs.subject()), Name::from_parsed(tbs.issuer()));
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

impl Details {
    fn read(extensions: &[X509Extension<'_>], subject: &str) -> Result<Self, CertificateError> {
        let mut details = Self::default();
        for (index, extension) in extensions.iter().enumerate() {
            let name = || extension.oid.to_id_string();
            if extensions.iter().take(index).any(|earlier| earlier.oid == extension.oid) {
                return Err(CertificateError::DuplicateExtension {
                    subject: subject.to_owned(),
                    extension: name(),
                });
            }
            let broken = |reason: String| CertificateError::Extension {
                subject: subject.to_owned(),
                extension: name(),
                reason,
            };
            let oid = extension.oid.as_bytes();
            match extension.parsed_extension() {
                ParsedExtension::BasicConstraints(constraints) => {
                    details.authority = constraints.ca;
                    details.authority_path_length = constraints.path_len_constraint;
                }
                ParsedExtension::KeyUsage(usage) => details.key_usage = Some(KeyUsage(usage.flags)),
                ParsedExtension::SubjectAlternativeName(names) => {
                    let dns = names.general_names.iter().filter_map(|name| match name {
                        GeneralName::DNSName(dns) => Some((*dns).to_owned()),
                        _ => None,
                    });
                    details.dns_names.extend(dns);
                }
                ParsedExtension::ParseError { error } if is_understood(oid) => {
                    return Err(broken(error.to_string()));
                }
                _ => {}
            }
            details.alternative_names |= oid == OID_SUBJECT_ALT_NAME || oid == OID_ISSUER_ALT_NAME;
            let format = match oid {
                OID_PROXY_CERT_INFO => ProxyFormat::Rfc,
                OID_DRAFT_PROXY_CERT_INFO => ProxyFormat::Draft,
                _ => continue,
            };
            // Only a critical extension marks a proxy (§5.1).
            if extension.critical {
                let info = ProxyCertInfo::from_der(extension.value, format);
                let info = info.map_err(|error| broken(error.to_string()))?;
                if details.proxy.replace((format, info)).is_some() {
                    let extension = "proxyCertInfo".to_owned();
                    return Err(CertificateError::DuplicateExtension {
                        subject: subject.to_owned(),
                        extension,
                    });
                }
            }
        }
        Ok(details)
    }
}

/// The extensions whose meaning the chain check relies on: unreadable ones make a certificate invalid.
fn is_understood(oid: &[u8]) -> bool {
    [OID_KEY_USAGE, OID_SUBJECT_ALT_NAME, OID_BASIC_CONSTRAINTS].contains(&oid)
}

/// The order of §5.1: CA, legacy by name, RFC, draft, end entity.
fn classify(details: &Details, subject: &X509Name<'_>) -> CertificateType {
    if details.authority {
        return CertificateType::Authority;
    }
    match (Name::last_common_name(subject), &details.proxy) {
        (Some(b"proxy"), _) => CertificateType::Proxy(ProxyFormat::Legacy, ProxyKind::Full),
        (Some(b"limited proxy"), _) => CertificateType::Proxy(ProxyFormat::Legacy, ProxyKind::Limited),
        (_, Some((format, info))) => CertificateType::Proxy(*format, info.kind),
        _ => CertificateType::EndEntity,
    }
}

/// A decoded proxyCertInfo (§5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProxyCertInfo {
    /// By policy language.
    pub kind: ProxyKind,
    /// How many proxies may follow; None: any number.
    pub path_length: Option<u32>,
    /// A policy field is present.
    pub has_policy: bool,
}

impl ProxyCertInfo {
    /// Decodes the value of the extension.
    ///
    /// # Errors
    /// When the bytes are not those of a proxyCertInfo in this format.
    pub fn from_der(value: &[u8], format: ProxyFormat) -> Result<Self, DerError> {
        const DRAFT_PATH_LENGTH: u8 = 0xA1;
        let mut outer = Reader::new(value);
        let mut info = outer.nested(der::SEQUENCE)?;
        outer.finish()?;
        let before = info.peek() == Some(der::INTEGER) && format == ProxyFormat::Rfc;
        let mut path_length = if before { Some(info.small_integer()?) } else { None };
        let mut policy = info.nested(der::SEQUENCE)?;
        let language = policy.content(der::OBJECT_IDENTIFIER)?;
        let has_policy = policy.peek().is_some();
        if has_policy {
            policy.content(der::OCTET_STRING)?;
        }
        policy.finish()?;
        if format == ProxyFormat::Draft && info.peek() == Some(DRAFT_PATH_LENGTH) {
            let mut explicit = info.nested(DRAFT_PATH_LENGTH)?;
            path_length = Some(explicit.small_integer()?);
            explicit.finish()?;
        }
        info.finish()?;
        let kind = match language {
            OID_INHERIT_ALL => ProxyKind::Full,
            OID_INDEPENDENT => ProxyKind::Independent,
            OID_LIMITED => ProxyKind::Limited,
            _ => ProxyKind::Restricted,
        };
        Ok(Self { kind, path_length, has_policy })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forge::{Plan, after};

    fn refusal(result: Result<Certificate, GsiError>) -> CertificateError {
        match result.unwrap_err() {
            GsiError::Certificate(error) => error,
            other => panic!("{other}"),
        }
    }

    /// Re-encodes a plan's certificate without the checks of `Plan::self_signed`.
    fn parse(plan: Plan) -> Result<Certificate, GsiError> {
        std::panic::catch_unwind(|| plan.self_signed().certificate)
            .map_err(|panic| GsiError::Other(format!("{:?}", panic.downcast_ref::<String>())))
    }

    #[test]
    fn proxy_cert_info_is_read_in_both_formats() {
        // The captured values of §5.2.
        let read = |hex: &str, format| {
            let bytes: Vec<u8> = hex.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
            ProxyCertInfo::from_der(&bytes, format).unwrap()
        };
        let info = |kind, path_length| ProxyCertInfo { kind, path_length, has_policy: false };
        for format in [ProxyFormat::Rfc, ProxyFormat::Draft] {
            let full = read("30 0C 30 0A 06 08 2B 06 01 05 05 07 15 01", format);
            assert_eq!(full, info(ProxyKind::Full, None));
            let independent = read("30 0C 30 0A 06 08 2B 06 01 05 05 07 15 02", format);
            assert_eq!(independent, info(ProxyKind::Independent, None));
            let limited = read("30 0F 30 0D 06 0B 2B 06 01 04 01 9B 50 01 01 01 09", format);
            assert_eq!(limited, info(ProxyKind::Limited, None));
        }
        let rfc = "30 0F 02 01 02 30 0A 06 08 2B 06 01 05 05 07 15 01";
        assert_eq!(read(rfc, ProxyFormat::Rfc), info(ProxyKind::Full, Some(2)));
        let draft = "30 11 30 0A 06 08 2B 06 01 05 05 07 15 01 A1 03 02 01 02";
        assert_eq!(read(draft, ProxyFormat::Draft), info(ProxyKind::Full, Some(2)));
        let policy = "30 0F 30 0D 06 08 2B 06 01 05 05 07 15 00 04 01 78";
        let restricted = read(policy, ProxyFormat::Rfc);
        assert_eq!((restricted.kind, restricted.has_policy), (ProxyKind::Restricted, true));
    }

    #[test]
    fn what_a_certificate_is() {
        let kind = |plan: Plan| plan.self_signed().certificate.kind();
        assert_eq!(kind(Plan::authority("/CN=CA", Some(3))), CertificateType::Authority);
        assert_eq!(kind(Plan::new("/CN=x")), CertificateType::EndEntity);
        // A marker that is not critical marks nothing.
        let full = [0x30, 0x0C, 0x30, 0x0A, 6, 8, 0x2B, 6, 1, 5, 5, 7, 0x15, 1];
        assert_eq!(kind(Plan::new("/CN=x").with(OID_PROXY_CERT_INFO, false, &full)), CertificateType::EndEntity);
        let user = Plan::new("/CN=x").self_signed();
        for (format, proxy) in [ProxyFormat::Rfc, ProxyFormat::Draft, ProxyFormat::Legacy]
            .map(|format| (format, user.limited_proxy(format)))
        {
            assert_eq!(proxy.certificate.kind(), CertificateType::Proxy(format, ProxyKind::Limited));
        }
        let path = Plan::proxy(&user, ProxyFormat::Draft, OID_INHERIT_ALL, Some(7));
        assert_eq!(user.issue(path).certificate.proxy_path_length(), Some(7));
    }

    #[test]
    fn fields_are_those_of_the_certificate() {
        let holder = Plan::new("/CN=x").serial(&[0xAB, 1]).valid(-5, 9).dns(&["a", "b"]).self_signed();
        let certificate = &holder.certificate;
        assert_eq!(certificate.serial(), [0, 0xAB, 1]);
        assert_eq!((certificate.not_before(), certificate.not_after()), (after(-5), after(9)));
        assert_eq!(certificate.dns_names(), ["a", "b"]);
        assert_eq!(certificate.public_key_info(), holder.key.public_key_info());
        assert!(certificate.is_self_issued() && certificate.has_alternative_names());
        assert_eq!(certificate.verify_signature(certificate), Ok(()));
    }

    #[test]
    fn pem_comes_back_and_other_sections_are_passed_over() {
        let holder = Plan::new("/CN=x").self_signed();
        let pem = format!("junk\n{}{}", holder.key.to_pem().as_str(), holder.certificate.to_pem());
        assert_eq!(Certificate::from_pem(pem.as_bytes()).unwrap(), std::slice::from_ref(&holder.certificate));
        let renamed = holder.certificate.to_pem().replace("CERTIFICATE", "X509 CERTIFICATE");
        assert_eq!(Certificate::from_pem(renamed.as_bytes()).unwrap().len(), 1);
        assert!(Certificate::from_pem(b"").unwrap().is_empty());
        let broken = holder.certificate.to_pem().replace("MI", "!!");
        assert!(Certificate::from_pem(broken.as_bytes()).is_err());
    }

    #[test]
    fn names_of_proxies_and_duplicate_extensions_are_checked() {
        let full = [0x30, 0x0C, 0x30, 0x0A, 6, 8, 0x2B, 6, 1, 5, 5, 7, 0x15, 1];
        let rejected = |plan: Plan, word: &str| {
            let error = parse(plan).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        };
        rejected(Plan::new("/CN=x/CN=1").with(OID_PROXY_CERT_INFO, true, &full), "ProxyName");
        rejected(Plan::new("/CN=proxy"), "ProxyName");
        let twice = Plan::new("/CN=x")
            .with(OID_PROXY_CERT_INFO, true, &full)
            .with(OID_DRAFT_PROXY_CERT_INFO, true, &full);
        rejected(twice, "DuplicateExtension");
        let usage = Plan::new("/CN=x").key_usage(0x80).key_usage(0x80);
        rejected(usage, "DuplicateExtension");
        rejected(Plan::new("/CN=x").with(OID_PROXY_CERT_INFO, true, &[0x30, 0x00]), "Extension");
        rejected(Plan::new("/CN=x").with(OID_BASIC_CONSTRAINTS, true, &[0x04, 0x00]), "Extension");
    }

    #[test]
    fn sizes_are_limited() {
        let long = vec![0x30; MAX_CERTIFICATE_BYTES + 1];
        assert_eq!(refusal(Certificate::from_der(&long)), CertificateError::TooLong(MAX_CERTIFICATE_BYTES + 1));
        assert!(Certificate::from_pem(&vec![b' '; MAX_PEM_BYTES + 1]).is_err());
        let mut trailing = Plan::new("/CN=x").self_signed().certificate.der().to_vec();
        trailing.push(0);
        assert!(matches!(refusal(Certificate::from_der(&trailing)), CertificateError::Malformed(_)));
    }

    proptest::proptest! {
        #[test]
        fn damage_never_panics(at in 0usize..700, byte: u8, bytes: Vec<u8>) {
            let user = Plan::new("/O=Grid/CN=x").dns(&["h"]).key_usage(0x80).self_signed();
            for holder in [user.full_proxy(ProxyFormat::Rfc), user] {
                let mut der = holder.certificate.der().to_vec();
                if let Some(damaged) = der.get_mut(at) {
                    *damaged = byte;
                }
                let _ = Certificate::from_der(&der);
            }
            let _ = Certificate::from_der(&bytes);
            let _ = Certificate::from_pem(&bytes);
            let _ = ProxyCertInfo::from_der(&bytes, ProxyFormat::Rfc);
            let _ = ProxyCertInfo::from_der(&bytes, ProxyFormat::Draft);
        }
    }
}

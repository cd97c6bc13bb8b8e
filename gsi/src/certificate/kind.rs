//! What kind of certificate it is, read from its extensions and name (gsi.md §5.1, §5.2).

use super::CertificateError;
use crate::Name;
use crate::der::{self, DerError, Reader};
use x509_parser::extensions::{GeneralName, ParsedExtension, X509Extension};
use x509_parser::x509::X509Name;

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
pub(super) const OID_BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1D, 0x13];

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

/// What the extensions say.
#[derive(Default)]
pub(super) struct Details {
    pub(super) authority: bool,
    pub(super) authority_path_length: Option<u32>,
    pub(super) key_usage: Option<KeyUsage>,
    pub(super) dns_names: Vec<String>,
    pub(super) alternative_names: bool,
    pub(super) proxy: Option<(ProxyFormat, ProxyCertInfo)>,
}

impl Details {
    pub(super) fn read(extensions: &[X509Extension<'_>], subject: &str) -> Result<Self, CertificateError> {
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
pub(super) fn classify(details: &Details, subject: &X509Name<'_>) -> CertificateType {
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

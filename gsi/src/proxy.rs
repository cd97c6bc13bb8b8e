//! Issuing proxy certificates (gsi.md §5.3).

use crate::certificate::{
    CertificateType, OID_DRAFT_PROXY_CERT_INFO, OID_INDEPENDENT, OID_INHERIT_ALL, OID_LIMITED,
    OID_PROXY_CERT_INFO,
};
use crate::key::{Digest, PrivateKey};
use crate::{Certificate, Credential, GsiError, Name, ProxyFormat, ProxyKind, Subject, der};
use jiff::{SignedDuration, Timestamp};
use sha1::{Digest as _, Sha1};

/// The default lifetime of a proxy a person makes, in seconds: 12 hours, as `grid-proxy-init`.
pub const DEFAULT_LIFETIME: u64 = 12 * 60 * 60;

/// How far notBefore is set back, for peers whose clocks are slow.
const BACK_DATING: SignedDuration = SignedDuration::from_mins(5);

/// Content octets of 2.5.29.15.
pub(crate) const OID_KEY_USAGE: &[u8] = &[0x55, 0x1D, 0x0F];
/// Content octets of 2.5.29.37.
pub(crate) const OID_EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1D, 0x25];

/// What proxy to make.
#[derive(Debug, Clone)]
pub struct ProxyRequest {
    /// None: the issuer's format, RFC under an end-entity certificate.
    pub format: Option<ProxyFormat>,
    /// Kind.
    pub kind: ProxyKind,
    /// Lifetime in seconds from now; None: as long as the issuer. Never longer than the issuer.
    pub lifetime: Option<u64>,
    /// Path length constraint: how many further proxies may follow. Zero is written too (the stock tools lose it).
    pub path_length: Option<u32>,
}

/// Why a proxy cannot be issued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// The issuer is a CA.
    #[error("{0} is a certification authority; proxies are made from a user's or host's certificate")]
    IssuerIsAuthority(Subject),
    /// The issuer is no longer, or not yet, valid.
    #[error("{subject} is valid from {from} to {until} only; get a new credential first")]
    IssuerNotValid {
        /// Whose credential.
        subject: Subject,
        /// Its notBefore.
        from: Timestamp,
        /// Its notAfter.
        until: Timestamp,
    },
    /// The kind may not be made from this issuer.
    #[error("a {asked:?} proxy cannot be made from the {issuer:?} proxy {subject}")]
    KindNotAllowed {
        /// The issuer.
        subject: Subject,
        /// What it is.
        issuer: ProxyKind,
        /// What was asked for.
        asked: ProxyKind,
    },
    /// Formats must not be mixed along a chain.
    #[error(
        "{subject} is a proxy of format {issuer:?}; a proxy of format {asked:?} below it would be refused"
    )]
    FormatMixed {
        /// The issuer.
        subject: Subject,
        /// Its format.
        issuer: ProxyFormat,
        /// What was asked for.
        asked: ProxyFormat,
    },
    /// Restricted proxies carry a policy, which is not supported.
    #[error("restricted proxies are not supported; ask for full, limited or independent")]
    Restricted,
    /// Legacy proxies know two kinds and no path length.
    #[error("a legacy proxy is full or limited and has no path length; use the RFC format")]
    LegacyCannotExpress,
    /// The path length of a proxy in the chain is used up.
    #[error("no further proxy may follow: the path length of {0} is used up")]
    PathLengthExhausted(Subject),
}

/// Signs a proxy over `public_key_info` (DER SPKI) with the issuer's leaf key.
///
/// # Errors
/// When the issuer may not issue such a proxy, or signing fails.
pub fn issue(
    issuer: &Credential,
    public_key_info: &[u8],
    request: &ProxyRequest,
    now: Timestamp,
) -> Result<Certificate, GsiError> {
    let signer = issuer.leaf();
    let format = permitted_format(issuer, request)?;
    if now < signer.not_before() || now >= signer.not_after() {
        let (from, until) = (signer.not_before(), signer.not_after());
        return Err(
            ProxyError::IssuerNotValid { subject: signer.subject().subject().clone(), from, until }.into()
        );
    }

    let unique = unique_number(public_key_info);
    let (common_name, serial) = match format {
        ProxyFormat::Legacy => (legacy_name(request.kind).to_owned(), signer.serial().to_vec()),
        ProxyFormat::Rfc | ProxyFormat::Draft => (unique.to_string(), unique.to_be_bytes().to_vec()),
    };
    let digest = digest_of(signer);
    let body = Body {
        serial: &serial,
        issuer: signer.subject(),
        subject: &signer.subject().with_common_name(&common_name),
        not_before: now.checked_sub(BACK_DATING).unwrap_or(now),
        not_after: end_of(request.lifetime, signer, now),
        public_key_info,
        extensions: &extensions(signer, format, request),
    };
    body.sign(issuer.key(), digest)
}

/// `grid-proxy-init`: a new RSA key of `bits` and a proxy over it, as a complete credential.
///
/// # Errors
/// As [`issue`], and when the key cannot be made.
pub fn create(
    issuer: &Credential,
    bits: u32,
    request: &ProxyRequest,
    now: Timestamp,
) -> Result<Credential, GsiError> {
    // Before the costly key, so that a refusal is immediate.
    permitted_format(issuer, request)?;
    let key = PrivateKey::generate_rsa(bits)?;
    let certificate = issue(issuer, &key.public_key_info(), request, now)?;
    let chain = std::iter::once(certificate).chain(issuer.chain().iter().cloned()).collect();
    Credential::new(chain, key)
}

/// The rules on who may issue what; the format to use.
fn permitted_format(issuer: &Credential, request: &ProxyRequest) -> Result<ProxyFormat, ProxyError> {
    let signer = issuer.leaf();
    let subject = || signer.subject().subject().clone();
    if request.kind == ProxyKind::Restricted {
        return Err(ProxyError::Restricted);
    }
    let format = match signer.kind() {
        CertificateType::Authority => return Err(ProxyError::IssuerIsAuthority(subject())),
        CertificateType::EndEntity => request.format.unwrap_or(ProxyFormat::Rfc),
        CertificateType::Proxy(format, kind) => {
            if !may_issue(kind, request.kind) {
                return Err(ProxyError::KindNotAllowed {
                    subject: subject(),
                    issuer: kind,
                    asked: request.kind,
                });
            }
            if let Some(exhausted) = exhausted_path_length(issuer.chain()) {
                return Err(ProxyError::PathLengthExhausted(exhausted.subject().subject().clone()));
            }
            // Stock issuers also change the format below an independent proxy, but every validator refuses that (§5.4).
            match request.format {
                Some(asked) if asked != format => {
                    return Err(ProxyError::FormatMixed { subject: subject(), issuer: format, asked });
                }
                _ => format,
            }
        }
    };
    let plain = matches!(request.kind, ProxyKind::Full | ProxyKind::Limited) && request.path_length.is_none();
    if format == ProxyFormat::Legacy && !plain { Err(ProxyError::LegacyCannotExpress) } else { Ok(format) }
}

/// The proxy of this chain, leaf first, whose path length leaves no room for one more below the leaf.
fn exhausted_path_length(chain: &[Certificate]) -> Option<&Certificate> {
    let proxies = (0_u32..).zip(chain).take_while(|(_, certificate)| certificate.kind().is_proxy());
    let mut limits = proxies.filter_map(|(below, proxy)| Some((below, proxy.proxy_path_length()?, proxy)));
    limits.find(|(below, allowed, _)| below >= allowed).map(|(_, _, proxy)| proxy)
}

fn may_issue(issuer: ProxyKind, asked: ProxyKind) -> bool {
    match issuer {
        ProxyKind::Full | ProxyKind::Independent => true,
        ProxyKind::Limited => asked == ProxyKind::Limited,
        ProxyKind::Restricted => asked == ProxyKind::Restricted,
    }
}

fn legacy_name(kind: ProxyKind) -> &'static str {
    if kind == ProxyKind::Limited { "limited proxy" } else { "proxy" }
}

/// Serial number and CN of RFC and draft proxies: the first bytes of the key's SHA-1, in the stock order.
fn unique_number(public_key_info: &[u8]) -> u32 {
    let digest: [u8; 20] = Sha1::digest(public_key_info).into();
    let [a, b, c, d, ..] = digest;
    u32::from_le_bytes([a, b, c, d >> 1])
}

/// The digest of the issuing certificate's own signature is used again; an unusual one becomes SHA-256.
fn digest_of(signer: &Certificate) -> Digest {
    /// 1.2.840.113549.1.1.12 (sha384WithRSAEncryption) and .13, as elements.
    const SHA384_RSA: &[u8] = &[0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0C];
    const SHA512_RSA: &[u8] = &[0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0D];
    match signer.signature_algorithm() {
        algorithm if algorithm.starts_with(SHA384_RSA) => Digest::Sha384,
        algorithm if algorithm.starts_with(SHA512_RSA) => Digest::Sha512,
        _ => Digest::Sha256,
    }
}

fn end_of(lifetime: Option<u64>, signer: &Certificate, now: Timestamp) -> Timestamp {
    let asked = lifetime.and_then(|seconds| i64::try_from(seconds).ok()).map(SignedDuration::from_secs);
    let asked = asked.and_then(|lifetime| now.checked_add(lifetime).ok());
    asked.unwrap_or(Timestamp::MAX).min(signer.not_after())
}

fn extensions(signer: &Certificate, format: ProxyFormat, request: &ProxyRequest) -> Vec<u8> {
    let mut extensions = match format {
        ProxyFormat::Rfc => der::extension(OID_PROXY_CERT_INFO, true, &rfc_info(request)),
        ProxyFormat::Draft => der::extension(OID_DRAFT_PROXY_CERT_INFO, true, &draft_info(request)),
        ProxyFormat::Legacy => Vec::new(),
    };
    if let Some(usage) = signer.extension(OID_KEY_USAGE).and_then(|usage| proxy_key_usage(usage.value)) {
        extensions.extend(der::extension(OID_KEY_USAGE, true, &usage));
    }
    if let Some(usage) = signer.extension(OID_EXTENDED_KEY_USAGE) {
        extensions.extend(der::extension(OID_EXTENDED_KEY_USAGE, false, usage.value));
    }
    extensions
}

fn language(kind: ProxyKind) -> Vec<u8> {
    der::sequence(&[&der::object_identifier(match kind {
        ProxyKind::Limited => OID_LIMITED,
        ProxyKind::Independent => OID_INDEPENDENT,
        ProxyKind::Full | ProxyKind::Restricted => OID_INHERIT_ALL,
    })])
}

fn path_length(request: &ProxyRequest) -> Option<Vec<u8>> {
    request.path_length.map(|length| der::unsigned_integer(&length.to_be_bytes()))
}

fn rfc_info(request: &ProxyRequest) -> Vec<u8> {
    der::sequence(&[&path_length(request).unwrap_or_default(), &language(request.kind)])
}

fn draft_info(request: &ProxyRequest) -> Vec<u8> {
    let length = path_length(request).map(|length| der::context(1, &[&length]));
    der::sequence(&[&language(request.kind), &length.unwrap_or_default()])
}

/// The issuer's keyUsage without nonRepudiation and keyCertSign; `None` when nothing would be left, or it is damaged.
fn proxy_key_usage(value: &[u8]) -> Option<Vec<u8>> {
    /// nonRepudiation (bit 1) and keyCertSign (bit 5), counted from the top.
    const CLEARED: u8 = 0b0100_0100;
    let (unused, bits) = der::Reader::new(value).content(der::BIT_STRING).ok()?.split_first()?;
    let (&first, rest) = bits.split_first()?;
    let mut bits = vec![first & !CLEARED];
    // Whatever is beyond bit 7 (decipherOnly) is kept.
    bits.extend_from_slice(rest);
    while bits.last() == Some(&0) {
        bits.pop();
    }
    // DER of a named bit list ends with its last one bit.
    let unused = bits.last().map_or(*unused, |last| last.trailing_zeros() as u8);
    (!bits.is_empty()).then(|| der::element(der::BIT_STRING, &[&[unused], &bits]))
}

/// Everything that is signed in a certificate (RFC 5280 §4.1.2), version 3.
pub(crate) struct Body<'a> {
    /// Big-endian.
    pub(crate) serial: &'a [u8],
    pub(crate) issuer: &'a Name,
    pub(crate) subject: &'a Name,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    pub(crate) public_key_info: &'a [u8],
    /// Concatenated extensions; may be empty.
    pub(crate) extensions: &'a [u8],
}

impl Body<'_> {
    /// The certificate.
    pub(crate) fn sign(&self, key: &PrivateKey, digest: Digest) -> Result<Certificate, GsiError> {
        let algorithm = key.signature_algorithm(digest);
        let extensions = match self.extensions {
            [] => Vec::new(),
            extensions => der::context(3, &[&der::sequence(&[extensions])]),
        };
        let body = der::sequence(&[
            &der::context(0, &[&der::unsigned_integer(&[2])]),
            &der::unsigned_integer(self.serial),
            &algorithm,
            self.issuer.as_der(),
            &der::sequence(&[&der::time(self.not_before), &der::time(self.not_after)]),
            self.subject.as_der(),
            self.public_key_info,
            &extensions,
        ]);
        let signature = key.sign(&body, digest)?;
        Certificate::from_der(&der::sequence(&[&body, &algorithm, &der::bit_string(&signature)]))
    }
}

#[cfg(test)]
mod tests;

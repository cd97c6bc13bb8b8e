//! Certificate requests, PKCS#10 (RFC 2986): those of delegation and those a CA gets.

use crate::der::{self, DerError, Reader};
use crate::key::{Digest, PrivateKey};
use crate::signature::{self, SignatureError};
use crate::{GsiError, Name};

/// The longest request that is read, in bytes. One for an RSA-8192 key has some 2,300.
pub const MAX_REQUEST: usize = 64 * 1024;

/// `[0]`, constructed: the attributes.
const ATTRIBUTES: u8 = 0xA0;
/// Content octets of 1.2.840.113549.1.9.14, extensionRequest.
const OID_EXTENSION_REQUEST: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x09, 0x0E];
/// Content octets of 2.5.29.17.
pub(crate) const OID_SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1D, 0x11];
/// `[2]` of GeneralName: dNSName.
pub(crate) const DNS_NAME: u8 = 0x82;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Not PKCS#10.
    #[error("not a certificate request: {0}")]
    Malformed(#[from] DerError),
    /// Longer than [`MAX_REQUEST`].
    #[error("certificate request of {0} bytes; at most {MAX_REQUEST} are read")]
    TooLong(usize),
    /// No PEM block of a request.
    #[error("no certificate request found; expected a PEM block BEGIN CERTIFICATE REQUEST")]
    Missing,
    /// The requester does not hold the key, or the request was changed.
    #[error("the certificate request is not signed by its own key: {0}")]
    Signature(#[from] SignatureError),
}

/// A request whose signature has been checked: who sent it holds the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRequest {
    subject: Vec<u8>,
    public_key_info: Vec<u8>,
    dns_names: Vec<String>,
}

impl CertificateRequest {
    /// Parses DER and checks the self-signature.
    ///
    /// # Errors
    /// When it is not PKCS#10 or not signed by its own key.
    pub fn from_der(der: &[u8]) -> Result<Self, RequestError> {
        if der.len() > MAX_REQUEST {
            return Err(RequestError::TooLong(der.len()));
        }
        let mut outer = Reader::new(der);
        let mut request = outer.nested(der::SEQUENCE)?;
        outer.finish()?;
        let body = request.whole()?;
        let algorithm = request.content(der::SEQUENCE)?;
        let signed = request.content(der::BIT_STRING)?;
        request.finish()?;

        let mut fields = Reader::new(body).nested(der::SEQUENCE)?;
        fields.small_integer()?; // version; everybody writes 0
        let subject = fields.whole()?.to_vec();
        let public_key_info = fields.whole()?.to_vec();
        let dns_names = match fields.peek() {
            Some(ATTRIBUTES) => requested_dns_names(fields.nested(ATTRIBUTES)?)?,
            _ => Vec::new(),
        };

        let value = signed.split_first().filter(|(unused, _)| **unused == 0).ok_or(DerError::Truncated)?.1;
        signature::verify(&public_key_info, algorithm, body, value)?;
        Ok(Self { subject, public_key_info, dns_names })
    }

    /// The first request of a PEM text.
    ///
    /// # Errors
    /// As [`CertificateRequest::from_der`], and when there is none.
    pub fn from_pem(pem: &[u8]) -> Result<Self, RequestError> {
        if pem.len() > MAX_REQUEST {
            return Err(RequestError::TooLong(pem.len()));
        }
        let blocks = pem::parse_many(pem).map_err(|_| RequestError::Missing)?;
        let is_request =
            |block: &&pem::Pem| matches!(block.tag(), "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST");
        Self::from_der(blocks.iter().find(is_request).ok_or(RequestError::Missing)?.contents())
    }

    /// The name asked for.
    ///
    /// # Errors
    /// When it is not a name.
    pub fn subject(&self) -> Result<Name, GsiError> {
        Name::from_der(&self.subject)
    }

    /// The requester's key, DER of the SubjectPublicKeyInfo.
    #[must_use]
    pub fn public_key_info(&self) -> &[u8] {
        &self.public_key_info
    }

    /// The dNSNames asked for.
    #[must_use]
    pub fn dns_names(&self) -> &[String] {
        &self.dns_names
    }
}

/// The dNSNames of a subjectAltName in an extensionRequest; everything else that may be asked for is passed over.
fn requested_dns_names(mut attributes: Reader<'_>) -> Result<Vec<String>, DerError> {
    let mut names = Vec::new();
    while attributes.peek().is_some() {
        let mut attribute = attributes.nested(der::SEQUENCE)?;
        if attribute.content(der::OBJECT_IDENTIFIER)? != OID_EXTENSION_REQUEST {
            continue;
        }
        let mut extensions = attribute.nested(der::SET)?.nested(der::SEQUENCE)?;
        while extensions.peek().is_some() {
            let mut extension = extensions.nested(der::SEQUENCE)?;
            let oid = extension.content(der::OBJECT_IDENTIFIER)?;
            if extension.peek() == Some(der::BOOLEAN) {
                extension.whole()?;
            }
            if oid == OID_SUBJECT_ALT_NAME {
                let mut alternatives =
                    Reader::new(extension.content(der::OCTET_STRING)?).nested(der::SEQUENCE)?;
                while let Some(tag) = alternatives.peek() {
                    let content = alternatives.content(tag)?;
                    let name =
                        std::str::from_utf8(content).ok().filter(|name| tag == DNS_NAME && name.is_ascii());
                    names.extend(name.map(str::to_owned));
                }
            }
        }
    }
    Ok(names)
}

/// A subjectAltName extension with these dNSNames, not critical.
pub(crate) fn dns_extension(names: &[String]) -> Vec<u8> {
    let names: Vec<u8> = names.iter().flat_map(|name| der::element(DNS_NAME, &[name.as_bytes()])).collect();
    der::extension(OID_SUBJECT_ALT_NAME, false, &der::sequence(&[&names]))
}

/// A request for this subject and key, DER.
///
/// # Errors
/// When signing fails.
pub fn write(subject: &[u8], dns_names: &[String], key: &PrivateKey) -> Result<Vec<u8>, GsiError> {
    let attributes = match dns_names {
        [] => Vec::new(),
        names => der::sequence(&[
            &der::object_identifier(OID_EXTENSION_REQUEST),
            &der::element(der::SET, &[&der::sequence(&[&dns_extension(names)])]),
        ]),
    };
    let version = der::unsigned_integer(&[0]);
    let body = der::sequence(&[
        &version,
        subject,
        &key.public_key_info(),
        &der::element(ATTRIBUTES, &[&attributes]),
    ]);
    let signature = key.sign(&body, Digest::Sha256)?;
    Ok(der::sequence(&[&body, &key.signature_algorithm(Digest::Sha256), &der::bit_string(&signature)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    static KEY: LazyLock<PrivateKey> = LazyLock::new(|| crate::forge::known_rsa_key(1));

    #[test]
    fn a_request_is_read_as_it_was_written() {
        let subject = Name::parse_one_line("/O=Grid/CN=host\\/h.example").unwrap();
        let names = vec!["h.example".to_owned(), "alias.example".to_owned()];
        let request = CertificateRequest::from_der(&write(subject.as_der(), &names, &KEY).unwrap()).unwrap();
        assert_eq!(request.subject().unwrap(), subject);
        assert_eq!(request.public_key_info(), KEY.public_key_info());
        assert_eq!(request.dns_names(), names);
    }

    #[test]
    fn a_changed_request_is_refused() {
        let subject = Name::parse_one_line("/O=Grid/CN=Grid User").unwrap();
        let der = write(subject.as_der(), &[], &KEY).unwrap();
        let at = der.windows(9).position(|window| window == b"Grid User").unwrap();
        let mut changed = der;
        changed[at] = b'g';
        assert_eq!(
            CertificateRequest::from_der(&changed),
            Err(RequestError::Signature(SignatureError::Wrong))
        );
    }

    #[test]
    fn too_long_a_request_is_refused_unread() {
        assert_eq!(
            CertificateRequest::from_der(&[0; MAX_REQUEST + 1]),
            Err(RequestError::TooLong(MAX_REQUEST + 1))
        );
    }

    proptest! {
        #[test]
        fn a_damaged_request_is_refused_without_a_panic(at: prop::sample::Index, bits in 1u8..) {
            static DER: LazyLock<Vec<u8>> = LazyLock::new(|| {
                write(Name::parse_one_line("/CN=x").unwrap().as_der(), &["a.b".to_owned()], &KEY).unwrap()
            });
            let mut damaged = DER.clone();
            let at = at.index(damaged.len());
            damaged[at] ^= bits;
            prop_assert!(CertificateRequest::from_der(&damaged).is_err());
        }

        #[test]
        fn any_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            prop_assert!(CertificateRequest::from_der(&bytes).is_err());
        }
    }
}

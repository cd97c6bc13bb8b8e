//! Certificate revocation lists (gsi.md §9).

use crate::certificate::{Certificate, Fingerprint, MAX_PEM_BYTES, fingerprint};
use crate::name::{Name, NameError};
use crate::signature::{self, SignatureError};
use jiff::Timestamp;
use std::ops::Range;
use x509_parser::asn1_rs::FromDer as _;
use x509_parser::extensions::{ParsedExtension, X509Extension};
use x509_parser::revocation_list::CertificateRevocationList;

/// Longest list accepted, in bytes of DER or PEM; the largest of known grid CAs have a few megabytes.
pub const MAX_CRL_BYTES: usize = 16 * MAX_PEM_BYTES;

/// A parsed revocation list.
#[derive(Debug)]
pub struct RevocationList {
    der: Vec<u8>,
    fingerprint: Fingerprint,
    issuer: Name,
    this_update: Timestamp,
    next_update: Option<Timestamp>,
    /// Serial numbers without leading zeros, as ranges of `der`, in ascending order of their bytes.
    serials: Vec<Range<usize>>,
    to_be_signed: Range<usize>,
    signature_algorithm: Range<usize>,
    signature: Range<usize>,
}

/// Why a list cannot be used at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CrlError {
    /// Not a revocation list.
    #[error("not a certificate revocation list: {0}")]
    Malformed(String),
    /// Its issuer is no name.
    #[error("in a certificate revocation list: {0}")]
    Name(#[from] NameError),
    /// Longer than [`MAX_CRL_BYTES`].
    #[error("{0} bytes are too long for a certificate revocation list")]
    TooLong(usize),
    /// Neither PEM with an X509 CRL section nor DER.
    #[error("it holds no X509 CRL section")]
    NoSection,
    /// A delta or indirect list, or a critical extension nobody here understands.
    #[error("it has the critical extension {0}, which is not supported; install the CA's complete list")]
    Unsupported(String),
}

impl RevocationList {
    /// Parses the first list of a PEM text, or DER.
    ///
    /// # Errors
    /// When there is none, or it is not usable.
    pub fn parse(bytes: &[u8]) -> Result<Self, CrlError> {
        const DER_SEQUENCE: u8 = 0x30;
        if bytes.len() > MAX_CRL_BYTES {
            return Err(CrlError::TooLong(bytes.len()));
        }
        if bytes.first() == Some(&DER_SEQUENCE) {
            return Self::from_der(bytes.to_vec());
        }
        let sections = pem::parse_many(bytes).map_err(|error| CrlError::Malformed(error.to_string()))?;
        let section = sections.into_iter().find(|section| section.tag() == "X509 CRL");
        Self::from_der(section.ok_or(CrlError::NoSection)?.into_contents())
    }

    /// Takes over the DER.
    ///
    /// # Errors
    /// When it is not a list, or not a usable one.
    pub fn from_der(der: Vec<u8>) -> Result<Self, CrlError> {
        if der.len() > MAX_CRL_BYTES {
            return Err(CrlError::TooLong(der.len()));
        }
        let malformed = |reason: &dyn std::fmt::Display| CrlError::Malformed(reason.to_string());
        let (rest, list) = CertificateRevocationList::from_der(&der).map_err(|error| malformed(&error))?;
        if !rest.is_empty() {
            return Err(malformed(&format_args!("{} bytes follow it", rest.len())));
        }
        let tbs = &list.tbs_cert_list;
        let entry_extensions = list.iter_revoked_certificates().flat_map(|entry| entry.extensions());
        if let Some(strange) = list.extensions().iter().chain(entry_extensions).find(|x| is_unsupported(x)) {
            return Err(CrlError::Unsupported(strange.oid.to_id_string()));
        }
        let timestamp = |seconds| Timestamp::from_second(seconds).map_err(|error| malformed(&error));
        let range = |slice: &[u8]| crate::certificate::range_in(&der, slice);
        let serial = |raw: &[u8]| range(without_leading_zeros(raw));
        let mut serials: Vec<_> =
            list.iter_revoked_certificates().map(|entry| serial(entry.raw_serial())).collect();
        let bytes_at = |range: &Range<usize>| der.get(range.clone());
        serials.sort_by(|a, b| bytes_at(a).cmp(&bytes_at(b)));
        let algorithm = crate::certificate::signature_algorithm(&der).map_err(|error| malformed(&error))?;
        Ok(Self {
            fingerprint: fingerprint(&der),
            issuer: Name::from_parsed(list.issuer())?,
            this_update: timestamp(list.last_update().timestamp())?,
            next_update: list.next_update().map(|time| timestamp(time.timestamp())).transpose()?,
            serials,
            to_be_signed: range(tbs.as_ref()),
            signature_algorithm: range(algorithm),
            signature: range(&list.signature_value.data),
            der,
        })
    }

    /// Who issued it.
    pub fn issuer(&self) -> &Name {
        &self.issuer
    }
    /// When it was made.
    pub fn this_update(&self) -> Timestamp {
        self.this_update
    }
    /// When the next one is due; after that it must not be relied on.
    pub fn next_update(&self) -> Option<Timestamp> {
        self.next_update
    }
    /// How many certificates it lists.
    pub fn len(&self) -> usize {
        self.serials.len()
    }
    /// Lists none.
    pub fn is_empty(&self) -> bool {
        self.serials.is_empty()
    }
    /// SHA-256 over the DER.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// Whether this serial number (big-endian bytes) is listed.
    pub fn lists(&self, serial: &[u8]) -> bool {
        let wanted = without_leading_zeros(serial);
        self.serials.binary_search_by(|range| self.slice(range).cmp(wanted)).is_ok()
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// When it is not the issuer's, or weak.
    pub fn verify_signature(&self, issuer: &Certificate) -> Result<(), SignatureError> {
        signature::verify(
            issuer.public_key_info(),
            self.slice(&self.signature_algorithm),
            self.slice(&self.to_be_signed),
            self.slice(&self.signature),
        )
    }

    fn slice(&self, range: &Range<usize>) -> &[u8] {
        self.der.get(range.clone()).unwrap_or_default()
    }
}

/// Critical and not understood. A list for one kind of certificate only (issuingDistributionPoint) is used for what it
/// lists, as the stock library does; indirect and delta lists would need their base or their other issuers.
fn is_unsupported(extension: &X509Extension<'_>) -> bool {
    match extension.parsed_extension() {
        ParsedExtension::IssuingDistributionPoint(point) => point.indirect_crl,
        ParsedExtension::CRLNumber(_)
        | ParsedExtension::ReasonCode(_)
        | ParsedExtension::InvalidityDate(_)
        | ParsedExtension::AuthorityKeyIdentifier(_) => false,
        _ => extension.critical,
    }
}

fn without_leading_zeros(serial: &[u8]) -> &[u8] {
    let start = serial.iter().position(|&byte| byte != 0).unwrap_or(serial.len());
    serial.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forge::{Plan, after};

    #[test]
    fn serial_numbers_are_found_whatever_their_leading_zeros() {
        let ca = Plan::authority("/CN=CA", None).self_signed();
        let list =
            RevocationList::parse(ca.crl(&[&[0xFF, 1], &[3], &[0x7F; 20]], -60, 60).as_bytes()).unwrap();
        assert_eq!((list.len(), list.this_update(), list.next_update()), (3, after(-60), Some(after(60))));
        for listed in [&[0xFF, 1][..], &[0, 0xFF, 1], &[3], &[0, 0, 3], &[0x7F; 20]] {
            assert!(list.lists(listed), "{listed:?}");
        }
        for other in [&[][..], &[0], &[1], &[0xFF], &[3, 0], &[0x7F; 19]] {
            assert!(!list.lists(other), "{other:?}");
        }
        assert_eq!(list.verify_signature(&ca.certificate), Ok(()));
        let other = Plan::authority("/CN=CA", None).self_signed();
        assert_eq!(list.verify_signature(&other.certificate), Err(SignatureError::Wrong));
    }

    #[test]
    fn der_is_read_as_well() {
        let ca = Plan::authority("/CN=CA", None).self_signed();
        let der = pem::parse(ca.crl(&[], -60, 60)).unwrap().into_contents();
        assert!(RevocationList::parse(&der).unwrap().is_empty());
        assert!(matches!(RevocationList::parse(&[&der[..], &[0]].concat()), Err(CrlError::Malformed(_))));
        assert_eq!(RevocationList::parse(b"").unwrap_err(), CrlError::NoSection);
        assert_eq!(
            RevocationList::parse(&vec![b'x'; MAX_CRL_BYTES + 1]).unwrap_err(),
            CrlError::TooLong(MAX_CRL_BYTES + 1)
        );
    }

    proptest::proptest! {
        #[test]
        fn damage_never_panics(at in 0usize..400, byte: u8, bytes: Vec<u8>) {
            let ca = Plan::authority("/CN=CA", None).self_signed();
            let mut der = pem::parse(ca.crl(&[&[9]], -60, 60)).unwrap().into_contents();
            if let Some(damaged) = der.get_mut(at) {
                *damaged = byte;
            }
            let _ = RevocationList::from_der(der);
            let _ = RevocationList::parse(&bytes);
        }
    }
}

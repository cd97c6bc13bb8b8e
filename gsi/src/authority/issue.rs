//! Making certificates and requests.

use super::{Authority, AuthorityError, files};
use crate::key::{Digest, PrivateKey};
use crate::proxy::{Body, OID_EXTENDED_KEY_USAGE, OID_KEY_USAGE};
use crate::request::{self, CertificateRequest};
use crate::{Certificate, GsiError, Name, der};
use jiff::{SignedDuration, Timestamp};

/// How far notBefore is set back, for peers whose clocks are slow.
const BACK_DATING: SignedDuration = SignedDuration::from_mins(5);

/// The longest host name (RFC 1035).
const MAX_HOST_NAME: usize = 253;

const OID_BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1D, 0x13];
const OID_SUBJECT_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1D, 0x0E];
const OID_AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1D, 0x23];
/// id-kp-serverAuth and id-kp-clientAuth.
const SERVER_AUTHENTICATION: &[u8] = &[0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
const CLIENT_AUTHENTICATION: &[u8] = &[0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];

/// Whom a certificate is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// A person.
    User,
    /// A host or a service on one; its host names become dNSNames.
    Host {
        /// Such as `gk.example.org`; the first one is the one people use.
        names: Vec<String>,
    },
}

/// Makes a request for a certificate of this name: PKCS#10 PEM.
///
/// # Errors
/// When the name is malformed or a host name cannot stand in a certificate.
pub fn request(subject: &str, holder: &Holder, key: &PrivateKey) -> Result<String, GsiError> {
    let subject = Name::parse_one_line(subject)?;
    let names = match holder {
        Holder::User => &[][..],
        Holder::Host { names } => names.as_slice(),
    };
    names.iter().try_for_each(|name| check_host_name(name))?;
    let der = request::write(subject.as_der(), names, key)?;
    Ok(files::pem("CERTIFICATE REQUEST", der))
}

fn check_host_name(name: &str) -> Result<(), AuthorityError> {
    let label = |label: &str| {
        let inside = label
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || matches!(character, '-' | '_'));
        (1..=63).contains(&label.len()) && inside && !label.starts_with('-') && !label.ends_with('-')
    };
    let name_without_wildcard = name.strip_prefix("*.").unwrap_or(name);
    let good = name.len() <= MAX_HOST_NAME && name_without_wildcard.split('.').all(label);
    if good { Ok(()) } else { Err(AuthorityError::BadHostName(name.to_owned())) }
}

impl Authority {
    /// Signs a request for so many days, and writes it into the index. The certificate gets the name asked for.
    ///
    /// # Errors
    /// When the name is outside of what this CA signs, a host name is malformed, or the index cannot be written.
    pub fn sign(
        &self,
        request: &CertificateRequest,
        holder: &Holder,
        days: u32,
    ) -> Result<Certificate, GsiError> {
        let subject = request.subject()?;
        self.issue(&subject, request.public_key_info(), holder, days)
    }

    /// Issues a certificate for a key we hold ourselves, as `gridiron demo` does.
    ///
    /// # Errors
    /// As [`Authority::sign`].
    pub fn issue(
        &self,
        subject: &Name,
        public_key_info: &[u8],
        holder: &Holder,
        days: u32,
    ) -> Result<Certificate, GsiError> {
        let below = format!("{}/", self.namespace());
        if !subject.subject().as_str().starts_with(&below) {
            let (subject, namespace) = (subject.subject().clone(), self.namespace().to_owned());
            return Err(AuthorityError::OutsideNamespace { subject, namespace }.into());
        }
        if let Holder::Host { names } = holder {
            names.iter().try_for_each(|name| check_host_name(name))?;
        }
        let serial = files::new_serial()?;
        let (not_before, not_after) = self.validity(days)?;
        let body = Body {
            serial: &serial,
            issuer: self.certificate.subject(),
            subject,
            not_before,
            not_after,
            public_key_info,
            extensions: &self.extensions(holder, public_key_info),
        };
        let certificate = body.sign(&self.key, Digest::Sha256)?;
        files::record(&self.directory, &certificate)?;
        Ok(certificate)
    }

    /// Never longer than the CA itself.
    fn validity(&self, days: u32) -> Result<(Timestamp, Timestamp), AuthorityError> {
        let (from, until) = validity(days)?;
        Ok((from.max(self.certificate.not_before()), until.min(self.certificate.not_after())))
    }

    fn extensions(&self, holder: &Holder, public_key_info: &[u8]) -> Vec<u8> {
        // Peers take a legacy proxy only of a holder without keyUsage, or with keyCertSign, which none should have
        // (§5.4 rule 3). People make proxies, hosts do not.
        let usage = match holder {
            Holder::User => Vec::new(),
            Holder::Host { .. } => key_usage(&[DIGITAL_SIGNATURE, KEY_ENCIPHERMENT]),
        };
        let purposes = match holder {
            Holder::User => der::sequence(&[&der::object_identifier(CLIENT_AUTHENTICATION)]),
            // A gatekeeper also calls its clients back.
            Holder::Host { .. } => der::sequence(&[
                &der::object_identifier(SERVER_AUTHENTICATION),
                &der::object_identifier(CLIENT_AUTHENTICATION),
            ]),
        };
        let alternatives = match holder {
            Holder::Host { names } if !names.is_empty() => request::dns_extension(names),
            _ => Vec::new(),
        };
        [
            der::extension(OID_BASIC_CONSTRAINTS, true, &der::sequence(&[])),
            usage,
            der::extension(OID_EXTENDED_KEY_USAGE, false, &purposes),
            der::extension(
                OID_SUBJECT_KEY_IDENTIFIER,
                false,
                &der::octet_string(&key_identifier(public_key_info)),
            ),
            self.authority_key_identifier(),
            alternatives,
        ]
        .concat()
    }

    /// The extension that names our key, for certificates and CRLs.
    pub(super) fn authority_key_identifier(&self) -> Vec<u8> {
        /// `[0]`, primitive: keyIdentifier.
        const KEY_IDENTIFIER: u8 = 0x80;
        let identifier = der::element(KEY_IDENTIFIER, &[&key_identifier(self.certificate.public_key_info())]);
        der::extension(OID_AUTHORITY_KEY_IDENTIFIER, false, &der::sequence(&[&identifier]))
    }
}

/// The certificate of a new CA.
pub(super) fn self_signed(name: &Name, key: &PrivateKey, days: u32) -> Result<Certificate, GsiError> {
    const TRUE: &[u8] = &[der::BOOLEAN, 1, 0xFF];
    let public_key_info = key.public_key_info();
    let extensions = [
        der::extension(OID_BASIC_CONSTRAINTS, true, &der::sequence(&[TRUE])),
        key_usage(&[KEY_CERT_SIGN, CRL_SIGN]),
        der::extension(
            OID_SUBJECT_KEY_IDENTIFIER,
            false,
            &der::octet_string(&key_identifier(&public_key_info)),
        ),
    ];
    let (not_before, not_after) = validity(days)?;
    let body = Body {
        serial: &files::new_serial()?,
        issuer: name,
        subject: name,
        not_before,
        not_after,
        public_key_info: &public_key_info,
        extensions: &extensions.concat(),
    };
    body.sign(key, Digest::Sha256)
}

fn validity(days: u32) -> Result<(Timestamp, Timestamp), AuthorityError> {
    let now = Timestamp::now();
    let lifetime = SignedDuration::from_hours(i64::from(days) * 24);
    let end = now.checked_add(lifetime).map_err(|_| AuthorityError::Lifetime(days))?;
    Ok((now.checked_sub(BACK_DATING).unwrap_or(now), end))
}

/// Bits of keyUsage, counted from the top of the first octet.
const DIGITAL_SIGNATURE: u8 = 0;
const KEY_ENCIPHERMENT: u8 = 2;
const KEY_CERT_SIGN: u8 = 5;
const CRL_SIGN: u8 = 6;

fn key_usage(bits: &[u8]) -> Vec<u8> {
    let octet = bits.iter().fold(0_u8, |octet, bit| octet | 0x80 >> bit);
    let unused = octet.trailing_zeros() as u8;
    der::extension(OID_KEY_USAGE, true, &der::element(der::BIT_STRING, &[&[unused, octet]]))
}

/// SHA-1 of the key bits (RFC 5280 §4.2.1.2, method 1).
fn key_identifier(public_key_info: &[u8]) -> [u8; 20] {
    use sha1::Digest as _;
    let bits = crate::signature::split_key(public_key_info).map_or(public_key_info, |(_, bits)| bits);
    sha1::Sha1::digest(bits).into()
}

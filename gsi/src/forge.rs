//! Certificates and lists of every shape, right and wrong, for tests. Elliptic-curve keys keep it fast.

use crate::certificate::{OID_DRAFT_PROXY_CERT_INFO, OID_INHERIT_ALL, OID_LIMITED, OID_PROXY_CERT_INFO};
use crate::der;
use crate::key::{Digest, PrivateKey};
use crate::{Certificate, Name, ProxyFormat, TrustDirectory};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use jiff::Timestamp;
use std::path::PathBuf;

pub(crate) const DIGITAL_SIGNATURE: u8 = 0x80;
pub(crate) const CERTIFICATE_SIGNING: u8 = 0x04;
pub(crate) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1D, 0x13];
pub(crate) const KEY_USAGE: &[u8] = &[0x55, 0x1D, 0x0F];
pub(crate) const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1D, 0x11];

/// The moment all forged certificates are made for.
pub(crate) fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

/// `now` and so many seconds.
pub(crate) fn after(seconds: i64) -> Timestamp {
    now() + jiff::SignedDuration::from_secs(seconds)
}

/// A certificate with its key.
#[derive(Clone)]
pub(crate) struct Holder {
    pub(crate) certificate: Certificate,
    pub(crate) key: PrivateKey,
}

/// What a certificate is to say.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) subject: Name,
    pub(crate) issuer: Option<Name>,
    pub(crate) serial: Vec<u8>,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    pub(crate) extensions: Vec<Vec<u8>>,
}

impl Plan {
    pub(crate) fn new(subject: &str) -> Self {
        Self::named(Name::parse_one_line(subject).unwrap())
    }

    pub(crate) fn named(subject: Name) -> Self {
        let (not_before, not_after) = (after(-3600), after(3600));
        Self { subject, issuer: None, serial: vec![17], not_before, not_after, extensions: Vec::new() }
    }

    pub(crate) fn authority(subject: &str, path_length: Option<u8>) -> Self {
        let mut fields = vec![0x01, 0x01, 0xFF];
        fields.extend(path_length.into_iter().flat_map(|length| [0x02, 0x01, length]));
        Self::new(subject)
            .with(BASIC_CONSTRAINTS, true, &der::sequence(&[&fields]))
            .key_usage(CERTIFICATE_SIGNING)
    }

    /// An RFC or draft proxy below `issuer`.
    pub(crate) fn proxy(
        issuer: &Holder,
        format: ProxyFormat,
        language: &[u8],
        path_length: Option<u8>,
    ) -> Self {
        let cn = (100 + issuer.certificate.der().len()).to_string();
        let plan = Self::named(issuer.certificate.subject().with_common_name(&cn));
        let policy = der::sequence(&[&der::object_identifier(language)]);
        let length = path_length.map(|length| der::element(der::INTEGER, &[&[length]])).unwrap_or_default();
        match format {
            ProxyFormat::Rfc => plan.with(OID_PROXY_CERT_INFO, true, &der::sequence(&[&length, &policy])),
            ProxyFormat::Draft => {
                let length = if length.is_empty() { length } else { der::context(1, &[&length]) };
                plan.with(OID_DRAFT_PROXY_CERT_INFO, true, &der::sequence(&[&policy, &length]))
            }
            ProxyFormat::Legacy => {
                let cn = if language == OID_LIMITED { "limited proxy" } else { "proxy" };
                Self::named(issuer.certificate.subject().with_common_name(cn))
            }
        }
    }

    pub(crate) fn with(mut self, oid: &[u8], critical: bool, value: &[u8]) -> Self {
        self.extensions.push(der::extension(oid, critical, value));
        self
    }

    pub(crate) fn key_usage(self, bits: u8) -> Self {
        self.with(KEY_USAGE, true, &[0x03, 0x02, bits.trailing_zeros() as u8, bits])
    }

    pub(crate) fn dns(self, names: &[&str]) -> Self {
        let names: Vec<_> = names.iter().map(|name| der::element(0x82, &[name.as_bytes()])).collect();
        self.with(SUBJECT_ALT_NAME, false, &der::sequence(&[&names.concat()]))
    }

    pub(crate) fn valid(mut self, from: i64, to: i64) -> Self {
        (self.not_before, self.not_after) = (after(from), after(to));
        self
    }

    pub(crate) fn serial(mut self, serial: &[u8]) -> Self {
        self.serial = serial.to_vec();
        self
    }

    pub(crate) fn self_signed(self) -> Holder {
        let key = new_key();
        self.signed(&key, &key.clone())
    }

    /// The bytes of a certificate that may be too wrong to be parsed.
    pub(crate) fn self_signed_der(self) -> Vec<u8> {
        let key = new_key();
        self.encode(&key, &key)
    }

    fn signed(self, key: &PrivateKey, signer: &PrivateKey) -> Holder {
        let certificate = Certificate::from_der(&self.encode(key, signer)).unwrap();
        Holder { certificate, key: key.clone() }
    }

    fn encode(self, key: &PrivateKey, signer: &PrivateKey) -> Vec<u8> {
        let issuer = self.issuer.as_ref().unwrap_or(&self.subject);
        let algorithm = signer.signature_algorithm(Digest::Sha256);
        let extensions = match self.extensions.concat() {
            none if none.is_empty() => none,
            some => der::context(3, &[&der::sequence(&[&some])]),
        };
        let body = der::sequence(&[
            &der::context(0, &[&[0x02, 0x01, 0x02]]),
            &der::unsigned_integer(&self.serial),
            &algorithm,
            issuer.as_der(),
            &der::sequence(&[&der::time(self.not_before), &der::time(self.not_after)]),
            self.subject.as_der(),
            &key.public_key_info(),
            &extensions,
        ]);
        sign(&body, signer)
    }
}

impl Holder {
    pub(crate) fn issue(&self, plan: Plan) -> Holder {
        self.issue_for(plan, &new_key())
    }

    pub(crate) fn issue_for(&self, mut plan: Plan, key: &PrivateKey) -> Holder {
        plan.issuer.get_or_insert_with(|| self.certificate.subject().clone());
        plan.signed(key, &self.key)
    }

    pub(crate) fn full_proxy(&self, format: ProxyFormat) -> Holder {
        self.issue(Plan::proxy(self, format, OID_INHERIT_ALL, None))
    }

    pub(crate) fn limited_proxy(&self, format: ProxyFormat) -> Holder {
        self.issue(Plan::proxy(self, format, OID_LIMITED, None))
    }

    /// A CRL in PEM.
    pub(crate) fn crl(&self, serials: &[&[u8]], from: i64, to: i64) -> String {
        let entry =
            |serial: &&[u8]| der::sequence(&[&der::unsigned_integer(serial), &der::time(after(from))]);
        let revoked: Vec<u8> = serials.iter().flat_map(entry).collect();
        let revoked = if revoked.is_empty() { revoked } else { der::sequence(&[&revoked]) };
        let body = der::sequence(&[
            &der::unsigned_integer(&[1]),
            &self.key.signature_algorithm(Digest::Sha256),
            self.certificate.subject().as_der(),
            &der::time(after(from)),
            &der::time(after(to)),
            &revoked,
        ]);
        pem::encode(&pem::Pem::new("X509 CRL", sign(&body, &self.key)))
    }
}

/// A trust directory of its own.
pub(crate) struct Site {
    pub(crate) directory: tempfile::TempDir,
}

impl Site {
    /// With these CAs, each allowed to sign everything.
    pub(crate) fn trusting(authorities: &[&Holder]) -> Self {
        let site = Self { directory: tempfile::tempdir().unwrap() };
        for authority in authorities {
            site.write(authority, "0", authority.certificate.to_pem());
            site.policy(authority, "*");
        }
        site
    }

    pub(crate) fn path(&self, authority: &Holder, suffix: &str) -> PathBuf {
        self.directory.path().join(format!("{}.{suffix}", authority.certificate.subject().hash()))
    }

    pub(crate) fn write(&self, authority: &Holder, suffix: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(authority, suffix), content).unwrap();
    }

    pub(crate) fn policy(&self, authority: &Holder, patterns: &str) {
        let name = authority.certificate.subject().subject();
        let text = format!(
            "access_id_CA X509 '{name}'\npos_rights globus CA:sign\ncond_subjects globus '{patterns}'\n"
        );
        self.write(authority, "signing_policy", text);
    }

    pub(crate) fn trust(&self) -> TrustDirectory {
        TrustDirectory::open(self.directory.path()).unwrap()
    }
}

/// One of four RSA keys that everybody knows: for tests in which it does not matter whose key it is.
pub(crate) fn known_rsa_key(number: usize) -> PrivateKey {
    let pem = [
        include_str!("../test-only-keys/test-only-1.pem"),
        include_str!("../test-only-keys/test-only-2.pem"),
        include_str!("../test-only-keys/test-only-3.pem"),
        include_str!("../test-only-keys/test-only-4.pem"),
    ];
    PrivateKey::from_pem(pem[number].as_bytes(), None).unwrap()
}

fn sign(body: &[u8], signer: &PrivateKey) -> Vec<u8> {
    let signature = signer.sign(body, Digest::Sha256).unwrap();
    der::sequence(&[body, &signer.signature_algorithm(Digest::Sha256), &der::bit_string(&signature)])
}

pub(crate) fn new_key() -> PrivateKey {
    let random = aws_lc_rs::rand::SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
    PrivateKey::from_der(pkcs8.as_ref()).unwrap()
}

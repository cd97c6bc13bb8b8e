//! What OpenSSL calls the object identifiers that occur in certificates.

use super::Wording;
use gsi::der::dotted;

/// The name, or the dotted form.
pub(super) fn name(oid: &[u8], wording: Wording) -> String {
    let dotted = dotted(oid);
    let named = |table: &'static [(&str, &str)]| table.iter().find(|(known, _)| *known == dotted);
    let globus = (wording == Wording::ProxyInfo).then(|| named(GLOBUS)).flatten();
    globus.or_else(|| named(OBJECTS)).map_or_else(|| dotted.clone(), |(_, name)| (*name).to_owned())
}

/// Those that only the Globus libraries know.
const GLOBUS: &[(&str, &str)] = &[
    ("1.3.6.1.4.1.3536.1.1.1.9", "GSI limited proxy"),
    ("1.3.6.1.4.1.3536.1.222", "Proxy Certificate Info Extension (old OID)"),
];

const OBJECTS: &[(&str, &str)] = &[
    // Keys and signatures.
    ("1.2.840.113549.1.1.1", "rsaEncryption"),
    ("1.2.840.113549.1.1.4", "md5WithRSAEncryption"),
    ("1.2.840.113549.1.1.5", "sha1WithRSAEncryption"),
    ("1.2.840.113549.1.1.10", "rsassaPss"),
    ("1.2.840.113549.1.1.11", "sha256WithRSAEncryption"),
    ("1.2.840.113549.1.1.12", "sha384WithRSAEncryption"),
    ("1.2.840.113549.1.1.13", "sha512WithRSAEncryption"),
    ("1.2.840.113549.1.1.14", "sha224WithRSAEncryption"),
    ("1.2.840.10040.4.1", "dsaEncryption"),
    ("1.2.840.10040.4.3", "dsaWithSHA1"),
    ("1.2.840.10045.2.1", "id-ecPublicKey"),
    ("1.2.840.10045.4.1", "ecdsa-with-SHA1"),
    ("1.2.840.10045.4.3.1", "ecdsa-with-SHA224"),
    ("1.2.840.10045.4.3.2", "ecdsa-with-SHA256"),
    ("1.2.840.10045.4.3.3", "ecdsa-with-SHA384"),
    ("1.2.840.10045.4.3.4", "ecdsa-with-SHA512"),
    ("1.3.101.112", "ED25519"),
    ("1.3.101.113", "ED448"),
    // Extensions.
    ("2.5.29.9", "X509v3 Subject Directory Attributes"),
    ("2.5.29.14", "X509v3 Subject Key Identifier"),
    ("2.5.29.15", "X509v3 Key Usage"),
    ("2.5.29.16", "X509v3 Private Key Usage Period"),
    ("2.5.29.17", "X509v3 Subject Alternative Name"),
    ("2.5.29.18", "X509v3 Issuer Alternative Name"),
    ("2.5.29.19", "X509v3 Basic Constraints"),
    ("2.5.29.30", "X509v3 Name Constraints"),
    ("2.5.29.31", "X509v3 CRL Distribution Points"),
    ("2.5.29.32", "X509v3 Certificate Policies"),
    ("2.5.29.33", "X509v3 Policy Mappings"),
    ("2.5.29.35", "X509v3 Authority Key Identifier"),
    ("2.5.29.36", "X509v3 Policy Constraints"),
    ("2.5.29.37", "X509v3 Extended Key Usage"),
    ("2.5.29.46", "X509v3 Freshest CRL"),
    ("2.5.29.54", "X509v3 Inhibit Any Policy"),
    ("1.3.6.1.5.5.7.1.1", "Authority Information Access"),
    ("1.3.6.1.5.5.7.1.11", "Subject Information Access"),
    ("1.3.6.1.5.5.7.1.14", "Proxy Certificate Information"),
    ("1.3.6.1.5.5.7.1.24", "TLS Feature"),
    ("1.3.6.1.5.5.7.48.1.5", "OCSP No Check"),
    ("1.3.6.1.4.1.11129.2.4.2", "CT Precertificate SCTs"),
    ("2.16.840.1.113730.1.1", "Netscape Cert Type"),
    ("2.16.840.1.113730.1.2", "Netscape Base Url"),
    ("2.16.840.1.113730.1.3", "Netscape Revocation Url"),
    ("2.16.840.1.113730.1.4", "Netscape CA Revocation Url"),
    ("2.16.840.1.113730.1.7", "Netscape Renewal Url"),
    ("2.16.840.1.113730.1.8", "Netscape CA Policy Url"),
    ("2.16.840.1.113730.1.12", "Netscape SSL Server Name"),
    ("2.16.840.1.113730.1.13", "Netscape Comment"),
    // What keys are for.
    ("2.5.29.37.0", "Any Extended Key Usage"),
    ("1.3.6.1.5.5.7.3.1", "TLS Web Server Authentication"),
    ("1.3.6.1.5.5.7.3.2", "TLS Web Client Authentication"),
    ("1.3.6.1.5.5.7.3.3", "Code Signing"),
    ("1.3.6.1.5.5.7.3.4", "E-mail Protection"),
    ("1.3.6.1.5.5.7.3.5", "IPSec End System"),
    ("1.3.6.1.5.5.7.3.6", "IPSec Tunnel"),
    ("1.3.6.1.5.5.7.3.7", "IPSec User"),
    ("1.3.6.1.5.5.7.3.8", "Time Stamping"),
    ("1.3.6.1.5.5.7.3.9", "OCSP Signing"),
    ("1.3.6.1.5.5.7.3.17", "ipsec Internet Key Exchange"),
    ("1.3.6.1.5.5.7.3.21", "SSH Client"),
    ("1.3.6.1.5.5.7.3.22", "SSH Server"),
    ("1.3.6.1.4.1.311.2.1.21", "Microsoft Individual Code Signing"),
    ("1.3.6.1.4.1.311.2.1.22", "Microsoft Commercial Code Signing"),
    ("1.3.6.1.4.1.311.10.3.1", "Microsoft Trust List Signing"),
    ("1.3.6.1.4.1.311.10.3.3", "Microsoft Server Gated Crypto"),
    ("1.3.6.1.4.1.311.10.3.4", "Microsoft Encrypted File System"),
    ("1.3.6.1.4.1.311.20.2.2", "Microsoft Smartcard Login"),
    ("2.16.840.1.113730.4.1", "Netscape Server Gated Crypto"),
    // Policies and where to ask.
    ("2.5.29.32.0", "X509v3 Any Policy"),
    ("1.3.6.1.5.5.7.48.1", "OCSP"),
    ("1.3.6.1.5.5.7.48.2", "CA Issuers"),
    ("1.3.6.1.5.5.7.48.3", "AD Time Stamping"),
    ("1.3.6.1.5.5.7.48.5", "CA Repository"),
    // Proxies.
    ("1.3.6.1.5.5.7.21.0", "Any language"),
    ("1.3.6.1.5.5.7.21.1", "Inherit all"),
    ("1.3.6.1.5.5.7.21.2", "Independent"),
];

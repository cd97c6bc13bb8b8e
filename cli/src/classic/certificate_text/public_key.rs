//! The public key: RSA, elliptic curves by name, Ed25519.

use super::{Wording, hex_lines, magnitude, objects, unsigned};
use gsi::der::{self, DerError, Reader, dotted};
use std::fmt::Write as _;

/// Blanks before a key's lines.
const INDENT: usize = 16;
/// Bytes of a number or point on one line.
const PER_LINE: usize = 15;

/// Named curves: OID, name, bits of the order, NIST's name.
const CURVES: &[(&str, &str, usize, Option<&str>)] = &[
    ("1.2.840.10045.3.1.7", "prime256v1", 256, Some("P-256")),
    ("1.3.132.0.34", "secp384r1", 384, Some("P-384")),
    ("1.3.132.0.35", "secp521r1", 521, Some("P-521")),
    ("1.3.132.0.10", "secp256k1", 256, None),
    ("1.3.36.3.3.2.8.1.1.7", "brainpoolP256r1", 256, None),
    ("1.3.36.3.3.2.8.1.1.11", "brainpoolP384r1", 384, None),
    ("1.3.36.3.3.2.8.1.1.13", "brainpoolP512r1", 512, None),
];

/// The algorithm, and the key below it.
pub(super) fn render(info: &[u8], wording: Wording) -> String {
    let read = || {
        let mut info = Reader::new(info).nested(der::SEQUENCE)?;
        let mut algorithm = info.nested(der::SEQUENCE)?;
        let oid = algorithm.content(der::OBJECT_IDENTIFIER)?;
        Ok::<_, DerError>((oid, algorithm, info.content(der::BIT_STRING)?.get(1..).unwrap_or_default()))
    };
    let Ok((oid, parameters, key)) = read() else {
        return unreadable();
    };
    let rendered = match dotted(oid).as_str() {
        "1.2.840.113549.1.1.1" => rsa(key).ok(),
        "1.2.840.10045.2.1" => elliptic(parameters, key),
        "1.3.101.112" => {
            Some(format!("{:INDENT$}ED25519 Public-Key:\n{:INDENT$}pub:\n{}", "", "", bytes(key)))
        }
        _ => None,
    };
    let rendered = rendered.unwrap_or_else(unreadable);
    format!("            Public Key Algorithm: {}\n{rendered}", objects::name(oid, wording))
}

fn unreadable() -> String {
    "            Unable to load Public Key\n".to_owned()
}

fn rsa(key: &[u8]) -> Result<String, DerError> {
    let mut numbers = Reader::new(key).nested(der::SEQUENCE)?;
    let (modulus, exponent) =
        (magnitude(numbers.content(der::INTEGER)?), magnitude(numbers.content(der::INTEGER)?));
    let spare = modulus.first().map_or(0, |first| first.leading_zeros() as usize);
    Ok(format!(
        "{:INDENT$}Public-Key: ({} bit)\n{}{}",
        "",
        (modulus.len() * 8).saturating_sub(spare),
        number("Modulus", &modulus),
        number("Exponent", &exponent),
    ))
}

/// In decimal and hexadecimal up to eight bytes, in bytes above; a set high bit gets a zero byte in front.
fn number(label: &str, big_endian: &[u8]) -> String {
    if let Some(value) = unsigned(big_endian) {
        return format!("{:INDENT$}{label}: {value} (0x{value:x})\n", "");
    }
    let mut padded = big_endian.to_vec();
    if padded.first().is_some_and(|first| *first >= 0x80) {
        padded.insert(0, 0);
    }
    format!("{:INDENT$}{label}:\n{}", "", bytes(&padded))
}

fn elliptic(mut parameters: Reader<'_>, point: &[u8]) -> Option<String> {
    let curve = dotted(parameters.content(der::OBJECT_IDENTIFIER).ok()?);
    let (_, name, bits, nist) = CURVES.iter().find(|known| known.0 == curve)?;
    let mut text = format!(
        "{:INDENT$}Public-Key: ({bits} bit)\n{:INDENT$}pub:\n{}{:INDENT$}ASN1 OID: {name}\n",
        "",
        "",
        bytes(point),
        "",
    );
    if let Some(nist) = nist {
        let _ = writeln!(text, "{:INDENT$}NIST CURVE: {nist}", "");
    }
    Some(text)
}

fn bytes(bytes: &[u8]) -> String {
    hex_lines(bytes, PER_LINE, INDENT + 4)
}

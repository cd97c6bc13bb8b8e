//! A certificate in words, byte for byte as the stock tools print it: `grid-cert-info` through `openssl x509 -text`,
//! `grid-proxy-info -text` through OpenSSL's library. Everything here was compared with OpenSSL 3.0.
//!
//! Not rendered as OpenSSL does: keys and signatures no grid uses (DSA, RSA-PSS parameters, explicit curves), unique
//! identifiers of version 2. Extensions unknown here are shown as OpenSSL shows those unknown to it. Control
//! characters in text are shown as dots, since the reader's terminal would obey them.

mod certificate_policies;
mod distribution_points;
mod extension;
mod general_name;
mod names;
mod objects;
mod proxy_info;
mod public_key;
#[cfg(test)]
mod tests;

use super::proxy_text::openssl_date;
use gsi::{
    Certificate, Name,
    der::{self, DerError, Reader},
};
pub(super) use names::{plain, rfc2253};
use std::fmt::Write as _;

/// Which tool is imitated: they write names and proxies differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wording {
    /// `grid-cert-info`: `O = Grid, CN = x`.
    CertInfo,
    /// `grid-cert-info -rfc2253`: `CN=x,O=Grid`.
    CertInfoRfc2253,
    /// `grid-proxy-info`: `O=Grid, CN=x`; knows limited and draft proxies.
    ProxyInfo,
}

impl Wording {
    fn name(self, name: &Name) -> String {
        match self {
            Self::CertInfo => names::spaced(name),
            Self::CertInfoRfc2253 => names::rfc2253(name),
            Self::ProxyInfo => names::compact(name),
        }
    }
}

/// The whole certificate, without a newline at its end.
pub(super) fn render(certificate: &Certificate, wording: Wording) -> String {
    let algorithm = signature_algorithm(certificate, wording);
    let mut text = format!(
        "Certificate:\n    Data:\n        Version: {version} (0x{:x})\n        Serial Number:{}\n        Signature Algorithm: {algorithm}\n        \
         Issuer: {}\n        Validity\n            Not Before: {}\n            Not After : {}\n        Subject: {}\n        \
         Subject Public Key Info:\n{}",
        version(certificate) - 1,
        serial_number(certificate.serial()),
        wording.name(certificate.issuer()),
        openssl_date(certificate.not_before()),
        openssl_date(certificate.not_after()),
        wording.name(certificate.subject()),
        public_key::render(certificate.public_key_info(), wording),
        version = version(certificate),
    );
    let mut extensions = certificate.extensions().peekable();
    if extensions.peek().is_some() {
        text.push_str("        X509v3 extensions:\n");
    }
    for extension in extensions {
        text.push_str(&extension::render(&extension, wording));
    }
    let _ = write!(text, "    Signature Algorithm: {algorithm}\n    Signature Value:\n");
    text.push_str(hex_lines(certificate.signature(), 18, 8).trim_end_matches('\n'));
    text
}

/// 1, 2 or 3; the field is absent in version 1.
fn version(certificate: &Certificate) -> u32 {
    const EXPLICIT_VERSION: u8 = 0xA0;
    let read = || {
        let mut fields = Reader::new(certificate.to_be_signed()).nested(der::SEQUENCE)?;
        fields.nested(EXPLICIT_VERSION)?.small_integer()
    };
    read().map_or(1, |number| number.saturating_add(1))
}

fn signature_algorithm(certificate: &Certificate, wording: Wording) -> String {
    let oid = Reader::new(certificate.signature_algorithm()).content(der::OBJECT_IDENTIFIER);
    objects::name(oid.unwrap_or_default(), wording)
}

/// On the same line in decimal and hexadecimal when it fits into a C long, on the next line in bytes otherwise.
fn serial_number(integer: &[u8]) -> String {
    let negative = integer.first().is_some_and(|first| *first >= 0x80);
    let magnitude = magnitude(integer);
    let sign = if negative { "-" } else { "" };
    match unsigned(&magnitude) {
        // OpenSSL takes -1 for its own sign of failure.
        Some(1) if negative => {}
        Some(value) if value < 1 << 63 || (negative && value == 1 << 63) => {
            return format!(" {sign}{value} ({sign}0x{value:x})");
        }
        _ => {}
    }
    let note = if negative { " (Negative)" } else { "" };
    format!("\n            {note}{}", colons(&magnitude, false))
}

/// The absolute value of a two's complement INTEGER, big-endian, at least one byte, no leading zeros.
fn magnitude(integer: &[u8]) -> Vec<u8> {
    let mut bytes = integer.to_vec();
    if bytes.first().is_some_and(|first| *first >= 0x80) {
        let mut carry = true;
        for byte in bytes.iter_mut().rev() {
            (*byte, carry) = (!*byte).overflowing_add(u8::from(carry));
        }
    }
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count().min(bytes.len().saturating_sub(1));
    bytes.drain(..zeros);
    bytes
}

/// A number of at most eight bytes.
fn unsigned(big_endian: &[u8]) -> Option<u64> {
    (big_endian.len() <= 8).then(|| big_endian.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

/// `0a:1b`, or in capitals `0A:1B`.
fn colons(bytes: &[u8], capitals: bool) -> String {
    let digits = |byte: &u8| if capitals { format!("{byte:02X}") } else { format!("{byte:02x}") };
    bytes.iter().map(digits).collect::<Vec<_>>().join(":")
}

/// Lines of so many bytes, so many blanks before each; all but the last end in a colon.
fn hex_lines(bytes: &[u8], per_line: usize, indent: usize) -> String {
    let lines: Vec<String> =
        bytes.chunks(per_line).map(|line| format!("{:indent$}{}", "", colons(line, false))).collect();
    format!("{}\n", lines.join(":\n"))
}

/// Text from a certificate: line ends and tabs stay, what else a terminal would obey becomes a dot.
fn printable(text: &[u8]) -> String {
    let shown = |letter: char| match letter {
        '\n' | '\r' | '\t' => letter,
        _ if letter.is_control() => '.',
        _ => letter,
    };
    String::from_utf8_lossy(text).chars().map(shown).collect()
}

/// The numbers of the bits that are set in the content of a BIT STRING.
fn set_bits(content: &[u8]) -> impl Iterator<Item = usize> {
    let bytes = content.get(1..).unwrap_or_default().iter().enumerate();
    bytes.flat_map(|(index, byte)| {
        (0..8).filter(move |bit| byte & 0x80 >> bit != 0).map(move |bit| index * 8 + bit)
    })
}

/// The content of the one element these bytes are.
fn only(bytes: &[u8], tag: u8) -> Result<&[u8], DerError> {
    let mut reader = Reader::new(bytes);
    let content = reader.content(tag)?;
    reader.finish()?;
    Ok(content)
}

//! One extension: its name, whether it is critical, and what it says.

use super::{
    Wording, certificate_policies, colons, distribution_points,
    general_name::{self, Directory},
    magnitude, objects, only, printable, proxy_info, set_bits, unsigned,
};
use gsi::{
    certificate::Extension,
    der::{self, DerError, Reader, dotted},
};

const IA5_STRING: u8 = 0x16;

const KEY_USAGES: &[&str] = &[
    "Digital Signature",
    "Non Repudiation",
    "Key Encipherment",
    "Data Encipherment",
    "Key Agreement",
    "Certificate Sign",
    "CRL Sign",
    "Encipher Only",
    "Decipher Only",
];

const NETSCAPE_TYPES: &[&str] = &[
    "SSL Client",
    "SSL Server",
    "S/MIME",
    "Object Signing",
    "Unused",
    "SSL CA",
    "S/MIME CA",
    "Object Signing CA",
];

/// All lines of it.
pub(super) fn render(extension: &Extension<'_>, wording: Wording) -> String {
    let name = objects::name(extension.oid, wording);
    let critical = if extension.critical { "critical" } else { "" };
    // What cannot be understood is shown as it is.
    let said = said(extension, wording).unwrap_or_else(|_| format!("{:16}{}", "", dots(extension.value)));
    format!("{:12}{name}: {critical}\n{said}\n", "")
}

/// The indented lines below the name, without the last newline.
fn said(extension: &Extension<'_>, wording: Wording) -> Result<String, DerError> {
    let value = extension.value;
    let line = |text: String| format!("{:16}{text}", "");
    Ok(match dotted(extension.oid).as_str() {
        "2.5.29.14" => line(colons(only(value, der::OCTET_STRING)?, true)),
        "2.5.29.15" => line(names_of_bits(value, KEY_USAGES)?),
        "2.5.29.17" | "2.5.29.18" => {
            let names = Reader::new(only(value, der::SEQUENCE)?);
            line(listed(&general_name::all(names, Directory::OneLine, wording)?))
        }
        "2.5.29.19" => line(basic_constraints(value)?),
        "2.5.29.30" => name_constraints(value, wording)?,
        "2.5.29.31" | "2.5.29.46" => distribution_points::render(value, wording)?,
        "2.5.29.32" => certificate_policies::render(value, wording)?,
        "2.5.29.35" => authority_key_identifier(value, wording)?,
        "2.5.29.36" => line(policy_constraints(value)?),
        "2.5.29.37" => line(extended_key_usage(value, wording)?),
        "2.5.29.54" => line(decimal(only(value, der::INTEGER)?)?),
        "1.3.6.1.5.5.7.1.1" | "1.3.6.1.5.5.7.1.11" => information_access(value, wording)?,
        "1.3.6.1.5.5.7.1.14" => proxy_info::rfc(value, wording)?,
        "1.3.6.1.5.5.7.48.1.5" => String::new(),
        "1.3.6.1.4.1.3536.1.222" if wording == Wording::ProxyInfo => proxy_info::draft(value, wording)?,
        "2.16.840.1.113730.1.1" => line(names_of_bits(value, NETSCAPE_TYPES)?),
        oid if oid.starts_with("2.16.840.1.113730.1.") => line(printable(only(value, IA5_STRING)?)),
        _ => line(dots(value)),
    })
}

/// Bytes as text, with a dot for each that is not printable.
fn dots(bytes: &[u8]) -> String {
    let shown = |byte: &u8| match byte {
        b'\n' | b'\r' | b' '..=b'~' => char::from(*byte),
        _ => '.',
    };
    bytes.iter().map(shown).collect()
}

fn listed(values: &[String]) -> String {
    if values.is_empty() { "<EMPTY>\n".to_owned() } else { values.join(", ") }
}

fn names_of_bits(value: &[u8], names: &[&str]) -> Result<String, DerError> {
    let set = set_bits(only(value, der::BIT_STRING)?).filter_map(|bit| names.get(bit));
    Ok(listed(&set.map(|name| (*name).to_owned()).collect::<Vec<_>>()))
}

fn basic_constraints(value: &[u8]) -> Result<String, DerError> {
    let mut fields = Reader::new(only(value, der::SEQUENCE)?);
    let mut authority = "CA:FALSE";
    if fields.peek() == Some(der::BOOLEAN) && fields.content(der::BOOLEAN)? != [0] {
        authority = "CA:TRUE";
    }
    if fields.peek().is_none() {
        return Ok(authority.to_owned());
    }
    Ok(format!("{authority}, pathlen:{}", decimal(fields.content(der::INTEGER)?)?))
}

fn policy_constraints(value: &[u8]) -> Result<String, DerError> {
    let mut fields = Reader::new(only(value, der::SEQUENCE)?);
    let mut values = Vec::new();
    for (tag, label) in [(0x80, "Require Explicit Policy"), (0x81, "Inhibit Policy Mapping")] {
        if fields.peek() == Some(tag) {
            values.push(format!("{label}:{}", decimal(fields.content(tag)?)?));
        }
    }
    Ok(listed(&values))
}

/// The content of a non-negative INTEGER of at most eight bytes.
fn decimal(integer: &[u8]) -> Result<String, DerError> {
    unsigned(&magnitude(integer)).map(|value| value.to_string()).ok_or(DerError::BadInteger)
}

fn extended_key_usage(value: &[u8], wording: Wording) -> Result<String, DerError> {
    let mut usages = Reader::new(only(value, der::SEQUENCE)?);
    let mut names = Vec::new();
    while usages.peek().is_some() {
        names.push(objects::name(usages.content(der::OBJECT_IDENTIFIER)?, wording));
    }
    Ok(listed(&names))
}

/// One line a part; a key identifier alone stands without a label.
fn authority_key_identifier(value: &[u8], wording: Wording) -> Result<String, DerError> {
    const KEY_IDENTIFIER: u8 = 0x80;
    const ISSUER: u8 = 0xA1;
    const SERIAL: u8 = 0x82;
    let mut fields = Reader::new(only(value, der::SEQUENCE)?);
    let mut lines = Vec::new();
    if fields.peek() == Some(KEY_IDENTIFIER) {
        let key = colons(fields.content(KEY_IDENTIFIER)?, true);
        lines.push(if fields.peek().is_some() { format!("keyid:{key}") } else { key });
    }
    if fields.peek() == Some(ISSUER) {
        lines.extend(general_name::all(fields.nested(ISSUER)?, Directory::OneLine, wording)?);
    }
    if fields.peek() == Some(SERIAL) {
        lines.push(format!("serial:{}", colons(&magnitude(fields.content(SERIAL)?), true)));
    }
    fields.finish()?;
    Ok(indented(&lines, 16))
}

fn information_access(value: &[u8], wording: Wording) -> Result<String, DerError> {
    let mut descriptions = Reader::new(only(value, der::SEQUENCE)?);
    let mut lines = Vec::new();
    while descriptions.peek().is_some() {
        let mut description = descriptions.nested(der::SEQUENCE)?;
        let method = objects::name(description.content(der::OBJECT_IDENTIFIER)?, wording);
        let place = general_name::one(&mut description, Directory::OneLine, wording)?;
        lines.push(format!("{method} - {place}"));
    }
    Ok(indented(&lines, 16))
}

fn name_constraints(value: &[u8], wording: Wording) -> Result<String, DerError> {
    let mut fields = Reader::new(only(value, der::SEQUENCE)?);
    let mut lines = Vec::new();
    for (tag, label) in [(0xA0, "Permitted"), (0xA1, "Excluded")] {
        if fields.peek() == Some(tag) {
            lines.push(format!("{label}:"));
            let mut trees = fields.nested(tag)?;
            while trees.peek().is_some() {
                let name = general_name::constraint(&mut trees.nested(der::SEQUENCE)?, wording)?;
                lines.push(format!("  {name}"));
            }
        }
    }
    Ok(indented(&lines, 16))
}

fn indented(lines: &[String], blanks: usize) -> String {
    lines.iter().map(|line| format!("{:blanks$}{line}", "")).collect::<Vec<_>>().join("\n")
}

//! GeneralNames: in subject alternative names, distribution points and elsewhere.

use super::{Wording, names, objects, printable};
use gsi::{
    Name,
    der::{self, DerError, Reader, dotted},
};
use std::net::Ipv4Addr;

const UTF8_STRING: u8 = 0x0C;
const IA5_STRING: u8 = 0x16;

/// How a directory name among them is written.
#[derive(Clone, Copy)]
pub(super) enum Directory {
    /// `/O=Grid/CN=x`.
    OneLine,
    /// `O = Grid, CN = x`.
    Spaced,
}

/// Every name these elements are.
pub(super) fn all(
    mut names: Reader<'_>,
    directory: Directory,
    wording: Wording,
) -> Result<Vec<String>, DerError> {
    let mut found = Vec::new();
    while names.peek().is_some() {
        found.push(one(&mut names, directory, wording)?);
    }
    Ok(found)
}

/// The next name.
pub(super) fn one(
    names: &mut Reader<'_>,
    directory: Directory,
    wording: Wording,
) -> Result<String, DerError> {
    let tag = names.peek().ok_or(DerError::Truncated)?;
    let content = names.content(tag)?;
    Ok(match tag {
        0x81 => format!("email:{}", printable(content)),
        0x82 => format!("DNS:{}", printable(content)),
        0x86 => format!("URI:{}", printable(content)),
        0x87 => format!("IP Address:{}", address(content)),
        0x88 => format!("Registered ID:{}", objects::name(content, wording)),
        0xA0 => other(Reader::new(content), wording)?,
        0xA3 => "X400Name:<unsupported>".to_owned(),
        0xA4 => format!("DirName:{}", directory_name(content, directory)?),
        0xA5 => "EdiPartyName:<unsupported>".to_owned(),
        found => return Err(DerError::UnexpectedTag { expected: 0x82, found }),
    })
}

fn directory_name(der: &[u8], directory: Directory) -> Result<String, DerError> {
    // Any error will do: the extension is then shown as bytes.
    let name = Name::from_der(der).map_err(|_| DerError::Truncated)?;
    Ok(match directory {
        Directory::OneLine => name.subject().to_string(),
        Directory::Spaced => names::spaced(&name),
    })
}

/// Four or sixteen bytes; OpenSSL does not shorten zeros.
fn address(bytes: &[u8]) -> String {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Ipv4Addr::from(four).to_string();
    }
    match <[u8; 16]>::try_from(bytes) {
        Ok(sixteen) => groups(&sixteen, |group| format!("{group:X}")),
        Err(_) => "<invalid>".to_owned(),
    }
}

fn groups(bytes: &[u8], write: fn(u16) -> String) -> String {
    let pairs = bytes.chunks_exact(2).filter_map(|pair| pair.try_into().ok());
    pairs.map(|pair| write(u16::from_be_bytes(pair))).collect::<Vec<_>>().join(":")
}

/// Type and value; only the text types are shown.
fn other(mut fields: Reader<'_>, wording: Wording) -> Result<String, DerError> {
    const EXPLICIT_VALUE: u8 = 0xA0;
    let oid = fields.content(der::OBJECT_IDENTIFIER)?;
    let mut value = fields.nested(EXPLICIT_VALUE)?;
    let kind = match dotted(oid).as_str() {
        "1.3.6.1.4.1.311.20.2.3" => "UPN".to_owned(),
        "1.3.6.1.5.5.7.8.5" => "XmppAddr".to_owned(),
        "1.3.6.1.5.5.7.8.7" => "SRVName".to_owned(),
        "1.3.6.1.5.5.7.8.8" => "NAIRealm".to_owned(),
        "1.3.6.1.5.5.7.8.9" => "SmtpUTF8Mailbox".to_owned(),
        _ => objects::name(oid, wording),
    };
    let text = match value.peek() {
        Some(tag @ (UTF8_STRING | IA5_STRING)) => printable(value.content(tag)?),
        _ => "<unsupported>".to_owned(),
    };
    Ok(format!("othername: {kind}::{text}"))
}

/// A name as a constraint: addresses come with a mask.
pub(super) fn constraint(names: &mut Reader<'_>, wording: Wording) -> Result<String, DerError> {
    const ADDRESS: u8 = 0x87;
    if names.peek() != Some(ADDRESS) {
        return one(names, Directory::Spaced, wording);
    }
    let bytes = names.content(ADDRESS)?;
    let (net, mask) = bytes.split_at_checked(bytes.len() / 2).unwrap_or_default();
    Ok(match bytes.len() {
        8 => format!("IP:{}/{}", address(net), address(mask)),
        32 => {
            let plain = |group: u16| format!("{group:X}");
            format!("IP:{}/{}", groups(net, plain), groups(mask, plain))
        }
        _ => "IP Address:<invalid>".to_owned(),
    })
}

//! Where to find revocation lists.

use super::{
    Wording,
    general_name::{self, Directory},
    names, set_bits,
};
use gsi::{
    Name,
    der::{self, DerError, Reader},
};

const POINT_NAME: u8 = 0xA0;
const FULL_NAME: u8 = 0xA0;
const RELATIVE_NAME: u8 = 0xA1;
const REASONS: u8 = 0x81;
const LIST_ISSUER: u8 = 0xA2;

const REASON_NAMES: &[&str] = &[
    "Unused",
    "Key Compromise",
    "CA Compromise",
    "Affiliation Changed",
    "Superseded",
    "Cessation Of Operation",
    "Certificate Hold",
    "Privilege Withdrawn",
    "AA Compromise",
];

/// All points, indented; the missing and the superfluous newlines are OpenSSL's.
pub(super) fn render(value: &[u8], wording: Wording) -> Result<String, DerError> {
    let mut points = Reader::new(super::only(value, der::SEQUENCE)?);
    let mut texts = Vec::new();
    while points.peek().is_some() {
        texts.push(point(points.nested(der::SEQUENCE)?, wording)?);
    }
    Ok(texts.join("\n"))
}

fn point(mut fields: Reader<'_>, wording: Wording) -> Result<String, DerError> {
    let mut text = String::new();
    if fields.peek() == Some(POINT_NAME) {
        let mut name = fields.nested(POINT_NAME)?;
        if name.peek() == Some(FULL_NAME) {
            text += &format!("{:16}Full Name:\n{}", "", names_below(name.nested(FULL_NAME)?, wording)?);
        } else {
            let rdn = der::element(der::SET, &[name.content(RELATIVE_NAME)?]);
            let name = Name::from_der(&der::sequence(&[&rdn])).map_err(|_| DerError::Truncated)?;
            text += &format!("{:16}Relative Name:\n{:18}{}\n", "", "", names::spaced(&name));
        }
    }
    if fields.peek() == Some(REASONS) {
        let reasons: Vec<&str> =
            set_bits(fields.content(REASONS)?).filter_map(|bit| REASON_NAMES.get(bit).copied()).collect();
        let reasons = if reasons.is_empty() { "<EMPTY>".to_owned() } else { reasons.join(", ") };
        text += &format!("{:16}Reasons:\n{:18}{reasons}\n", "", "");
    }
    if fields.peek() == Some(LIST_ISSUER) {
        text += &format!("{:16}CRL Issuer:\n{}", "", names_below(fields.nested(LIST_ISSUER)?, wording)?);
    }
    fields.finish()?;
    Ok(text)
}

fn names_below(names: Reader<'_>, wording: Wording) -> Result<String, DerError> {
    let names = general_name::all(names, Directory::Spaced, wording)?;
    Ok(names.iter().map(|name| format!("{:18}{name}", "")).collect::<Vec<_>>().join("\n"))
}

//! Under which policies a certificate was issued.

use super::{Wording, magnitude, objects, printable, unsigned};
use gsi::der::{self, DerError, Reader, dotted};

const IA5_STRING: u8 = 0x16;

/// All policies with their qualifiers, indented.
pub(super) fn render(value: &[u8], wording: Wording) -> Result<String, DerError> {
    let mut policies = Reader::new(super::only(value, der::SEQUENCE)?);
    let mut lines = Vec::new();
    while policies.peek().is_some() {
        let mut policy = policies.nested(der::SEQUENCE)?;
        let oid = policy.content(der::OBJECT_IDENTIFIER)?;
        lines.push(format!("{:16}Policy: {}", "", objects::name(oid, wording)));
        if policy.peek().is_some() {
            let mut qualifiers = policy.nested(der::SEQUENCE)?;
            while qualifiers.peek().is_some() {
                qualifier(qualifiers.nested(der::SEQUENCE)?, wording, &mut lines)?;
            }
        }
    }
    Ok(lines.join("\n"))
}

fn qualifier(mut fields: Reader<'_>, wording: Wording, lines: &mut Vec<String>) -> Result<(), DerError> {
    let oid = fields.content(der::OBJECT_IDENTIFIER)?;
    match dotted(oid).as_str() {
        "1.3.6.1.5.5.7.2.1" => {
            lines.push(format!("{:18}CPS: {}", "", printable(fields.content(IA5_STRING)?)));
        }
        "1.3.6.1.5.5.7.2.2" => {
            lines.push(format!("{:18}User Notice:", ""));
            notice(fields.nested(der::SEQUENCE)?, lines)?;
        }
        _ => lines.push(format!("{:20}Unknown Qualifier: {}", "", objects::name(oid, wording))),
    }
    Ok(())
}

fn notice(mut fields: Reader<'_>, lines: &mut Vec<String>) -> Result<(), DerError> {
    if fields.peek() == Some(der::SEQUENCE) {
        let mut reference = fields.nested(der::SEQUENCE)?;
        lines.push(format!("{:20}Organization: {}", "", any_text(&mut reference)?));
        let mut numbers = reference.nested(der::SEQUENCE)?;
        let mut written = Vec::new();
        while numbers.peek().is_some() {
            let number = unsigned(&magnitude(numbers.content(der::INTEGER)?));
            written.push(number.ok_or(DerError::BadInteger)?.to_string());
        }
        let plural = if written.len() > 1 { "s" } else { "" };
        lines.push(format!("{:20}Number{plural}: {}", "", written.join(", ")));
    }
    if fields.peek().is_some() {
        lines.push(format!("{:20}Explicit Text: {}", "", any_text(&mut fields)?));
    }
    Ok(())
}

fn any_text(fields: &mut Reader<'_>) -> Result<String, DerError> {
    let tag = fields.peek().ok_or(DerError::Truncated)?;
    fields.content(tag).map(printable)
}

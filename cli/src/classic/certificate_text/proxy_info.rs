//! The proxyCertInfo extension in its two forms (gsi.md §5.2).

use super::{Wording, magnitude, objects, printable, unsigned};
use gsi::der::{self, DerError, Reader};

/// RFC 3820.
pub(super) fn rfc(value: &[u8], wording: Wording) -> Result<String, DerError> {
    let mut info = Reader::new(super::only(value, der::SEQUENCE)?);
    let length = match info.peek() {
        Some(der::INTEGER) => {
            let digits = magnitude(info.content(der::INTEGER)?);
            digits.iter().map(|byte| format!("{byte:02X}")).collect()
        }
        _ => "infinite".to_owned(),
    };
    let (language, policy) = policy(&mut info, wording)?;
    let mut text = format!("{:16}Path Length Constraint: {length}\n{:16}Policy Language: {language}", "", "");
    if let Some(policy) = policy {
        text += &format!("\n{:16}Policy Text: {}", "", printable(policy));
    }
    Ok(text)
}

/// The draft, as the Globus libraries print it.
pub(super) fn draft(value: &[u8], wording: Wording) -> Result<String, DerError> {
    const PATH_LENGTH: u8 = 0xA1;
    let mut info = Reader::new(super::only(value, der::SEQUENCE)?);
    let (language, policy) = policy(&mut info, wording)?;
    let mut lines = Vec::new();
    if info.peek() == Some(PATH_LENGTH) {
        let number = magnitude(info.nested(PATH_LENGTH)?.content(der::INTEGER)?);
        let number = unsigned(&number).ok_or(DerError::BadInteger)?;
        lines.push(format!("{:16}Path Length: {number} (0x{number:x})", ""));
    }
    lines.push(format!("{:16}Proxy Policy:\n{:20}Policy Language: {language}", "", ""));
    match policy {
        Some(policy) => {
            lines.push(format!("{:20}Policy:", ""));
            let text = printable(policy);
            // Whatever follows the last newline stands further in.
            let (whole, rest) =
                text.rsplit_once('\n').map_or((None, &*text), |(whole, rest)| (Some(whole), rest));
            lines.extend(
                whole.iter().flat_map(|whole| whole.split('\n')).map(|line| format!("{:16}{line}", "")),
            );
            if !rest.is_empty() {
                lines.push(format!("{:24}{rest}", ""));
            }
        }
        None => lines.push(format!("{:20}Policy: EMPTY", "")),
    }
    Ok(lines.join("\n"))
}

/// Language and text of the policy.
fn policy<'a>(info: &mut Reader<'a>, wording: Wording) -> Result<(String, Option<&'a [u8]>), DerError> {
    let mut policy = info.nested(der::SEQUENCE)?;
    let language = objects::name(policy.content(der::OBJECT_IDENTIFIER)?, wording);
    let text = match policy.peek() {
        Some(_) => Some(policy.content(der::OCTET_STRING)?),
        None => None,
    };
    Ok((language, text))
}

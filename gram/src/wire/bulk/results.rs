//! The table in a reply about many jobs: one line for each, in one quoted attribute.

use super::{MARK, MAX_REPLY, VERSION};
use crate::GramError;
use crate::wire::{Attributes, WireError, body::Writer, http, reply};

/// The attribute.
const RESULTS: &str = "results";

/// A reply with these lines. To whoever does not know this extension it is the reply to a job request or a query that went
/// well.
pub(super) fn encode(lines: &str) -> Vec<u8> {
    let mut body = Writer::new();
    for name in ["status", "failure-code", "job-failure-code"] {
        body.number(name, GramError::SUCCESS.0);
    }
    body.number(MARK, VERSION).extensions(&reply::version_extensions());
    http::encode_reply(&body.quoted(RESULTS, lines.as_bytes()).finish())
}

/// The lines of a body; None: the reply of somebody who does not know this extension.
pub(super) fn decode(body: &[u8]) -> Result<Option<String>, WireError> {
    let attributes = Attributes::decode_within(body, MAX_REPLY)?;
    attributes.check_version()?;
    match attributes.number(MARK)? {
        None => Ok(None),
        Some(version) if version == i64::from(VERSION) => {
            let lines = attributes.bytes(RESULTS).ok_or(WireError::MissingAttribute(RESULTS))?;
            Ok(Some(String::from_utf8_lossy(lines).into_owned()))
        }
        Some(version) => Err(WireError::BadAttribute {
            name: MARK,
            value: version.to_string(),
            expected: "a version of this extension that is known here: 1",
        }),
    }
}

/// The beginning of a text, of at most so many bytes.
pub fn shortened(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}

/// Text as part of a line.
pub(super) fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            // What ends no line elsewhere might do so at a terminal.
            c if c.is_control() && c != '\t' => out.push(' '),
            c => out.push(c),
        }
    }
}

/// The inverse of [`escape`].
pub(super) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some(other) => out.push(other),
                None => {}
            },
            c => out.push(c),
        }
    }
    out
}

/// A line that is not what it must be.
pub(super) fn bad_line(line: &str) -> WireError {
    let value = crate::wire::excerpt(line.as_bytes());
    WireError::BadAttribute { name: RESULTS, value, expected: "a line for each job" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_stays_in_its_line_and_comes_back(text in "[ -~\n\\\\é]{0,40}") {
            let mut line = String::new();
            escape(&text, &mut line);
            prop_assert!(!line.contains('\n'));
            prop_assert_eq!(unescape(&line), text);
        }
    }
}

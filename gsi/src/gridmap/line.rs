//! One line of a grid-mapfile, read and written (gsi.md §10).

use crate::Subject;
use crate::name::unescape;
use std::fmt::Write as _;

/// What a line says.
pub(super) enum Line {
    /// Nothing, or a comment.
    Blank,
    /// Neither; with what is wrong.
    Malformed(String),
    /// A subject and its accounts.
    Entry {
        subject: Subject,
        accounts: Vec<String>,
        /// How many bytes of the line the subject takes, with what stands before it.
        subject_end: usize,
    },
}

impl Line {
    /// Reads one line, without its newline.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let start = bytes.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(bytes.len());
        let rest = bytes.get(start..).unwrap_or_default();
        if rest.starts_with(b"#") {
            return Self::Blank;
        }
        let Written { subject, end } = match read_subject(rest) {
            None => return Self::Blank,
            Some(Err(problem)) => return Self::Malformed(problem),
            Some(Ok(written)) => written,
        };
        let subject_end = start + end;
        let accounts = String::from_utf8_lossy(bytes.get(subject_end..).unwrap_or_default()).into_owned();
        let accounts = accounts.split(|c: char| c == ',' || c == '\0' || c.is_ascii_whitespace());
        let accounts = accounts.filter(|account| !account.is_empty()).map(str::to_owned).collect();
        Self::Entry { subject, accounts, subject_end }
    }
}

/// A subject as it stands in a file.
pub(crate) struct Written {
    /// Escapes undone.
    pub(crate) subject: Subject,
    /// How many bytes it takes, with its quotes.
    pub(crate) end: usize,
}

/// Reads the subject at the start of a text, in double quotes or up to the first blank; None when there is none.
pub(crate) fn read_subject(text: &[u8]) -> Option<Result<Written, String>> {
    let (written, quotes) = match text {
        [] => return None,
        [b'"', inside @ ..] => match closing_quote(inside) {
            Some(end) => (inside.get(..end).unwrap_or_default(), 2),
            None => return Some(Err("the double quote is never closed".to_owned())),
        },
        _ => (text.split(u8::is_ascii_whitespace).next().unwrap_or_default(), 0),
    };
    Some(Ok(Written { subject: decode(written), end: written.len() + quotes }))
}

/// Where the quote that ends the subject stands: a backslash protects the next character.
fn closing_quote(inside: &[u8]) -> Option<usize> {
    let mut escaped = false;
    inside.iter().position(|&byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}

/// Escapes are undone; bytes that are not printable ASCII are then written `\xHH`, as in the rendering of
/// certificates.
fn decode(written: &[u8]) -> Subject {
    let mut subject = String::with_capacity(written.len());
    for byte in unescape(written) {
        match byte {
            b' '..=b'~' => subject.push(char::from(byte)),
            _ => {
                let _ = write!(subject, "\\x{byte:02X}");
            }
        }
    }
    Subject::new(subject)
}

/// The line for a subject, with everything escaped so that it reads back as that subject.
pub(super) fn write(subject: &Subject, accounts: &[String]) -> String {
    let mut line = String::from('"');
    let mut rest = subject.as_str();
    while let Some(c) = rest.chars().next() {
        if let Some(digits) = unprintable_escape(rest) {
            line.extend(["\\x", digits]);
            rest = rest.get(4..).unwrap_or_default();
            continue;
        }
        if c == '"' || c == '\\' {
            line.push('\\');
        }
        // A newline would end the line; every other character is read as its bytes.
        if c.is_ascii_control() {
            let _ = write!(line, "\\x{:02X}", u32::from(c));
        } else {
            line.push(c);
        }
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    line.push_str("\" ");
    line.push_str(&accounts.join(","));
    line
}

/// The two digits of a `\xHH` that stands for a byte beyond printable ASCII, and so may stay as it is.
fn unprintable_escape(text: &str) -> Option<&str> {
    let digits = text.strip_prefix("\\x")?.get(..2)?;
    let canonical = digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'A'..=b'F'));
    let byte = u8::from_str_radix(digits, 16).ok()?;
    (canonical && !matches!(byte, b' '..=b'~')).then_some(digits)
}

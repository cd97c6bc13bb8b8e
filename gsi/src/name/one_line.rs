//! The text of one-line names: taking it apart, undoing escapes, normalising (gsi.md §7.1, §7.2).

use crate::attribute;
use x509_parser::asn1_rs::Oid;

/// Lower case, with the aliases of §7.2 replaced where a component begins.
pub(super) fn normalize(one_line: &str) -> String {
    const ALIASES: [(&str, &str); 3] =
        [("uid=", "userid="), ("e=", "emailaddress="), ("email=", "emailaddress=")];
    let lower = one_line.to_ascii_lowercase();
    if !lower.contains("/e") && !lower.contains("/uid=") {
        return lower;
    }
    let mut parts = lower.split('/');
    let mut out = String::with_capacity(lower.len() + 16);
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        out.push('/');
        match ALIASES.iter().find_map(|(old, new)| part.strip_prefix(old).map(|rest| (new, rest))) {
            Some((new, rest)) => out.extend([*new, rest]),
            None => out.push_str(part),
        }
    }
    out
}

/// One `TYPE=value` of a one-line name, as written.
pub(super) struct Component<'a> {
    pub(super) kind: &'a str,
    pub(super) value: &'a str,
    /// Belongs to the same RDN as the one before (`+`).
    pub(super) joined: bool,
    /// There was no `=`; `kind` holds the whole part.
    pub(super) malformed: bool,
}

/// Splits a one-line name: a value reaches to the last `/` before the next `=` (§7.2), or to a `+` before a known type.
pub(super) fn components(text: &str) -> impl Iterator<Item = Component<'_>> {
    let mut rest = text.strip_prefix('/').unwrap_or(text);
    let mut joined = false;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some((kind, after)) = rest.split_once('=') else {
            let kind = std::mem::take(&mut rest);
            return Some(Component { kind, value: "", joined, malformed: true });
        };
        let this_joined = joined;
        let (value, next) = match value_end(after) {
            Some((end, plus)) => {
                joined = plus;
                let (value, tail) = after.split_at_checked(end).unwrap_or((after, ""));
                (value, tail.get(1..).unwrap_or_default())
            }
            None => (after, ""),
        };
        rest = next;
        Some(Component { kind, value, joined: this_joined, malformed: false })
    })
}

/// Where the value at the start of `text` ends, and whether by a `+`; None when it reaches to the end of the text.
fn value_end(text: &str) -> Option<(usize, bool)> {
    let mut boundary: Option<(usize, bool)> = None;
    let mut escaped = false;
    for (index, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '/' => boundary = Some((index, false)),
            // A bare plus ends a value only before something that is surely a type, and never hides a slash.
            '+' if joins(text.get(index + 1..).unwrap_or_default()) => boundary = Some((index, true)),
            '=' => {
                let kind = boundary.and_then(|(at, _)| text.get(at + 1..index)).unwrap_or_default();
                if is_type_shaped(kind) {
                    return boundary;
                }
            }
            _ => {}
        }
    }
    None
}

fn joins(after_plus: &str) -> bool {
    after_plus.split_once('=').is_some_and(|(kind, _)| oid_of_type(kind).is_some())
}

fn is_type_shaped(kind: &str) -> bool {
    !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-')
}

pub(super) fn oid_of_type(kind: &str) -> Option<Oid<'static>> {
    if kind.starts_with(|c: char| c.is_ascii_digit()) {
        return dotted_oid(kind);
    }
    attribute::by_name(kind).and_then(|known| dotted_oid(known.oid))
}

fn dotted_oid(text: &str) -> Option<Oid<'static>> {
    let arcs: Option<Vec<u64>> = text.split('.').map(|arc| arc.parse().ok()).collect();
    let arcs = arcs.filter(|arcs| matches!(arcs.as_slice(), [0..=1, 0..=39, ..] | [2, 0..=39, ..]))?;
    Oid::from(&arcs).ok()
}

/// Undoes escapes: `\xHH` is a byte, a backslash before anything else is dropped.
pub(crate) fn unescape(written: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(written.len());
    let mut rest = written;
    while let [first, tail @ ..] = rest {
        let byte;
        (byte, rest) = match (first, tail) {
            (b'\\', [b'x', high, low, tail @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                (hex_digit(*high) << 4 | hex_digit(*low), tail)
            }
            (b'\\', [next, tail @ ..]) => (*next, tail),
            _ => (*first, tail),
        };
        out.push(byte);
    }
    out
}

fn hex_digit(digit: u8) -> u8 {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok()).unwrap_or_default()
}

//! Where in a text something stands, and how that is shown to a person.

use std::fmt::Write as _;

/// How much of a long line is shown on each side of a mistake, in characters.
pub(crate) const CONTEXT: usize = 60;

/// Where a relation's name stands in the text it was parsed from. All places are equal: relations that say the same
/// are the same, wherever they stand, and one that was made by a program stands nowhere.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place(Option<Span>);

#[derive(Debug, Clone, Copy)]
struct Span {
    /// Bytes from the place to the end of the text: the parser sees only what is left of it.
    left: usize,
    length: usize,
}

impl PartialEq for Place {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Place {}

impl Place {
    /// Of what was read between two states of the input.
    pub(crate) fn between(before: &[u8], after: &[u8]) -> Self {
        Self(Some(Span { left: before.len(), length: before.len().saturating_sub(after.len()) }))
    }

    /// The line of `source`, the text this was parsed from, with the place underlined and `message` above it; the
    /// message alone when it stands nowhere.
    pub fn underline(self, source: &[u8], message: &str) -> String {
        let text = text_of(source);
        match self.0 {
            Some(Span { left, length }) => underline(text, text.len().saturating_sub(left), length, message),
            None => message.to_owned(),
        }
    }
}

/// What is parsed of a source: as in the C library, a NUL byte ends the text.
pub(crate) fn text_of(source: &[u8]) -> &[u8] {
    source.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// The line with `length` bytes from `offset` underlined; line and column are 1-based.
pub(crate) fn underline(source: &[u8], offset: usize, length: usize, message: &str) -> String {
    let (before, after) = source.split_at(offset.min(source.len()));
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let left = printable(before.rsplit(|&byte| byte == b'\n').next().unwrap_or_default());
    let rest_of_line = after.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let (span, right) = rest_of_line.split_at(length.min(rest_of_line.len()));
    let (span, right) = (printable(span), printable(right));

    let column = left.len() + 1;
    let cut = left.len().saturating_sub(CONTEXT);
    let left: String = left.into_iter().skip(cut).collect();
    let carets = span.len().clamp(1, CONTEXT);
    let more = if cut > 0 { "…" } else { "" };
    let shown: String = span.into_iter().chain(right).take(carets + CONTEXT).collect();

    let number = line.to_string();
    let margin = " ".repeat(number.len());
    let indent = " ".repeat(more.chars().count() + left.chars().count());
    let mut text = format!("line {line}, column {column}: {message}\n{margin} |\n");
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{number} | {more}{left}{shown}");
    let _ = write!(text, "{margin} | {indent}{}", "^".repeat(carets));
    text
}

/// One character for each that a terminal would show; control characters as blanks, so that carets stay in step.
fn printable(bytes: &[u8]) -> Vec<char> {
    String::from_utf8_lossy(bytes).chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use crate::{Relation, Spec, Value, parse};

    #[test]
    fn a_relation_knows_its_place_and_is_equal_elsewhere() {
        let source = b"&(executable=/bin/a)\n  (count=1)\0 ignored";
        let spec = parse(source).unwrap();
        let count = spec.first("count").unwrap();
        assert_eq!(
            count.place.underline(source, "why"),
            "line 2, column 4: why\n  |\n2 |   (count=1)\n  |    ^^^^^"
        );
        let made = Relation::equal("count", [Value::from("1")]);
        assert_eq!(*count, made);
        assert_eq!(made.place.underline(source, "why"), "why");
        assert_eq!(parse(b"  &( executable = /bin/a)(count =1)").unwrap(), spec);
        assert!(matches!(spec, Spec::Boolean(..)));
    }
}

//! Reading the values of one relation, each mistake with the number its attribute has for it.

use crate::{job::Failure, octets::Octets};
use gram::GramError;
use rsl::{Relation, Value};
use std::borrow::Cow;

/// The attribute's name, for messages.
pub(super) fn name(relation: &Relation) -> Cow<'_, str> {
    String::from_utf8_lossy(&relation.name)
}

/// "the RSL attribute X is Y, it should be Z".
pub(super) fn wrong(relation: &Relation, code: GramError, right: &str) -> Failure {
    let shown: Vec<_> = relation.values.iter().map(show).collect();
    Failure::new(code, format!("the RSL attribute \"{}\" is {}; it should be {right}", name(relation), shown.join(" ")))
}

/// A value as a person would write it.
fn show(value: &Value) -> String {
    match value {
        Value::Literal(bytes) => format!("\"{}\"", String::from_utf8_lossy(bytes)),
        Value::Sequence(parts) => format!("({})", parts.iter().map(show).collect::<Vec<_>>().join(" ")),
        // Evaluation has removed these.
        Value::Variable(_) | Value::Concat(..) => "a variable".into(),
    }
}

/// Exactly one literal.
pub(super) fn literal(relation: &Relation, code: GramError) -> Result<Octets, Failure> {
    match relation.values.as_slice() {
        [Value::Literal(bytes)] => Ok(bytes.clone().into()),
        _ => Err(wrong(relation, code, "one value")),
    }
}

/// Exactly one literal, as text.
pub(super) fn text(relation: &Relation, code: GramError) -> Result<String, Failure> {
    let octets = literal(relation, code)?;
    match std::str::from_utf8(octets.as_bytes()) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(wrong(relation, code, "plain text")),
    }
}

/// Exactly one literal that is not empty.
pub(super) fn path(relation: &Relation, code: GramError) -> Result<Octets, Failure> {
    let octets = literal(relation, code)?;
    if octets.as_bytes().is_empty() { Err(wrong(relation, code, "a path")) } else { Ok(octets) }
}

/// Literals only.
pub(super) fn literals(relation: &Relation, code: GramError) -> Result<Vec<Octets>, Failure> {
    relation
        .values
        .iter()
        .map(|value| match value {
            Value::Literal(bytes) => Ok(bytes.clone().into()),
            _ => Err(wrong(relation, code, "a list of plain values, without parentheses")),
        })
        .collect()
}

/// Sequences of two literals only.
pub(super) fn pairs(relation: &Relation, code: GramError) -> Result<Vec<(Octets, Octets)>, Failure> {
    relation
        .values
        .iter()
        .map(|value| match value {
            Value::Sequence(parts) => match parts.as_slice() {
                [Value::Literal(a), Value::Literal(b)] => Ok((a.clone().into(), b.clone().into())),
                _ => Err(wrong(relation, code, "pairs in parentheses: (a b)(c d)")),
            },
            _ => Err(wrong(relation, code, "pairs in parentheses: (a b)(c d)")),
        })
        .collect()
}

/// The scheme when the value is a URL: letters, digits, `+`, `-`, `.` before `://`; `file:` needs no slashes. None: a path.
pub(super) fn scheme(value: &Octets) -> Option<&str> {
    let bytes = value.as_bytes();
    let colon = bytes.iter().position(|byte| *byte == b':')?;
    let (scheme, rest) = (bytes.get(..colon)?, bytes.get(colon..)?);
    let scheme = std::str::from_utf8(scheme).ok()?;
    let starts_well = scheme.starts_with(|first: char| first.is_ascii_alphabetic());
    let goes_on_well = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let is_url = rest.starts_with(b"://") || scheme == "file";
    (starts_well && goes_on_well && is_url).then_some(scheme)
}

/// That the transfer client will understand the URL.
pub(super) fn check_url(relation: &Relation, url: &str, code: GramError) -> Result<(), Failure> {
    match url.parse::<gass::Url>() {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::new(code, format!("{}: {error}", name(relation)))),
    }
}

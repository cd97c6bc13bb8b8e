//! Taking the value out of one relation; failures carry the attribute's own GRAM error numbers.

use super::table::{self, Attribute, Kind};
use super::{UNKNOWN_ATTRIBUTE, Violation};
use crate::spelling::nearest;
use crate::{Relation, Value};

/// The one text of a relation, as of `directory` or `queue`.
///
/// # Errors
/// Anything but exactly one literal: the attribute's "malformed" number.
pub fn text(relation: &Relation) -> Result<&[u8], Violation> {
    match relation.values.as_slice() {
        [Value::Literal(text)] => Ok(text),
        _ => Err(malformed(relation, "one text, in quotes when it contains blanks")),
    }
}

/// The one decimal integer of a relation, as of `count` or `max_wall_time`.
///
/// # Errors
/// Not exactly one literal: "malformed". Not a decimal integer, or one beyond 64 bits: "invalid".
pub fn integer(relation: &Relation) -> Result<i64, Violation> {
    let [Value::Literal(digits)] = relation.values.as_slice() else {
        return Err(malformed(relation, "one integer"));
    };
    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| invalid(relation, digits, "a decimal integer such as 4"))
}

/// The yes or no of a relation, as of `dry_run`.
///
/// # Errors
/// Not exactly one literal: "malformed". Neither `yes` nor `no`: "invalid".
pub fn flag(relation: &Relation) -> Result<bool, Violation> {
    match relation.values.as_slice() {
        [Value::Literal(word)] if **word == *b"yes" => Ok(true),
        [Value::Literal(word)] if **word == *b"no" => Ok(false),
        [Value::Literal(word)] => Err(invalid(relation, word, "yes or no")),
        _ => Err(malformed(relation, "yes or no")),
    }
}

/// The texts of a relation, as of `arguments`; empty ones are kept.
///
/// # Errors
/// A value that is not a literal: "malformed".
pub fn list(relation: &Relation) -> Result<Vec<&[u8]>, Violation> {
    let texts = relation.values.iter().map(Value::as_literal).collect::<Option<Vec<_>>>();
    texts.ok_or_else(|| malformed(relation, "texts without parentheses, as in (arguments=a \"b c\")"))
}

/// Both texts of a `(name value)` or `(from to)` pair.
pub type Pair<'a> = (&'a [u8], &'a [u8]);

/// The pairs of a relation, as of `environment` or `file_stage_in`.
///
/// # Errors
/// A value that is not a sequence of exactly two literals: "malformed".
pub fn pairs(relation: &Relation) -> Result<Vec<Pair<'_>>, Violation> {
    let pairs = relation.values.iter().map(pair).collect::<Option<Vec<_>>>();
    pairs.ok_or_else(|| malformed(relation, "pairs in parentheses, as in (A 1)(B \"two words\")"))
}

fn pair(value: &Value) -> Option<Pair<'_>> {
    let Value::Sequence(elements) = value else { return None };
    match elements.as_slice() {
        [Value::Literal(first), Value::Literal(second)] => Some((first, second)),
        _ => None,
    }
}

/// Where output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destination<'a> {
    /// A path or URL.
    pub target: &'a [u8],
    /// The cache tag that keeps an `x-gass-cache:` entry beyond the job's end.
    pub tag: Option<&'a [u8]>,
}

/// The destinations of `stdout` or `stderr` (rsl.md §9): one path or URL, an `x-gass-cache:` URL with its tag, or any
/// number of these, each in parentheses.
///
/// # Errors
/// Any other form: "malformed" (65, 63).
pub fn destinations(relation: &Relation) -> Result<Vec<Destination<'_>>, Violation> {
    if let Some(single) = destination(&relation.values) {
        return Ok(vec![single]);
    }
    let parsed = relation.values.iter().map(|value| match value {
        Value::Sequence(elements) => destination(elements),
        Value::Literal(_) | Value::Variable(_) | Value::Concat(..) => None,
    });
    parsed.collect::<Option<Vec<_>>>().ok_or_else(|| {
        malformed(
            relation,
            "one path or URL, an x-gass-cache URL and its tag, or each of several in parentheses",
        )
    })
}

fn destination(values: &[Value]) -> Option<Destination<'_>> {
    match values {
        [Value::Literal(target)] => Some(Destination { target, tag: None }),
        [Value::Literal(target), Value::Literal(tag)] if target.starts_with(b"x-gass-cache:") => {
            Some(Destination { target, tag: Some(tag) })
        }
        _ => None,
    }
}

/// The word of an enumerated attribute.
pub(super) fn word<'a>(relation: &'a Relation, attribute: &Attribute) -> Result<&'a [u8], Violation> {
    let Kind::Word(words) = attribute.kind else { return text(relation) };
    let right = match words {
        [word] => (*word).to_owned(),
        words => format!("one of {}", words.join(", ")),
    };
    let [Value::Literal(word)] = relation.values.as_slice() else {
        return Err(violation(relation, attribute, attribute.malformed, &format!("must be {right}")));
    };
    if words.iter().any(|allowed| allowed.as_bytes() == &**word) {
        return Ok(word);
    }
    let shown = String::from_utf8_lossy(word);
    let meant = nearest(&shown, words.iter().copied());
    let meant = meant.map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"));
    Err(violation(
        relation,
        attribute,
        attribute.invalid,
        &format!("is `{shown}`, but must be {right}{meant}"),
    ))
}

fn violation(relation: &Relation, attribute: &Attribute, code: u16, what: &str) -> Violation {
    Violation {
        code,
        attribute: attribute.canonical_name(),
        message: format!("attribute `{}` {what}", attribute.name),
        place: relation.place,
    }
}

fn malformed(relation: &Relation, right: &str) -> Violation {
    match table::find_anywhere(&relation.name) {
        Some(attribute) => violation(relation, attribute, attribute.malformed, &format!("must be {right}")),
        None => unknown(relation),
    }
}

fn invalid(relation: &Relation, found: &[u8], right: &str) -> Violation {
    match table::find_anywhere(&relation.name) {
        Some(attribute) => {
            let found = String::from_utf8_lossy(found);
            violation(relation, attribute, attribute.invalid, &format!("is `{found}`, but must be {right}"))
        }
        None => unknown(relation),
    }
}

/// Only reached when a caller reads an attribute that is in no table.
fn unknown(relation: &Relation) -> Violation {
    let name = String::from_utf8_lossy(&relation.name);
    Violation {
        code: UNKNOWN_ATTRIBUTE,
        attribute: name.clone().into_owned(),
        message: format!("unknown attribute `{name}`"),
        place: relation.place,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Spec, parse};

    fn relation(text: &str) -> Relation {
        match parse(text.as_bytes()).unwrap() {
            Spec::Relation(relation) => relation,
            Spec::Boolean(..) => panic!("{text} is not a relation"),
        }
    }

    fn code<T: std::fmt::Debug>(result: Result<T, Violation>) -> u16 {
        result.unwrap_err().code
    }

    #[test]
    fn reads_one_text() {
        assert_eq!(text(&relation("directory='a b'")), Ok(b"a b".as_slice()));
        assert_eq!(text(&relation(r#"directory="""#)), Ok(b"".as_slice()));
        assert_eq!(code(text(&relation("directory=a b"))), 52);
        assert_eq!(code(text(&relation("queue=(a)"))), 62);
        assert_eq!(code(text(&relation("email_address=(a)"))), 134);
        assert_eq!(code(text(&relation("nosuch=(a)"))), 1);
    }

    /// rsl.md §9, "codes seen from a fork service"; the sign is judged by the scheduler.
    #[test]
    fn reads_one_integer() {
        assert_eq!(integer(&relation("count=12")), Ok(12));
        assert_eq!(integer(&relation("count=-1")), Ok(-1));
        for bad in ["count=abc", "count=2.0", "count='2 '", "count=''", "count=99999999999999999999"] {
            assert_eq!(code(integer(&relation(bad))), 14, "{bad}");
        }
        assert_eq!(code(integer(&relation("count=1 2"))), 14);
        assert_eq!(code(integer(&relation("max_wall_time=abc"))), 102);
        assert_eq!(code(integer(&relation("Max_Memory=abc"))), 87);
        assert_eq!(code(integer(&relation("proxy_timeout=abc"))), 153);
    }

    #[test]
    fn reads_a_flag() {
        assert_eq!(flag(&relation("dry_run=yes")), Ok(true));
        assert_eq!(flag(&relation("dry_run=no")), Ok(false));
        assert_eq!(code(flag(&relation("dry_run=YES"))), 134);
        assert_eq!(code(flag(&relation("dry_run=(yes)"))), 53);
    }

    #[test]
    fn reads_lists_and_pairs() {
        assert_eq!(list(&relation(r#"arguments="" a "b c""#)), Ok(vec![b"".as_slice(), b"a", b"b c"]));
        assert_eq!(code(list(&relation("arguments=(a b)"))), 50);
        assert_eq!(code(list(&relation("file_clean_up=(a)"))), 145);
        assert_eq!(
            pairs(&relation("environment=(A 1)(B '')")),
            Ok(vec![(b"A".as_slice(), b"1".as_slice()), (b"B", b"")])
        );
        for bad in ["environment=A", "environment=(A)", "environment=(A B C)", "environment=(A (b))"] {
            assert_eq!(code(pairs(&relation(bad))), 54, "{bad}");
        }
        assert_eq!(code(pairs(&relation("file_stage_in=a b"))), 141);
    }

    #[test]
    fn reads_destinations() {
        let plain = |target: &'static str| Destination { target: target.as_bytes(), tag: None };
        assert_eq!(destinations(&relation("stdout=/tmp/x")), Ok(vec![plain("/tmp/x")]));
        assert_eq!(
            destinations(&relation("stdout=(/a)(https://h/b)")),
            Ok(vec![plain("/a"), plain("https://h/b")])
        );
        let kept = Destination { target: b"x-gass-cache://n", tag: Some(b"t") };
        assert_eq!(destinations(&relation("stdout=x-gass-cache://n t")), Ok(vec![kept]));
        assert_eq!(destinations(&relation("stdout=(x-gass-cache://n t)(/a)")), Ok(vec![kept, plain("/a")]));
        assert_eq!(code(destinations(&relation("stdout=a b"))), 65);
        assert_eq!(code(destinations(&relation("stderr=(a b)"))), 63);
        assert_eq!(code(destinations(&relation("stderr=a (b)"))), 63);
    }
}

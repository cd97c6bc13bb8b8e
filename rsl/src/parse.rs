//! Parser (rsl.md §1, §2): bytes in, tree or the place and reason of the first mistake out.
//!
//! The grammar needs one byte of look-ahead and never backtracks, so every function either returns a value and the
//! rest of the input or stops the whole parse. Input is hostile: nesting is bounded by [`MAX_DEPTH`], and the tree is
//! never larger than a constant times the input.

mod error;

pub use error::ParseError;

use crate::place::{Place, text_of};
use crate::{Operator, Relation, RelationOperator, Spec, Text, Value};
use error::{Expected, Mistake, Stop};
use nom::branch::alt;
use nom::bytes::complete::{tag, take_till, take_until, take_while};
use nom::combinator::value;
use nom::sequence::delimited;
use nom::{IResult, Parser};

/// Deepest nesting of booleans, sequences, variables and concatenations, all counted together. It bounds the stack of
/// everything that walks a parsed tree, including its destructor.
pub const MAX_DEPTH: usize = 256;

/// Parses a whole specification. As in the C library, a NUL byte ends the text.
///
/// # Errors
/// The first mistake, with its place; [`ParseError::underline`] shows it to a person.
pub fn parse(source: &[u8]) -> Result<Spec, ParseError> {
    let text = text_of(source);
    match whole(text) {
        Ok((_, spec)) => Ok(spec),
        Err(nom::Err::Error(stop) | nom::Err::Failure(stop)) => Err(stop.at_place_in(text)),
        // The complete parsers used here never ask for more input; if one did, the input ended too early.
        Err(nom::Err::Incomplete(_)) => {
            Err(Stop::new(&[], Mistake::Unexpected(Expected::Specification)).at_place_in(text))
        }
    }
}

type Input<'a> = &'a [u8];
type Parsed<'a, T> = IResult<Input<'a>, T, Stop<'a>>;

fn stop<T>(at: Input<'_>, mistake: Mistake) -> Parsed<'_, T> {
    Err(nom::Err::Failure(Stop::new(at, mistake)))
}

fn unexpected<T>(at: Input<'_>, expected: Expected) -> Parsed<'_, T> {
    stop(at, Mistake::Unexpected(expected))
}

/// How many more levels may be opened.
#[derive(Clone, Copy)]
struct Room(usize);

impl Room {
    fn enter(self, at: Input<'_>) -> Result<Self, nom::Err<Stop<'_>>> {
        match self.0.checked_sub(1) {
            Some(left) => Ok(Self(left)),
            None => Err(nom::Err::Failure(Stop::new(at, Mistake::TooDeep))),
        }
    }
}

fn whole(input: Input<'_>) -> Parsed<'_, Spec> {
    let (rest, spec) = specification(input, Room(MAX_DEPTH))?;
    match (rest, &spec) {
        ([], _) => Ok((rest, spec)),
        (_, Spec::Boolean(..)) => unexpected(rest, Expected::OperandOrEnd),
        (_, Spec::Relation(_)) => unexpected(rest, Expected::ValueOrEnd),
    }
}

/// `specification`, and the blanks around it.
fn specification(input: Input<'_>, room: Room) -> Parsed<'_, Spec> {
    let (start, ()) = blank(input)?;
    match start {
        [b'&', rest @ ..] => boolean(rest, Operator::And, room.enter(start)?),
        [b'|', rest @ ..] => boolean(rest, Operator::Or, room.enter(start)?),
        [b'+', rest @ ..] => boolean(rest, Operator::Multi, room.enter(start)?),
        _ => relation(start, room),
    }
}

/// The operands of a boolean, and the blanks after them.
fn boolean(input: Input<'_>, operator: Operator, room: Room) -> Parsed<'_, Spec> {
    let mut operands = Vec::new();
    let (mut rest, ()) = blank(input)?;
    while let [b'(', inner @ ..] = rest {
        let (end, operand) = specification(inner, room)?;
        let [b')', after @ ..] = end else {
            let expected = match operand {
                Spec::Boolean(..) => Expected::OperandOrClose,
                Spec::Relation(_) => Expected::ValueOrClose,
            };
            return unexpected(end, expected);
        };
        operands.push(operand);
        (rest, ()) = blank(after)?;
    }
    if operands.is_empty() {
        return unexpected(rest, Expected::Operand);
    }
    Ok((rest, Spec::Boolean(operator, operands)))
}

fn relation(input: Input<'_>, room: Room) -> Parsed<'_, Spec> {
    let (rest, name): (_, Text) = match input {
        [b'"' | b'\'' | b'^', ..] => quoted(input)?,
        [first, ..] if starts_bare(*first) => bare(input)?,
        _ => return unexpected(input, Expected::Specification),
    };
    let place = Place::between(input, rest);
    let (rest, ()) = blank(rest)?;
    let (rest, operator) = relation_operator(rest)?;
    let (rest, values) = values(rest, room)?;
    Ok((rest, Spec::Relation(Relation { name: name.to_vec(), operator, values, place })))
}

fn relation_operator(input: Input<'_>) -> Parsed<'_, RelationOperator> {
    alt((
        value(RelationOperator::Equal, tag("=")),
        value(RelationOperator::NotEqual, tag("!=")),
        value(RelationOperator::LessOrEqual, tag("<=")),
        value(RelationOperator::Less, tag("<")),
        value(RelationOperator::GreaterOrEqual, tag(">=")),
        value(RelationOperator::Greater, tag(">")),
    ))
    .parse(input)
    .or_else(|_: nom::Err<Stop<'_>>| unexpected(input, Expected::RelationOperator))
}

/// One or more values, up to a `)` or the end, and the blanks around them.
fn values(input: Input<'_>, room: Room) -> Parsed<'_, Vec<Value>> {
    let (mut rest, ()) = blank(input)?;
    let (after, first) = any_value(rest, room, Expected::Value)?;
    (rest, ()) = blank(after)?;
    // Nearly every relation has exactly one value, and nearly every sequence two.
    let one = matches!(rest, [] | [b')', ..]);
    let mut values = Vec::with_capacity(if one { 1 } else { 2 });
    values.push(first);
    while !matches!(rest, [] | [b')', ..]) {
        let (after, next) = any_value(rest, room, Expected::ValueOrClose)?;
        values.push(next);
        (rest, ()) = blank(after)?;
    }
    Ok((rest, values))
}

fn any_value(input: Input<'_>, room: Room, expected: Expected) -> Parsed<'_, Value> {
    match input {
        [b'(', inner @ ..] => {
            let (rest, elements) = bracketed(input, inner, room)?;
            Ok((rest, Value::Sequence(elements)))
        }
        _ => simple(input, room, expected),
    }
}

/// The values after a `(` that stands in `open`, and the `)`.
fn bracketed<'a>(open: Input<'a>, inner: Input<'a>, room: Room) -> Parsed<'a, Vec<Value>> {
    let (rest, elements) = values(inner, room.enter(open)?)?;
    match rest {
        [b')', after @ ..] => Ok((after, elements)),
        _ => unexpected(rest, Expected::ValueOrClose),
    }
}

/// A literal, a variable, or a concatenation of them, to the right; and the blanks after it.
fn simple(input: Input<'_>, room: Room, expected: Expected) -> Parsed<'_, Value> {
    let (rest, first, joined) = operand(input, room, expected)?;
    let next = if joined {
        rest
    } else {
        let (rest, ()) = blank(rest)?;
        let [b'#', after @ ..] = rest else { return Ok((rest, first)) };
        blank(after)?.0
    };
    let (rest, second) = simple(next, room.enter(next)?, Expected::ConcatenationOperand)?;
    Ok((rest, Value::Concat(Box::new((first, second)))))
}

/// One operand of a concatenation; the flag says that the next one follows without `#` (rsl.md §2, implicit
/// concatenation), which quoted literals never do.
fn operand<'a>(
    input: Input<'a>,
    room: Room,
    expected: Expected,
) -> Result<(Input<'a>, Value, bool), nom::Err<Stop<'a>>> {
    match input {
        [b'$', after @ ..] => {
            let (open, ()) = blank(after)?;
            let [b'(', inner @ ..] = open else { return Err(unexpected_error(open, Expected::VariableName)) };
            let (rest, contents) = bracketed(open, inner, room)?;
            let joined = rest.first().is_some_and(|&next| next == b'$' || starts_bare(next));
            Ok((rest, Value::Variable(contents), joined))
        }
        [b'"' | b'\'' | b'^', ..] => {
            let (rest, text) = quoted(input)?;
            Ok((rest, Value::Literal(text), false))
        }
        [first, ..] if starts_bare(*first) => {
            let (rest, text) = bare(input)?;
            Ok((rest, Value::Literal(text), rest.first() == Some(&b'$')))
        }
        _ => Err(unexpected_error(input, expected)),
    }
}

fn unexpected_error(at: Input<'_>, expected: Expected) -> nom::Err<Stop<'_>> {
    nom::Err::Failure(Stop::new(at, Mistake::Unexpected(expected)))
}

/// White space and comments, if any.
#[inline]
fn blank(input: Input<'_>) -> Parsed<'_, ()> {
    if !input.first().is_some_and(|&byte| byte == b'(' || is_space(byte)) {
        return Ok((input, ()));
    }
    let (mut rest, _) = take_while(is_space)(input)?;
    while rest.starts_with(b"(*") {
        let comment: Parsed<'_, _> = delimited(tag("(*"), take_until("*)"), tag("*)")).parse(rest);
        let Ok((after, _)) = comment else { return stop(rest, Mistake::UnclosedComment) };
        (rest, _) = take_while(is_space)(after)?;
    }
    Ok((rest, ()))
}

/// `"…"`, `'…'` or `^X…X`; the delimiter written twice stands for itself.
fn quoted(input: Input<'_>) -> Parsed<'_, Text> {
    let (delimiter, mut rest) = match input {
        [b'^', delimiter, body @ ..] => (*delimiter, body),
        [delimiter @ (b'"' | b'\''), body @ ..] => (*delimiter, body),
        _ => return stop(input, Mistake::UnclosedQuote),
    };
    let mut before = Vec::new();
    loop {
        let (after, piece) = take_till(|byte| byte == delimiter)(rest)?;
        match after {
            [_, twice, tail @ ..] if *twice == delimiter => {
                before.extend_from_slice(piece);
                before.push(delimiter);
                rest = tail;
            }
            // Nearly always nothing was written twice, and the piece is all of it.
            [_, tail @ ..] if before.is_empty() => return Ok((tail, piece.into())),
            [_, tail @ ..] => {
                before.extend_from_slice(piece);
                return Ok((tail, before.into()));
            }
            [] => return stop(input, Mistake::UnclosedQuote),
        }
    }
}

/// An unquoted literal whose first byte is known to be good.
fn bare(input: Input<'_>) -> Parsed<'_, Text> {
    let (rest, text) = take_while(continues_bare)(input)?;
    Ok((rest, text.into()))
}

/// What a byte may do, looked up by its value: every byte of a text is asked.
static CLASSES: [Class; 256] = classes();

#[derive(Clone, Copy)]
struct Class {
    space: bool,
    continues_bare: bool,
}

const fn classes() -> [Class; 256] {
    let mut classes = [Class { space: false, continues_bare: false }; 256];
    let mut byte: u8 = 0;
    loop {
        // CR is not among them (rsl.md §1).
        let space = matches!(byte, b' ' | b'\t' | b'\n');
        let special = matches!(
            byte,
            0 | b'='
                | b'!'
                | b'<'
                | b'>'
                | b'('
                | b')'
                | b'"'
                | b'\''
                | b'^'
                | b'*'
                | b'$'
                | b'#'
                | b'?'
                | b'~'
        );
        #[expect(clippy::indexing_slicing, reason = "a byte is less than 256, and the compiler runs this")]
        {
            classes[byte as usize] = Class { space, continues_bare: !space && !special };
        }
        match byte.checked_add(1) {
            Some(next) => byte = next,
            None => return classes,
        }
    }
}

#[expect(clippy::indexing_slicing, reason = "a byte is less than 256")]
fn class(byte: u8) -> Class {
    CLASSES[usize::from(byte)]
}

fn is_space(byte: u8) -> bool {
    class(byte).space
}

/// Whether an unquoted literal may go on with this byte.
pub(crate) fn continues_bare(byte: u8) -> bool {
    class(byte).continues_bare
}

/// Whether an unquoted literal may begin with this byte.
pub(crate) fn starts_bare(byte: u8) -> bool {
    continues_bare(byte) && !matches!(byte, b'+' | b'&' | b'|')
}

#[cfg(test)]
mod tests;

//! Where and why parsing stopped, and how that is shown to a person.

use super::{Input, continues_bare, is_space, starts_bare};
use crate::place::{self, CONTEXT};
use std::fmt;

/// Where and why parsing stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at byte {offset}: {message}")]
pub struct ParseError {
    /// Byte offset into the source, 0-based; its length when the text ended too early.
    pub offset: usize,
    /// Bytes to point at, at least 1.
    pub length: usize,
    /// What was found and what was expected.
    pub message: String,
}

impl ParseError {
    /// The offending line with the place underlined, for people: line and column, 1-based.
    ///
    /// ```
    /// let source = b"&(executable=/bin/date)\n(count=)";
    /// let error = rsl::parse(source).unwrap_err();
    /// assert_eq!(
    ///     error.underline(source),
    ///     "line 2, column 8: found `)`, expected a value\n  |\n2 | (count=)\n  |        ^"
    /// );
    /// ```
    pub fn underline(&self, source: &[u8]) -> String {
        place::underline(source, self.offset, self.length, &self.message)
    }
}

/// What the grammar allows at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    Specification,
    Operand,
    OperandOrClose,
    OperandOrEnd,
    RelationOperator,
    Value,
    ValueOrClose,
    ValueOrEnd,
    ConcatenationOperand,
    VariableName,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Specification => "an attribute name, or one of `&` `|` `+`",
            Self::Operand => "`(` and a relation, as in `&(executable=/bin/date)`",
            Self::OperandOrClose => "`(` and a further relation, or `)`",
            Self::OperandOrEnd => "`(` and a further relation, or the end",
            Self::RelationOperator => "one of `=` `!=` `<` `<=` `>` `>=` after the attribute name",
            Self::Value => "a value",
            Self::ValueOrClose => "a value or `)`",
            Self::ValueOrEnd => "a value or the end (several relations need an `&` in front)",
            Self::ConcatenationOperand => "a literal or a variable after `#`",
            Self::VariableName => "`(` and a variable's name after `$`, as in `$(HOME)`",
        })
    }
}

/// Why parsing stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mistake {
    Unexpected(Expected),
    UnclosedQuote,
    UnclosedComment,
    TooDeep,
}

/// A mistake and the input left when it was met; nothing is formatted until the parse has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stop<'a> {
    at: Input<'a>,
    mistake: Mistake,
}

impl<'a> Stop<'a> {
    pub(super) fn new(at: Input<'a>, mistake: Mistake) -> Self {
        Self { at, mistake }
    }

    /// The error for people, given the whole text.
    pub(super) fn at_place_in(self, text: &[u8]) -> ParseError {
        let offset = text.len().saturating_sub(self.at.len());
        let (length, message) = match self.mistake {
            Mistake::Unexpected(expected) => {
                let found = Found::at(self.at);
                let hint = found.hint(expected);
                (found.length(), format!("found {found}, expected {expected}{hint}"))
            }
            Mistake::UnclosedQuote => match self.at {
                [b'^'] => (1, "found the end, expected a delimiter after `^`, as in `^!text!`".to_owned()),
                [b'^', delimiter, ..] => {
                    (2, format!("this quoted text is never closed; expected {}", Found::Byte(*delimiter)))
                }
                [quote, ..] => {
                    (1, format!("this quoted text is never closed; expected {}", Found::Byte(*quote)))
                }
                [] => (1, "found the end, expected quoted text".to_owned()),
            },
            Mistake::UnclosedComment => (2, "this comment is never closed; expected `*)`".to_owned()),
            Mistake::TooDeep => {
                (1, format!("nested deeper than {} levels; expected a flatter request", super::MAX_DEPTH))
            }
        };
        ParseError { offset, length, message }
    }
}

impl<'a> nom::error::ParseError<Input<'a>> for Stop<'a> {
    fn from_error_kind(at: Input<'a>, _: nom::error::ErrorKind) -> Self {
        Self::new(at, Mistake::Unexpected(Expected::Specification))
    }
    fn append(_: Input<'a>, _: nom::error::ErrorKind, other: Self) -> Self {
        other
    }
}

/// What stands at the place of a mistake.
enum Found<'a> {
    End,
    Word(&'a [u8]),
    CarriageReturn,
    Byte(u8),
}

impl<'a> Found<'a> {
    fn at(input: Input<'a>) -> Self {
        match input {
            [] => Self::End,
            [b'\r', ..] => Self::CarriageReturn,
            [first, ..] if starts_bare(*first) => {
                Self::Word(input.split(|&byte| !continues_bare(byte)).next().unwrap_or_default())
            }
            [first, ..] => Self::Byte(*first),
        }
    }

    fn length(&self) -> usize {
        match self {
            Self::Word(word) => word.len(),
            Self::End | Self::CarriageReturn | Self::Byte(_) => 1,
        }
    }

    fn hint(&self, expected: Expected) -> &'static str {
        let in_a_value = matches!(
            expected,
            Expected::Value | Expected::ValueOrClose | Expected::ValueOrEnd | Expected::ConcatenationOperand
        );
        match self {
            Self::CarriageReturn => " (lines must end in a line feed alone)",
            Self::Byte(b'*' | b'?' | b'~' | b'!' | b'+' | b'&' | b'|') if in_a_value => {
                "; quote text that contains it, as in \"a*b\""
            }
            Self::Byte(b'=' | b'<' | b'>') if in_a_value => {
                "; each relation needs its own parentheses, and text with an operator in it needs quotes"
            }
            Self::Byte(b'(') if expected == Expected::Specification => {
                "; a job request is written &(name=value)(name=value)"
            }
            Self::End | Self::Word(_) | Self::Byte(_) => "",
        }
    }
}

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End => f.write_str("the end"),
            Self::CarriageReturn => f.write_str("a carriage return"),
            Self::Word(word) => {
                let word = String::from_utf8_lossy(word);
                let shown: String = word.chars().take(CONTEXT).flat_map(char::escape_debug).collect();
                let more = if word.chars().nth(CONTEXT).is_some() { "…" } else { "" };
                write!(f, "`{shown}{more}`")
            }
            Self::Byte(byte) if byte.is_ascii_graphic() => write!(f, "`{}`", char::from(*byte)),
            Self::Byte(byte) if is_space(*byte) => f.write_str("a blank"),
            Self::Byte(byte) => write!(f, "byte 0x{byte:02x}"),
        }
    }
}

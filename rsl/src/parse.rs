//! Parser (rsl.md §1, §2), with an explicit depth limit and byte offsets in errors.
use crate::Spec;

/// Where and why parsing stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at byte {offset}: {message}")]
pub struct ParseError {
    /** byte offset */
    pub offset: usize,
    /** what is wrong and what was expected */
    pub message: String,
}

impl ParseError {
    /// The offending line with the place underlined, for people: line and column, 1-based.
    pub fn underline(&self, _source: &[u8]) -> String {
        todo!()
    }
}

/// Parses a whole specification.
pub fn parse(_source: &[u8]) -> Result<Spec, ParseError> {
    todo!()
}

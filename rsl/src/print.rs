//! The canonical print form (rsl.md §5): what travels, and what state and audit records carry.
use crate::Spec;

/// A variable whose name is computed cannot be printed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a variable with a computed name cannot be printed")]
pub struct Unprintable;

/// Canonical text.
pub fn print(_spec: &Spec) -> Result<Vec<u8>, Unprintable> {
    todo!()
}

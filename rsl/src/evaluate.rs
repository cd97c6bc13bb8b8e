//! Substitution of variables (rsl.md §6) and canonicalisation of attribute names (§4).
use crate::Spec;

/// Outermost scope: symbol name → value.
pub type Symbols = std::collections::HashMap<Vec<u8>, Vec<u8>>;

/// Evaluation failed (GRAM error 39).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EvaluationError {
    /** names the variable or pair, and says what would be right */
    pub message: String,
}

/// Lower-cases attribute names and drops underscores, recursively.
pub fn canonicalise(_spec: &Spec) -> Spec {
    todo!()
}

/// Replaces variables and concatenations by literals; `$(NAME default)` honours the default.
pub fn evaluate(_spec: &Spec, _symbols: &Symbols) -> Result<Spec, EvaluationError> {
    todo!()
}

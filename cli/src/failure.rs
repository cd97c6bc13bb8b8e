//! What a command says when it cannot do what it was asked: what failed, why, and what to try.

use crate::exit::Exit;

/// A failed command. Printed on stderr as `gridiron: <what>` and `  try: <advice>`; as JSON with `--json`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Failure {
    /// How the program ends.
    pub exit: Exit,
    /// What failed and why; names the file, host or value.
    pub what: String,
    /// What the person can do about it.
    pub advice: Option<String>,
}

impl Failure {
    /// A failure without advice.
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), advice: None }
    }

    /// Adds what to try.
    #[must_use]
    pub fn try_this(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// A failed file operation: `doing` is a phrase such as "cannot write /x".
    pub fn local(doing: impl std::fmt::Display, error: &dyn std::fmt::Display) -> Self {
        Self::new(Exit::Local, format!("{doing}: {error}"))
    }
}

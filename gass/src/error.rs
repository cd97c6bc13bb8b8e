//! What can go wrong with a transfer, sorted by blame.

/// A transfer failure; names the URL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GassError {
    /// Placeholder until the modules add their variants (bad URL, unreachable, refused with status, truncated, local I/O …).
    #[error("{0}")]
    Other(String),
}

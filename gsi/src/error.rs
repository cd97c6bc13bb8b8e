//! Everything that can go wrong in GSI, sorted by blame.

/// A failure of the security layer. Variants carry the path, name or peer concerned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GsiError {
    /// Placeholder until each module adds its own variants.
    #[error("{0}")]
    Other(String),
    /// I/O on a socket or file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

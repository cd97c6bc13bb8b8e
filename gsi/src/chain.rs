//! Chain checking (gsi.md §5.4, §5.5): pure, takes certificates, trust and a time.

use crate::{Certificate, GsiError, Subject, TrustDirectory};
use jiff::Timestamp;

/// Who is at the other end: the result of a successful check.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Subject of the leaf.
    pub subject: Subject,
    /// Identity: proxy CNs stripped (§5.5).
    pub identity: Subject,
    /// The leaf is a limited proxy.
    pub limited: bool,
    /// When the first certificate of the chain ends.
    pub expires: Timestamp,
    /// Leaf first, as presented, without duplicates.
    pub chain: Vec<Certificate>,
}

/// Checks a presented chain, leaf first (in any order after it), against the trust directory.
pub fn verify(
    _presented: &[Certificate],
    _trust: &TrustDirectory,
    _now: Timestamp,
) -> Result<Peer, GsiError> {
    todo!()
}

//! What a site may decide about chains itself, within what is safe.

use crate::signature::MIN_RSA_BITS;
use serde::Deserialize;

/// What to do when the revocation list of a CA has run out and no newer one is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CrlOutOfDate {
    /// Refuse everything of that CA, as the stock programs do: a revocation may be missing.
    #[default]
    Refuse,
    /// Go by the old list and let a warning be logged: for sites where a CA that is late must not stop all work.
    Warn,
}

/// A site's own decisions; a [`crate::TrustDirectory`] carries them to wherever chains are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainPolicy {
    /// A list that has run out.
    pub crl_out_of_date: CrlOutOfDate,
    /// Fewest bits of every RSA key of a chain. Less than [`MIN_RSA_BITS`] has no effect: the signatures of shorter
    /// keys cannot be checked at all.
    pub min_rsa_bits: usize,
}

impl Default for ChainPolicy {
    fn default() -> Self {
        Self { crl_out_of_date: CrlOutOfDate::default(), min_rsa_bits: MIN_RSA_BITS }
    }
}

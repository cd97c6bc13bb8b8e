//! Chain checking (gsi.md §5.4, §5.5): takes certificates, trust and a time.
//!
//! Two steps: [`path`] finds the way from the leaf to a trusted root, checking signatures on the way; [`rules`] judges
//! that path from the root down. Each refusal has its own variant of [`ChainError`].

mod code;
mod error;
mod evidence;
mod path;
mod policy;
mod rules;
#[cfg(test)]
mod tests;

pub use error::ChainError;
pub use evidence::Evidence;
pub use policy::{ChainPolicy, CrlOutOfDate};

use crate::certificate::{CertificateType, ProxyKind};
use crate::{Certificate, GsiError, Subject, TrustDirectory};
use jiff::Timestamp;

/// Most certificates of a path, and most that a peer may present.
pub const MAX_CHAIN_LENGTH: usize = 100;

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
    /// The CAs that vouch for it, presented or not, from the one that issued the end entity up to the root.
    pub authorities: Vec<Subject>,
    /// What a stricter site would have refused it for ([`ChainPolicy`]).
    pub tolerated: Vec<ChainError>,
}

impl Peer {
    /// Who is accountable: the subject of the end entity's certificate. Differs from the identity below an independent
    /// proxy, of which anybody can make as many as he likes.
    pub fn owner(&self) -> &Subject {
        let end_entity =
            self.chain.iter().find(|certificate| certificate.kind() == CertificateType::EndEntity);
        end_entity.map_or(&self.identity, |certificate| certificate.subject().subject())
    }
}

/// A check with what it went by.
#[derive(Debug)]
pub struct Examination {
    /// Everything that spoke for the chain, from the root down, until something spoke against it.
    pub evidence: Vec<Evidence>,
    /// The verdict.
    pub outcome: Result<Peer, ChainError>,
}

/// Checks a presented chain, leaf first (in any order after it), against the trust directory.
///
/// # Errors
/// [`GsiError::Chain`] with the first rule that is broken, looked at from the root.
pub fn verify(presented: &[Certificate], trust: &TrustDirectory, now: Timestamp) -> Result<Peer, GsiError> {
    Ok(examine(presented, trust, now).outcome?)
}

/// [`verify`], telling what it went by.
#[must_use]
pub fn examine(presented: &[Certificate], trust: &TrustDirectory, now: Timestamp) -> Examination {
    let mut evidence = Vec::new();
    let outcome = check(presented, trust, now, &mut evidence);
    Examination { evidence, outcome }
}

fn check(
    presented: &[Certificate],
    trust: &TrustDirectory,
    now: Timestamp,
    evidence: &mut Vec<Evidence>,
) -> Result<Peer, ChainError> {
    let path = path::build(presented, trust, now)?;
    rules::judge(&path, trust, now, evidence)?;
    let leaf = path.first().ok_or(ChainError::Empty)?;
    let certificates = || path.iter().map(|link| &link.certificate);
    let identity = identity(certificates())
        .ok_or_else(|| ChainError::NoEndEntity { subject: leaf.certificate.subject().subject().clone() })?;
    Ok(Peer {
        subject: leaf.certificate.subject().subject().clone(),
        identity: identity.subject().subject().clone(),
        limited: matches!(leaf.certificate.kind(), CertificateType::Proxy(_, ProxyKind::Limited)),
        expires: certificates().map(Certificate::not_after).min().unwrap_or(now),
        chain: certificates().filter(|certificate| presented.contains(certificate)).cloned().collect(),
        authorities: path
            .iter()
            .filter(|link| link.trusted || link.certificate.kind() == CertificateType::Authority)
            .map(|link| link.certificate.subject().subject().clone())
            .collect(),
        tolerated: evidence
            .iter()
            .filter_map(|evidence| match evidence {
                Evidence::Tolerated(error) => Some(error.clone()),
                _ => None,
            })
            .collect(),
    })
}

/// The certificate whose subject is the identity of a chain (§5.5): the first one, from the leaf up, that is an end
/// entity or an independent proxy.
pub fn identity<'a>(leaf_first: impl IntoIterator<Item = &'a Certificate>) -> Option<&'a Certificate> {
    leaf_first.into_iter().find(|certificate| {
        matches!(
            certificate.kind(),
            CertificateType::EndEntity | CertificateType::Proxy(_, ProxyKind::Independent)
        )
    })
}

//! From the leaf to a trusted root, by names and signatures.

use super::{ChainError, MAX_CHAIN_LENGTH};
use crate::trust::AuthorityFiles;
use crate::{Certificate, TrustDirectory};
use jiff::Timestamp;
use std::sync::Arc;

/// Most signatures checked for one chain. Honest ones need one per certificate; a peer that sends many certificates
/// of one name cannot make us try them all.
const MAX_SIGNATURE_CHECKS: usize = 2 * MAX_CHAIN_LENGTH;

/// One certificate of a path.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) certificate: Certificate,
    /// It lies in the trust directory.
    pub(super) trusted: bool,
    /// What the trust directory holds about its issuer; None for proxies, whose issuers have no such files.
    pub(super) authority: Option<Arc<AuthorityFiles>>,
}

/// The path, leaf first. The last link is a trusted self-issued certificate; every other is signed by the next.
pub(super) fn build(
    presented: &[Certificate],
    trust: &TrustDirectory,
    now: Timestamp,
) -> Result<Vec<Link>, ChainError> {
    if presented.len() > MAX_CHAIN_LENGTH {
        return Err(ChainError::TooLong);
    }
    let leaf = presented.first().ok_or(ChainError::Empty)?;
    let mut search = Search { presented, trust, now, checks: 0 };
    let mut path: Vec<Link> = Vec::with_capacity(presented.len() + 1);
    let mut current = (leaf.clone(), false);
    loop {
        let (certificate, trusted) = current;
        if path.len() >= MAX_CHAIN_LENGTH {
            return Err(ChainError::TooLong);
        }
        if certificate.kind().is_proxy() {
            let issuer = search.issuer_of_proxy(&certificate, &path)?;
            path.push(Link { certificate, trusted, authority: None });
            current = (issuer, false);
            continue;
        }
        let authority = trust.authority(certificate.issuer(), now);
        if certificate.is_self_issued() && (trusted || is_among(&certificate, &authority)) {
            path.push(Link { certificate, trusted: true, authority: Some(authority) });
            return Ok(path);
        }
        let next = search.issuer(&certificate, &authority, &path)?;
        // A presented root that the directory holds in another edition (same name and key) gives way to that.
        let other_edition = certificate.is_self_issued()
            && next.0.public_key_info() == certificate.public_key_info()
            && !path.is_empty();
        if !other_edition {
            path.push(Link { certificate, trusted, authority: Some(authority) });
        }
        current = next;
    }
}

fn is_among(certificate: &Certificate, authority: &AuthorityFiles) -> bool {
    authority.authorities().any(|(_, known)| known == certificate)
}

struct Search<'a> {
    presented: &'a [Certificate],
    trust: &'a TrustDirectory,
    now: Timestamp,
    checks: usize,
}

impl Search<'_> {
    fn issuer_of_proxy(&mut self, proxy: &Certificate, path: &[Link]) -> Result<Certificate, ChainError> {
        let missing = ChainError::MissingIssuer { subject: subject(proxy), issuer: issuer(proxy) };
        let presented = self.presented;
        self.first_signer(proxy, presented.iter(), path, missing)
    }

    /// The issuer of a certificate that is no proxy, and whether it was found in the trust directory, which comes first.
    fn issuer(
        &mut self,
        certificate: &Certificate,
        authority: &AuthorityFiles,
        path: &[Link],
    ) -> Result<(Certificate, bool), ChainError> {
        let directory = self.trust.path().to_owned();
        let subject = subject(certificate);
        let nobody = if certificate.is_self_issued() {
            ChainError::UntrustedRoot { subject, directory }
        } else {
            let hash = certificate.issuer().hash();
            ChainError::UnknownAuthority { subject, issuer: issuer(certificate), hash, directory }
        };
        let known = authority.authorities().map(|(_, known)| known);
        let from_directory = match self.first_signer(certificate, known, path, nobody) {
            Ok(found) => return Ok((found, true)),
            Err(error) => error,
        };
        let presented = self.presented;
        self.first_signer(certificate, presented.iter(), path, from_directory).map(|found| (found, false))
    }

    /// The first candidate of the right name whose key made the signature; one that is valid now is preferred.
    /// `otherwise` is the error when no candidate has the name.
    fn first_signer<'c>(
        &mut self,
        certificate: &Certificate,
        candidates: impl Iterator<Item = &'c Certificate>,
        path: &[Link],
        otherwise: ChainError,
    ) -> Result<Certificate, ChainError> {
        let in_use = |candidate: &Certificate| path.iter().any(|link| link.certificate == *candidate);
        let named = candidates.filter(|candidate| {
            candidate.subject().chains_to(certificate.issuer())
                && *candidate != certificate
                && !in_use(candidate)
        });
        let mut named: Vec<_> = named.collect();
        named.sort_by_key(|candidate| !(candidate.not_before()..=candidate.not_after()).contains(&self.now));
        let mut refusal = None;
        for candidate in named {
            match self.check(certificate, candidate) {
                Ok(()) => return Ok(candidate.clone()),
                Err(ChainError::TooLong) => return Err(ChainError::TooLong),
                Err(error) => refusal = refusal.or(Some(error)),
            }
        }
        Err(refusal.unwrap_or(otherwise))
    }

    fn check(&mut self, certificate: &Certificate, signer: &Certificate) -> Result<(), ChainError> {
        self.checks += 1;
        if self.checks > MAX_SIGNATURE_CHECKS {
            return Err(ChainError::TooLong);
        }
        super::rules::strength(signer, self.trust.policy())?;
        // A proxy is used for hours by one user, his other certificates for years by all his proxies.
        let outcome = if certificate.kind().is_proxy() {
            certificate.verify_signature(signer)
        } else {
            self.trust.verify_signature(certificate, signer)
        };
        outcome.map_err(|reason| ChainError::Signature {
            subject: subject(certificate),
            issuer: issuer(certificate),
            reason,
        })
    }
}

fn subject(certificate: &Certificate) -> crate::Subject {
    certificate.subject().subject().clone()
}

fn issuer(certificate: &Certificate) -> crate::Subject {
    certificate.issuer().subject().clone()
}

//! The rules of gsi.md §5.4, applied to a path whose names and signatures are right.

use super::path::Link;
use super::{ChainError, ChainPolicy, CrlOutOfDate, Evidence};
use crate::certificate::{
    Certificate, CertificateType, OID_DRAFT_PROXY_CERT_INFO, OID_PROXY_CERT_INFO, ProxyFormat, ProxyKind,
};
use crate::crl::RevocationList;
use crate::signature::MIN_RSA_BITS;
use crate::signing_policy::PolicyRefusal;
use crate::trust::AuthorityFiles;
use crate::{Subject, TrustDirectory};
use jiff::Timestamp;
use std::path::{Path, PathBuf};

/// Judges a path, from the root down to the leaf, and notes what it goes by.
pub(super) fn judge(
    path: &[Link],
    trust: &TrustDirectory,
    now: Timestamp,
    evidence: &mut Vec<Evidence>,
) -> Result<(), ChainError> {
    let mut limits = Limits::default();
    let mut issuer: Option<&Link> = None;
    for link in path.iter().rev() {
        let certificate = &link.certificate;
        strength(certificate, trust.policy())?;
        validity(certificate, now)?;
        critical_extensions(certificate)?;
        match (issuer, certificate.kind()) {
            (Some(issuer), CertificateType::Proxy(format, kind)) => {
                proxy(certificate, format, kind, &issuer.certificate)?;
                limits.proxy(certificate)?;
            }
            (Some(issuer), _) => {
                issued_by_authority(certificate, issuer)?;
                limits.authority(certificate)?;
                if let Some(files) = &link.authority {
                    evidence.push(signing_policy(certificate, files, trust)?);
                    evidence.extend(revocation(certificate, &issuer.certificate, files, trust, now)?);
                }
            }
            // The root is trusted because it lies in the directory.
            (None, _) => {
                limits.authority(certificate)?;
                evidence.extend(root(link));
            }
        }
        issuer = Some(link);
    }
    Ok(())
}

fn subject(certificate: &Certificate) -> Subject {
    certificate.subject().subject().clone()
}

/// Short keys. Shorter ones than [`MIN_RSA_BITS`] are so whatever the policy says.
pub(super) fn strength(certificate: &Certificate, policy: ChainPolicy) -> Result<(), ChainError> {
    let needed = policy.min_rsa_bits.max(MIN_RSA_BITS);
    match certificate.rsa_bits() {
        Some(bits) if bits < needed => {
            Err(ChainError::WeakKey { subject: subject(certificate), bits, needed })
        }
        _ => Ok(()),
    }
}

/// Where the root lies.
fn root(link: &Link) -> Option<Evidence> {
    let known = link.authority.as_ref()?;
    let (path, _) = known.authorities().find(|(_, known)| **known == link.certificate)?;
    Some(Evidence::Root { subject: subject(&link.certificate), path: path.to_owned() })
}

/// Rule 1: each certificate is judged alone, without tolerance.
fn validity(certificate: &Certificate, now: Timestamp) -> Result<(), ChainError> {
    let (not_before, not_after) = (certificate.not_before(), certificate.not_after());
    if now < not_before {
        return Err(ChainError::NotYetValid { subject: subject(certificate), not_before });
    }
    if now > not_after {
        return Err(ChainError::Expired { subject: subject(certificate), not_after });
    }
    Ok(())
}

/// Rule 7.
fn critical_extensions(certificate: &Certificate) -> Result<(), ChainError> {
    const UNDERSTOOD: [&[u8]; 8] = [
        &[0x55, 0x1D, 0x0E],                                     // subjectKeyIdentifier
        &[0x55, 0x1D, 0x0F],                                     // keyUsage
        &[0x55, 0x1D, 0x13],                                     // basicConstraints
        &[0x55, 0x1D, 0x23],                                     // authorityKeyIdentifier
        &[0x55, 0x1D, 0x25],                                     // extendedKeyUsage
        &[0x60, 0x86, 0x48, 0x01, 0x86, 0xF8, 0x42, 0x01, 0x01], // nsCertType
        OID_PROXY_CERT_INFO,
        OID_DRAFT_PROXY_CERT_INFO,
    ];
    let strange = certificate.extensions().find(|x| x.critical && !UNDERSTOOD.contains(&x.oid));
    match strange {
        Some(extension) => Err(ChainError::UnknownCriticalExtension {
            subject: subject(certificate),
            extension: x509_parser::asn1_rs::Oid::new(extension.oid.into()).to_id_string(),
        }),
        None => Ok(()),
    }
}

/// Rule 2 and the CA part of rule 3: who issues a certificate that is no proxy must be a CA.
fn issued_by_authority(certificate: &Certificate, issuer: &Link) -> Result<(), ChainError> {
    const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1D, 0x13];
    let by = &issuer.certificate;
    // Old roots (X.509 v1) say nothing about themselves; being in the trust directory speaks for them.
    let old_root = issuer.trusted && by.is_self_issued() && by.extension(BASIC_CONSTRAINTS).is_none();
    if by.kind() != CertificateType::Authority && !old_root {
        return Err(ChainError::NotAuthority { subject: subject(certificate), issuer: subject(by) });
    }
    match by.key_usage() {
        Some(usage) if !usage.certificate_signing() => Err(ChainError::KeyUsage {
            subject: subject(certificate),
            issuer: subject(by),
            usage: "certificate signing",
        }),
        _ => Ok(()),
    }
}

/// Rules 3, 4, 5, 8 and the restricted part of 7.
fn proxy(
    certificate: &Certificate,
    format: ProxyFormat,
    kind: ProxyKind,
    issuer: &Certificate,
) -> Result<(), ChainError> {
    let subject = || subject(certificate);
    match issuer.kind() {
        CertificateType::Authority => {
            let issuer = issuer.subject().subject().clone();
            return Err(ChainError::ProxyUnderAuthority { subject: subject(), issuer });
        }
        CertificateType::Proxy(above, _) if above != format => {
            return Err(ChainError::MixedFormats { subject: subject(), format, above });
        }
        CertificateType::Proxy(_, ProxyKind::Limited)
            if !matches!(kind, ProxyKind::Limited | ProxyKind::Independent) =>
        {
            return Err(ChainError::FullUnderLimited { subject: subject() });
        }
        CertificateType::Proxy(..) | CertificateType::EndEntity => {}
    }
    if let Some(usage) = issuer.key_usage() {
        // OpenSSL takes a legacy proxy for an ordinary certificate, so its issuer needs the right of a CA.
        let (allowed, usage) = match format {
            ProxyFormat::Legacy => (usage.certificate_signing(), "certificate signing"),
            ProxyFormat::Rfc | ProxyFormat::Draft => (usage.digital_signature(), "digital signature"),
        };
        if !allowed {
            let issuer = issuer.subject().subject().clone();
            return Err(ChainError::KeyUsage { subject: subject(), issuer, usage });
        }
    }
    if kind == ProxyKind::Restricted || certificate.has_proxy_policy() {
        return Err(ChainError::RestrictedProxy { subject: subject() });
    }
    if certificate.has_alternative_names() {
        return Err(ChainError::ProxyAlternativeName { subject: subject() });
    }
    Ok(())
}

/// Path lengths met so far on the way down (rule 6).
#[derive(Default)]
struct Limits {
    /// CAs further down that the tightest CA above allows, and that CA.
    authorities: Option<(u32, Subject)>,
    depth: u32,
    deepest_proxy: Option<u32>,
}

impl Limits {
    fn authority(&mut self, certificate: &Certificate) -> Result<(), ChainError> {
        if certificate.kind() != CertificateType::Authority {
            return Ok(());
        }
        // Self-issued CAs do not count (RFC 5280 §6.1.4), nor do proxies.
        if let Some((left, authority)) = &mut self.authorities
            && !certificate.is_self_issued()
        {
            *left = left.checked_sub(1).ok_or_else(|| ChainError::AuthorityPathLength {
                subject: subject(certificate),
                authority: authority.clone(),
                allowed: 0,
            })?;
        }
        if let Some(own) = certificate.authority_path_length()
            && self.authorities.as_ref().is_none_or(|(left, _)| own < *left)
        {
            self.authorities = Some((own, subject(certificate)));
        }
        Ok(())
    }

    fn proxy(&mut self, certificate: &Certificate) -> Result<(), ChainError> {
        self.depth += 1;
        let depth = self.depth;
        if let Some(allowed) = self.deepest_proxy.filter(|allowed| depth > *allowed) {
            return Err(ChainError::ProxyPathLength { subject: subject(certificate), depth, allowed });
        }
        if let Some(own) = certificate.proxy_path_length().map(|further| depth.saturating_add(further)) {
            self.deepest_proxy = Some(self.deepest_proxy.map_or(own, |known| known.min(own)));
        }
        Ok(())
    }
}

/// Rule 2: the issuer's policy must allow the name (§8).
fn signing_policy(
    certificate: &Certificate,
    files: &AuthorityFiles,
    trust: &TrustDirectory,
) -> Result<Evidence, ChainError> {
    let authority = || certificate.issuer().subject().clone();
    let Some(file) = &files.policy else {
        let path = trust.path().join(format!("{}.signing_policy", certificate.issuer().hash()));
        return Err(ChainError::MissingPolicy {
            subject: subject(certificate),
            authority: authority(),
            path,
        });
    };
    let policy = file.content.as_ref().map_err(|problem| ChainError::BrokenPolicy {
        subject: subject(certificate),
        path: file.path.clone(),
        line: problem.line,
        message: problem.message.clone(),
    })?;
    let (subject, path) = (subject(certificate), file.path.clone());
    let line = match policy.permits(&authority(), &subject) {
        Ok(line) => return Ok(Evidence::Policy { subject, path, line }),
        Err(PolicyRefusal::NoEntry) => None,
        Err(PolicyRefusal::NotGranted { line }) => Some(line),
    };
    Err(ChainError::OutsidePolicy { subject, authority: authority(), path, line })
}

/// Rule 2: a CRL that exists must be good and current, and must not list the certificate (§9).
fn revocation(
    certificate: &Certificate,
    issuer: &Certificate,
    files: &AuthorityFiles,
    trust: &TrustDirectory,
    now: Timestamp,
) -> Result<Vec<Evidence>, ChainError> {
    let subject = || subject(certificate);
    let Some((path, list)) = current_list(certificate, issuer, files, trust)? else {
        let authority = issuer.subject().subject().clone();
        return Ok(vec![Evidence::NoList { subject: subject(), authority }]);
    };
    let path = || PathBuf::from(path);
    if list.lists(certificate.serial()) {
        let serial = certificate.serial().iter().map(|byte| format!("{byte:02X}")).collect();
        return Err(ChainError::Revoked { subject: subject(), serial, path: path() });
    }
    let this_update = list.this_update();
    if now < this_update {
        return Err(ChainError::CrlNotYetValid { subject: subject(), path: path(), this_update });
    }
    let next_update = list.next_update();
    let passed = Evidence::NotRevoked { subject: subject(), path: path(), next_update };
    let Some(next_update) = next_update.filter(|next| now > *next) else { return Ok(vec![passed]) };
    let expired = ChainError::CrlExpired { subject: subject(), path: path(), next_update };
    match trust.policy().crl_out_of_date {
        CrlOutOfDate::Refuse => Err(expired),
        CrlOutOfDate::Warn => Ok(vec![passed, Evidence::Tolerated(expired)]),
    }
}

/// The newest list that the issuer signed. Several may lie there when a CA of one name has changed its key.
fn current_list<'a>(
    certificate: &Certificate,
    issuer: &Certificate,
    files: &'a AuthorityFiles,
    trust: &TrustDirectory,
) -> Result<Option<(&'a Path, &'a RevocationList)>, ChainError> {
    let mut newest: Option<(&Path, &RevocationList)> = None;
    for file in &files.lists {
        let list = file.content.as_ref().map_err(|problem| ChainError::BrokenCrl {
            subject: subject(certificate),
            path: file.path.clone(),
            message: problem.message.clone(),
        })?;
        let signed = list.issuer().chains_to(issuer.subject()) && trust.verify_list(list, issuer).is_ok();
        if signed && newest.is_none_or(|(_, known)| known.this_update() < list.this_update()) {
            newest = Some((&file.path, list));
        }
    }
    match (newest, files.lists.first()) {
        (None, Some(file)) => Err(ChainError::CrlSignature {
            subject: subject(certificate),
            authority: issuer.subject().subject().clone(),
            path: file.path.clone(),
        }),
        (newest, _) => Ok(newest),
    }
}

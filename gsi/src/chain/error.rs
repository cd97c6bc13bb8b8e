//! Every way a chain can be refused.

use super::MAX_CHAIN_LENGTH;
use crate::Subject;
use crate::certificate::ProxyFormat;
use crate::signature::SignatureError;
use jiff::Timestamp;
use std::path::PathBuf;

/// Why a chain was refused. `subject` is always the certificate at fault; `path` the file that says so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// No certificate at all.
    #[error("no certificate was presented")]
    Empty,
    /// More than [`MAX_CHAIN_LENGTH`] certificates, or too many of the same name.
    #[error("the chain is longer than {MAX_CHAIN_LENGTH} certificates")]
    TooLong,
    /// The issuer is not in the trust directory.
    #[error("{subject}: unknown CA {issuer}: no certificate of it, {}.0, in {}", hash, directory.display())]
    UnknownAuthority {
        /// Certificate at fault.
        subject: Subject,
        /// Who issued it.
        issuer: Subject,
        /// Hash of the issuer's name.
        hash: String,
        /// The trust directory.
        directory: PathBuf,
    },
    /// A self-signed certificate that is not in the trust directory.
    #[error("{subject}: self-signed, and not among the trusted CA certificates of {}", directory.display())]
    UntrustedRoot {
        /// Certificate at fault.
        subject: Subject,
        /// The trust directory.
        directory: PathBuf,
    },
    /// The certificate that issued a proxy was not presented.
    #[error("{subject}: the chain lacks the certificate of its issuer {issuer}")]
    MissingIssuer {
        /// Certificate at fault.
        subject: Subject,
        /// Who issued it.
        issuer: Subject,
    },
    /// The signature is wrong, weak or of an unsupported kind.
    #[error("{subject}: {reason} (issuer {issuer})")]
    Signature {
        /// Certificate at fault.
        subject: Subject,
        /// Who should have signed it.
        issuer: Subject,
        /// What is wrong.
        reason: SignatureError,
    },
    /// An RSA key that is too short.
    #[error("{subject}: its RSA key of {bits} bits is too weak, {needed} are needed")]
    WeakKey {
        /// Certificate at fault.
        subject: Subject,
        /// Size of the key.
        bits: usize,
        /// What would be enough here.
        needed: usize,
    },
    /// Its time has not come.
    #[error("{subject}: not valid before {not_before}")]
    NotYetValid {
        /// Certificate at fault.
        subject: Subject,
        /// When it begins.
        not_before: Timestamp,
    },
    /// Its time is over.
    #[error("{subject}: expired at {not_after}")]
    Expired {
        /// Certificate at fault.
        subject: Subject,
        /// When it ended.
        not_after: Timestamp,
    },
    /// A critical extension that is not understood.
    #[error("{subject}: has the critical extension {extension}, which is not supported")]
    UnknownCriticalExtension {
        /// Certificate at fault.
        subject: Subject,
        /// Its dotted OID.
        extension: String,
    },
    /// Issued by something that is no CA.
    #[error("{subject}: issued by {issuer}, which is not a CA")]
    NotAuthority {
        /// Certificate at fault.
        subject: Subject,
        /// Who issued it.
        issuer: Subject,
    },
    /// The issuer's keyUsage does not allow what it did.
    #[error("{subject}: the key usage of its issuer {issuer} does not include {usage}")]
    KeyUsage {
        /// Certificate at fault.
        subject: Subject,
        /// Who issued it.
        issuer: Subject,
        /// The missing use.
        usage: &'static str,
    },
    /// More intermediate CAs than a CA allows below it.
    #[error("{subject}: {authority} allows only {allowed} further CAs below it")]
    AuthorityPathLength {
        /// Certificate at fault.
        subject: Subject,
        /// The CA that sets the limit.
        authority: Subject,
        /// Its limit.
        allowed: u32,
    },
    /// The CA has no signing policy.
    #[error("{subject}: its CA {authority} has no signing policy; install {}", path.display())]
    MissingPolicy {
        /// Certificate at fault.
        subject: Subject,
        /// Its CA.
        authority: Subject,
        /// The file that should be there.
        path: PathBuf,
    },
    /// The CA's signing policy cannot be read.
    #[error("{subject}: the signing policy {}{} of its CA is broken: {message}", path.display(), at_line(*line))]
    BrokenPolicy {
        /// Certificate at fault.
        subject: Subject,
        /// The policy.
        path: PathBuf,
        /// 1-based, when known.
        line: Option<usize>,
        /// What is wrong with it.
        message: String,
    },
    /// The signing policy does not let the CA sign this name.
    #[error("{subject}: outside the signing policy of its CA {authority}, {}{}", path.display(), at_line(*line))]
    OutsidePolicy {
        /// Certificate at fault.
        subject: Subject,
        /// Its CA.
        authority: Subject,
        /// The policy.
        path: PathBuf,
        /// The CA's entry; None when it has none.
        line: Option<usize>,
    },
    /// Listed in the CA's CRL.
    #[error("{subject}: revoked: serial number {serial} is listed in {}", path.display())]
    Revoked {
        /// Certificate at fault.
        subject: Subject,
        /// Its serial number in hex.
        serial: String,
        /// The CRL.
        path: PathBuf,
    },
    /// The CA's CRL is out of date.
    #[error("{subject}: the CRL {} of its CA is out of date since {next_update}; fetch a new one", path.display())]
    CrlExpired {
        /// Certificate at fault.
        subject: Subject,
        /// The CRL.
        path: PathBuf,
        /// When it ended.
        next_update: Timestamp,
    },
    /// The CA's CRL is from the future.
    #[error("{subject}: the CRL {} of its CA is not valid before {this_update}", path.display())]
    CrlNotYetValid {
        /// Certificate at fault.
        subject: Subject,
        /// The CRL.
        path: PathBuf,
        /// When it begins.
        this_update: Timestamp,
    },
    /// The CA's CRL is not the CA's.
    #[error("{subject}: the CRL {} is not signed by the CA {authority}", path.display())]
    CrlSignature {
        /// Certificate at fault.
        subject: Subject,
        /// Its CA.
        authority: Subject,
        /// The CRL.
        path: PathBuf,
    },
    /// The CA's CRL cannot be read.
    #[error("{subject}: the CRL {} of its CA is broken: {message}", path.display())]
    BrokenCrl {
        /// Certificate at fault.
        subject: Subject,
        /// The CRL.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A proxy issued by a CA.
    #[error("{subject}: a proxy must not be issued by a CA ({issuer})")]
    ProxyUnderAuthority {
        /// Certificate at fault.
        subject: Subject,
        /// Who issued it.
        issuer: Subject,
    },
    /// A proxy of one format below one of another.
    #[error("{subject}: a proxy of {format} format below one of {above} format")]
    MixedFormats {
        /// Certificate at fault.
        subject: Subject,
        /// Its format.
        format: ProxyFormat,
        /// Its issuer's.
        above: ProxyFormat,
    },
    /// A proxy below a limited one that claims more.
    #[error("{subject}: below a limited proxy only limited ones are allowed")]
    FullUnderLimited {
        /// Certificate at fault.
        subject: Subject,
    },
    /// More proxies than one above allows.
    #[error("{subject}: exceeds the path length of a proxy above it (depth {depth}, {allowed} allowed)")]
    ProxyPathLength {
        /// Certificate at fault.
        subject: Subject,
        /// Its depth; the first proxy has depth 1.
        depth: u32,
        /// The greatest depth allowed.
        allowed: u32,
    },
    /// A proxy with a policy nobody here can apply.
    #[error("{subject}: restricted proxies are not accepted, as their policy cannot be applied")]
    RestrictedProxy {
        /// Certificate at fault.
        subject: Subject,
    },
    /// A proxy with alternative names.
    #[error("{subject}: a proxy must not have alternative names")]
    ProxyAlternativeName {
        /// Certificate at fault.
        subject: Subject,
    },
    /// Nobody's certificate: a CA presented itself.
    #[error("{subject}: a CA cannot be a peer")]
    NoEndEntity {
        /// Certificate at fault.
        subject: Subject,
    },
}

fn at_line(line: Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!(", line {line}"))
}

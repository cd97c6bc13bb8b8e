//! The peer's certificates and handshake signature (gsi.md §15.1), judged by [`crate::chain`] instead of webpki.
//!
//! webpki refuses the critical extension that makes a proxy a proxy, and every helper of rustls that parses the leaf goes
//! through it. One verifier serves one connection: what it found, [`Peer`] or refusal, is taken out after the handshake,
//! so that the chain is checked once and a refusal keeps its reason.

use super::invalid_sni;
use crate::chain::{self, ChainError};
use crate::signature::split_key;
use crate::{Certificate, GsiError, Peer, TrustDirectory};
use jiff::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use std::sync::{Arc, Mutex, PoisonError};

/// What rustls is told, and makes the alert for the peer of: the one a stock acceptor sends for the same reason
/// (docs/observed.md), however oddly chosen.
fn alerting(refusal: &GsiError) -> CertificateError {
    let GsiError::Chain(refusal) = refusal else {
        return match refusal {
            GsiError::Certificate(_) => CertificateError::BadEncoding, // bad_certificate
            _ => REFUSED,
        };
    };
    match refusal {
        ChainError::Expired { .. } | ChainError::CrlExpired { .. } => CertificateError::Expired,
        ChainError::NotYetValid { .. } | ChainError::CrlNotYetValid { .. } => CertificateError::BadEncoding,
        ChainError::Revoked { .. } => CertificateError::Revoked,
        ChainError::OutsidePolicy { .. } => CertificateError::InvalidPurpose, // unsupported_certificate
        ChainError::UnknownAuthority { .. }
        | ChainError::UntrustedRoot { .. }
        | ChainError::MissingIssuer { .. }
        | ChainError::KeyUsage { .. }
        | ChainError::NotAuthority { .. } => CertificateError::UnknownIssuer,
        ChainError::Signature { .. } | ChainError::FullUnderLimited { .. } => CertificateError::BadSignature,
        ChainError::AuthorityPathLength { .. } | ChainError::ProxyPathLength { .. } => {
            CertificateError::Other(rustls::OtherError(Arc::new(refusal.clone()))) // certificate_unknown
        }
        _ => REFUSED,
    }
}

/// A refusal that no alert names; the peer gets `access_denied`.
const REFUSED: CertificateError = CertificateError::ApplicationVerificationFailure;

/// Checks one peer and remembers the result.
#[derive(Debug)]
pub(crate) struct Verifier {
    trust: TrustDirectory,
    algorithms: WebPkiSupportedAlgorithms,
    verdict: Mutex<Option<Result<Peer, GsiError>>>,
}

impl Verifier {
    /// For one connection.
    pub(crate) fn new(trust: &TrustDirectory) -> Arc<Self> {
        let algorithms = super::INITIATOR_PROVIDER.signature_verification_algorithms;
        Arc::new(Self { trust: trust.clone(), algorithms, verdict: Mutex::default() })
    }

    /// Hands out what was found; `None` when the peer never got as far as showing a certificate.
    pub(crate) fn take_verdict(&self) -> Option<Result<Peer, GsiError>> {
        self.verdict.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Checks the chain. The peer gets an alert; the whole reason stays here.
    fn judge(&self, leaf: &CertificateDer<'_>, rest: &[CertificateDer<'_>]) -> Result<(), Error> {
        let verdict = self.check(leaf, rest);
        let outcome = verdict.as_ref().map(|_| ()).map_err(|refusal| alerting(refusal).into());
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(verdict);
        outcome
    }

    fn check(&self, leaf: &CertificateDer<'_>, rest: &[CertificateDer<'_>]) -> Result<Peer, GsiError> {
        let presented = std::iter::once(leaf).chain(rest).take(chain::MAX_CHAIN_LENGTH + 1);
        // One more than permitted, so that the check can say so.
        let chain = presented.map(|der| Certificate::from_der(der)).collect::<Result<Vec<_>, _>>()?;
        chain::verify(&chain, &self.trust, Timestamp::now())
    }

    /// The leaf, which rustls asks about first as part of the chain and then as signer of the handshake.
    fn judged_leaf(&self, leaf: &CertificateDer<'_>) -> Result<Certificate, Error> {
        let verdict = self.verdict.lock().unwrap_or_else(PoisonError::into_inner);
        let judged =
            verdict.as_ref().and_then(|verdict| verdict.as_ref().ok()).and_then(|peer| peer.chain.first());
        judged.filter(|judged| judged.der() == leaf.as_ref()).cloned().ok_or_else(|| REFUSED.into())
    }

    fn check_tls12(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let bad = || Error::from(CertificateError::BadSignature);
        let leaf = self.judged_leaf(leaf)?;
        let (key_algorithm, key) = split_key(leaf.public_key_info()).map_err(|_| bad())?;
        let offered = self.algorithms.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme);
        let (_, candidates) = offered.ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        let fitting = candidates.iter().find(|one| one.public_key_alg_id().as_ref() == key_algorithm);
        let algorithm = fitting.ok_or_else(bad)?;
        let message = invalid_sni::restore(message);
        algorithm
            .verify_signature(key, &message, signed.signature())
            .map(|()| HandshakeSignatureValid::assertion())
            .map_err(|_| bad())
    }

    fn check_tls13(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let leaf = self.judged_leaf(leaf)?;
        let key = SubjectPublicKeyInfoDer::from(leaf.public_key_info());
        verify_tls13_signature_with_raw_key(message, &key, signed, &self.algorithms)
    }
}

/// What the two traits ask for in the same words.
macro_rules! handshake_signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            leaf: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.check_tls12(message, leaf, signed)
        }
        fn verify_tls13_signature(
            &self,
            message: &[u8],
            leaf: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.check_tls13(message, leaf, signed)
        }
        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.algorithms.supported_schemes()
        }
    };
}

impl ClientCertVerifier for Verifier {
    /// None: stock acceptors send no names, and initiators have one credential to show anyway (§2).
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }
    fn client_auth_mandatory(&self) -> bool {
        true
    }
    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.judge(leaf, rest).map(|()| ClientCertVerified::assertion())
    }
    handshake_signatures!();
}

impl ServerCertVerifier for Verifier {
    /// The name is not looked at here; see [`crate::authorization`].
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge(leaf, rest).map(|()| ServerCertVerified::assertion())
    }
    handshake_signatures!();
}

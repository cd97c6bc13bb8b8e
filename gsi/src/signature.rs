//! Signatures of certificates, requests and CRLs, checked by the TLS library's own algorithms (gsi.md §15.1).
//!
//! Elliptic curves, Ed25519 and RSA of 2048 to 8192 bits with SHA-2 are accepted; everything else is told apart from a
//! signature that is simply wrong, because it asks for a new certificate rather than for an alarm.

use crate::der::{self, DerError, Reader};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::SignatureVerificationAlgorithm;
use std::sync::LazyLock;

/// Fewest bits of an RSA key; stock peers refuse shorter ones as well.
pub const MIN_RSA_BITS: usize = 2048;

/// Why a signature is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The SubjectPublicKeyInfo cannot be read.
    #[error("the signer's public key is malformed: {0}")]
    Key(#[from] DerError),
    /// Made with a digest that is broken.
    #[error("it is signed with {0}, which is too weak")]
    Weak(&'static str),
    /// No such algorithm (dotted OID) for such a key.
    #[error("the signature algorithm {0} is not supported with the signer's key")]
    Unsupported(String),
    /// The signature is not by that key over these bytes.
    #[error("the signature is wrong")]
    Wrong,
}

static PROVIDER: LazyLock<CryptoProvider> = LazyLock::new(rustls::crypto::aws_lc_rs::default_provider);

/// Checks that `signature` is by the key in `public_key_info` over `message`. `algorithm` is the content of the
/// AlgorithmIdentifier, without its SEQUENCE header.
///
/// # Errors
/// When it is not, or the algorithm is weak or not supported.
pub fn verify(
    public_key_info: &[u8],
    algorithm: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), SignatureError> {
    let oid = Reader::new(algorithm).content(der::OBJECT_IDENTIFIER).unwrap_or_default();
    if let Some((_, name)) = WEAK.iter().find(|(weak, _)| *weak == oid) {
        return Err(SignatureError::Weak(name));
    }
    let (key_algorithm, key) = split_key(public_key_info)?;
    let fits = |known: &&&dyn SignatureVerificationAlgorithm| {
        known.public_key_alg_id().as_ref() == key_algorithm && known.signature_alg_id().as_ref() == algorithm
    };
    let known = PROVIDER.signature_verification_algorithms.all.iter().find(fits);
    let unsupported =
        || SignatureError::Unsupported(x509_parser::asn1_rs::Oid::new(oid.into()).to_id_string());
    known
        .ok_or_else(unsupported)?
        .verify_signature(key, message, signature)
        .map_err(|_| SignatureError::Wrong)
}

/// The content of the AlgorithmIdentifier and the key bits of a SubjectPublicKeyInfo.
pub(crate) fn split_key(public_key_info: &[u8]) -> Result<(&[u8], &[u8]), DerError> {
    let mut info = Reader::new(public_key_info).nested(der::SEQUENCE)?;
    let algorithm = info.content(der::SEQUENCE)?;
    match info.content(der::BIT_STRING)? {
        [0, bits @ ..] => Ok((algorithm, bits)),
        _ => Err(DerError::Truncated),
    }
}

/// Signature algorithms nobody should use any more, by OID.
const WEAK: [(&[u8], &str); 7] = [
    (&[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x02], "RSA and MD2"),
    (&[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x04], "RSA and MD5"),
    (&[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x05], "RSA and SHA-1"),
    (&[0x2B, 0x0E, 0x03, 0x02, 0x1D], "RSA and SHA-1"),
    (&[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x01], "ECDSA and SHA-1"),
    (&[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x01], "ECDSA and SHA-224"),
    (&[0x2A, 0x86, 0x48, 0xCE, 0x38, 0x04, 0x03], "DSA and SHA-1"),
];

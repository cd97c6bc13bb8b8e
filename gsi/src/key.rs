//! Private keys: generation, loading, signing (gsi.md §15.6, §15.7).

mod encrypted;
mod known;

pub use known::KnownKeys;

use crate::GsiError;
use crate::der;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
};
use rustls::sign::SigningKey;
use rustls::{SignatureAlgorithm, SignatureScheme};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The largest key file that is read, in bytes. An encrypted RSA-8192 key has about 6,600.
pub const MAX_KEY_PEM: usize = 64 * 1024;

/// RSA keys below this many bits are refused, as the stock peers' OpenSSL does (§2).
pub const MIN_RSA_BITS: usize = 2048;

/// The PEM label of an unencrypted PKCS#8 key, which is what we write.
const PKCS8_LABEL: &str = "PRIVATE KEY";

/// What can be wrong with a private key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// No PEM block with a key.
    #[error("no private key found; expected a PEM block such as BEGIN PRIVATE KEY")]
    Missing,
    /// More bytes than any key has.
    #[error("private key of {0} bytes; at most {MAX_KEY_PEM} are read")]
    TooLarge(usize),
    /// The bytes are no key that can be used.
    #[error("the private key cannot be used: {0}")]
    Unusable(&'static str),
    /// An RSA key too short to be accepted anywhere.
    #[error("the RSA key is shorter than {MIN_RSA_BITS} bits; make a new one")]
    TooShort,
    /// A size that cannot be generated.
    #[error("cannot make an RSA key of {0} bits; choose 2048, 3072, 4096 or 8192")]
    UnsupportedSize(u32),
    /// Encrypted, and no passphrase was given.
    #[error("the private key is encrypted; a passphrase is needed")]
    PassphraseNeeded,
    /// Encrypted, and this passphrase does not open it.
    #[error("wrong passphrase for the private key")]
    WrongPassphrase,
    /// Encrypted in a way that is not supported.
    #[error(
        "the private key is encrypted with {0}, which is not supported; re-write it with `openssl pkcs8 -topk8`"
    )]
    UnsupportedEncryption(String),
    /// The library refused to generate or sign.
    #[error("the cryptographic library failed to {0}")]
    Library(&'static str),
}

/// The digest of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Digest {
    /// The usual one.
    #[default]
    Sha256,
    /** SHA-384 */
    Sha384,
    /** SHA-512 */
    Sha512,
}

/// A private key; never printed. Cheap to clone, zeroized with its last clone.
#[derive(Clone)]
pub struct PrivateKey {
    inner: Arc<Inner>,
}

struct Inner {
    pkcs8: Zeroizing<Vec<u8>>,
    public_key_info: Vec<u8>,
    signing: Arc<dyn SigningKey>,
    scheme: fn(Digest) -> SignatureScheme,
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey")
            .field("algorithm", &self.inner.signing.algorithm())
            .finish_non_exhaustive()
    }
}

impl PrivateKey {
    /// RSA of this many bits (2048 default); 65-85 ms, so call it on a blocking thread.
    ///
    /// # Errors
    /// For sizes other than 2048, 3072, 4096 and 8192, or when the library fails.
    pub fn generate_rsa(bits: u32) -> Result<Self, GsiError> {
        let size = match bits {
            2048 => KeySize::Rsa2048,
            3072 => KeySize::Rsa3072,
            4096 => KeySize::Rsa4096,
            8192 => KeySize::Rsa8192,
            other => return Err(KeyError::UnsupportedSize(other).into()),
        };
        let pair = RsaKeyPair::generate(size).map_err(|_| KeyError::Library("generate an RSA key"))?;
        Ok(Self::from_pkcs8(rsa_to_pkcs8(&pair)?)?)
    }

    /// From PKCS#8, PKCS#1 or SEC1 DER.
    ///
    /// # Errors
    /// When it is none of them, or an RSA key below [`MIN_RSA_BITS`].
    pub fn from_der(der: &[u8]) -> Result<Self, GsiError> {
        Ok(Self::from_any_der(der)?)
    }

    fn from_any_der(der: &[u8]) -> Result<Self, KeyError> {
        if der.len() > MAX_KEY_PEM {
            return Err(KeyError::TooLarge(der.len()));
        }
        for read in [RsaKeyPair::from_pkcs8, RsaKeyPair::from_der] {
            match read(der) {
                Ok(pair) if pair.public_modulus_len() * 8 >= MIN_RSA_BITS => {
                    return Self::from_pkcs8(rsa_to_pkcs8(&pair)?);
                }
                Ok(_) => return Err(KeyError::TooShort),
                // The library has the same limit, and no other way to say that it was met.
                Err(rejected) if rejected.to_string() == "TooSmall" => return Err(KeyError::TooShort),
                Err(_) => {}
            }
        }
        for curve in [&ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P384_SHA384_ASN1_SIGNING] {
            if let Some(pkcs8) = ec_to_pkcs8(curve, der) {
                return Self::from_pkcs8(pkcs8);
            }
        }
        Err(KeyError::Unusable(
            "it is neither RSA nor ECDSA on P-256 or P-384, in PKCS#8, PKCS#1 or SEC1 form",
        ))
    }

    fn from_pkcs8(pkcs8: Zeroizing<Vec<u8>>) -> Result<Self, KeyError> {
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.as_slice()));
        let signing = rustls::crypto::aws_lc_rs::sign::any_supported_type(&der)
            .map_err(|_| KeyError::Unusable("the TLS library does not know it"))?;
        let public_key_info =
            signing.public_key().ok_or(KeyError::Unusable("it has no public half"))?.as_ref().to_vec();
        let scheme: fn(Digest) -> SignatureScheme = match signing.algorithm() {
            SignatureAlgorithm::RSA => rsa_scheme,
            // A curve has one digest, whatever the issuer's own signature used.
            _ if signing.choose_scheme(&[SignatureScheme::ECDSA_NISTP384_SHA384]).is_some() => {
                |_| SignatureScheme::ECDSA_NISTP384_SHA384
            }
            _ => |_| SignatureScheme::ECDSA_NISTP256_SHA256,
        };
        Ok(Self { inner: Arc::new(Inner { pkcs8, public_key_info, signing, scheme }) })
    }

    /// From the first key block of a PEM text; `passphrase` for encrypted PKCS#8 and old `Proc-Type` keys.
    ///
    /// # Errors
    /// When there is no key, it cannot be used, or the passphrase is missing or wrong.
    pub fn from_pem(pem: &[u8], passphrase: Option<&str>) -> Result<Self, GsiError> {
        if pem.len() > MAX_KEY_PEM {
            return Err(KeyError::TooLarge(pem.len()).into());
        }
        let blocks = pem::parse_many(pem).map_err(|_| KeyError::Unusable("its PEM text is damaged"))?;
        let block = blocks.iter().find(|block| is_key_label(block.tag())).ok_or(KeyError::Missing)?;
        Ok(Self::from_pem_block(block, passphrase)?)
    }

    /// From one PEM block whose label [`is_key_label`].
    pub(crate) fn from_pem_block(block: &pem::Pem, passphrase: Option<&str>) -> Result<Self, KeyError> {
        match encrypted::decrypt(block, passphrase)? {
            // A wrong passphrase gives valid padding once in 256 times; then the content is no key.
            Some(plain) => Self::from_any_der(&plain).map_err(|error| match error {
                KeyError::Unusable(_) => KeyError::WrongPassphrase,
                other => other,
            }),
            None => Self::from_any_der(block.contents()),
        }
    }

    /// PKCS#8 PEM.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        encode_pem(PKCS8_LABEL, &self.inner.pkcs8)
    }

    /// PKCS#8 PEM encrypted under a passphrase (PBKDF2, AES-256), as `openssl` reads it.
    ///
    /// # Errors
    /// When the library fails.
    pub fn to_encrypted_pem(&self, passphrase: &str) -> Result<Zeroizing<String>, GsiError> {
        let der = encrypted::encrypt(&self.inner.pkcs8, passphrase)?;
        Ok(encode_pem(encrypted::PKCS8_LABEL, &der))
    }

    /// DER of the SubjectPublicKeyInfo.
    #[must_use]
    pub fn public_key_info(&self) -> Vec<u8> {
        self.inner.public_key_info.clone()
    }

    /// Whether this is the key of a certificate with this SubjectPublicKeyInfo.
    pub(crate) fn belongs_to(&self, public_key_info: &[u8]) -> bool {
        self.inner.public_key_info == public_key_info
    }

    /// Signs as certificates are signed: RSA PKCS#1 with this digest, ECDSA with the one of the curve. The result is
    /// the content of the BIT STRING.
    ///
    /// # Errors
    /// When the library fails.
    pub fn sign(&self, message: &[u8], digest: Digest) -> Result<Vec<u8>, GsiError> {
        let scheme = (self.inner.scheme)(digest);
        let signer = self
            .inner
            .signing
            .choose_scheme(&[scheme])
            .ok_or(KeyError::Library("choose a signature scheme"))?;
        Ok(signer.sign(message).map_err(|_| KeyError::Library("sign"))?)
    }

    /// DER of the AlgorithmIdentifier of what [`PrivateKey::sign`] makes.
    #[must_use]
    pub fn signature_algorithm(&self, digest: Digest) -> Vec<u8> {
        algorithm_identifier((self.inner.scheme)(digest))
    }

    /// For the TLS configuration.
    pub(crate) fn signing_key(&self) -> Arc<dyn SigningKey> {
        Arc::clone(&self.inner.signing)
    }
}

/// Whether a PEM label announces a private key.
pub(crate) fn is_key_label(label: &str) -> bool {
    matches!(
        label,
        PKCS8_LABEL | encrypted::PKCS8_LABEL | "RSA PRIVATE KEY" | "EC PRIVATE KEY" | "DSA PRIVATE KEY"
    )
}

fn encode_pem(label: &str, der: &[u8]) -> Zeroizing<String> {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    Zeroizing::new(pem::encode_config(&pem::Pem::new(label, der), config))
}

fn rsa_to_pkcs8(pair: &RsaKeyPair) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let der: Pkcs8V1Der<'static> = pair.as_der().map_err(|_| KeyError::Library("encode an RSA key"))?;
    Ok(Zeroizing::new(der.as_ref().to_vec()))
}

fn ec_to_pkcs8(curve: &'static EcdsaSigningAlgorithm, der: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let pair = EcdsaKeyPair::from_pkcs8(curve, der)
        .or_else(|_| EcdsaKeyPair::from_private_key_der(curve, der))
        .ok()?;
    Some(Zeroizing::new(pair.to_pkcs8v1().ok()?.as_ref().to_vec()))
}

fn rsa_scheme(digest: Digest) -> SignatureScheme {
    match digest {
        Digest::Sha256 => SignatureScheme::RSA_PKCS1_SHA256,
        Digest::Sha384 => SignatureScheme::RSA_PKCS1_SHA384,
        Digest::Sha512 => SignatureScheme::RSA_PKCS1_SHA512,
    }
}

fn algorithm_identifier(scheme: SignatureScheme) -> Vec<u8> {
    /// 1.2.840.113549.1.1: the last arc follows.
    const PKCS1: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01];
    /// 1.2.840.10045.4.3: the last arc follows.
    const ECDSA_WITH_SHA2: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03];
    let rsa = |arc: u8| {
        let oid = der::element(der::OBJECT_IDENTIFIER, &[PKCS1, &[arc]]);
        der::sequence(&[&oid, &der::element(der::NULL, &[])])
    };
    let ecdsa = |arc: u8| der::sequence(&[&der::element(der::OBJECT_IDENTIFIER, &[ECDSA_WITH_SHA2, &[arc]])]);
    match scheme {
        SignatureScheme::RSA_PKCS1_SHA384 => rsa(12),
        SignatureScheme::RSA_PKCS1_SHA512 => rsa(13),
        SignatureScheme::ECDSA_NISTP256_SHA256 => ecdsa(2),
        SignatureScheme::ECDSA_NISTP384_SHA384 => ecdsa(3),
        _ => rsa(11),
    }
}

#[cfg(test)]
mod tests;

//! Private keys: generation, loading, signing (gsi.md §15.6, §15.7).

use crate::GsiError;
use zeroize::Zeroizing;

/// A private key; never printed.
pub struct PrivateKey {/* owner decides; Arc inside, Clone */}

impl PrivateKey {
    /// RSA of this many bits (2048 default); 65-85 ms, so call it on a blocking thread.
    pub fn generate_rsa(_bits: u32) -> Result<Self, GsiError> {
        todo!()
    }
    /// From PKCS#8, PKCS#1 or SEC1 DER.
    pub fn from_der(_der: &[u8]) -> Result<Self, GsiError> {
        todo!()
    }
    /// From a PEM block; `passphrase` for encrypted PKCS#8 and old `Proc-Type` keys.
    pub fn from_pem(_pem: &[u8], _passphrase: Option<&str>) -> Result<Self, GsiError> {
        todo!()
    }
    /// PKCS#8 PEM.
    pub fn to_pem(&self) -> Zeroizing<String> {
        todo!()
    }
    /// DER of the SubjectPublicKeyInfo.
    pub fn public_key_info(&self) -> Vec<u8> {
        todo!()
    }
}

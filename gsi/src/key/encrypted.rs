//! Private keys under a passphrase: PKCS#8 with PBES2 (RFC 8018), and the older `Proc-Type: 4,ENCRYPTED` PEM.
//!
//! Read are PBKDF2 with AES-CBC or 3DES-CBC, which is all that `openssl req` (so `grid-cert-request`) has written since
//! 1.0; written is PBKDF2-HMAC-SHA256 with AES-256-CBC. Hashes and AES are the TLS library's; it has no 3DES.

use super::KeyError;
use crate::der::{self, DerError, Reader};
use aws_lc_rs::cipher::{
    self, DecryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::pbkdf2;
use des::TdesEde3;
use des::cipher::{BlockCipherDecrypt, KeyInit};
use md5::{Digest as _, Md5};
use std::num::NonZeroU32;
use zeroize::Zeroizing;

/// The PEM label of an encrypted PKCS#8 key.
pub(super) const PKCS8_LABEL: &str = "ENCRYPTED PRIVATE KEY";

/// Iterations we write: some 0.1 s, once per command.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(600_000).unwrap();

/// Iterations we are ready to spend on somebody's file: some 2 s.
const MAX_ITERATIONS: u32 = 10_000_000;

/// The longest salt that is taken.
const MAX_SALT: usize = 1024;

const PBES2: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x05, 0x0D];
const PBKDF2: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x05, 0x0C];
const HMAC_SHA1: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x02, 0x07];
const HMAC_SHA256: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x02, 0x09];
const HMAC_SHA384: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x02, 0x0A];
const HMAC_SHA512: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x02, 0x0B];
const AES_128_CBC: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x02];
const AES_192_CBC: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x16];
const AES_256_CBC: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2A];
const DES_EDE3_CBC: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x03, 0x07];

/// A block cipher in CBC mode.
#[derive(Clone, Copy)]
enum Cipher {
    Aes(&'static cipher::Algorithm, usize),
    TripleDes,
}

impl Cipher {
    const AES_128: Self = Self::Aes(&cipher::AES_128, 16);
    const AES_192: Self = Self::Aes(&cipher::AES_192, 24);
    const AES_256: Self = Self::Aes(&cipher::AES_256, 32);

    fn key_length(self) -> usize {
        match self {
            Self::Aes(_, length) => length,
            Self::TripleDes => 24,
        }
    }

    /// CBC decryption with the padding taken off.
    fn decrypt(self, key: &[u8], iv: &[u8], text: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let mut buffer = Zeroizing::new(text.to_vec());
        let length = match self {
            Self::Aes(algorithm, _) => decrypt_aes(algorithm, key, iv, &mut buffer)?,
            Self::TripleDes => decrypt_triple_des(key, iv, &mut buffer)?,
        };
        buffer.truncate(length);
        Ok(buffer)
    }
}

fn decrypt_aes(
    algorithm: &'static cipher::Algorithm,
    key: &[u8],
    iv: &[u8],
    buffer: &mut [u8],
) -> Result<usize, KeyError> {
    let iv: [u8; 16] = iv.try_into().map_err(|_| DAMAGED)?;
    let key = UnboundCipherKey::new(algorithm, key).map_err(|_| DAMAGED)?;
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(key).map_err(|_| DAMAGED)?;
    let plain = key.decrypt(buffer, DecryptionContext::Iv128(FixedLength::from(iv)));
    plain.map(|plain| plain.len()).map_err(|_| KeyError::WrongPassphrase)
}

fn decrypt_triple_des(key: &[u8], iv: &[u8], buffer: &mut [u8]) -> Result<usize, KeyError> {
    const BLOCK: usize = 8;
    let cipher = TdesEde3::new_from_slice(key).map_err(|_| DAMAGED)?;
    let mut previous: [u8; BLOCK] = iv.try_into().map_err(|_| DAMAGED)?;
    let (blocks, rest) = buffer.as_chunks_mut::<BLOCK>();
    if !rest.is_empty() {
        return Err(DAMAGED);
    }
    for block in blocks {
        let ciphertext = *block;
        cipher.decrypt_block(block.into());
        for (byte, mask) in block.iter_mut().zip(previous) {
            *byte ^= mask;
        }
        previous = ciphertext;
    }
    let padding = buffer.last().map_or(0, |byte| usize::from(*byte));
    let length = buffer.len().checked_sub(padding).filter(|_| (1..=BLOCK).contains(&padding));
    let length = length.ok_or(KeyError::WrongPassphrase)?;
    let intact =
        buffer.get(length..).is_some_and(|tail| tail.iter().all(|byte| usize::from(*byte) == padding));
    if intact { Ok(length) } else { Err(KeyError::WrongPassphrase) }
}

const DAMAGED: KeyError = KeyError::Unusable("its encryption parameters are damaged");

impl From<DerError> for KeyError {
    fn from(_: DerError) -> Self {
        DAMAGED
    }
}

/// The plain DER of an encrypted block; `None` when the block is not encrypted.
pub(super) fn decrypt(
    block: &pem::Pem,
    passphrase: Option<&str>,
) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError> {
    let needed = || passphrase.ok_or(KeyError::PassphraseNeeded);
    if block.tag() == PKCS8_LABEL {
        return decrypt_pkcs8(block.contents(), needed()?).map(Some);
    }
    match block.headers().get("DEK-Info") {
        Some(dek_info) => decrypt_legacy(dek_info, block.contents(), needed()?).map(Some),
        None => Ok(None),
    }
}

fn decrypt_pkcs8(der: &[u8], passphrase: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let mut info = Reader::new(der).nested(der::SEQUENCE)?;
    let mut scheme = info.nested(der::SEQUENCE)?;
    let text = info.content(der::OCTET_STRING)?;
    if scheme.content(der::OBJECT_IDENTIFIER)? != PBES2 {
        return Err(KeyError::UnsupportedEncryption("a scheme older than PBES2".into()));
    }
    let mut parameters = scheme.nested(der::SEQUENCE)?;
    let mut derivation = parameters.nested(der::SEQUENCE)?;
    let mut encryption = parameters.nested(der::SEQUENCE)?;

    let cipher = match encryption.content(der::OBJECT_IDENTIFIER)? {
        AES_128_CBC => Cipher::AES_128,
        AES_192_CBC => Cipher::AES_192,
        AES_256_CBC => Cipher::AES_256,
        DES_EDE3_CBC => Cipher::TripleDes,
        _ => return Err(KeyError::UnsupportedEncryption("an unknown cipher".into())),
    };
    let iv = encryption.content(der::OCTET_STRING)?;

    if derivation.content(der::OBJECT_IDENTIFIER)? != PBKDF2 {
        return Err(KeyError::UnsupportedEncryption("a key derivation other than PBKDF2".into()));
    }
    let key = derive(derivation.nested(der::SEQUENCE)?, passphrase, cipher.key_length())?;
    cipher.decrypt(&key, iv, text)
}

fn derive(
    mut parameters: Reader<'_>,
    passphrase: &str,
    length: usize,
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let salt = parameters.content(der::OCTET_STRING)?;
    let iterations = parameters.small_integer()?;
    if parameters.peek() == Some(der::INTEGER) {
        parameters.small_integer()?;
    }
    // Without a PRF it is HMAC-SHA1 (RFC 8018 A.2).
    let prf = match parameters.peek() {
        Some(_) => parameters.nested(der::SEQUENCE)?.content(der::OBJECT_IDENTIFIER)?,
        None => HMAC_SHA1,
    };
    let prf = match prf {
        HMAC_SHA1 => pbkdf2::PBKDF2_HMAC_SHA1,
        HMAC_SHA256 => pbkdf2::PBKDF2_HMAC_SHA256,
        HMAC_SHA384 => pbkdf2::PBKDF2_HMAC_SHA384,
        HMAC_SHA512 => pbkdf2::PBKDF2_HMAC_SHA512,
        _ => return Err(KeyError::UnsupportedEncryption("an unknown digest".into())),
    };
    let iterations =
        NonZeroU32::new(iterations).filter(|count| count.get() <= MAX_ITERATIONS).ok_or(DAMAGED)?;
    if salt.len() > MAX_SALT {
        return Err(DAMAGED);
    }
    let mut key = Zeroizing::new(vec![0; length]);
    pbkdf2::derive(prf, iterations, salt, passphrase.as_bytes(), &mut key);
    Ok(key)
}

/// `DEK-Info: NAME,IV-IN-HEX`; the key comes from the passphrase and the first eight bytes of the IV through MD5.
fn decrypt_legacy(dek_info: &str, text: &[u8], passphrase: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let (name, iv) = dek_info.split_once(',').ok_or(DAMAGED)?;
    let cipher = match name.trim() {
        "AES-128-CBC" => Cipher::AES_128,
        "AES-192-CBC" => Cipher::AES_192,
        "AES-256-CBC" => Cipher::AES_256,
        "DES-EDE3-CBC" => Cipher::TripleDes,
        other => return Err(KeyError::UnsupportedEncryption(other.to_owned())),
    };
    let iv = hex(iv.trim()).ok_or(DAMAGED)?;
    let salt = iv.get(..8).ok_or(DAMAGED)?;

    let mut key = Zeroizing::new(Vec::with_capacity(48));
    let mut block = Zeroizing::new(Vec::new());
    while key.len() < cipher.key_length() {
        let digest = Md5::new().chain_update(&*block).chain_update(passphrase).chain_update(salt).finalize();
        block = Zeroizing::new(digest.to_vec());
        key.extend_from_slice(&block);
    }
    key.truncate(cipher.key_length());
    cipher.decrypt(&key, &iv, text)
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() || pairs.len() > 16 {
        return None;
    }
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.iter().map(byte).collect()
}

/// DER of the EncryptedPrivateKeyInfo.
pub(super) fn encrypt(pkcs8: &[u8], passphrase: &str) -> Result<Vec<u8>, KeyError> {
    const FAILED: KeyError = KeyError::Library("encrypt a key");
    let mut salt = [0; 16];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| FAILED)?;
    let mut key = Zeroizing::new([0; 32]);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ITERATIONS, &salt, passphrase.as_bytes(), &mut *key);

    let key = UnboundCipherKey::new(&cipher::AES_256, &*key).map_err(|_| FAILED)?;
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(key).map_err(|_| FAILED)?;
    // Room for the padding, so that growing leaves no copy of the plain key behind.
    let mut buffer = Zeroizing::new(Vec::with_capacity(pkcs8.len() + 16));
    buffer.extend_from_slice(pkcs8);
    let context = key.encrypt(&mut *buffer).map_err(|_| FAILED)?;
    let DecryptionContext::Iv128(iv) = &context else { return Err(FAILED) };
    let iv: &[u8; 16] = iv.as_ref();

    let null = der::element(der::NULL, &[]);
    let prf = der::sequence(&[&der::object_identifier(HMAC_SHA256), &null]);
    let iterations = der::unsigned_integer(&ITERATIONS.get().to_be_bytes());
    let derivation = der::sequence(&[
        &der::object_identifier(PBKDF2),
        &der::sequence(&[&der::octet_string(&salt), &iterations, &prf]),
    ]);
    let encryption = der::sequence(&[&der::object_identifier(AES_256_CBC), &der::octet_string(iv)]);
    let scheme =
        der::sequence(&[&der::object_identifier(PBES2), &der::sequence(&[&derivation, &encryption])]);
    Ok(der::sequence(&[&scheme, &der::octet_string(&buffer)]))
}

//! Keys that were read before.

use super::{KeyError, PKCS8_LABEL, PrivateKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// How many keys are remembered: a job manager has few identities, and each uses one key for an hour.
const MAX_KEYS: usize = 16;

/// Keys that were read before, the latest first. The library checks an RSA key that it loads, which takes longer than a
/// signature; but credentials delegated by one person come with the same key again and again
/// ([`KeyPool`](crate::KeyPool)).
#[derive(Debug, Default)]
pub struct KnownKeys(Mutex<VecDeque<PrivateKey>>);

impl KnownKeys {
    /// The key of an unencrypted PEM block, read only when it is new.
    pub(crate) fn read(&self, block: &pem::Pem) -> Result<PrivateKey, KeyError> {
        if block.tag() != PKCS8_LABEL {
            return PrivateKey::from_pem_block(block, None);
        }
        if let Some(known) = self.recall(block.contents()) {
            return Ok(known);
        }
        let key = PrivateKey::from_pem_block(block, None)?;
        // The same key may be written in several ways, and may have been read by another thread meanwhile.
        if self.recall(&key.inner.pkcs8).is_none() {
            let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            keys.push_front(key.clone());
            keys.truncate(MAX_KEYS);
        }
        Ok(key)
    }

    fn recall(&self, pkcs8: &[u8]) -> Option<PrivateKey> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = keys.iter().position(|key| verify_slices_are_equal(&key.inner.pkcs8, pkcs8).is_ok())?;
        let key = keys.remove(at)?;
        keys.push_front(key.clone());
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn block(key: &PrivateKey) -> pem::Pem {
        pem::parse(key.to_pem().as_bytes()).unwrap()
    }

    #[test]
    fn a_key_is_read_once() {
        let keys = KnownKeys::default();
        let key = PrivateKey::generate_rsa(2048).unwrap();
        let (first, again) = (keys.read(&block(&key)).unwrap(), keys.read(&block(&key)).unwrap());
        assert!(Arc::ptr_eq(&first.inner, &again.inner));
        assert_eq!(first.public_key_info(), key.public_key_info());
        let other = keys.read(&block(&PrivateKey::generate_rsa(2048).unwrap())).unwrap();
        assert_ne!(other.public_key_info(), key.public_key_info());
        assert!(Arc::ptr_eq(&keys.read(&block(&key)).unwrap().inner, &first.inner));
    }

    #[test]
    fn damage_is_found_and_not_remembered() {
        let keys = KnownKeys::default();
        let key = block(&PrivateKey::generate_rsa(2048).unwrap());
        keys.read(&key).unwrap();
        let damaged = pem::Pem::new(PKCS8_LABEL, &key.contents()[1..]);
        assert!(keys.read(&damaged).is_err());
        assert_eq!(keys.0.lock().unwrap().len(), 1);
    }

    #[test]
    fn only_so_many_keys_are_remembered() {
        let keys = KnownKeys::default();
        let key = PrivateKey::generate_rsa(2048).unwrap();
        keys.0.lock().unwrap().extend((0..MAX_KEYS).map(|_| key.clone()));
        let other = PrivateKey::generate_rsa(2048).unwrap();
        keys.read(&block(&other)).unwrap();
        let remembered = keys.0.lock().unwrap();
        assert_eq!(remembered.len(), MAX_KEYS);
        assert_eq!(remembered[0].public_key_info(), other.public_key_info());
    }
}

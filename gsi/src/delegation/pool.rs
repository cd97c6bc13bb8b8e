//! Keys for delegation requests, so that no submission waits for RSA key generation (gsi.md §5.6, §15.7).
//!
//! Two levers: a few keys are made ahead on a thread of their own, and one key per identity is used again for a bounded
//! time, which peers do not notice. A key is never shared between identities: who holds a proxy's key acts as its owner.

use crate::key::{KeyError, PrivateKey};
use crate::{GsiError, Subject, delegation};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{OnceCell, Semaphore};

/// The most identities whose keys are remembered; the oldest is forgotten first.
const MAX_IDENTITIES: usize = 1024;

/// RSA keys generated at the same time when the pool is empty; more would only slow each other down.
const MAX_GENERATING: usize = 2;

/// Stock peers cannot delegate on from an elliptic-curve key, nor from a shorter one (§5.6).
const KEY_BITS: u32 = 2048;

/// A key for delegation and the request for it. The request says nothing but the key, so it is signed once and sent as
/// often as the key is used.
#[derive(Debug)]
pub struct DelegationKey {
    key: PrivateKey,
    request: Vec<u8>,
}

impl DelegationKey {
    /// 65-85 ms, so call it on a blocking thread.
    fn generate() -> Result<Self, GsiError> {
        let key = PrivateKey::generate_rsa(KEY_BITS)?;
        let request = delegation::request(&key)?;
        Ok(Self { key, request })
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// The PKCS#10 request, DER.
    #[must_use]
    pub fn request(&self) -> &[u8] {
        &self.request
    }
}

/// Keys for delegation requests: a few made ahead in idle time, and one key per identity reused for a bounded time.
/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct KeyPool {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    ahead: usize,
    reuse: Duration,
    generating: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Made ahead, used by nobody yet.
    ready: Vec<DelegationKey>,
    refilling: bool,
    identities: HashMap<Subject, Slot>,
}

/// One identity's key. The cell is filled once, so that many first connections at a time make one key.
#[derive(Debug, Clone)]
struct Slot {
    since: Instant,
    key: Arc<OnceCell<Arc<DelegationKey>>>,
}

impl KeyPool {
    /// A pool that keeps `ahead` keys ready and reuses an identity's key for `reuse`; zero makes a new one each time.
    #[must_use]
    pub fn new(ahead: usize, reuse: Duration) -> Self {
        let state = Mutex::new(State::default());
        let pool = Self {
            inner: Arc::new(Inner { ahead, reuse, generating: Semaphore::new(MAX_GENERATING), state }),
        };
        pool.inner.refill();
        pool
    }

    /// The key for this identity.
    ///
    /// # Errors
    /// When a key has to be made and the library fails.
    pub async fn key_for(&self, identity: &Subject) -> Result<Arc<DelegationKey>, GsiError> {
        if self.inner.reuse.is_zero() {
            return self.inner.next_key().await;
        }
        let slot = self.inner.slot(identity, Instant::now());
        slot.get_or_try_init(|| self.inner.next_key()).await.cloned()
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self, identity: &Subject, now: Instant) -> Arc<OnceCell<Arc<DelegationKey>>> {
        let mut state = self.state();
        let fresh = |slot: &Slot| now.saturating_duration_since(slot.since) < self.reuse;
        if let Some(slot) = state.identities.get(identity).filter(|slot| fresh(slot)) {
            return Arc::clone(&slot.key);
        }
        if state.identities.len() >= MAX_IDENTITIES {
            state.identities.retain(|_, slot| fresh(slot));
        }
        if state.identities.len() >= MAX_IDENTITIES {
            let oldest = state
                .identities
                .iter()
                .min_by_key(|(_, slot)| slot.since)
                .map(|(subject, _)| subject.clone());
            oldest.map(|subject| state.identities.remove(&subject));
        }
        let slot = Slot { since: now, key: Arc::default() };
        state.identities.insert(identity.clone(), slot.clone());
        slot.key
    }

    async fn next_key(self: &Arc<Self>) -> Result<Arc<DelegationKey>, GsiError> {
        let ready = self.state().ready.pop();
        self.refill();
        if let Some(key) = ready {
            return Ok(Arc::new(key));
        }
        let failed = KeyError::Library("generate an RSA key");
        let _permit = self.generating.acquire().await.map_err(|_| failed.clone())?;
        // One may have been finished while we queued.
        if let Some(key) = self.state().ready.pop() {
            return Ok(Arc::new(key));
        }
        let key = tokio::task::spawn_blocking(DelegationKey::generate).await.map_err(|_| failed)??;
        Ok(Arc::new(key))
    }

    /// Makes keys on a thread until enough are ready, unless that is going on already.
    fn refill(self: &Arc<Self>) {
        let mut state = self.state();
        if state.refilling || state.ready.len() >= self.ahead {
            return;
        }
        let pool = Arc::downgrade(self);
        let thread =
            std::thread::Builder::new().name("gsi-keys".to_owned()).spawn(move || refill_until_full(&pool));
        match thread {
            Ok(_) => state.refilling = true,
            Err(error) => tracing::warn!(%error, "cannot start the thread that makes keys ahead"),
        }
    }
}

/// Stops when the pool is full, or gone.
fn refill_until_full(pool: &Weak<Inner>) {
    loop {
        let key = DelegationKey::generate();
        let Some(pool) = pool.upgrade() else { return };
        let mut state = pool.state();
        match key {
            Ok(key) => state.ready.push(key),
            Err(error) => {
                tracing::warn!(%error, "cannot make a key ahead");
                state.refilling = false;
                return;
            }
        }
        if state.ready.len() >= pool.ahead {
            state.refilling = false;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(name: &str) -> Subject {
        Subject::new(format!("/O=Grid/CN={name}"))
    }

    #[tokio::test]
    async fn a_key_is_used_again_for_the_same_identity_only() {
        let pool = KeyPool::new(2, Duration::from_secs(3600));
        let identity = subject("a");
        let (first, second) = tokio::join!(pool.key_for(&identity), pool.key_for(&identity));
        let first = first.unwrap();
        assert!(Arc::ptr_eq(&first, &second.unwrap()), "concurrent first uses share one key");
        let request = crate::request::CertificateRequest::from_der(first.request()).unwrap();
        assert_eq!(request.public_key_info(), first.key().public_key_info());
        let other = pool.key_for(&subject("b")).await.unwrap();
        assert_ne!(first.key().public_key_info(), other.key().public_key_info());
    }

    #[tokio::test]
    async fn a_key_is_not_used_longer_than_allowed() {
        let pool = KeyPool::new(0, Duration::from_secs(60));
        let first = pool.key_for(&subject("a")).await.unwrap();
        let later = Instant::now() + Duration::from_secs(61);
        let cell = pool.inner.slot(&subject("a"), later);
        assert!(cell.get().is_none(), "a new key has to be made");
        drop(first);
    }

    #[tokio::test]
    async fn without_reuse_every_key_is_new() {
        let pool = KeyPool::new(2, Duration::ZERO);
        let (first, second) =
            (pool.key_for(&subject("a")).await.unwrap(), pool.key_for(&subject("a")).await.unwrap());
        assert_ne!(first.key().public_key_info(), second.key().public_key_info());
    }

    #[test]
    fn only_so_many_identities_are_remembered() {
        let pool = KeyPool::new(0, Duration::from_secs(3600));
        let start = Instant::now();
        for number in 0..MAX_IDENTITIES as u64 + 10 {
            pool.inner.slot(&subject(&number.to_string()), start + Duration::from_millis(number));
        }
        let state = pool.inner.state();
        assert_eq!(state.identities.len(), MAX_IDENTITIES);
        assert!(!state.identities.contains_key(&subject("0")), "the oldest goes first");
    }
}

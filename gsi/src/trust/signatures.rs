//! Signatures that were found good before.

use crate::certificate::Fingerprint;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// How many pairs a generation holds; two generations are kept, so memory stays below 1 MB.
const GENERATION: usize = 4096;

/// What was signed, and by whom.
type Pair = (Fingerprint, Fingerprint);

/// A bounded memory of good signatures. Only success is remembered: a failure costs its peer the connection anyway.
#[derive(Debug, Default)]
pub(super) struct VerifiedSignatures(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: HashSet<Pair>,
    old: HashSet<Pair>,
}

impl VerifiedSignatures {
    /// Answers from memory, or asks `verify` and remembers its success.
    pub(super) fn remember<E>(&self, pair: Pair, verify: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        if self.knows(&pair) {
            return Ok(());
        }
        verify()?;
        self.add(pair);
        Ok(())
    }

    fn knows(&self, pair: &Pair) -> bool {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if generations.young.contains(pair) {
            return true;
        }
        let known = generations.old.contains(pair);
        if known {
            generations.add(*pair);
        }
        known
    }

    fn add(&self, pair: Pair) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add(pair);
    }
}

impl Generations {
    fn add(&mut self, pair: Pair) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(pair);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(number: usize) -> Pair {
        let mut first = [0; 32];
        first[..8].copy_from_slice(&number.to_be_bytes());
        (first, [0; 32])
    }

    #[test]
    fn success_is_remembered_failure_is_not() {
        let memory = VerifiedSignatures::default();
        assert_eq!(memory.remember(pair(1), || Err("wrong")), Err("wrong"));
        assert_eq!(memory.remember(pair(1), || Ok::<_, &str>(())), Ok(()));
        assert_eq!(memory.remember(pair(1), || Err("must not be asked")), Ok(()));
    }

    #[test]
    fn memory_is_bounded_and_keeps_what_is_used() {
        let memory = VerifiedSignatures::default();
        for number in 1..5 * GENERATION {
            memory.add(pair(number));
            let _ = memory.remember(pair(0), || Ok::<_, ()>(()));
        }
        let generations = memory.0.lock().unwrap();
        assert!(generations.young.len() + generations.old.len() <= 2 * GENERATION);
        assert!(generations.young.contains(&pair(0)) || generations.old.contains(&pair(0)));
        assert!(!generations.young.contains(&pair(1)) && !generations.old.contains(&pair(1)));
    }
}

//! How often one subject may ask: a token bucket each. A request takes a token; tokens come back at a steady rate, up
//! to as many as may be spent at once. Pure but for the lock: the time is handed in.

use crate::config::Limits;
use gsi::Subject;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Most subjects remembered. One with a full bucket need not be.
const MAX_SUBJECTS: usize = 10_000;

/// The buckets of a gatekeeper.
#[derive(Debug, Default)]
pub struct Rates(Mutex<HashMap<String, Bucket>>);

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl Rates {
    /// Takes a token of this subject.
    ///
    /// # Errors
    /// How long to wait for one when there is none.
    pub fn take(&self, subject: &Subject, limits: &Limits, now: Instant) -> Result<(), Duration> {
        #[expect(clippy::cast_precision_loss, reason = "nobody counts that many requests")]
        let (per_second, burst) = (limits.requests_per_minute as f64 / 60.0, limits.requests_burst as f64);
        let full_after = Duration::try_from_secs_f64(burst / per_second).unwrap_or(Duration::MAX);
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_SUBJECTS {
            buckets.retain(|_, bucket| now.saturating_duration_since(bucket.filled) < full_after);
        }
        if buckets.len() >= MAX_SUBJECTS {
            // So many subjects at once: who waited longest has most tokens, and loses least by being forgotten.
            let oldest = buckets.iter().min_by_key(|(_, bucket)| bucket.filled);
            if let Some(oldest) = oldest.map(|(subject, _)| subject.clone()) {
                buckets.remove(&oldest);
            }
        }
        let bucket = buckets.entry(subject.normalized()).or_insert(Bucket { tokens: burst, filled: now });
        let waited = now.saturating_duration_since(bucket.filled).as_secs_f64();
        bucket.tokens = waited.mul_add(per_second, bucket.tokens).min(burst);
        bucket.filled = now;
        if bucket.tokens < 1.0 {
            let wait = (1.0 - bucket.tokens) / per_second;
            return Err(Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX));
        }
        bucket.tokens -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_then_a_steady_rate_for_each_subject() {
        let (rates, start) = (Rates::default(), Instant::now());
        let limits = Limits { requests_per_minute: 60, requests_burst: 3, ..Limits::default() };
        let take = |name: &str, seconds| rates.take(&Subject::new(name), &limits, start + seconds * SECOND);
        for _ in 0..3 {
            assert_eq!(take("/CN=a", 0), Ok(()));
        }
        assert_eq!(take("/cn=A", 0), Err(SECOND), "the same whatever its case");
        assert_eq!(take("/CN=b", 0), Ok(()));
        assert_eq!((take("/CN=a", 1), take("/CN=a", 1)), (Ok(()), Err(SECOND)));
        for _ in 0..3 {
            assert_eq!(take("/CN=a", 1000), Ok(()));
        }
        assert!(take("/CN=a", 1000).is_err(), "no more than a burst is saved up");
    }

    #[test]
    fn memory_is_bounded() {
        let (rates, start) = (Rates::default(), Instant::now());
        let limits = Limits { requests_per_minute: 1, requests_burst: 100, ..Limits::default() };
        for number in 0..MAX_SUBJECTS + 50 {
            rates.take(&Subject::new(format!("/CN={number}")), &limits, start).unwrap();
        }
        assert_eq!(rates.0.lock().unwrap().len(), MAX_SUBJECTS);
        rates.take(&Subject::new("/CN=later"), &limits, start + 6001 * SECOND).unwrap();
        assert_eq!(rates.0.lock().unwrap().len(), 1, "full buckets are forgotten");
    }
}

//! Whether a failed transfer is tried again, and when: what may pass is, what was refused is not.

use crate::GassError;
use std::time::Duration;

/// Retries in a row, unless told otherwise: some 8 seconds in all.
pub const RETRIES: u32 = 5;
/// The first pause; each further one is twice as long.
const FIRST: Duration = Duration::from_millis(250);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(30);

/// What is left of it.
#[derive(Debug)]
pub struct Patience {
    limit: u32,
    pause: Option<Duration>,
    /// Since the last progress.
    in_a_row: u32,
    used: u32,
}

impl Patience {
    /// For so many retries in a row, with this pause before each, or longer and longer ones.
    pub fn new(limit: u32, pause: Option<Duration>) -> Self {
        Self { limit, pause, in_a_row: 0, used: 0 }
    }

    /// How long to wait before it is tried again; None to give up. `progress` says whether anything was transferred since
    /// the last failure: a line that breaks now and then brings a file home all the same.
    pub fn after(&mut self, error: &GassError, progress: bool) -> Option<Duration> {
        if progress {
            self.in_a_row = 0;
        }
        if !error.is_passing() || self.in_a_row >= self.limit {
            return None;
        }
        let doubled = FIRST.saturating_mul(2_u32.saturating_pow(self.in_a_row));
        self.in_a_row += 1;
        self.used += 1;
        Some(self.pause.unwrap_or(doubled.min(LONGEST)))
    }

    /// How many retries there were.
    pub fn used(&self) -> u32 {
        self.used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16) -> GassError {
        GassError::Refused { url: "https://h/f".parse().unwrap(), status, reason: String::new() }
    }

    #[test]
    fn pauses_grow_to_a_limit() {
        let mut patience = Patience::new(10, None);
        let pauses: Vec<_> = std::iter::from_fn(|| patience.after(&refused(503), false))
            .map(|pause| pause.as_millis())
            .collect();
        assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
        assert_eq!(patience.used(), 10);
    }

    #[test]
    fn progress_renews_patience() {
        let mut patience = Patience::new(2, Some(Duration::from_secs(1)));
        for _ in 0..100 {
            assert_eq!(patience.after(&refused(503), true), Some(Duration::from_secs(1)));
        }
        assert!(patience.after(&refused(503), false).is_some());
        assert_eq!(patience.after(&refused(503), false), None);
    }

    #[test]
    fn a_refusal_is_final() {
        for status in [400, 403, 404, 507] {
            assert_eq!(Patience::new(5, None).after(&refused(status), true), None, "{status}");
        }
        assert_eq!(Patience::new(0, None).after(&refused(503), true), None);
    }
}

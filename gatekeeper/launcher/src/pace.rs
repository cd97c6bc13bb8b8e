//! How often something may be started. Pure: the time is handed in, as the time since any fixed instant.

use std::time::Duration;

/// Job managers are started at most this often in the long run…
const EVERY: Duration = Duration::from_millis(100);
/// …and this many at once after a rest.
const AT_ONCE: u32 = 32;

/// First and longest time before a gatekeeper that has died is started again. The longest is short: whoever found a way to
/// kill gatekeepers should not shut the site with one blow a minute.
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// See [`FIRST_DELAY`].
const LONGEST_DELAY: Duration = Duration::from_secs(10);

/// Bounds the rate of starts, whatever a gatekeeper in wrong hands may ask for.
#[derive(Debug, Default)]
pub struct Pace {
    /// When the starts so far would all have taken place, had they kept to [`EVERY`].
    even: Duration,
}

impl Pace {
    /// Counts one more start, and tells how long it has to wait from `now`.
    pub fn wait(&mut self, now: Duration) -> Duration {
        let even = self.even.max(now);
        self.even = even + EVERY;
        even.saturating_sub(now + EVERY * (AT_ONCE - 1))
    }
}

/// When to start again what keeps dying: almost at once at first, then ever later.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST_DELAY }
    }
}

impl Backoff {
    /// How long to wait after the death of what has lived so long. A long life makes up for earlier deaths.
    pub fn delay(&mut self, lived: Duration) -> Duration {
        if lived > LONGEST_DELAY {
            *self = Self::default();
        }
        let delay = self.next;
        self.next = (delay * 2).min(LONGEST_DELAY);
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_a_steady_rate() {
        let mut pace = Pace::default();
        let now = Duration::from_secs(1000);
        for _ in 0..AT_ONCE {
            assert_eq!(pace.wait(now), Duration::ZERO);
        }
        assert_eq!(pace.wait(now), EVERY);
        assert_eq!(pace.wait(now), EVERY * 2);
        assert_eq!(pace.wait(now + EVERY * 2), EVERY);
        assert_eq!(pace.wait(now + Duration::from_secs(60)), Duration::ZERO, "after a rest");
    }

    #[test]
    fn deaths_in_a_row_are_followed_later_and_later() {
        let mut backoff = Backoff::default();
        let in_a_row: Vec<u128> = (0..9).map(|_| backoff.delay(Duration::ZERO).as_millis()).collect();
        assert_eq!(in_a_row, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(backoff.delay(LONGEST_DELAY * 2), FIRST_DELAY);
    }
}

//! How long to wait before a program that ended is started again.

use std::time::Duration;

/// The first wait.
const MIN_WAIT: Duration = Duration::from_millis(500);
/// The longest wait.
const MAX_WAIT: Duration = Duration::from_secs(8);

/// A program that ran this long does not count as failed, whatever ended it.
const RAN_WELL: Duration = Duration::from_secs(60);

/// Doubles the wait from one failure to the next, and never gives up.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after a program that ran for `ran`.
    pub(super) fn after(&mut self, ran: Duration) -> Duration {
        self.failures = if ran >= RAN_WELL { 1 } else { self.failures.saturating_add(1) };
        let doubled = 2u32.saturating_pow(self.failures - 1);
        MIN_WAIT.saturating_mul(doubled).min(MAX_WAIT)
    }

    /// How many times in a row it ended early.
    pub(super) const fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_eight_seconds_and_begin_anew_after_a_good_run() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..7).map(|_| backoff.after(Duration::ZERO).as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 8000, 8000]);
        assert_eq!(backoff.after(Duration::from_secs(61)).as_millis(), 500);
        assert_eq!(backoff.failures(), 1);
    }
}

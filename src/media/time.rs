//! The one clock samples are stamped with, and the one people go by.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The wall clock as a time since 1970 (UTC). It jumps when a time server is reached: only what is
/// told to others is taken from it, and no delay is ever measured by it.
#[must_use]
pub fn utc_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// A point on the system's monotonic clock (`CLOCK_MONOTONIC`), in nanoseconds.
///
/// Cameras stamp pictures with the moment of exposure, V4L2 and libcamera on this very clock, so
/// delays between any two stages of the daemon are differences of two `MediaTime`s. The wall
/// clock never enters: a Pi has no clock chip, and its wall clock jumps when the network comes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MediaTime(u64);

impl MediaTime {
    /// The present moment.
    #[must_use]
    pub fn now() -> Self {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        Self(t.tv_sec.unsigned_abs() * 1_000_000_000 + t.tv_nsec.unsigned_abs())
    }

    /// The moment `nanos` nanoseconds after the clock's zero.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock's zero.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not after it at all.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This moment in ticks of a media clock running at `rate_hz` (90 000 for video, RFC 6184
    /// §8.2.1). Wraps only after half a million years.
    #[must_use]
    pub const fn ticks(self, rate_hz: u32) -> u64 {
        (self.0 as u128 * rate_hz as u128 / 1_000_000_000) as u64
    }
}

impl std::ops::Add<Duration> for MediaTime {
    type Output = Self;
    fn add(self, d: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl std::ops::Sub<Duration> for MediaTime {
    type Output = Self;
    fn sub(self, d: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Debug for MediaTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.0 / 1_000_000_000, self.0 / 1_000 % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_exact_over_years() {
        let ten_years = MediaTime::from_nanos(10 * 365 * 86_400 * 1_000_000_000);
        assert_eq!(ten_years.ticks(90_000), 10 * 365 * 86_400 * 90_000);
    }

    #[test]
    fn differences_never_underflow() {
        let (early, late) = (MediaTime::from_nanos(5), MediaTime::from_nanos(7));
        assert_eq!(late.since(early), Duration::from_nanos(2));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(early - Duration::from_secs(1), MediaTime::from_nanos(0));
    }
}

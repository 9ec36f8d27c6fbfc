//! How long things take, gathered without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets. Half a frame of 30 a second is 16 ms; below a tenth of a
/// millisecond nobody looks.
const BOUNDS: [Duration; 12] = [
    Duration::from_micros(100),
    Duration::from_micros(200),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(500),
];

/// A histogram of delays. Any thread may add to it at any time, for the price of two atomic
/// additions.
#[derive(Debug, Default)]
pub struct Delays {
    /// One for each of [`BOUNDS`], not cumulative, and one for all beyond.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

/// What a [`Delays`] held at some moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DelaySummary {
    buckets: [u64; BOUNDS.len() + 1],
    sum: Duration,
}

impl Delays {
    /// Takes note of a delay.
    pub fn note(&self, delay: Duration) {
        let bucket = BOUNDS.partition_point(|bound| *bound < delay);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// All delays so far.
    #[must_use]
    pub fn summary(&self) -> DelaySummary {
        DelaySummary {
            buckets: std::array::from_fn(|i| self.buckets[i].load(Ordering::Relaxed)),
            sum: Duration::from_nanos(self.nanos.load(Ordering::Relaxed)),
        }
    }
}

impl DelaySummary {
    /// How many delays there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// All of them together.
    #[must_use]
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// How many fell between one bound and the next; the last has no upper bound.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        BOUNDS.into_iter().map(Some).chain([None]).zip(self.buckets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_delay_is_in_the_bucket_it_does_not_exceed() {
        let delays = Delays::default();
        for micros in [0, 100, 101, 500_000, 500_001] {
            delays.note(Duration::from_micros(micros));
        }
        let summary = delays.summary();
        let full: Vec<_> = summary.buckets().filter(|(_, n)| *n > 0).collect();
        assert_eq!(
            full,
            [
                (Some(Duration::from_micros(100)), 2),
                (Some(Duration::from_micros(200)), 1),
                (Some(Duration::from_millis(500)), 1),
                (None, 1),
            ]
        );
        assert_eq!(summary.count(), 5);
        assert_eq!(summary.sum(), Duration::from_micros(1_000_202));
    }
}

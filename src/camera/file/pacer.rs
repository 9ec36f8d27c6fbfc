//! Holding pictures back until they are due.

use std::time::Duration;

use crate::media::MediaTime;

/// What a clip is paced by. The system's monotonic clock, except in tests.
pub trait PlaybackClock: Send {
    /// The present moment.
    fn now(&self) -> MediaTime;
    /// Returns at `moment` or as soon after it as possible.
    fn sleep_until(&self, moment: MediaTime);
}

/// The system's monotonic clock.
pub(super) struct MonotonicClock;

impl PlaybackClock for MonotonicClock {
    fn now(&self) -> MediaTime {
        MediaTime::now()
    }

    fn sleep_until(&self, moment: MediaTime) {
        std::thread::sleep(moment.since(MediaTime::now()));
    }
}

/// Holds each picture back until it is due.
pub(super) struct Pacer {
    clock: Box<dyn PlaybackClock>,
    /// When the picture at position zero was or would have been due.
    origin: Option<MediaTime>,
    /// A picture may be this late without the rest of the clip being shifted: two pictures' worth. Any
    /// more, and those behind it would follow in a burst to catch up.
    tolerance: Duration,
    /// When something was due last.
    last_due: Option<MediaTime>,
}

impl Pacer {
    pub fn new(clock: Box<dyn PlaybackClock>) -> Self {
        Self { clock, origin: None, tolerance: Duration::ZERO, last_due: None }
    }

    /// The next picture waited for is due at once.
    pub fn restart(&mut self, fps: f64) {
        (self.origin, self.last_due) = (None, None);
        self.tolerance = Duration::from_secs_f64((2.0 / fps).min(1.0));
    }

    /// Waits until the picture at `position` of the playback is due and says when that is. Positions
    /// grow over the loop point, so the moments do too.
    pub fn wait_until_due(&mut self, position: Duration) -> MediaTime {
        let now = self.clock.now();
        let origin = *self.origin.get_or_insert(now - position);
        let due = origin + position;
        let late = now.since(due);
        if late > self.tolerance {
            log::debug!("clip is {late:?} late; going on from here");
            self.origin = Some(origin + late);
            self.last_due = Some(now);
            return now;
        }
        if due > now {
            self.clock.sleep_until(due);
        }
        self.last_due = Some(due);
        due
    }

    /// The present moment, if nothing was due for as long as `interval` before it.
    pub fn overdue(&mut self, interval: Duration) -> Option<MediaTime> {
        let now = self.clock.now();
        if self.last_due.is_none_or(|last| now.since(last) < interval) {
            return None;
        }
        self.last_due = Some(now);
        Some(now)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[derive(Clone, Default)]
    struct FakeClock(Arc<AtomicU64>);

    impl PlaybackClock for FakeClock {
        fn now(&self) -> MediaTime {
            MediaTime::from_nanos(self.0.load(Ordering::Relaxed))
        }
        fn sleep_until(&self, moment: MediaTime) {
            self.0.fetch_max(moment.as_nanos(), Ordering::Relaxed);
        }
    }

    impl FakeClock {
        fn pass(&self, millis: u64) {
            self.0.fetch_add(millis * 1_000_000, Ordering::Relaxed);
        }
    }

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn at(n: u64) -> MediaTime {
        MediaTime::default() + ms(n)
    }

    fn pacer(clock: &FakeClock) -> Pacer {
        let mut pacer = Pacer::new(Box::new(clock.clone()));
        pacer.restart(25.0);
        pacer
    }

    #[test]
    fn the_first_picture_is_due_at_once_and_the_rest_as_they_follow_it() {
        let clock = FakeClock::default();
        clock.pass(1000);
        let mut pacer = pacer(&clock);
        assert_eq!(pacer.wait_until_due(ms(80)), at(1000));
        assert_eq!(pacer.wait_until_due(ms(120)), at(1040));
        assert_eq!(clock.now(), at(1040));
    }

    #[test]
    fn a_short_delay_does_not_shift_the_pictures_behind_it() {
        let clock = FakeClock::default();
        let mut pacer = pacer(&clock);
        pacer.wait_until_due(ms(0));
        clock.pass(70);
        assert_eq!(pacer.wait_until_due(ms(40)), at(40));
        assert_eq!(pacer.wait_until_due(ms(80)), at(80));
        assert_eq!(clock.now(), at(80));
    }

    #[test]
    fn after_a_long_delay_there_is_no_burst() {
        let clock = FakeClock::default();
        let mut pacer = pacer(&clock);
        pacer.wait_until_due(ms(0));
        clock.pass(3000);
        assert_eq!(pacer.wait_until_due(ms(40)), at(3000));
        assert_eq!(pacer.wait_until_due(ms(80)), at(3040));
        assert_eq!(clock.now(), at(3040));
    }
}

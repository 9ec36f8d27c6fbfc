//! The wall clock, as pictures need it.

use std::time::{Duration, SystemTime};

use crate::media::MediaTime;

/// Tells the time of day at which a picture was exposed.
///
/// Injected, because a test has to know what will be written on a picture.
pub(super) trait WallClock: Send {
    /// The wall clock's time at the moment `time`.
    fn at(&self, time: MediaTime) -> SystemTime;
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SystemClock;

impl WallClock for SystemClock {
    fn at(&self, time: MediaTime) -> SystemTime {
        let age = MediaTime::now().since(time);
        SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

/// Whether the clock had been set at `time`. A Pi has no clock chip: until the network tells it
/// the time, its clock stands near 1970, or near when it was last switched off.
pub(super) fn is_set(time: SystemTime) -> bool {
    time >= SystemTime::UNIX_EPOCH + Duration::from_secs(BUILT)
}

/// Seconds since 1970 at which this program was built, or at least not earlier than which. The
/// image's build sets `SOURCE_DATE_EPOCH` (<https://reproducible-builds.org/specs/source-date-epoch>).
const BUILT: u64 = match option_env!("SOURCE_DATE_EPOCH") {
    Some(seconds) => match u64::from_str_radix(seconds, 10) {
        Ok(seconds) => seconds,
        Err(_) => START_OF_2026,
    },
    None => START_OF_2026,
};

const START_OF_2026: u64 = 1_767_225_600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_stands_before_the_build_is_not_set() {
        assert!(!is_set(SystemTime::UNIX_EPOCH));
        assert!(!is_set(SystemTime::UNIX_EPOCH + Duration::from_secs(BUILT - 1)));
        assert!(is_set(SystemTime::UNIX_EPOCH + Duration::from_secs(BUILT)));
    }

    #[test]
    fn a_picture_carries_the_time_of_its_exposure_not_of_its_handling() {
        // The clock of pictures begins when the machine does, which may be moments ago.
        let uptime = MediaTime::now().since(MediaTime::default());
        let exposed = MediaTime::default() + uptime / 2;
        let before = SystemClock.at(exposed);
        let age = SystemTime::now().duration_since(before).unwrap();
        assert!(age >= uptime / 2, "{age:?} of {uptime:?}");
        assert!(SystemClock.at(MediaTime::from_nanos(u64::MAX)) > before);
    }
}

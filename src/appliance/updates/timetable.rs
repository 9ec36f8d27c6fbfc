//! When to look for updates, and when nobody would mind a restart: a machine without a clock of its
//! own.

use std::time::{Duration, Instant};

use crate::config::Schedule;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Before the first look the device has other things to do.
const SETTLING: Duration = Duration::from_secs(120);

/// A look that failed is taken again after this time.
const AGAIN: Duration = HOUR;

/// Nobody must have watched for so long before the device restarts by itself.
pub(super) const QUIET: Duration = Duration::from_secs(600);

/// How a look went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Done,
    Failed,
}

#[derive(Debug)]
pub(super) struct Timetable {
    every: Option<Duration>,
    next: Option<Instant>,
    /// Since when nobody watches.
    quiet_since: Option<Instant>,
}

impl Timetable {
    /// `chance`, here and below, is from 0 to 1. It spreads out devices that started at the same
    /// moment, as all of a street do after a power cut.
    pub(super) fn new(schedule: Schedule, now: Instant, chance: f64) -> Self {
        let every = match schedule {
            Schedule::Never => None,
            Schedule::Daily => Some(DAY),
            Schedule::Weekly => Some(7 * DAY),
        };
        let next = every.map(|_| now + SETTLING + HOUR.mul_f64(chance));
        Self { every, next, quiet_since: Some(now) }
    }

    /// Whether it is time to look.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next.is_some_and(|next| next <= now)
    }

    /// A look was taken.
    pub(super) fn looked(&mut self, look: Look, now: Instant, chance: f64) {
        let wait = match look {
            Look::Done => self.every,
            Look::Failed => self.every.map(|_| AGAIN),
        };
        // As often as was asked for, but not always at the same hour.
        self.next = wait.map(|wait| now + wait.mul_f64(0.9 + 0.2 * chance));
    }

    /// Takes in whether somebody watches, and tells whether nobody has for long enough.
    pub(super) fn is_quiet(&mut self, watched: bool, now: Instant) -> bool {
        if watched {
            self.quiet_since = None;
            return false;
        }
        let since = *self.quiet_since.get_or_insert(now);
        now.duration_since(since) >= QUIET
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_that_start_together_do_not_ask_together() {
        let start = Instant::now();
        let first = Timetable::new(Schedule::Daily, start, 0.0);
        let last = Timetable::new(Schedule::Daily, start, 1.0);
        assert!(!first.is_due(start) && first.is_due(start + SETTLING));
        assert!(!last.is_due(start + HOUR) && last.is_due(start + SETTLING + HOUR));
    }

    #[test]
    fn it_looks_as_often_as_it_was_told() {
        let start = Instant::now();
        for (schedule, every) in [(Schedule::Daily, DAY), (Schedule::Weekly, 7 * DAY)] {
            let mut table = Timetable::new(schedule, start, 0.5);
            table.looked(Look::Done, start, 0.5);
            assert!(!table.is_due(start + every / 2) && table.is_due(start + every));
        }
        let mut never = Timetable::new(Schedule::Never, start, 0.0);
        never.looked(Look::Failed, start, 0.0);
        assert!(!never.is_due(start + 700 * DAY));
    }

    #[test]
    fn a_look_that_failed_is_taken_again_within_two_hours() {
        let start = Instant::now();
        let mut table = Timetable::new(Schedule::Weekly, start, 0.0);
        table.looked(Look::Failed, start, 1.0);
        assert!(!table.is_due(start + HOUR / 2) && table.is_due(start + 2 * HOUR));
    }

    #[test]
    fn it_is_quiet_when_nobody_has_watched_for_ten_minutes() {
        let start = Instant::now();
        let mut table = Timetable::new(Schedule::Daily, start, 0.0);
        assert!(!table.is_quiet(false, start + QUIET / 2));
        assert!(table.is_quiet(false, start + QUIET));
        assert!(!table.is_quiet(true, start + 2 * QUIET));
        assert!(!table.is_quiet(false, start + 3 * QUIET));
        assert!(table.is_quiet(false, start + 4 * QUIET));
    }
}

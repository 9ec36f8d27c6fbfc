//! When to check for updates, and when nobody is disturbed by a restart. Time is passed in.

use std::time::{Duration, Instant};

use crate::config::Schedule;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The first check comes after this: at its start the device has other things to do.
const FIRST_CHECK: Duration = Duration::from_secs(120);

/// A check that failed is repeated after this time.
const RETRY: Duration = HOUR;

/// Nobody must have watched for this long before the device restarts by itself.
pub(super) const IDLE_TIME: Duration = Duration::from_secs(600);

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CheckResult {
    Done,
    Failed,
}

/// The schedule.
#[derive(Debug)]
pub(super) struct CheckSchedule {
    every: Option<Duration>,
    next: Option<Instant>,
    /// Since when nobody watches.
    idle_since: Option<Instant>,
}

impl CheckSchedule {
    /// `random`, here and below, is from 0 to 1. It spreads out devices that have started at the
    /// same moment, as all of a street do after a power cut.
    pub(super) fn new(schedule: Schedule, now: Instant, random: f64) -> Self {
        let every = match schedule {
            Schedule::Never => None,
            Schedule::Daily => Some(DAY),
            Schedule::Weekly => Some(7 * DAY),
        };
        let next = every.map(|_| now + FIRST_CHECK + HOUR.mul_f64(random));
        Self { every, next, idle_since: Some(now) }
    }

    /// Whether it is time to check.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next.is_some_and(|next| next <= now)
    }

    /// A check was made.
    pub(super) fn checked(&mut self, result: CheckResult, now: Instant, random: f64) {
        let wait = match result {
            CheckResult::Done => self.every,
            CheckResult::Failed => self.every.map(|_| RETRY),
        };
        // As often as configured, but not always at the same hour.
        self.next = wait.map(|wait| now + wait.mul_f64(0.9 + 0.2 * random));
    }

    /// Takes note of whether somebody is watching, and returns whether nobody has for long enough.
    pub(super) fn is_idle(&mut self, watched: bool, now: Instant) -> bool {
        if watched {
            self.idle_since = None;
            return false;
        }
        let since = *self.idle_since.get_or_insert(now);
        now.duration_since(since) >= IDLE_TIME
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_that_start_together_do_not_ask_together() {
        let start = Instant::now();
        let first = CheckSchedule::new(Schedule::Daily, start, 0.0);
        let last = CheckSchedule::new(Schedule::Daily, start, 1.0);
        assert!(!first.is_due(start) && first.is_due(start + FIRST_CHECK));
        assert!(!last.is_due(start + HOUR) && last.is_due(start + FIRST_CHECK + HOUR));
    }

    #[test]
    fn it_looks_as_often_as_it_was_told() {
        let start = Instant::now();
        for (setting, every) in [(Schedule::Daily, DAY), (Schedule::Weekly, 7 * DAY)] {
            let mut schedule = CheckSchedule::new(setting, start, 0.5);
            schedule.checked(CheckResult::Done, start, 0.5);
            assert!(!schedule.is_due(start + every / 2) && schedule.is_due(start + every));
        }
        let mut never = CheckSchedule::new(Schedule::Never, start, 0.0);
        never.checked(CheckResult::Failed, start, 0.0);
        assert!(!never.is_due(start + 700 * DAY));
    }

    #[test]
    fn a_look_that_failed_is_taken_again_within_two_hours() {
        let start = Instant::now();
        let mut schedule = CheckSchedule::new(Schedule::Weekly, start, 0.0);
        schedule.checked(CheckResult::Failed, start, 1.0);
        assert!(!schedule.is_due(start + HOUR / 2) && schedule.is_due(start + 2 * HOUR));
    }

    #[test]
    fn it_is_quiet_when_nobody_has_watched_for_ten_minutes() {
        let start = Instant::now();
        let mut schedule = CheckSchedule::new(Schedule::Daily, start, 0.0);
        assert!(!schedule.is_idle(false, start + IDLE_TIME / 2));
        assert!(schedule.is_idle(false, start + IDLE_TIME));
        assert!(!schedule.is_idle(true, start + 2 * IDLE_TIME));
        assert!(!schedule.is_idle(false, start + 3 * IDLE_TIME));
        assert!(schedule.is_idle(false, start + 4 * IDLE_TIME));
    }
}

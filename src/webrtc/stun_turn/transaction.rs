//! One STUN request over UDP, sent again until it is answered (RFC 8489 §6.2.1).

use std::time::{Duration, Instant};

/// Retransmission time-out before anything is known about the path.
const RTO: Duration = Duration::from_millis(500);

/// Rc: how often a request is sent at most.
const SENDS: u32 = 7;

/// Rm: how many RTO the last one is waited for.
const LAST_WAIT: u32 = 16;

/// From the first send to giving up: 39.5 s.
#[cfg(test)]
pub(super) const GIVES_UP_AFTER: Duration = Duration::from_millis(39_500);

/// A request on its way.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) id: u128,
    bytes: Vec<u8>,
    sent: u32,
    /// When it is sent again or given up.
    due: Instant,
}

/// What is to be done about a request now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Send(Vec<u8>),
    Wait(Instant),
    GiveUp,
}

impl Transaction {
    /// A request to be sent at once.
    pub(super) fn new(id: u128, bytes: Vec<u8>, now: Instant) -> Self {
        Self { id, bytes, sent: 0, due: now }
    }

    /// When [`Transaction::poll`] has something to do.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Call again after [`Step::Send`]. Waits are counted from the actual sending, so that a
    /// thread that was held up does not send a burst.
    pub(super) fn poll(&mut self, now: Instant) -> Step {
        if now < self.due {
            return Step::Wait(self.due);
        }
        if self.sent == SENDS {
            return Step::GiveUp;
        }
        let wait = if self.sent + 1 == SENDS { RTO * LAST_WAIT } else { RTO * (1 << self.sent) };
        self.sent += 1;
        self.due = now + wait;
        Step::Send(self.bytes.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_repeated_at_the_times_of_rfc_8489() {
        let start = Instant::now();
        let mut transaction = Transaction::new(1, vec![7], start);
        let (mut now, mut sends) = (start, vec![]);
        loop {
            match transaction.poll(now) {
                Step::Send(_) => sends.push((now - start).as_millis()),
                Step::Wait(until) => now = until,
                Step::GiveUp => break,
            }
        }
        assert_eq!(sends, [0, 500, 1500, 3500, 7500, 15_500, 31_500]);
        assert_eq!(now - start, GIVES_UP_AFTER);
    }

    #[test]
    fn a_late_poll_sends_once() {
        let start = Instant::now();
        let mut transaction = Transaction::new(1, vec![7], start);
        assert!(matches!(transaction.poll(start), Step::Send(_)));
        let late = start + Duration::from_secs(20);
        assert!(matches!(transaction.poll(late), Step::Send(_)));
        assert_eq!(transaction.poll(late), Step::Wait(late + Duration::from_secs(1)));
    }
}

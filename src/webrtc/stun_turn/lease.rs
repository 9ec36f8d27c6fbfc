//! What a TURN server holds for us for a limited time: a permission or a channel binding.

use std::time::{Duration, Instant};

/// A lease is renewed this long before it ends: longer than a request can take.
const RENEW_BEFORE_END: Duration = Duration::from_secs(60);

/// It is renewed if it served within this time before. A session checks consent every 5 s
/// (RFC 7675 §5.1), so anything alive did.
const COUNTS_AS_USED: Duration = Duration::from_secs(60);

/// What was refused is not asked for again before this.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Lease {
    phase: Phase,
    used: Instant,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// To be asked for.
    Wanted,
    /// Asked for; a renewal leaves the old term valid.
    Asked {
        held_until: Option<Instant>,
    },
    Held {
        until: Instant,
    },
    Refused {
        until: Instant,
    },
}

impl Lease {
    pub(super) fn wanted(now: Instant) -> Self {
        Self { phase: Phase::Wanted, used: now }
    }

    /// The end of the term, if there is one.
    fn end(&self) -> Option<Instant> {
        match self.phase {
            Phase::Asked { held_until } => held_until,
            Phase::Held { until } => Some(until),
            Phase::Wanted | Phase::Refused { .. } => None,
        }
    }

    pub(super) fn valid(&self, now: Instant) -> bool {
        self.end().is_some_and(|end| now < end)
    }

    pub(super) fn used(&self) -> Instant {
        self.used
    }

    /// Notes a use, which brings an ended lease back to life.
    pub(super) fn touch(&mut self, now: Instant) {
        self.used = self.used.max(now);
        match self.phase {
            Phase::Held { until } | Phase::Refused { until } if until <= now => {
                self.phase = Phase::Wanted;
            }
            _ => {}
        }
    }

    /// When it is to be asked for or renewed; `None`: not unless it is used.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.phase {
            Phase::Wanted => Some(self.used),
            Phase::Held { until } => {
                let renewal = until - RENEW_BEFORE_END;
                (self.used + COUNTS_AS_USED >= renewal).then_some(renewal)
            }
            Phase::Asked { .. } | Phase::Refused { .. } => None,
        }
    }

    pub(super) fn asked(&mut self) {
        self.phase = Phase::Asked { held_until: self.end() };
    }

    pub(super) fn granted(&mut self, until: Instant) {
        self.phase = Phase::Held { until };
    }

    /// The server said no, or nothing.
    pub(super) fn refused(&mut self, now: Instant) {
        self.phase = Phase::Refused { until: now + PAUSE_AFTER_REFUSAL };
    }

    /// The allocation it belonged to is gone.
    pub(super) fn reset(&mut self) {
        self.phase = Phase::Wanted;
    }

    /// Whether nothing is lost by forgetting it: neither valid, nor asked for, nor used within
    /// `time`.
    pub(super) fn forgotten_after(&self, time: Duration, now: Instant) -> bool {
        let ended = match self.phase {
            Phase::Asked { .. } => return false,
            Phase::Held { until } => until,
            Phase::Wanted | Phase::Refused { .. } => self.used,
        };
        self.used.max(ended) + time <= now
    }
}

//! Keeping retransmissions from making a bad network worse.

use std::collections::VecDeque;
use std::time::Duration;

use crate::media::MediaTime;

/// Retransmissions of one second may be a third of what was sent in it, and this much in any
/// case, so that a quiet stream can be repaired too.
pub(super) const FREE_BYTES: u64 = 64 << 10;

/// Least time before the same packet is sent once more.
const MIN_WAIT: Duration = Duration::from_millis(5);

/// Decides which NACKs are answered.
#[derive(Default)]
pub(super) struct ResendLimiter {
    /// The packets that were sent again within the last round trip, and when.
    recent: VecDeque<(u64, MediaTime)>,
    bytes: u64,
    /// Payload bytes sent and sent again when the current second began.
    window: Option<(MediaTime, u64, u64)>,
}

impl ResendLimiter {
    pub(super) fn allow(
        &mut self,
        index: u64,
        len: usize,
        sent_bytes: u64,
        rtt: Duration,
        now: MediaTime,
    ) -> bool {
        // Until a resent packet could have arrived, asking again is the same question.
        let wait = rtt.max(MIN_WAIT);
        while self.recent.front().is_some_and(|(_, at)| now.since(*at) > wait) {
            self.recent.pop_front();
        }
        if self.recent.iter().any(|(i, _)| *i == index) {
            return false;
        }
        let (_, sent_then, resent_then) = match self.window {
            Some(window) if now.since(window.0) < Duration::from_secs(1) => window,
            _ => *self.window.insert((now, sent_bytes, self.bytes)),
        };
        let allowed = FREE_BYTES + (sent_bytes - sent_then) / 3;
        if self.bytes - resent_then + len as u64 > allowed {
            return false;
        }
        self.bytes += len as u64;
        self.recent.push_back((index, now));
        true
    }
}

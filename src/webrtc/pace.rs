//! Two small restraints: how fast one viewer may be sent to, and how often one viewer may ask
//! for a key frame.

use std::time::{Duration, Instant};

use crate::media::MediaTime;
use crate::rtp::PacketizedSample;

/// Bytes a second once the first burst is spent: 24 Mbit/s, several times a live stream's rate,
/// so that only what a joining viewer is given at once is ever slowed down.
const RATE: f64 = 3e6;

/// The first burst. A key frame fits; a group of pictures of half a megabyte does not, and
/// would overrun a Wi-Fi access point's queue.
const BURST: f64 = 128e3;

/// Spreads what is sent to one viewer: a token bucket in bytes.
#[derive(Debug, Default)]
pub(super) struct Pacer {
    state: Option<(Instant, f64)>,
}

impl Pacer {
    fn budget(&self, now: Instant) -> f64 {
        self.state.map_or(BURST, |(at, budget)| {
            (budget + now.saturating_duration_since(at).as_secs_f64() * RATE).min(BURST)
        })
    }

    /// How many payloads of `sample`, `done` of which are sent, are covered when the next may be
    /// sent: answers the end of the range. What is in the range is taken from the budget.
    pub(super) fn take(&mut self, sample: &PacketizedSample, done: usize, now: Instant) -> usize {
        let mut budget = self.budget(now);
        let mut end = done;
        while end < sample.payloads.len() && budget > 0.0 {
            budget -= sample.payloads[end].size() as f64;
            end += 1;
        }
        self.state = Some((now, budget));
        end
    }

    /// When sending may go on, with enough budget to be worth a system call.
    pub(super) fn ready_at(&self, now: Instant) -> Instant {
        const WORTHWHILE: f64 = 16e3;
        let missing = (WORTHWHILE - self.budget(now)).max(0.0);
        now + Duration::from_secs_f64(missing / RATE)
    }
}

/// Keeps one viewer with a hopeless network from making everybody's stream all key frames: the
/// first request is heard at once, and each further one only after twice as long as before.
#[derive(Debug, Default)]
pub(super) struct KeyRequests {
    last: Option<(MediaTime, Duration)>,
}

impl KeyRequests {
    const SHORTEST: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_secs(8);

    pub(super) fn allow(&mut self, now: MediaTime) -> bool {
        let wait = match self.last {
            None => Self::SHORTEST,
            Some((at, wait)) if now.since(at) < wait => return false,
            // It was quiet for a while: the trouble was over.
            Some((at, wait)) if now.since(at) > wait * 2 + Self::SHORTEST => Self::SHORTEST,
            Some((_, wait)) => (wait * 2).min(Self::LONGEST),
        };
        self.last = Some((now, wait));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> MediaTime {
        MediaTime::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn a_viewer_that_asks_all_the_time_is_heard_ever_more_rarely() {
        let mut requests = KeyRequests::default();
        let heard: Vec<u64> =
            (0..60_000).step_by(20).filter(|ms| requests.allow(at(*ms))).collect();
        assert_eq!(heard[..4], [0, 500, 1500, 3500]);
        assert!(heard.len() < 14, "{heard:?}");
    }

    #[test]
    fn a_viewer_with_trouble_now_and_then_is_always_heard() {
        let mut requests = KeyRequests::default();
        assert!((0..20).all(|i| requests.allow(at(i * 3_000))));
    }
}

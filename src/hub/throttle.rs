//! Key frames on request, but not too many.

use std::time::Duration;

use crate::media::MediaTime;

/// Least time between two key frames: at 2 Mbit/s a key frame is some ten ordinary ones, and
/// every one sent for a single viewer is sent to all.
pub(super) const MIN_INTERVAL: Duration = Duration::from_millis(500);

/// Who decides when a key frame comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum KeyFrames {
    /// We do: an encoder is at hand, and a key frame comes with the next frame.
    #[default]
    OnDemand,
    /// The source does, which coded the pictures itself. A viewer who joins is given the group of
    /// pictures so far, however old.
    SourceControlled,
}

/// Collects requests for key frames (a viewer joined, PLI, FIR) and lets through what the
/// encoder should do: one key frame for all requests made so far, at most two a second.
#[derive(Debug, Default)]
pub(super) struct KeyFrameThrottle {
    key_frames: KeyFrames,
    requested: bool,
    /// When a key frame last came, or was last ordered from the encoder.
    last: Option<MediaTime>,
}

impl KeyFrameThrottle {
    pub(super) fn set_key_frames(&mut self, key_frames: KeyFrames) {
        *self = Self { key_frames, ..Self::default() };
    }

    pub(super) fn key_frames(&self) -> KeyFrames {
        self.key_frames
    }

    /// A key frame is wanted.
    pub(super) fn request(&mut self) {
        self.requested = self.key_frames == KeyFrames::OnDemand;
    }

    /// Whether the encoder should make the next picture a key frame. A request that comes too
    /// early stays until its time has come. The clock is read only if there is a request, which
    /// most pictures have not.
    pub(super) fn take_request(&mut self, clock: impl FnOnce() -> MediaTime) -> bool {
        if !self.requested {
            return false;
        }
        let now = clock();
        if self.last.is_some_and(|last| now.since(last) < MIN_INTERVAL) {
            return false;
        }
        self.requested = false;
        self.last = Some(now);
        true
    }

    /// A key frame has come, asked for or not: whoever was waiting has it.
    pub(super) fn key_frame(&mut self, now: MediaTime) {
        self.requested = false;
        self.last = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> MediaTime {
        MediaTime::from_nanos(1_000_000_000 + ms * 1_000_000)
    }

    #[test]
    fn a_storm_of_requests_makes_two_key_frames_a_second() {
        let mut throttle = KeyFrameThrottle::default();
        let mut made = Vec::new();
        for ms in 0..10_000 {
            throttle.request();
            if ms % 33 == 0 && throttle.take_request(|| at(ms)) {
                made.push(ms);
                throttle.key_frame(at(ms + 10));
            }
        }
        assert!(made.len() <= 20, "{made:?}");
        assert!(made.len() >= 18, "{made:?}");
        assert!(made.windows(2).all(|w| w[1] - w[0] >= 500), "{made:?}");
    }

    #[test]
    fn the_first_request_is_answered_at_once_and_only_once() {
        let mut throttle = KeyFrameThrottle::default();
        assert!(!throttle.take_request(|| at(0)));
        throttle.request();
        assert!(throttle.take_request(|| at(0)));
        assert!(!throttle.take_request(|| at(5_000)));
    }

    #[test]
    fn an_early_request_waits_for_its_turn() {
        let mut throttle = KeyFrameThrottle::default();
        throttle.key_frame(at(0));
        throttle.request();
        assert!(!throttle.take_request(|| at(499)));
        assert!(throttle.take_request(|| at(500)));
    }

    #[test]
    fn a_periodic_key_frame_answers_whoever_waits() {
        let mut throttle = KeyFrameThrottle::default();
        throttle.key_frame(at(0));
        throttle.request();
        throttle.key_frame(at(300));
        assert!(!throttle.take_request(|| at(1_000)));
    }

    #[test]
    fn a_source_without_an_encoder_is_not_asked() {
        let mut throttle = KeyFrameThrottle::default();
        throttle.set_key_frames(KeyFrames::SourceControlled);
        throttle.request();
        assert!(!throttle.take_request(|| at(10_000)));
    }
}

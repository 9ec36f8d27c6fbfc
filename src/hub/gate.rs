//! Key pictures on request, but not too many.

use std::time::Duration;

use super::KeyPictures;
use crate::media::MediaTime;

/// Least time between two key pictures: at 2 Mbit/s a key picture is some ten ordinary ones, and
/// every one sent for a single viewer is sent to all.
pub(super) const MIN_INTERVAL: Duration = Duration::from_millis(500);

/// Collects requests for key pictures (a viewer joined, PLI, FIR) and lets through what the
/// encoder should do: one key picture for all requests made so far, at most two a second.
#[derive(Debug, Default)]
pub(super) struct KeyGate {
    key_pictures: KeyPictures,
    requested: bool,
    /// When a key picture last came, or was last ordered from the encoder.
    last: Option<MediaTime>,
}

impl KeyGate {
    pub(super) fn set_key_pictures(&mut self, key_pictures: KeyPictures) {
        *self = Self { key_pictures, ..Self::default() };
    }

    pub(super) fn key_pictures(&self) -> KeyPictures {
        self.key_pictures
    }

    /// A key picture is wanted.
    pub(super) fn request(&mut self) {
        self.requested = self.key_pictures == KeyPictures::OnDemand;
    }

    /// Whether the encoder should make the next picture a key picture. A request that comes too
    /// early stays until its time has come. The clock is read only if there is a request, which
    /// most pictures have not.
    pub(super) fn take(&mut self, clock: impl FnOnce() -> MediaTime) -> bool {
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

    /// A key picture has come, asked for or not: whoever was waiting has it.
    pub(super) fn key_picture(&mut self, now: MediaTime) {
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
    fn a_storm_of_requests_makes_two_key_pictures_a_second() {
        let mut gate = KeyGate::default();
        let mut made = Vec::new();
        for ms in 0..10_000 {
            gate.request();
            if ms % 33 == 0 && gate.take(|| at(ms)) {
                made.push(ms);
                gate.key_picture(at(ms + 10));
            }
        }
        assert!(made.len() <= 20, "{made:?}");
        assert!(made.len() >= 18, "{made:?}");
        assert!(made.windows(2).all(|w| w[1] - w[0] >= 500), "{made:?}");
    }

    #[test]
    fn the_first_request_is_answered_at_once_and_only_once() {
        let mut gate = KeyGate::default();
        assert!(!gate.take(|| at(0)));
        gate.request();
        assert!(gate.take(|| at(0)));
        assert!(!gate.take(|| at(5_000)));
    }

    #[test]
    fn an_early_request_waits_for_its_turn() {
        let mut gate = KeyGate::default();
        gate.key_picture(at(0));
        gate.request();
        assert!(!gate.take(|| at(499)));
        assert!(gate.take(|| at(500)));
    }

    #[test]
    fn a_periodic_key_picture_answers_whoever_waits() {
        let mut gate = KeyGate::default();
        gate.key_picture(at(0));
        gate.request();
        gate.key_picture(at(300));
        assert!(!gate.take(|| at(1_000)));
    }

    #[test]
    fn a_source_without_an_encoder_is_not_asked() {
        let mut gate = KeyGate::default();
        gate.set_key_pictures(KeyPictures::AsTheyCome);
        gate.request();
        assert!(!gate.take(|| at(10_000)));
    }
}

//! One consumer's place in a track.

use std::sync::Arc;

use super::ring::MAX_LAG;
use super::throttle::MIN_INTERVAL;
use super::track::TrackState;
use super::{Hub, KeyFrames, Layer, Published, TrackId};
use crate::media::MediaTime;

/// A consumer of one track, with its own place in it. Dropping it is leaving.
pub struct Viewer {
    hub: Hub,
    track: TrackId,
    place: Place,
    /// The track that takes the place of this one as soon as it can, and the place in it.
    next_track: Option<(TrackId, Place)>,
    /// When what was delivered last was exposed.
    delivered: Option<MediaTime>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Has seen nothing yet and can begin only at a key frame numbered `from` or later.
    AwaitKey { from: u64 },
    /// Takes the group of pictures so far, `next` first, and is caught up at `until`. Old
    /// pictures are what it came for, so lag does not count yet.
    CatchUp { next: u64, until: u64 },
    /// Follows the stream.
    Follow { next: u64 },
}

/// What a viewer gets when it asks for more.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// The next sample.
    Sample(Arc<Published>),
    /// The next sample is one at which decoding can begin, and some before it were skipped because
    /// the viewer was more than a second behind.
    Skipped(Arc<Published>),
    /// Nothing yet.
    Nothing,
}

impl Hub {
    /// Follows `track`. As long as a viewer of the picture exists, the camera runs.
    #[must_use]
    pub fn join(&self, track: TrackId) -> Viewer {
        self.count(track, 1);
        Viewer {
            hub: self.clone(),
            track,
            place: Place::AwaitKey { from: 0 },
            next_track: None,
            delivered: None,
        }
    }
}

impl Viewer {
    /// The track that is followed, or was until now where another takes its place.
    #[must_use]
    pub fn track(&self) -> TrackId {
        self.track
    }

    /// Asks for a key frame, as on PLI or FIR. Sound has none.
    pub fn request_key_frame(&self) {
        if let TrackId::Video(layer) = self.track {
            self.hub.request_key_frame(layer);
        }
    }

    /// Begins again at the next key frame, for instance after a pause.
    pub fn rejoin(&mut self) {
        self.place = Place::AwaitKey { from: 0 };
    }

    /// Follows another layer from its next key frame on, and this one until then.
    pub fn switch_to(&mut self, layer: Layer) {
        let wanted = TrackId::Video(layer);
        if self.next_track.is_some_and(|(track, _)| track == wanted) {
            return;
        }
        if let Some((track, _)) = self.next_track.take() {
            self.hub.count(track, -1);
        }
        if self.track != wanted {
            self.hub.count(wanted, 1);
            self.hub.request_key_frame(layer);
            self.next_track = Some((wanted, Place::AwaitKey { from: 0 }));
        }
    }

    /// The next sample for this viewer, if there is one.
    pub fn next(&mut self, now: MediaTime) -> Delivery {
        if let Some(delivery) = self.next_of_the_new_track(now) {
            return delivery;
        }
        let (delivery, place) = advance(self.place, &mut self.hub.track(self.track), now);
        self.place = place;
        self.note(delivery)
    }

    /// The key frame at which the new track takes over, once it is there.
    fn next_of_the_new_track(&mut self, now: MediaTime) -> Option<Delivery> {
        let (track, place) = self.next_track?;
        let (delivery, place) = advance(place, &mut self.hub.track(track), now);
        let (Delivery::Sample(sample) | Delivery::Skipped(sample)) = &delivery else {
            self.next_track = Some((track, place));
            return None;
        };
        // The viewer's clock does not go back. The same moment in the other layer is all right: that
        // one is encoded after the main one, which the viewer has then.
        if self.delivered.is_some_and(|last| sample.time < last) {
            self.next_track = Some((track, Place::AwaitKey { from: sample.sequence + 1 }));
            return None;
        }
        self.hub.count(self.track, -1);
        (self.track, self.place, self.next_track) = (track, place, None);
        Some(self.note(delivery))
    }

    fn note(&mut self, delivery: Delivery) -> Delivery {
        if let Delivery::Sample(sample) | Delivery::Skipped(sample) = &delivery {
            self.delivered = Some(sample.time);
        }
        delivery
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.hub.count(self.track, -1);
        if let Some((track, _)) = self.next_track {
            self.hub.count(track, -1);
        }
    }
}

fn advance(place: Place, state: &mut TrackState, now: MediaTime) -> (Delivery, Place) {
    let TrackState { ring, throttle, .. } = state;
    let follow = |published: &Arc<Published>| Place::Follow { next: published.sequence + 1 };
    match place {
        Place::AwaitKey { from } => {
            // Pictures older than this are not worth showing: a fresh key frame takes less
            // time than sending them all.
            let good_enough = |key: &Published| {
                throttle.key_frames() == KeyFrames::SourceControlled
                    || now.since(key.at) < MIN_INTERVAL
            };
            match ring.newest_sync() {
                Some(key) if key.sequence >= from && good_enough(key) => {
                    let (next, until) = (key.sequence + 1, ring.end());
                    (Delivery::Sample(key.clone()), Place::CatchUp { next, until })
                }
                _ => {
                    throttle.request();
                    // From here on only a key frame still to come will do, however late.
                    (Delivery::Nothing, Place::AwaitKey { from })
                }
            }
        }
        Place::CatchUp { next, until } if next < until => match ring.get(next) {
            Some(published) => {
                (Delivery::Sample(published.clone()), Place::CatchUp { next: next + 1, until })
            }
            None => advance(Place::AwaitKey { from: next }, state, now),
        },
        Place::CatchUp { next, .. } | Place::Follow { next } => match ring.get(next) {
            Some(published) if now.since(published.at) <= MAX_LAG => {
                (Delivery::Sample(published.clone()), follow(published))
            }
            None if next == ring.end() => (Delivery::Nothing, Place::Follow { next }),
            // Too far behind, or the stream started again.
            _ => match ring.newest_sync() {
                Some(key) if key.sequence >= next => (Delivery::Skipped(key.clone()), follow(key)),
                _ => {
                    throttle.request();
                    (Delivery::Nothing, Place::AwaitKey { from: next })
                }
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::ring::tests::{at, sound, unit};
    use super::*;

    /// A track fed by hand.
    #[derive(Default)]
    struct Stream(TrackState);

    impl Stream {
        fn push(&mut self, key: bool, ms: u64) {
            self.0.ring.push(unit(key, at(ms), 0), at(ms));
            if key {
                self.0.throttle.key_frame(at(ms));
            }
        }

        /// Pushes a group of pictures at 30 a second: a key frame and `n - 1` others.
        fn group(&mut self, n: u64, from_ms: u64) {
            for i in 0..n {
                self.push(i == 0, from_ms + i * 33);
            }
        }

        /// What a viewer at `place` gets now: sequence numbers, and whether any were skipped.
        fn drain(&mut self, place: &mut Place, ms: u64) -> (Vec<u64>, bool) {
            let (mut got, mut skipped) = (Vec::new(), false);
            loop {
                let (delivery, next) = advance(*place, &mut self.0, at(ms));
                *place = next;
                match delivery {
                    Delivery::Sample(p) => got.push(p.sequence),
                    Delivery::Skipped(p) => {
                        got.push(p.sequence);
                        skipped = true;
                    }
                    Delivery::Nothing => return (got, skipped),
                }
            }
        }
    }

    const NEW: Place = Place::AwaitKey { from: 0 };

    #[test]
    fn who_joins_just_after_a_key_frame_gets_the_group_so_far() {
        let (mut stream, mut place) = (Stream::default(), NEW);
        stream.group(5, 0);
        assert_eq!(stream.drain(&mut place, 140).0, [0, 1, 2, 3, 4]);
        assert!(!stream.0.throttle.take_request(|| at(10_000)), "no key frame was needed");
        stream.push(false, 165);
        assert_eq!(stream.drain(&mut place, 166).0, [5]);
    }

    #[test]
    fn who_joins_late_in_a_group_gets_a_fresh_key_frame_instead() {
        let (mut stream, mut place) = (Stream::default(), NEW);
        stream.group(60, 0);
        assert!(stream.drain(&mut place, 1_980).0.is_empty());
        assert!(stream.0.throttle.take_request(|| at(1_980)), "asked for one");
        stream.push(true, 2_010);
        assert_eq!(stream.drain(&mut place, 2_011).0, [60]);
    }

    #[test]
    fn without_an_encoder_the_group_so_far_is_given_however_old() {
        let (mut stream, mut place) = (Stream::default(), NEW);
        stream.0.throttle.set_key_frames(KeyFrames::SourceControlled);
        stream.group(300, 0);
        let (got, skipped) = stream.drain(&mut place, 9_900);
        assert_eq!(got, (0..300).collect::<Vec<_>>());
        assert!(!skipped);
    }

    #[test]
    fn who_is_a_second_behind_skips_to_the_newest_key_frame() {
        let (mut stream, mut place) = (Stream::default(), NEW);
        stream.group(3, 0);
        assert_eq!(stream.drain(&mut place, 70).0.len(), 3);
        stream.group(30, 100);
        stream.group(30, 1_100);
        let (got, skipped) = stream.drain(&mut place, 2_080);
        assert!(skipped);
        assert_eq!(got, (33..63).collect::<Vec<_>>());
    }

    #[test]
    fn who_is_behind_with_no_key_frame_ahead_asks_for_one() {
        let (mut stream, mut place) = (Stream::default(), NEW);
        stream.group(3, 0);
        stream.drain(&mut place, 70);
        for i in 0..60 {
            stream.push(false, 100 + i * 33);
        }
        assert!(stream.drain(&mut place, 2_100).0.is_empty());
        assert!(stream.0.throttle.take_request(|| at(2_100)));
        stream.push(true, 2_133);
        assert_eq!(stream.drain(&mut place, 2_140).0, [63]);
    }

    #[test]
    fn a_new_stream_is_joined_at_its_first_key_frame() {
        let (mut stream, mut place) = (Stream::default(), NEW);
        stream.group(3, 0);
        stream.drain(&mut place, 70);
        stream.0.ring.restart();
        stream.push(true, 200);
        stream.push(false, 233);
        assert_eq!(stream.drain(&mut place, 240).0, [3, 4]);
    }

    #[test]
    fn another_coding_is_asked_for_only_where_there_is_hope() {
        let hub = Hub::new();
        assert!(!hub.request_transcoding(), "an encoder is at hand already");
        hub.restart_layer(Layer::Main, KeyFrames::SourceControlled);
        assert!(!hub.is_transcoding_requested());
        assert!(hub.request_transcoding());
        assert!(hub.is_transcoding_requested());
        hub.refuse_transcoding();
        assert!(!hub.request_transcoding(), "it was tried");
        assert!(!hub.is_transcoding_requested());
        hub.reset_transcoding();
        assert!(hub.request_transcoding());
    }

    /// Sequence numbers and layers of what is delivered.
    fn drain(viewer: &mut Viewer) -> Vec<(TrackId, u64)> {
        let mut got = Vec::new();
        while let Delivery::Sample(s) | Delivery::Skipped(s) = viewer.next(MediaTime::now()) {
            got.push((viewer.track(), s.sequence));
        }
        got
    }

    #[test]
    fn the_layer_changes_at_a_key_frame_and_never_back_in_time() {
        let (hub, now) = (Hub::new(), MediaTime::now());
        let (main, low) = (TrackId::MAIN, TrackId::Video(Layer::Low));
        let push = |track, key, ms| {
            hub.publish(track, unit(key, now + Duration::from_millis(ms), 0));
        };
        let mut viewer = hub.join(main);
        push(main, true, 0);
        push(main, false, 33);
        assert_eq!(drain(&mut viewer), [(main, 0), (main, 1)]);
        push(low, true, 20);
        viewer.switch_to(Layer::Low);
        assert!(hub.is_wanted(low) && hub.is_wanted(main), "both, until it has changed");
        assert_eq!(drain(&mut viewer), [], "that key frame is older than what was seen");
        push(low, false, 33);
        push(main, false, 66);
        push(low, true, 99);
        push(low, false, 132);
        assert_eq!(drain(&mut viewer), [(low, 2), (low, 3)]);
        assert!(!hub.is_wanted(main));
        assert_eq!(hub.viewers(), 1);
        // The main layer's picture of a moment is there before the other one's.
        viewer.switch_to(Layer::Main);
        push(main, true, 150);
        assert_eq!(drain(&mut viewer), [(main, 3)]);
        viewer.switch_to(Layer::Low);
        push(low, true, 150);
        assert_eq!(drain(&mut viewer), [(low, 4)]);
        viewer.switch_to(Layer::Main);
        viewer.switch_to(Layer::Low);
        assert!(!hub.is_wanted(main), "it has changed its mind");
        push(low, false, 165);
        assert_eq!(drain(&mut viewer), [(low, 5)]);
        drop(viewer);
        assert!(!hub.is_wanted(low));
    }

    #[test]
    fn who_listens_begins_with_the_newest_sound_and_keeps_no_camera_running() {
        let hub = Hub::new();
        let mut listener = hub.join(TrackId::Audio);
        assert!(hub.is_wanted(TrackId::Audio) && hub.viewers() == 0);
        let now = MediaTime::now();
        for i in 0..5 {
            hub.publish(TrackId::Audio, sound(now + Duration::from_millis(i * 20)));
        }
        assert_eq!(drain(&mut listener), [(TrackId::Audio, 4)]);
        hub.publish(TrackId::Audio, sound(now + Duration::from_millis(100)));
        assert_eq!(drain(&mut listener), [(TrackId::Audio, 5)]);
    }

    #[test]
    fn leaving_is_noticed() {
        let hub = Hub::new();
        let viewer = hub.join(TrackId::MAIN);
        assert!(hub.wait_watched(Duration::ZERO));
        drop(viewer);
        assert!(!hub.wait_watched(Duration::ZERO));
    }
}

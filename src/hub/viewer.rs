//! One consumer's place in the stream.

use std::sync::Arc;

use super::gate::MIN_INTERVAL;
use super::ring::MAX_LAG;
use super::{Hub, KeyPictures, Layer, LayerState, Published};
use crate::media::MediaTime;

/// A consumer of one layer, with its own place in the stream. Dropping it is leaving.
pub struct Viewer {
    hub: Hub,
    layer: Layer,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Has seen nothing yet and can begin only at a key picture numbered `from` or later.
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
    /// The next picture.
    Picture(Arc<Published>),
    /// The next picture is a key picture, and some before it were skipped because the viewer was
    /// more than a second behind.
    Skipped(Arc<Published>),
    /// Nothing yet.
    Nothing,
}

impl Viewer {
    pub(super) fn new(hub: Hub, layer: Layer) -> Self {
        Self { hub, layer, place: Place::AwaitKey { from: 0 } }
    }

    /// The layer being watched.
    #[must_use]
    pub fn layer(&self) -> Layer {
        self.layer
    }

    /// Asks for a key picture, as on PLI or FIR.
    pub fn request_key_picture(&self) {
        self.hub.request_key_picture(self.layer);
    }

    /// Begins anew at the next key picture, for instance after a pause.
    pub fn rejoin(&mut self) {
        self.place = Place::AwaitKey { from: 0 };
    }

    /// The next picture for this viewer, if there is one.
    pub fn next(&mut self, now: MediaTime) -> Delivery {
        let mut state = self.hub.layer(self.layer);
        let (delivery, place) = advance(self.place, &mut state, now);
        self.place = place;
        delivery
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.hub.leave();
    }
}

fn advance(place: Place, state: &mut LayerState, now: MediaTime) -> (Delivery, Place) {
    let LayerState { ring, gate, .. } = state;
    let follow = |published: &Arc<Published>| Place::Follow { next: published.sequence + 1 };
    match place {
        Place::AwaitKey { from } => {
            // Pictures older than this are not worth showing: a fresh key picture takes less
            // time than sending them all.
            let good_enough = |key: &Published| {
                gate.key_pictures() == KeyPictures::AsTheyCome || now.since(key.at) < MIN_INTERVAL
            };
            match ring.newest_key() {
                Some(key) if key.sequence >= from && good_enough(key) => {
                    let (next, until) = (key.sequence + 1, ring.end());
                    (Delivery::Picture(key.clone()), Place::CatchUp { next, until })
                }
                _ => {
                    gate.request();
                    // From here on only a key picture still to come will do, however late.
                    (Delivery::Nothing, Place::AwaitKey { from })
                }
            }
        }
        Place::CatchUp { next, until } if next < until => match ring.get(next) {
            Some(published) => {
                (Delivery::Picture(published.clone()), Place::CatchUp { next: next + 1, until })
            }
            None => advance(Place::AwaitKey { from: next }, state, now),
        },
        Place::CatchUp { next, .. } | Place::Follow { next } => match ring.get(next) {
            Some(published) if now.since(published.at) <= MAX_LAG => {
                (Delivery::Picture(published.clone()), follow(published))
            }
            None if next == ring.end() => (Delivery::Nothing, Place::Follow { next }),
            // Too far behind, or the stream began anew.
            _ => match ring.newest_key() {
                Some(key) if key.sequence >= next => (Delivery::Skipped(key.clone()), follow(key)),
                _ => {
                    gate.request();
                    (Delivery::Nothing, Place::AwaitKey { from: next })
                }
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::ring::tests::{at, unit};
    use super::*;

    /// A layer fed by hand.
    #[derive(Default)]
    struct Stream(LayerState);

    impl Stream {
        fn push(&mut self, key: bool, ms: u64) {
            self.0.ring.push(unit(key, at(ms), 0), at(ms));
            if key {
                self.0.gate.key_picture(at(ms));
            }
        }

        /// Pushes a group of pictures at 30 a second: a key picture and `n - 1` others.
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
                    Delivery::Picture(p) => got.push(p.sequence),
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
    fn who_joins_just_after_a_key_picture_gets_the_group_so_far() {
        let (mut stream, mut place) = (Stream::default(), NEW);
        stream.group(5, 0);
        assert_eq!(stream.drain(&mut place, 140).0, [0, 1, 2, 3, 4]);
        assert!(!stream.0.gate.take(|| at(10_000)), "no key picture was needed");
        stream.push(false, 165);
        assert_eq!(stream.drain(&mut place, 166).0, [5]);
    }

    #[test]
    fn who_joins_late_in_a_group_gets_a_fresh_key_picture_instead() {
        let (mut stream, mut place) = (Stream::default(), NEW);
        stream.group(60, 0);
        assert!(stream.drain(&mut place, 1_980).0.is_empty());
        assert!(stream.0.gate.take(|| at(1_980)), "asked for one");
        stream.push(true, 2_010);
        assert_eq!(stream.drain(&mut place, 2_011).0, [60]);
    }

    #[test]
    fn without_an_encoder_the_group_so_far_is_given_however_old() {
        let (mut stream, mut place) = (Stream::default(), NEW);
        stream.0.gate.set_key_pictures(KeyPictures::AsTheyCome);
        stream.group(300, 0);
        let (got, skipped) = stream.drain(&mut place, 9_900);
        assert_eq!(got, (0..300).collect::<Vec<_>>());
        assert!(!skipped);
    }

    #[test]
    fn who_is_a_second_behind_skips_to_the_newest_key_picture() {
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
    fn who_is_behind_with_no_key_picture_ahead_asks_for_one() {
        let (mut stream, mut place) = (Stream::default(), NEW);
        stream.group(3, 0);
        stream.drain(&mut place, 70);
        for i in 0..60 {
            stream.push(false, 100 + i * 33);
        }
        assert!(stream.drain(&mut place, 2_100).0.is_empty());
        assert!(stream.0.gate.take(|| at(2_100)));
        stream.push(true, 2_133);
        assert_eq!(stream.drain(&mut place, 2_140).0, [63]);
    }

    #[test]
    fn a_new_stream_is_joined_at_its_first_key_picture() {
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
        assert!(!hub.ask_to_encode_afresh(Layer::Main), "an encoder is at hand already");
        hub.restart_layer(Layer::Main, KeyPictures::AsTheyCome);
        assert!(!hub.is_to_encode_afresh(Layer::Main));
        assert!(hub.ask_to_encode_afresh(Layer::Main));
        assert!(hub.is_to_encode_afresh(Layer::Main));
        hub.cannot_encode_afresh(Layer::Main);
        assert!(!hub.ask_to_encode_afresh(Layer::Main), "it was tried");
        assert!(!hub.is_to_encode_afresh(Layer::Main));
        hub.forget_to_encode_afresh(Layer::Main);
        assert!(hub.ask_to_encode_afresh(Layer::Main));
    }

    #[test]
    fn leaving_is_noticed() {
        let hub = Hub::new();
        let viewer = hub.join(Layer::Main);
        assert!(hub.wait_watched(Duration::ZERO));
        drop(viewer);
        assert!(!hub.wait_watched(Duration::ZERO));
    }
}

//! A camera's stream, for programs that send or record it themselves.
//!
//! In come samples, as [`media`](crate::media) describes them, once for all who follow; out they go to each
//! [`Follower`], who begins at a key frame and is never waited for. See `examples/rtp_out.rs`, which
//! sends them as plain [`rtp`](crate::rtp).

use std::sync::Arc;

pub use crate::hub::{Layer, Published, SourceInfo, SourceState, TrackId};

use crate::hub::{Delivery, FrameNotifier, Hub, Viewer};
use crate::media::MediaTime;

/// The stream of one camera; clones are the same one, for any thread.
#[derive(Clone)]
pub struct Stream(Hub);

impl Stream {
    pub(crate) fn new(hub: Hub) -> Self {
        Self(hub)
    }

    /// How the camera is doing. What changes is told by [`events`](crate::events).
    #[must_use]
    pub fn source(&self) -> SourceState {
        self.0.source().borrow().clone()
    }

    /// Follows a track from its next key frame on, which it asks for. As long as anybody follows a
    /// picture, the camera runs.
    #[must_use]
    pub fn follow(&self, track: TrackId) -> Follower {
        // Before the first look, so that nothing is published unheard between the two.
        let notifier = self.0.notifier();
        let viewer = self.0.join(track);
        viewer.request_key_frame();
        Follower { viewer, notifier }
    }
}

/// One who follows a track, with a place of its own in it. To drop it is to leave.
pub struct Follower {
    viewer: Viewer,
    notifier: FrameNotifier,
}

impl Follower {
    /// The next sample, in coding order, as soon as there is one; the first is one at which decoding can
    /// begin. Whoever comes for it more than a second late goes on with a key frame, and sees by
    /// [`Published::sequence`] that samples are missing.
    ///
    /// While the camera is lost, samples of a placeholder come; none come once its source has ended or
    /// Picket has stopped, of which [`Stream::source`] and [`events`](crate::events) tell. To drop the
    /// future before it returns loses nothing.
    pub async fn next(&mut self) -> Arc<Published> {
        loop {
            match self.viewer.next(MediaTime::now()) {
                Delivery::Sample(sample) | Delivery::Skipped(sample) => return sample,
                Delivery::Nothing => self.notifier.next().await,
            }
        }
    }

    /// Asks for a key frame, which comes with one of the next pictures: half a second may pass between
    /// two. Sound has none.
    pub fn request_key_frame(&self) {
        self.viewer.request_key_frame();
    }

    /// Follows another layer of the picture from its next key frame on, and this one until then.
    pub fn switch_to(&mut self, layer: Layer) {
        self.viewer.switch_to(layer);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    use super::*;
    use crate::media::{AudioPacket, Sample};

    #[test]
    fn whoever_follows_gets_every_sample_once_whether_it_was_waited_for_or_not() {
        let hub = Hub::new();
        let mut follower = Stream::new(hub.clone()).follow(TrackId::Audio);
        let publish = |n: u8| {
            let (data, duration) = (vec![n; 80].into(), Duration::from_millis(20));
            let time = MediaTime::now();
            hub.publish(TrackId::Audio, Sample::Audio(AudioPacket { data, time, duration }));
        };
        let mut poll = || {
            let mut context = Context::from_waker(Waker::noop());
            pin!(follower.next()).poll(&mut context).map(|sample| sample.sequence)
        };
        publish(0);
        assert_eq!(poll(), Poll::Ready(0));
        assert_eq!(poll(), Poll::Pending);
        publish(1);
        publish(2);
        assert_eq!([poll(), poll(), poll()], [Poll::Ready(1), Poll::Ready(2), Poll::Pending]);
    }

    #[test]
    fn as_long_as_anybody_follows_the_picture_the_camera_runs() {
        let hub = Hub::new();
        let follower = Stream::new(hub.clone()).follow(TrackId::MAIN);
        assert!(hub.wait_watched(Duration::ZERO));
        assert!(hub.take_key_frame_request(Layer::Main));
        drop(follower);
        assert!(!hub.wait_watched(Duration::ZERO));
    }
}

//! Waiting for the next sample.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// Given with every sample; clones are the same signal, which several cameras may give. One lock for
/// each, where tokio's `watch` takes nine.
#[derive(Clone, Default)]
pub struct PublishSignal(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// How often it was given.
    given: AtomicU64,
    waiting: Notify,
}

impl PublishSignal {
    pub(super) fn give(&self) {
        self.0.given.fetch_add(1, Ordering::Release);
        self.0.waiting.notify_waiters();
    }

    fn given(&self) -> u64 {
        self.0.given.load(Ordering::Acquire)
    }

    /// Hears it from now on.
    #[must_use]
    pub fn notifier(&self) -> FrameNotifier {
        FrameNotifier { seen: self.given(), signal: self.clone() }
    }
}

/// Says when there are samples that one has not seen.
pub struct FrameNotifier {
    signal: PublishSignal,
    /// How often the signal had been given when samples were last looked at.
    seen: u64,
}

impl FrameNotifier {
    /// Waits until samples were published since this was made, or since it last returned. To drop
    /// the future before it returns loses nothing.
    pub async fn next(&mut self) {
        loop {
            // Before the look, because it hears the signal from its creation on.
            let notified = self.signal.0.waiting.notified();
            let given = self.signal.given();
            if given != self.seen {
                self.seen = given;
                return;
            }
            notified.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::hub::ring::tests::{at, unit};
    use crate::hub::{Hub, TrackId};

    fn poll(next: impl Future<Output = ()>) -> Poll<()> {
        pin!(next).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn pictures_that_came_before_are_no_news_and_those_that_came_since_are_news_once() {
        let hub = Hub::new();
        hub.publish(TrackId::MAIN, unit(true, at(0), 0));
        let mut notifier = hub.notifier();
        assert_eq!(poll(notifier.next()), Poll::Pending);
        hub.publish(TrackId::MAIN, unit(false, at(1), 0));
        hub.publish(TrackId::MAIN, unit(false, at(2), 0));
        assert_eq!(poll(notifier.next()), Poll::Ready(()));
        assert_eq!(poll(notifier.next()), Poll::Pending);
    }

    #[test]
    fn whoever_waits_hears_of_a_picture_of_any_camera_that_gives_the_signal() {
        let signal = PublishSignal::default();
        let cameras = [(); 2].map(|()| Hub::signalling(signal.clone()));
        for camera in &cameras {
            let mut notifier = signal.notifier();
            let mut next = pin!(notifier.next());
            let mut context = Context::from_waker(Waker::noop());
            assert_eq!(next.as_mut().poll(&mut context), Poll::Pending);
            camera.publish(TrackId::MAIN, unit(true, at(0), 0));
            assert_eq!(next.as_mut().poll(&mut context), Poll::Ready(()));
        }
        assert_eq!(cameras.map(|camera| camera.published()), [1, 1]);
    }
}

//! Waiting for the next picture.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

use super::Hub;

/// Rung with every picture. One lock for each, where tokio's `watch` takes nine.
#[derive(Default)]
pub(super) struct Bell {
    /// How often it was rung.
    rung: AtomicU64,
    waiting: Notify,
}

impl Bell {
    pub(super) fn ring(&self) {
        self.rung.fetch_add(1, Ordering::Release);
        self.waiting.notify_waiters();
    }

    fn rung(&self) -> u64 {
        self.rung.load(Ordering::Acquire)
    }
}

/// Says when there are pictures in the hub that one has not seen.
pub struct Arrivals {
    hub: Hub,
    /// How often the bell had been rung when the pictures were last seen.
    seen: u64,
}

impl Arrivals {
    pub(super) fn new(hub: Hub) -> Self {
        let seen = hub.0.bell.rung();
        Self { hub, seen }
    }

    /// Waits until pictures were published since this was made, or since it ended last. To let go
    /// of it before it ends loses nothing.
    pub async fn next(&mut self) {
        let bell = &self.hub.0.bell;
        loop {
            // Before the look, because it hears the bell from its beginning on.
            let notified = bell.waiting.notified();
            let rung = bell.rung();
            if rung != self.seen {
                self.seen = rung;
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
    use crate::hub::Layer;
    use crate::hub::ring::tests::{at, unit};

    fn poll(next: impl Future<Output = ()>) -> Poll<()> {
        pin!(next).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn pictures_that_came_before_are_no_news_and_those_that_came_since_are_news_once() {
        let hub = Hub::new();
        hub.publish(Layer::Main, unit(true, at(0), 0));
        let mut arrivals = hub.arrivals();
        assert_eq!(poll(arrivals.next()), Poll::Pending);
        hub.publish(Layer::Main, unit(false, at(1), 0));
        hub.publish(Layer::Main, unit(false, at(2), 0));
        assert_eq!(poll(arrivals.next()), Poll::Ready(()));
        assert_eq!(poll(arrivals.next()), Poll::Pending);
    }

    #[test]
    fn who_waits_hears_of_a_picture() {
        let hub = Hub::new();
        let mut arrivals = hub.arrivals();
        let mut next = pin!(arrivals.next());
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(next.as_mut().poll(&mut context), Poll::Pending);
        hub.publish(Layer::Main, unit(true, at(0), 0));
        assert_eq!(next.as_mut().poll(&mut context), Poll::Ready(()));
    }
}

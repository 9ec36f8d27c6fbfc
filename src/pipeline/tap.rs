//! Raw pictures for who asks for one, as they pass on their way to the encoder.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::media::Frame;

/// Gives out raw pictures, transformed as viewers see them, placeholders included; clones are handles to
/// the same one. While nobody asks, it costs a look at one flag for each picture.
#[derive(Clone, Default)]
pub struct Tap(Arc<Shared>);

#[derive(Default)]
struct Shared {
    asked: AtomicBool,
    waiting: Mutex<Vec<oneshot::Sender<Frame>>>,
}

impl Tap {
    /// The next picture. There is none while nobody watches, nor from a source whose pictures come
    /// coded. It may lie in the camera's own memory, so it should soon be let go.
    pub async fn next(&self) -> Frame {
        loop {
            let (sender, receiver) = oneshot::channel();
            {
                let mut waiting = self.waiting();
                waiting.retain(|sender| !sender.is_closed());
                waiting.push(sender);
                self.0.asked.store(true, Ordering::Relaxed);
            }
            if let Ok(frame) = receiver.await {
                return frame;
            }
        }
    }

    /// Shows a picture to those who wait for one.
    pub(super) fn offer(&self, frame: &Frame) {
        if !self.0.asked.load(Ordering::Relaxed) {
            return;
        }
        let waiting = {
            let mut waiting = self.waiting();
            self.0.asked.store(false, Ordering::Relaxed);
            std::mem::take(&mut *waiting)
        };
        for sender in waiting {
            // Who has stopped waiting does not get it, and does not keep it.
            let _ = sender.send(frame.clone());
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<oneshot::Sender<Frame>>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::media::{MediaTime, PixelFormat};

    fn frame(sequence: u64) -> Frame {
        let memory = Arc::new(vec![0; 6]);
        Frame::packed(PixelFormat::I420, (2, 2), memory, MediaTime::default(), sequence).unwrap()
    }

    #[test]
    fn everybody_who_waits_gets_the_next_picture_and_no_other() {
        let tap = Tap::default();
        tap.offer(&frame(1));
        let mut context = Context::from_waker(Waker::noop());
        let (mut one, mut other) = (pin!(tap.next()), pin!(tap.next()));
        assert!(one.as_mut().poll(&mut context).is_pending());
        assert!(other.as_mut().poll(&mut context).is_pending());
        tap.offer(&frame(2));
        tap.offer(&frame(3));
        for waiting in [one, other] {
            let Poll::Ready(frame) = waiting.poll(&mut context) else { panic!("a picture") };
            assert_eq!(frame.sequence(), 2);
        }
    }

    #[test]
    fn who_stops_waiting_keeps_neither_a_picture_nor_a_place() {
        let tap = Tap::default();
        for _ in 0..100 {
            let mut next = pin!(tap.next());
            let _ = next.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
        assert!(tap.waiting().len() <= 1);
        let memory = Arc::new(vec![0; 6]);
        let lent = memory.clone();
        let time = MediaTime::default();
        tap.offer(&Frame::packed(PixelFormat::I420, (2, 2), lent, time, 0).unwrap());
        assert_eq!(Arc::strong_count(&memory), 1);
    }
}

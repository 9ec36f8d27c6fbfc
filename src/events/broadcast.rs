//! The broadcast itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::Event;

/// Events a subscriber may be behind.
const CAPACITY: usize = 256;

/// Where events are emitted; clones are the same place.
#[derive(Clone, Debug)]
pub struct Events {
    /// `None` is the last there is.
    sender: broadcast::Sender<Option<Event>>,
    closed: Arc<AtomicBool>,
}

impl Default for Events {
    fn default() -> Self {
        Self { sender: broadcast::Sender::new(CAPACITY), closed: Arc::default() }
    }
}

impl Events {
    /// Tells everybody who has subscribed.
    pub fn emit(&self, event: Event) {
        // That nobody listens is all right.
        let _ = self.sender.send(Some(event));
    }

    /// Says that there will be no more.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let _ = self.sender.send(None);
    }

    /// Hears what happens from now on.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        // In this order: who comes in between hears it.
        let receiver = self.sender.subscribe();
        Subscription { receiver, over: self.closed.load(Ordering::Acquire) }
    }
}

/// Hears what happens.
#[derive(Debug)]
pub struct Subscription {
    receiver: broadcast::Receiver<Option<Event>>,
    over: bool,
}

/// What a subscriber gets.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// The next event.
    Event(Event),
    /// As many were missed: look at how things are now.
    Missed(u64),
}

impl Subscription {
    /// The next event; `None` when there will be no more. To drop the future before it returns loses
    /// nothing.
    pub async fn next(&mut self) -> Option<Heard> {
        if self.over {
            return None;
        }
        match self.receiver.recv().await {
            Ok(Some(event)) => Some(Heard::Event(event)),
            Err(RecvError::Lagged(missed)) => Some(Heard::Missed(missed)),
            Ok(None) | Err(RecvError::Closed) => {
                self.over = true;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everybody_hears_what_happens_in_its_order_and_nobody_what_was_before() {
        let events = Events::default();
        events.emit(Event::Update);
        let mut both = [events.subscribe(), events.subscribe()];
        events.emit(Event::Button("short"));
        events.emit(Event::Device);
        events.close();
        events.emit(Event::Device);
        for subscription in &mut both {
            assert_eq!(subscription.next().await, Some(Heard::Event(Event::Button("short"))));
            assert_eq!(subscription.next().await, Some(Heard::Event(Event::Device)));
            assert_eq!(subscription.next().await, None);
            assert_eq!(subscription.next().await, None);
        }
        assert_eq!(events.subscribe().next().await, None, "it is over");
    }

    #[tokio::test]
    async fn who_does_not_keep_up_is_told_so_and_holds_nobody_up() {
        let events = Events::default();
        let mut slow = events.subscribe();
        for _ in 0..CAPACITY + 5 {
            events.emit(Event::Device);
        }
        assert_eq!(slow.next().await, Some(Heard::Missed(5)));
        assert_eq!(slow.next().await, Some(Heard::Event(Event::Device)));
    }
}

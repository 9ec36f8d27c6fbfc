//! Tells parts of the steward to stop.

use tokio::sync::watch;

/// Stops whoever waits for the token. Dropping it has the same effect.
#[derive(Debug)]
pub(super) struct StopHandle(watch::Sender<bool>);

/// Waits to be stopped.
#[derive(Clone, Debug)]
pub(super) struct StopToken(watch::Receiver<bool>);

/// A handle, and the token that it stops.
pub(super) fn new() -> (StopHandle, StopToken) {
    let (sender, receiver) = watch::channel(false);
    (StopHandle(sender), StopToken(receiver))
}

impl StopHandle {
    pub(super) fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl StopToken {
    /// Waits until the handle is used or dropped.
    pub(super) async fn stopped(&mut self) {
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    pub(super) fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }
}

//! The sign to end, for every part of the steward.

use tokio::sync::watch;

/// Gives the sign.
#[derive(Debug)]
pub(super) struct Stopper(watch::Sender<bool>);

/// Waits for the sign.
#[derive(Clone, Debug)]
pub(super) struct Stop(watch::Receiver<bool>);

/// A sign, and what waits for it.
pub(super) fn sign() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    pub(super) fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Waits for the sign, or for there being nobody left to give it.
    pub(super) async fn wait(&mut self) {
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    pub(super) fn is_given(&self) -> bool {
        *self.0.borrow()
    }
}

//! The state of the device, in one place: written by each part of the steward that knows something
//! of it, read by those that pass it on, to the card and to the daemon.

use tokio::sync::watch;

use crate::appliance::DeviceStatus;

/// The state of the device. Clones are handles to the same one.
#[derive(Clone, Debug)]
pub(super) struct DeviceState(watch::Sender<DeviceStatus>);

impl DeviceState {
    /// Begins with `status`.
    pub(super) fn new(status: DeviceStatus) -> Self {
        Self(watch::Sender::new(status))
    }

    /// Changes the state. Subscribers are woken only if something differs.
    pub(super) fn update(&self, change: impl FnOnce(&mut DeviceStatus)) {
        self.0.send_if_modified(|status| {
            let before = status.clone();
            change(status);
            *status != before
        });
    }

    /// Sets the note to the owner on a topic, or removes it.
    pub(super) fn set_note(&self, topic: &str, sentence: Option<String>) {
        self.update(|status| match sentence {
            Some(sentence) => drop(status.notes.insert(topic.to_owned(), sentence)),
            None => drop(status.notes.remove(topic)),
        });
    }

    /// The state as it is now.
    pub(super) fn get(&self) -> DeviceStatus {
        self.0.borrow().clone()
    }

    /// Receives every change from now on.
    pub(super) fn subscribe(&self) -> watch::Receiver<DeviceStatus> {
        self.0.subscribe()
    }
}

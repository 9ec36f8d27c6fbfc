//! The notice board: how the device is, written by whoever knows a part of it, read by whoever
//! tells it on.

use tokio::sync::watch;

use crate::appliance::DeviceStatus;

/// A handle to the board; clones are handles to the same one.
#[derive(Clone, Debug)]
pub(super) struct Notices(watch::Sender<DeviceStatus>);

impl Notices {
    /// A board that begins with `status`.
    pub(super) fn new(status: DeviceStatus) -> Self {
        Self(watch::Sender::new(status))
    }

    /// Changes what is on it. Readers are woken only if something differs.
    pub(super) fn change(&self, change: impl FnOnce(&mut DeviceStatus)) {
        self.0.send_if_modified(|status| {
            let before = status.clone();
            change(status);
            *status != before
        });
    }

    /// Says something on a matter, or nothing any more.
    pub(super) fn note(&self, matter: &str, sentence: Option<String>) {
        self.change(|status| match sentence {
            Some(sentence) => drop(status.notes.insert(matter.to_owned(), sentence)),
            None => drop(status.notes.remove(matter)),
        });
    }

    /// What is on it now.
    pub(super) fn now(&self) -> DeviceStatus {
        self.0.borrow().clone()
    }

    /// What is on it from now on.
    pub(super) fn watch(&self) -> watch::Receiver<DeviceStatus> {
        self.0.subscribe()
    }
}

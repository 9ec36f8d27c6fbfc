//! What a session hears of, from any thread.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use libcamera::request::Request;

/// What a session hears of.
pub(super) enum CaptureEvent {
    /// The camera is done with a request.
    Completed(Request),
    /// The picture of a slot is no longer used.
    Returned(usize),
    /// The camera was unplugged.
    Removed,
    /// [`CaptureSession::next`](super::session::CaptureSession::next) is to return.
    Woken,
}

/// Reaches the session there is, if there is one.
pub(super) type WakeHandle = Arc<Mutex<Option<Sender<CaptureEvent>>>>;

/// Makes [`CaptureSession::next`](super::session::CaptureSession::next) return.
pub(super) fn wake(handle: &WakeHandle) {
    if let Some(session) = handle.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
        let _ = session.send(CaptureEvent::Woken);
    }
}

//! The Pi's cameras, and every other that libcamera drives.
//!
//! In comes what is wanted: which camera, size, rate, which way up, and what its controls are to be set
//! to. Out go [`Frame`](crate::media::Frame)s that lie where the camera put them, in DMABUFs an encoder
//! can import, and that give their buffer back to the camera when the last of their clones is dropped.
//!
//! libcamera works with requests: a request carries a buffer and control values into the camera and comes
//! back with a picture. `session` is one stretch of that, from open to stop, on the `stream` set up for
//! it; a frame lent from it may outlive it, and so may the `memory` it lies in. What drivers say is
//! checked by [`media`](crate::media); `configuration` finds the mode, `controls` translates names and
//! ranges, `manager` knows what cameras there are. `ffi` has what needs `unsafe`. No type of libcamera
//! leaves this room.

mod configuration;
mod controls;
mod error;
mod event;
mod ffi;
mod manager;
mod memory;
mod session;
mod settings;
mod stream;

use std::sync::{Arc, PoisonError};

pub use self::settings::Flip;

use self::event::WakeHandle;
use self::session::CaptureSession;
use self::settings::CaptureSettings;
use super::{
    Camera, CameraError, CameraInfo, Capture, Constraints, Control, ControlValues,
    LibcameraSelector, Mode, Waker,
};

/// A camera that libcamera drives.
#[derive(Default)]
pub struct LibCamera {
    selector: LibcameraSelector,
    flip: Flip,
    values: ControlValues,
    session: Option<CaptureSession>,
    wake: WakeHandle,
}

/// All cameras there are, with what they can do.
///
/// # Errors
/// When libcamera cannot be used.
pub fn list() -> Result<Vec<CameraInfo>, CameraError> {
    manager::list()
}

/// Whether there is a camera that is built in.
#[must_use]
pub fn is_there() -> bool {
    manager::any_built_in().unwrap_or_else(|error| {
        log::debug!("{error}");
        false
    })
}

/// Whether the camera is there and can do `flip` itself.
#[must_use]
pub fn can_flip(selector: &LibcameraSelector, flip: Flip) -> bool {
    manager::find(selector).is_ok_and(|camera| configuration::can_flip(&camera, flip))
}

impl LibCamera {
    /// The camera, not yet open.
    #[must_use]
    pub fn new(selector: LibcameraSelector) -> Self {
        Self { selector, ..Self::default() }
    }

    /// The same, mirrored by the camera. Ask [`can_flip`] first: one that cannot delivers pictures
    /// as they are, and says so in the log.
    #[must_use]
    pub fn flipped(mut self, flip: Flip) -> Self {
        self.flip = flip;
        self
    }
}

impl Camera for LibCamera {
    fn open(&mut self, wanted: &Constraints) -> Result<Mode, CameraError> {
        self.stop();
        let settings = CaptureSettings { constraints: *wanted, flip: self.flip };
        let session = CaptureSession::start(&self.selector, &settings, &self.values)?;
        let mode = session.mode();
        *self.wake.lock().unwrap_or_else(PoisonError::into_inner) = Some(session.sender());
        self.session = Some(session);
        Ok(mode)
    }

    fn capture(&mut self) -> Result<Capture, CameraError> {
        match &mut self.session {
            Some(session) => session.next().map(Capture::Frame),
            None => Err(CameraError::Lost("it is not open".into())),
        }
    }

    fn controls(&self) -> Vec<Control> {
        self.session.as_ref().map_or_else(Vec::new, CaptureSession::controls)
    }

    fn set_controls(&mut self, values: &ControlValues) -> Result<(), CameraError> {
        // Kept for the next time it is opened, so that its first picture is right already.
        self.values = values.clone();
        if let Some(session) = &mut self.session {
            session.set_controls(values);
        }
        Ok(())
    }

    fn waker(&self) -> Option<Waker> {
        let wake = Arc::clone(&self.wake);
        Some(Box::new(move || event::wake(&wake)))
    }

    fn stop(&mut self) {
        *self.wake.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.session = None;
    }
}

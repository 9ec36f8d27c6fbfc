//! The Pi's cameras, and every other that libcamera drives.
//!
//! In come wishes: which camera, size, rate, which way up, whether a small companion picture is
//! wanted, and what its knobs are to be set to. Out go [`Frame`](crate::media::Frame)s that lie
//! where the camera put them, in DMABUFs an encoder can import, and that give their buffer back
//! to the camera when the last of their clones is dropped.
//!
//! libcamera works with requests: a request carries buffers and control values into the camera
//! and comes back with pictures. `session` is one stretch of that, from open to stop, on the
//! `streams` set up for it; a frame lent from it may outlive it, and so may the `memory` it lies
//! in. What drivers say is checked by [`media`](crate::media); `choice` finds the mode, `knobs`
//! translates names and ranges, `manager` knows what cameras there are. `ffi` has what needs
//! `unsafe`. No type of libcamera leaves this room.

mod choice;
mod ffi;
mod knobs;
mod manager;
mod memory;
mod session;
mod streams;

use std::sync::{Arc, PoisonError};

use self::choice::Wishes;
use self::session::{Session, Wake};
use super::{
    Camera, CameraError, Capture, Constraints, Control, ControlValues, Found, Mode, Waker,
};

/// Which camera.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selector {
    /// The first; built-in ones come before those at a USB cable.
    #[default]
    First,
    /// By its place in [`list`], from 0.
    Index(usize),
    /// By its [`Found::id`].
    Id(String),
}

/// Mirroring that a camera may do itself, at no cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flip {
    /// As it is seen.
    #[default]
    None,
    /// Left and right change places.
    Horizontal,
    /// Top and bottom change places.
    Vertical,
    /// Both: a half turn.
    Both,
}

/// A camera that libcamera drives.
#[derive(Default)]
pub struct LibCamera {
    which: Selector,
    companion: Option<(u32, u32)>,
    flip: Flip,
    values: ControlValues,
    session: Option<Session>,
    wake: Wake,
}

/// All cameras there are, with what they can.
///
/// # Errors
/// When libcamera cannot be used.
pub fn list() -> Result<Vec<Found>, CameraError> {
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
pub fn can_flip(which: &Selector, flip: Flip) -> bool {
    manager::find(which).is_ok_and(|camera| choice::can_flip(&camera, flip))
}

impl LibCamera {
    /// The camera, not yet open.
    #[must_use]
    pub fn new(which: Selector) -> Self {
        Self { which, ..Self::default() }
    }

    /// The same, with a small picture beside each (see
    /// [`Frame::companion`](crate::media::Frame::companion)), of about `width` × `height`, if the
    /// camera can make two at once.
    #[must_use]
    pub fn with_companion(mut self, (width, height): (u32, u32)) -> Self {
        self.companion = Some((width, height));
        self
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
        let wishes = Wishes { constraints: *wanted, companion: self.companion, flip: self.flip };
        let session = Session::start(&self.which, &wishes, &self.values)?;
        let mode = session.mode();
        *self.wake.lock().unwrap_or_else(PoisonError::into_inner) = Some(session.door());
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
        self.session.as_ref().map_or_else(Vec::new, Session::controls)
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
        Some(Box::new(move || session::wake(&wake)))
    }

    fn stop(&mut self) {
        *self.wake.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.session = None;
    }
}

/// For `map_err`: what was being done when the system refused.
fn io_error(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> CameraError {
    let what = what.into();
    move |source| CameraError::Io { what, why: source }
}

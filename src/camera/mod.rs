//! Where pictures come from.
//!
//! In comes a source's name from the configuration and the [`Constraints`] its owner put on it; out come
//! [`Capture`]s: raw [`Frame`]s, or [`AccessUnit`]s where the source is coded already. A camera knows
//! nothing of encoders or viewers. It is driven by one thread of its own (see
//! [`pipeline`](crate::pipeline)), so it may block in [`Camera::capture`] as long as it likes without
//! holding anything else up.
//!
//! A camera may have [`Control`]s, such as brightness and gain. What they are to be set to is kept in
//! [`CameraControls`], which the configuration and HTTP change and the camera's thread follows.
//!
//! Sources: [`pattern`], a test picture that needs no hardware, [`file`](mod@file), a clip played
//! in a loop, and behind features of their names `libcamera`, for the Pi's cameras, and `v4l2`, for
//! those on USB. A program that uses Picket as a library brings its own by implementing
//! [`Camera`].

#[cfg(any(feature = "v4l2", fuzzing, test))]
pub(crate) mod coded_stream;
mod constraints;
pub(crate) mod control_state;
mod controls;
pub(crate) mod file;
pub(crate) mod info;
#[cfg(feature = "libcamera")]
pub(crate) mod libcamera;
pub(crate) mod pattern;
mod picture_detector;
mod selector;
#[cfg(feature = "v4l2")]
pub(crate) mod v4l2;

pub(crate) use constraints::nearest_mode;
pub use constraints::{Constraints, Mode};
pub(crate) use control_state::{
    AppliedVersion, CameraControls, ControlChanges, ControlError, ControlSetting, ControlsReport,
};
pub use controls::{Control, ControlRange, ControlValue, ControlValues};
pub(crate) use info::{CameraInfo, Location, ModeInfo};
pub use selector::LibcameraSelector;

use crate::media::{AccessUnit, Frame};

/// A source of pictures.
///
/// Life cycle: [`open`](Camera::open), then [`capture`](Camera::capture) again and again, then
/// [`stop`](Camera::stop); after that it may be opened again. The daemon opens a camera when the
/// first viewer comes and stops it after the last one left.
pub trait Camera: Send {
    /// Starts the camera in the mode nearest to what is `wanted` and says which one that is.
    ///
    /// # Errors
    /// When there is no such camera, or it cannot be used. Picket shows the message to the owner
    /// and tries again.
    fn open(&mut self, wanted: &Constraints) -> Result<Mode, CameraError>;

    /// Waits for the next picture. Frames may be dropped when the rest of the program is slower than
    /// the camera; access units never are, because each needs the one before.
    ///
    /// # Errors
    /// When the camera is gone or broken. It is then stopped and opened again.
    fn capture(&mut self) -> Result<Capture, CameraError>;

    /// What to call it, if that is known only now that it is open.
    fn name(&self) -> Option<String> {
        None
    }

    /// The controls this camera has; known while it is open.
    fn controls(&self) -> Vec<Control> {
        Vec::new()
    }

    /// Sets controls, from one of the next pictures on. Called between two captures, and only with
    /// what [`Camera::controls`] says is possible. What is not among `values` goes back to the
    /// camera's own choice.
    ///
    /// # Errors
    /// When the driver refuses; the owner is told, and pictures go on.
    fn set_controls(&mut self, values: &ControlValues) -> Result<(), CameraError> {
        let _ = values;
        Ok(())
    }

    /// Something that makes a [`Camera::capture`] that is waiting, or else the next one, return at
    /// once, with any error. Asked for before the camera is opened for the first time, and used from
    /// other threads when pictures are no longer wanted; on a camera that is not open it has no
    /// effect. A camera that never waits long needs none.
    fn waker(&self) -> Option<Waker> {
        None
    }

    /// Releases the device. Called after an error too, and harmless when not open.
    fn stop(&mut self);
}

/// See [`Camera::waker`].
pub type Waker = Box<dyn Fn() + Send + Sync>;

/// What a camera delivers.
#[derive(Debug, Clone)]
pub enum Capture {
    /// A raw picture, to be encoded.
    Frame(Frame),
    /// A picture the source had coded already, to be passed through as it is.
    AccessUnit(AccessUnit),
    /// The source has come to its end and will deliver nothing more until opened again.
    End,
}

/// What a source whose pictures are coded already, such as a clip, is to deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptureMode {
    /// Access units as the source coded them where viewers can be sent those, frames where they cannot.
    PassThrough,
    /// Frames, because something is to be done to them.
    Decode,
}

/// Why a camera gives no pictures. Messages are for the camera's owner: what is wrong, and what
/// to do.
#[derive(Debug, thiserror::Error)]
pub enum CameraError {
    /// No such camera, file or kind of source.
    #[error("{0}")]
    NotFound(String),
    /// The source is there but Picket cannot use it.
    #[error("{0}")]
    Unsupported(String),
    /// The camera was working and is not any more.
    #[error("the camera was lost: {0}")]
    Lost(String),
    /// The operating system refused something.
    #[error("{what}: {why}")]
    Io {
        /// What was being done, for instance "cannot read clip.mp4".
        what: String,
        /// What the system said.
        why: std::io::Error,
    },
}

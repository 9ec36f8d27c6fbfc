//! What happens to a picture between the camera and the encoder.
//!
//! In comes a [`Frame`] in whatever format the camera speaks; out goes one that the encoder takes:
//! I420 of even size. Each step is a [`Transform`]; the [`Chain`] holds those the owner asked for and
//! brings the picture into shape after them: converted, made smaller, turned, written on, in that
//! order, on the thread that calls it. A picture that needs nothing passes in the camera's own
//! memory; [`CopyMeter`] tells what the rest cost. Where there is no picture at all, a [`Placeholder`]
//! takes its place and says so.

pub(crate) mod chain;
mod clock;
mod convert;
mod display;
mod draw;
pub(crate) mod i420;
pub(crate) mod orientation;
pub(crate) mod overlay;
mod placeholder;
mod resize;
#[cfg(test)]
mod testing;

pub(crate) use chain::{Chain, ColourMode, TransformSettings};
pub(crate) use convert::MatrixCoefficients;
pub(crate) use display::DisplayTransform;
pub(crate) use i420::CopyMeter;
pub(crate) use orientation::Orientation;
pub(crate) use orientation::Rotation;
pub(crate) use overlay::{Corner, OverlaySettings};
pub(crate) use placeholder::Placeholder;
pub(crate) use resize::MAX_FRAME_SIZE;
pub(crate) use resize::{FrameResizer, fit_within};

use crate::media::{Frame, FrameError};

/// One step between camera and encoder.
///
/// A step may change a picture's pixels, size and format; it hands on the picture's time and
/// sequence number as they are, because delays are measured from them.
pub trait Transform: Send {
    /// The picture after this step.
    ///
    /// # Errors
    /// When the picture cannot be worked on; it is then dropped, and the owner told once.
    fn apply(&mut self, frame: Frame) -> Result<Frame, TransformError>;
}

/// Why a step could not work on a picture, or could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TransformError {
    /// The picture's format or size is not one Picket can work on.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A size no encoder takes.
    #[error("a picture of {width}×{height} pixels cannot be made: sides are even, 2 to 16384")]
    Size {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// Not a time zone.
    #[error("there is no time zone \"{0}\": use a name like Europe/Berlin or UTC")]
    TimeZone(String),
    /// The overlay's time cannot be written like that.
    #[error("the time format \"{format}\" cannot be used ({reason}): try %Y-%m-%d %H:%M:%S")]
    TimeFormat {
        /// The format as given.
        format: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A step's own reason.
    #[error("{0}")]
    Other(String),
}

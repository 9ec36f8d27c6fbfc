//! What happens to a picture between the camera and the encoder.
//!
//! In comes a [`Frame`] in whatever format the camera speaks; out goes one the encoder takes.
//! Each step is a [`Transform`]; the pipeline runs them in order, on its own thread.

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

/// Why a step could not work on a picture.
#[derive(Debug, thiserror::Error)]
pub enum TransformError {
    /// The picture's format or size is not one Picket can work on.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A step's own reason.
    #[error("{0}")]
    Other(String),
}

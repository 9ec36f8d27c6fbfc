//! A camera that is not there.

use crate::camera::{Camera, CameraError, Capture, Constraints, Mode};

/// Stands in for a source that cannot be had, and says why each time it is opened.
pub(super) struct Unavailable(String);

impl Unavailable {
    /// For streams of other programs and devices.
    pub(super) fn streams() -> Self {
        Self("this version of Picket cannot play streams of other programs and devices".into())
    }

    /// For sources whose driver was left out of this build.
    #[cfg(not(all(feature = "libcamera", feature = "v4l2")))]
    pub(super) fn feature(feature: &str, what: &str) -> Self {
        Self(format!(
            "this build of Picket cannot use {what}: it was made without the feature \"{feature}\""
        ))
    }
}

impl Camera for Unavailable {
    fn open(&mut self, _wanted: &Constraints) -> Result<Mode, CameraError> {
        Err(CameraError::Unsupported(self.0.clone()))
    }

    fn capture(&mut self) -> Result<Capture, CameraError> {
        Err(CameraError::Unsupported(self.0.clone()))
    }

    fn stop(&mut self) {}
}

//! What failed, in words for the owner.

use crate::camera::CameraError;

/// For `map_err`: what was being done when the system refused.
pub(super) fn io_error(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> CameraError {
    let what = what.into();
    move |source| CameraError::Io { what, why: source }
}

//! What a driver refused, in words for the owner.

use crate::camera::CameraError;
use crate::v4l2::Device;

/// For `map_err`: what was being done when the driver refused.
pub(super) fn describe(device: &Device, what: &str) -> impl FnOnce(std::io::Error) -> CameraError {
    // Formatted only when something has failed: this is called with every picture.
    move |source| {
        let what = format!("{what} of {}", device.path().display());
        match source.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
            Some(rustix::io::Errno::BUSY) => {
                CameraError::Unsupported(format!("{what}: another program is using the camera"))
            }
            Some(rustix::io::Errno::NODEV | rustix::io::Errno::NXIO) => {
                CameraError::Lost("it was unplugged".into())
            }
            _ => CameraError::Io { what, why: source },
        }
    }
}

//! What is known of a camera before it is opened.

use super::Control;

/// A camera that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct CameraInfo {
    /// What to write as `camera.source` to get this one: "libcamera:0".
    pub source: String,
    /// Its name in the system, which stays the same as long as it is plugged in where it is.
    pub id: String,
    /// What it is: "imx219", "HD Webcam C525".
    pub model: String,
    /// Where it is, if it says.
    pub location: Option<Location>,
    /// Pictures it can deliver, in its own order.
    pub modes: Vec<ModeInfo>,
    /// Its controls. Their ranges may be narrower once it is open in a mode.
    pub controls: Vec<Control>,
}

/// Where a camera is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// Built in, facing the user of the device.
    #[cfg(feature = "libcamera")]
    Front,
    /// Built in, facing away from the user.
    #[cfg(any(feature = "libcamera", test))]
    Back,
    /// At the end of a cable, such as a USB camera.
    External,
}

/// A mode a camera can run in.
#[derive(Clone, Debug, PartialEq)]
pub struct ModeInfo {
    /// The layout of its pixels by the driver's name: "NV12", "MJPEG".
    pub format: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Most pictures a second, where the driver tells before the camera is opened.
    pub max_fps: Option<f64>,
}

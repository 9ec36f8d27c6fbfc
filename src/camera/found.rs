//! What a look around for cameras brings.

use super::Control;

/// A camera that is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// What to write as `camera.source` to get this one: "libcamera:0".
    pub source: String,
    /// Its name in the system, which stays the same as long as it is plugged in where it is.
    pub id: String,
    /// What it is: "imx219", "HD Webcam C525".
    pub model: String,
    /// Where it is, if it says.
    pub location: Option<Location>,
    /// Pictures it can deliver, in its own order.
    pub modes: Vec<FoundMode>,
    /// Its knobs. Their ranges may be narrower once it is open in a mode.
    pub controls: Vec<Control>,
}

/// Where a camera is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// Built in, facing the user of the device.
    Front,
    /// Built in, facing away from the user.
    Back,
    /// At the end of a cable, such as a USB camera.
    External,
}

/// Pictures of a kind that a camera can deliver.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundMode {
    /// The layout of its pixels by the driver's name: "NV12", "MJPEG".
    pub format: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Most pictures a second, where the driver tells before the camera is opened.
    pub max_fps: Option<f64>,
}

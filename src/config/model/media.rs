//! The picture: camera, encoder, stream.

use std::path::PathBuf;
use std::time::Duration;

use super::Controls;
use crate::config::values::{Bitrate, Source};
use crate::transform::{ColourMode, Corner, Rotation};

/// `[camera]`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Camera {
    /// Where pictures come from.
    pub source: Source,
    /// Wished width in pixels.
    pub width: Option<u32>,
    /// Wished height in pixels.
    pub height: Option<u32>,
    /// Wished frame rate.
    pub fps: Option<f64>,
    /// Clockwise rotation.
    pub rotation: Rotation,
    /// Mirrors left and right.
    pub hflip: bool,
    /// Mirrors top and bottom.
    pub vflip: bool,
    /// Per cent taken off both width and height before encoding, 0 to 90.
    pub frame_size_reduction: u8,
    /// Whether to stabilize the picture of a shaking camera.
    pub stabilize: bool,
    /// Colour or shades of grey.
    pub colorspace: ColourMode,
    /// For how long a camera's first pictures are discarded.
    pub time_delay: Duration,
    /// Text in the picture.
    pub overlay: Overlay,
    /// How the picture is stabilized.
    pub stabilizer: Stabilizer,
    /// The camera's own controls.
    pub controls: Controls,
    /// How libcamera tunes its algorithms to the sensor; without it, libcamera's own file is used.
    pub tuning_file: Option<PathBuf>,
}

/// `[camera.overlay]`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overlay {
    /// The text.
    pub text: Option<String>,
    /// Whether date and time follow it.
    pub time: bool,
    /// The corner.
    pub position: Corner,
}

/// `[camera.stabilizer]`
#[derive(Clone, Debug, PartialEq)]
pub struct Stabilizer {
    /// How many pictures the motion is smoothed over.
    pub smoothing_radius: u32,
    /// Pixels added around the picture, so that its moved edge is not lost.
    pub border_size: u32,
    /// What fills the border.
    pub border_type: BorderType,
    /// Whether to crop the border and enlarge the rest.
    pub crop_n_zoom: bool,
}

/// What stands beyond the picture's edge; `abcd` is the picture's last row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BorderType {
    /// Black.
    #[default]
    Black,
    /// `abcd|dcba`
    Reflect,
    /// `abcd|cba`
    Reflect101,
    /// `abcd|dddd`
    Replicate,
    /// `abcd|abcd`
    Wrap,
}

/// `[encoder]`
#[derive(Clone, Debug, PartialEq)]
pub struct Encoder {
    /// Which encoder is used.
    pub backend: Backend,
    /// Target bit rate.
    pub bitrate: Bitrate,
    /// Longest time between key frames when nobody asks for one.
    pub keyframe_interval: Duration,
}

/// Which encoder is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// The hardware where there is one, else the software.
    #[default]
    Auto,
    /// The Pi's hardware.
    V4l2M2m,
    /// Software.
    OpenH264,
}

/// `[stream]`
#[derive(Clone, Debug, PartialEq)]
pub struct Stream {
    /// Many viewers at once; otherwise one.
    pub live_broadcast: bool,
    /// Whether viewers stay, with a "no signal" picture, when the source ends.
    pub infinite_frames: bool,
    /// The most viewers at once.
    pub max_viewers: u32,
    /// Whether the camera runs while nobody watches.
    pub keep_warm: bool,
    /// The highest frame rate of MJPEG.
    pub mjpeg_fps: f64,
}

impl Default for Stabilizer {
    fn default() -> Self {
        Self {
            smoothing_radius: 25,
            border_size: 0,
            border_type: BorderType::Black,
            crop_n_zoom: false,
        }
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self {
            backend: Backend::Auto,
            bitrate: Bitrate::DEFAULT,
            keyframe_interval: Duration::from_secs(10),
        }
    }
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            live_broadcast: true,
            infinite_frames: true,
            max_viewers: 100,
            keep_warm: false,
            mjpeg_fps: 5.0,
        }
    }
}

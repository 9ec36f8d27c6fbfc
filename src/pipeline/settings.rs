//! What a pipeline is made of, and what is set.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::camera::{Camera, CameraControls, Constraints};
use crate::encoder::{Encoder, EncoderError, EncoderSettings, Sink};
use crate::hub::Layer;
use crate::transform::{Chain, OverlaySettings};

/// Makes an encoder for the given settings.
pub type EncoderFactory =
    Box<dyn FnMut(EncoderSettings, Sink) -> Result<Box<dyn Encoder>, EncoderError> + Send>;

/// What a pipeline is made of.
pub struct Parts {
    /// The camera's name, where there are several: log lines begin with it.
    pub camera_name: Option<Arc<str>>,
    /// The source as the owner calls it, for messages.
    pub source_name: String,
    /// The camera.
    pub camera: Box<dyn Camera>,
    /// What the camera's controls are to be set to; may change while pictures flow.
    pub controls: CameraControls,
    /// What happens to pictures before they are encoded.
    pub chain: Chain,
    /// Makes encoders.
    pub encoder: EncoderFactory,
    /// What stays as it is until a restart.
    pub fixed: FixedSettings,
    /// What may change while pictures flow.
    pub live: watch::Receiver<LiveSettings>,
}

/// Settings that need a restart.
#[derive(Clone, Debug)]
pub struct FixedSettings {
    /// Wished size of the camera's picture; the rate is in [`LiveSettings`].
    pub constraints: Constraints,
    /// Longest time between key frames.
    pub keyframe_interval: Duration,
    /// Show a placeholder while the source is away, rather than end the stream with the source.
    pub infinite_frames: bool,
    /// Keep camera and encoder running without viewers.
    pub keep_warm: bool,
    /// How long a camera's first pictures are taken and thrown away, so that it settles.
    pub time_delay: Duration,
}

/// Settings that take effect at once.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveSettings {
    /// What is made of the picture, the main layer first.
    pub outputs: Vec<OutputSettings>,
    /// Wished pictures a second.
    pub fps: Option<f64>,
    /// Text drawn into the picture.
    pub overlay: Option<OverlaySettings>,
}

/// What is made of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputSettings {
    /// As which layer it is published.
    pub layer: Layer,
    /// The size it has to fit in, in pixels; as it comes without.
    pub within: Option<(u32, u32)>,
    /// The encoder's target in bits a second.
    pub bitrate_bps: u32,
}

impl OutputSettings {
    /// The main layer, as large as frames come, at this rate.
    #[must_use]
    pub fn main(bitrate_bps: u32) -> Self {
        Self { layer: Layer::Main, within: None, bitrate_bps }
    }
}

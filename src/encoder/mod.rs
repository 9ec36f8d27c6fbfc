//! Raw pictures to H.264.
//!
//! In come [`Frame`]s of even size in a format the encoder takes; out come [`AccessUnit`]s through a
//! [`Sink`]. An encoder may deliver before [`Encoder::encode`] returns, as [`openh264`] does, or later
//! from a thread of its own, as hardware does; it may skip a frame altogether. Every encoder makes
//! constrained baseline, the one profile every browser decodes, at the lowest level that size and rate
//! allow.

#[cfg(any(feature = "v4l2", fuzzing, test))]
pub(crate) mod device_output;
pub mod openh264;
#[cfg(feature = "v4l2")]
pub mod v4l2_m2m;

use std::time::Duration;

use crate::media::{AccessUnit, Frame, PixelFormat};

/// How frames are to be coded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EncoderSettings {
    /// Width in pixels; even.
    pub width: u32,
    /// Height in pixels; even.
    pub height: u32,
    /// The frame rate that the rate control expects.
    pub fps: f64,
    /// Target rate in bits a second.
    pub bitrate_bps: u32,
    /// Longest time between key frames when none is asked for.
    pub keyframe_interval: Duration,
}

/// Takes what an encoder makes. Called in decoding order.
pub type Sink = Box<dyn FnMut(AccessUnit) + Send>;

/// Turns frames into H.264.
pub trait Encoder: Send {
    /// What it is, for the log and the status page: "openh264".
    fn name(&self) -> &'static str;

    /// The formats it takes without a conversion, of even size.
    fn formats(&self) -> &'static [PixelFormat] {
        &[PixelFormat::I420]
    }

    /// Codes one frame, as a key frame when `frame_type` says so.
    ///
    /// # Errors
    /// When the encoder is broken and has to be replaced.
    fn encode(&mut self, frame: &Frame, frame_type: FrameType) -> Result<(), EncoderError>;

    /// Changes the target rate from the next frame on. Returns the rate that the encoder really uses.
    ///
    /// # Errors
    /// When the encoder refuses.
    fn set_bitrate(&mut self, bitrate_bps: u32) -> Result<u32, EncoderError>;

    /// Whether [`Encoder::encode`] does all of its work before it returns, on this machine's own
    /// processor, so that the time it takes tells how many frames the machine can sustain.
    fn is_synchronous(&self) -> bool {
        false
    }

    /// Changes the frame rate that the rate control expects, once some frames have come.
    ///
    /// # Errors
    /// When the encoder is broken and has to be replaced.
    fn set_fps(&mut self, fps: f64) -> Result<(), EncoderError> {
        let _ = fps;
        Ok(())
    }
}

/// How the next frame is to be coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameType {
    /// As the encoder decides.
    Any,
    /// As an IDR picture, with parameter sets, at which decoding can begin.
    Key,
}

/// Why an encoder failed.
#[derive(Debug, thiserror::Error)]
pub enum EncoderError {
    /// The settings are beyond what the encoder can do.
    #[error("{0}")]
    Unsupported(String),
    /// It failed while working.
    #[error("the encoder failed: {0}")]
    Failed(String),
}

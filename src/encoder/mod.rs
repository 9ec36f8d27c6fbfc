//! Raw pictures to H.264.
//!
//! In come [`Frame`]s of even size in a format the encoder takes; out come [`AccessUnit`]s through a [`Sink`]. An encoder
//! may answer before [`Encoder::encode`] returns, as [`openh264`] does, or later from a thread of
//! its own, as hardware does; it may skip a picture altogether. Every encoder makes constrained
//! baseline, the one profile every browser decodes, at the lowest level that size and rate allow.

#[cfg(any(feature = "v4l2", fuzzing, test))]
pub(crate) mod coded;
pub mod openh264;
#[cfg(feature = "v4l2")]
pub mod v4l2_m2m;

use std::time::Duration;

use crate::media::{AccessUnit, Frame, PixelFormat};

/// How pictures are to be coded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EncoderSettings {
    /// Width in pixels; even.
    pub width: u32,
    /// Height in pixels; even.
    pub height: u32,
    /// Pictures a second the rate control reckons with.
    pub fps: f64,
    /// Target rate in bits a second.
    pub bitrate_bps: u32,
    /// Longest time between key pictures when nobody asks for one.
    pub keyframe_interval: Duration,
}

/// Takes what an encoder makes. Called in coding order.
pub type Sink = Box<dyn FnMut(AccessUnit) + Send>;

/// Turns pictures into H.264.
pub trait Encoder: Send {
    /// What it is, for the log and the status page: "openh264".
    fn name(&self) -> &'static str;

    /// The formats it takes without a conversion, of even size.
    fn formats(&self) -> &'static [PixelFormat] {
        &[PixelFormat::I420]
    }

    /// Codes one picture, as a key picture when `kind` says so.
    ///
    /// # Errors
    /// When the encoder is broken and has to be made anew.
    fn encode(&mut self, frame: &Frame, kind: PictureKind) -> Result<(), EncoderError>;

    /// Changes the target rate from the next picture on, and says what the encoder made of it.
    ///
    /// # Errors
    /// When the encoder refuses.
    fn set_bitrate(&mut self, bitrate_bps: u32) -> Result<u32, EncoderError>;

    /// Whether [`Encoder::encode`] does all of its work before it returns, on this machine's own
    /// processor, so that the time it takes tells how many pictures the machine can sustain.
    fn codes_at_once(&self) -> bool {
        false
    }

    /// Says how many pictures a second will come from now on, once some have come.
    ///
    /// # Errors
    /// When the encoder is broken and has to be made anew.
    fn set_fps(&mut self, fps: f64) -> Result<(), EncoderError> {
        let _ = fps;
        Ok(())
    }
}

/// How the next picture is to be coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureKind {
    /// As the encoder likes.
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

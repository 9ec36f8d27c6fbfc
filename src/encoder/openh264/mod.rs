//! Software encoding with OpenH264, for machines without an H.264 encoder: the Pi 5 and any PC.
//!
//! In come I420 frames, read where they lie; out come access units before [`Encoder::encode`] returns.
//!
//! The library's defaults are made for video calls and each of them hurts here: 120 kbit/s; a rate
//! control that drops frames; scene-change detection that turns every burst of noise into a key frame
//! (one in 17 for a noisy night scene); 0 as the frame rate, which makes the rate control expect one
//! frame a second. All are set below.
//!
//! How many threads it uses is chosen by what has to be coded ([`threads_for`]); when that is still too
//! much, the [`pipeline`](crate::pipeline) leaves frames out and says so with [`Encoder::set_fps`].

// The safe API cannot change a running encoder's rates, nor have pictures divided into slices.
#![allow(unsafe_code)]

use std::time::Duration;

use ::openh264::OpenH264API;
use ::openh264::encoder as lib;
use ::openh264::formats::YUVSource;
use openh264_sys2::{
    ENCODER_OPTION, ENCODER_OPTION_BITRATE, ENCODER_OPTION_FRAME_RATE, ENCODER_OPTION_IDR_INTERVAL,
    ENCODER_OPTION_MAX_BITRATE, ENCODER_OPTION_SVC_ENCODE_PARAM_EXT, ENCODER_OPTION_TRACE_LEVEL,
    SBitrateInfo, SEncParamExt, SM_FIXEDSLCNUM_SLICE, SPATIAL_LAYER_ALL, WELS_LOG_QUIET,
};

use super::{Encoder, EncoderError, EncoderSettings, FrameType, Sink};
use crate::media::h264::{ParameterSets, level_for};
use crate::media::{AccessUnit, Frame, PixelFormat};
use crate::transform::MatrixCoefficients;

/// The encoder.
pub struct OpenH264 {
    inner: lib::Encoder,
    settings: EncoderSettings,
    parameter_sets: ParameterSets,
    sink: Sink,
}

impl OpenH264 {
    /// An encoder for `settings` that hands what it makes to `sink`.
    ///
    /// # Errors
    /// When the size is odd, below 16 pixels a side or above 3840×2160, or the library refuses.
    pub fn new(settings: EncoderSettings, sink: Sink) -> Result<Self, EncoderError> {
        let EncoderSettings { width, height, fps, bitrate_bps, keyframe_interval } = settings;
        let (long, short) = (width.max(height), width.min(height));
        if width % 2 != 0 || height % 2 != 0 || short < 16 || long > 3840 || short > 2160 {
            return Err(EncoderError::Unsupported(format!(
                "openh264 encodes even sizes from 16×16 to 3840×2160, not {width}×{height}"
            )));
        }
        let config = lib::EncoderConfig::new()
            .usage_type(lib::UsageType::CameraVideoRealTime)
            .profile(lib::Profile::Baseline)
            .vui(vui_for(height))
            .level(library_level(level_for(width, height, fps)))
            .complexity(lib::Complexity::Low)
            .rate_control_mode(lib::RateControlMode::Bitrate)
            .bitrate(lib::BitRate::from_bps(bitrate_bps))
            .max_frame_rate(lib::FrameRate::from_hz(fps as f32))
            .intra_frame_period(lib::IntraFramePeriod::from_num_frames(frames_in(
                keyframe_interval,
                fps,
            )))
            .skip_frames(false)
            .scene_change_detect(false)
            .background_detection(false)
            .adaptive_quantization(false)
            .num_threads(1);
        let mut inner = lib::Encoder::with_api_config(OpenH264API::from_source(), config)
            .map_err(|e| EncoderError::Failed(e.to_string()))?;
        // It warns on stderr that the bit rate cannot be kept exactly without dropping frames.
        let mut quiet = WELS_LOG_QUIET;
        // SAFETY: the option reads one `int` (codec_api.h) during the call only. It is the one
        // option that may be set before the first picture.
        unsafe { inner.raw_api().set_option(ENCODER_OPTION_TRACE_LEVEL, (&raw mut quiet).cast()) };
        let parameter_sets = ParameterSets::default();
        let mut encoder = Self { inner, settings, parameter_sets, sink };
        let threads = threads_for(width, height, fps, cores());
        if threads > 1 {
            encoder.divide_into_slices(threads)?;
        }
        Ok(encoder)
    }

    /// Has pictures divided into this many slices, each coded by a thread of its own.
    fn divide_into_slices(&mut self, count: u16) -> Result<(), EncoderError> {
        let EncoderSettings { width, height, .. } = self.settings;
        // The wrapper sets the library up with one slice, and not before the first frame: this one,
        // which nobody sees. After the change the library starts again, with a key frame.
        let (width, height) = (width as usize, height as usize);
        let (luma, chroma) = (vec![16; width * height], vec![128; width * height / 4]);
        self.inner
            .encode(&BlankFrame { size: (width, height), luma: &luma, chroma: &chroma })
            .map_err(|e| EncoderError::Failed(e.to_string()))?;
        let mut parameters = SEncParamExt::default();
        // SAFETY: the option writes one `SEncParamExt` (codec_api.h) during the call only.
        let code = unsafe {
            let option = ENCODER_OPTION_SVC_ENCODE_PARAM_EXT;
            self.inner.raw_api().get_option(option, (&raw mut parameters).cast())
        };
        if code != 0 {
            return Err(EncoderError::Failed(format!(
                "openh264 does not give its settings (code {code})"
            )));
        }
        parameters.iMultipleThreadIdc = count;
        let slices = &mut parameters.sSpatialLayers[0].sSliceArgument;
        slices.uiSliceMode = SM_FIXEDSLCNUM_SLICE;
        slices.uiSliceNum = count.into();
        self.set(ENCODER_OPTION_SVC_ENCODE_PARAM_EXT, &mut parameters, "slices")
    }

    /// Sets an option, which must be one that reads a `T` (codec_api.h).
    fn set<T>(
        &mut self,
        option: ENCODER_OPTION,
        value: &mut T,
        what: &str,
    ) -> Result<(), EncoderError> {
        // SAFETY: by the contract of this function; the library reads during the call only.
        let code = unsafe { self.inner.raw_api().set_option(option, (&raw mut *value).cast()) };
        match code {
            0 => Ok(()),
            _ => Err(EncoderError::Failed(format!("openh264 refused {what} (code {code})"))),
        }
    }
}

impl Encoder for OpenH264 {
    fn name(&self) -> &'static str {
        "openh264"
    }

    fn encode(&mut self, frame: &Frame, frame_type: FrameType) -> Result<(), EncoderError> {
        let EncoderSettings { width, height, .. } = self.settings;
        if frame.format() != PixelFormat::I420 || (frame.width(), frame.height()) != (width, height)
        {
            return Err(EncoderError::Unsupported(format!(
                "openh264 was set up for I420 at {width}×{height} and got {frame:?}"
            )));
        }
        if frame_type == FrameType::Key {
            self.inner.force_intra_frame();
        }
        let stamp = ::openh264::Timestamp::from_millis(frame.time().as_nanos() / 1_000_000);
        let coded = self
            .inner
            .encode_at(&FramePlanes(frame), stamp)
            .map_err(|e| EncoderError::Failed(e.to_string()))?;
        // The library may still decide to skip a frame; nothing is written then.
        let data = coded.to_vec();
        if data.is_empty() {
            return Ok(());
        }
        let unit = AccessUnit::from_annex_b(data.into(), frame.time(), &mut self.parameter_sets)
            .map_err(|e| EncoderError::Failed(e.to_string()))?;
        (self.sink)(unit);
        Ok(())
    }

    fn set_bitrate(&mut self, bitrate_bps: u32) -> Result<u32, EncoderError> {
        let target = i32::try_from(bitrate_bps).unwrap_or(i32::MAX);
        // The maximum must never be below the target while either is being changed.
        let order = if bitrate_bps > self.settings.bitrate_bps {
            [ENCODER_OPTION_MAX_BITRATE, ENCODER_OPTION_BITRATE]
        } else {
            [ENCODER_OPTION_BITRATE, ENCODER_OPTION_MAX_BITRATE]
        };
        for option in order {
            let mut info = SBitrateInfo { iLayer: SPATIAL_LAYER_ALL, iBitrate: target };
            self.set(option, &mut info, &format!("a rate of {bitrate_bps} bit/s"))?;
        }
        self.settings.bitrate_bps = bitrate_bps;
        Ok(bitrate_bps)
    }

    fn is_synchronous(&self) -> bool {
        true
    }

    fn set_fps(&mut self, fps: f64) -> Result<(), EncoderError> {
        let what = format!("{fps} frames a second");
        self.set(ENCODER_OPTION_FRAME_RATE, &mut (fps as f32), &what)?;
        // It counts frames, not seconds.
        let mut interval = frames_in(self.settings.keyframe_interval, fps) as i32;
        self.set(ENCODER_OPTION_IDR_INTERVAL, &mut interval, &what)?;
        self.settings.fps = fps;
        Ok(())
    }
}

/// Lets the library read the planes where they are: no copy on the way in.
struct FramePlanes<'a>(&'a Frame);

impl YUVSource for FramePlanes<'_> {
    fn dimensions(&self) -> (usize, usize) {
        (self.0.width() as usize, self.0.height() as usize)
    }
    fn strides(&self) -> (usize, usize, usize) {
        (self.0.stride(0), self.0.stride(1), self.0.stride(2))
    }
    fn y(&self) -> &[u8] {
        self.0.plane(0)
    }
    fn u(&self) -> &[u8] {
        self.0.plane(1)
    }
    fn v(&self) -> &[u8] {
        self.0.plane(2)
    }
}

/// A frame of one colour.
struct BlankFrame<'a> {
    size: (usize, usize),
    luma: &'a [u8],
    chroma: &'a [u8],
}

impl YUVSource for BlankFrame<'_> {
    fn dimensions(&self) -> (usize, usize) {
        self.size
    }
    fn strides(&self) -> (usize, usize, usize) {
        (self.size.0, self.size.0 / 2, self.size.0 / 2)
    }
    fn y(&self) -> &[u8] {
        self.luma
    }
    fn u(&self) -> &[u8] {
        self.chroma
    }
    fn v(&self) -> &[u8] {
        self.chroma
    }
}

/// What is signalled of the colours of pictures of this height.
fn vui_for(height: u32) -> lib::VuiConfig {
    match MatrixCoefficients::for_height(height) {
        MatrixCoefficients::Bt601 => lib::VuiConfig::bt601(),
        MatrixCoefficients::Bt709 => lib::VuiConfig::bt709(),
    }
}

fn frames_in(interval: Duration, fps: f64) -> u32 {
    (interval.as_secs_f64() * fps).round().clamp(1.0, 1e6) as u32
}

/// How many threads share the work of a picture: one for each 720p30 that it amounts to, as far as there
/// are cores. A slice boundary costs some picture quality and a thread some wake-ups, so that it is one
/// as long as that is enough; but 1080p30 is more than one core of a Pi 5 has time for.
#[must_use]
pub fn threads_for(width: u32, height: u32, fps: f64, cores: usize) -> u16 {
    let of_720p30 = f64::from(width) * f64::from(height) * fps / (1280.0 * 720.0 * 30.0);
    // A camera that says 30 may mean 30.02.
    let wanted = (of_720p30 - 0.05).ceil() as usize;
    wanted.clamp(1, cores.clamp(1, MAX_THREADS)) as u16
}

/// Slices get too thin for more, and the library has no more.
const MAX_THREADS: usize = 4;

/// How many threads this machine can run at once.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn library_level(level_idc: u8) -> lib::Level {
    use lib::Level as L;
    match level_idc {
        10 => L::Level_1_0,
        11 => L::Level_1_1,
        12 => L::Level_1_2,
        13 => L::Level_1_3,
        21 => L::Level_2_1,
        22 => L::Level_2_2,
        30 => L::Level_3_0,
        31 => L::Level_3_1,
        32 => L::Level_3_2,
        40 => L::Level_4_0,
        42 => L::Level_4_2,
        50 => L::Level_5_0,
        51 => L::Level_5_1,
        _ => L::Level_5_2,
    }
}

#[cfg(test)]
mod tests;

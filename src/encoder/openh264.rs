//! Software encoding with OpenH264, for machines without an H.264 encoder: the Pi 5 and any PC.
//!
//! The library's defaults are made for video calls of another kind and each of them hurts here:
//! 120 kbit/s; a rate control that drops pictures; scene-change detection that turns every burst
//! of noise into a key picture (one in 17 for a noisy night scene); 0 as the frame rate, which
//! makes the rate control believe in one picture a second. All are set below.
//!
//! How much of the machine it takes is chosen by what has to be coded ([`threads_for`]); when that
//! is still too much, the [`pipeline`](crate::pipeline) leaves pictures out and says so with
//! [`Encoder::set_fps`].

// The safe API cannot change a running encoder's rates, nor have pictures cut into slices.
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

use super::{Encoder, EncoderError, EncoderSettings, PictureKind, Sink};
use crate::media::h264::{ParameterSets, level_for};
use crate::media::{AccessUnit, Frame, PixelFormat};

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
            .vui(colours_for(height))
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
        // It warns on stderr that without dropping pictures the rate cannot be kept to the bit.
        let mut quiet = WELS_LOG_QUIET;
        // SAFETY: the option reads one `int` (codec_api.h) during the call only. It is the one
        // option that may be set before the first picture.
        unsafe { inner.raw_api().set_option(ENCODER_OPTION_TRACE_LEVEL, (&raw mut quiet).cast()) };
        let parameter_sets = ParameterSets::default();
        let mut encoder = Self { inner, settings, parameter_sets, sink };
        let threads = threads_for(width, height, fps, cores());
        if threads > 1 {
            encoder.cut_into_slices(threads)?;
        }
        Ok(encoder)
    }

    /// Has pictures cut into as many slices, each coded by a thread of its own.
    fn cut_into_slices(&mut self, count: u16) -> Result<(), EncoderError> {
        let EncoderSettings { width, height, .. } = self.settings;
        // The wrapper sets the library up with one slice, and not before the first picture: this
        // one, which nobody sees. After the change the library begins anew, with a key picture.
        let (width, height) = (width as usize, height as usize);
        let (luma, chroma) = (vec![16; width * height], vec![128; width * height / 4]);
        self.inner
            .encode(&Blank { size: (width, height), luma: &luma, chroma: &chroma })
            .map_err(|e| EncoderError::Failed(e.to_string()))?;
        let mut parameters = SEncParamExt::default();
        // SAFETY: the option writes one `SEncParamExt` (codec_api.h) during the call only.
        let code = unsafe {
            let option = ENCODER_OPTION_SVC_ENCODE_PARAM_EXT;
            self.inner.raw_api().get_option(option, (&raw mut parameters).cast())
        };
        if code != 0 {
            return Err(EncoderError::Failed(format!("openh264 hides its settings (code {code})")));
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

    fn encode(&mut self, frame: &Frame, kind: PictureKind) -> Result<(), EncoderError> {
        let EncoderSettings { width, height, .. } = self.settings;
        if frame.format() != PixelFormat::I420 || (frame.width(), frame.height()) != (width, height)
        {
            return Err(EncoderError::Unsupported(format!(
                "openh264 was set up for I420 at {width}×{height} and got {frame:?}"
            )));
        }
        if kind == PictureKind::Key {
            self.inner.force_intra_frame();
        }
        let stamp = ::openh264::Timestamp::from_millis(frame.time().as_nanos() / 1_000_000);
        let coded = self
            .inner
            .encode_at(&Source(frame), stamp)
            .map_err(|e| EncoderError::Failed(e.to_string()))?;
        // Left to itself the library may still decide to skip a picture; nothing is written then.
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

    fn codes_at_once(&self) -> bool {
        true
    }

    fn set_fps(&mut self, fps: f64) -> Result<(), EncoderError> {
        let what = format!("{fps} pictures a second");
        self.set(ENCODER_OPTION_FRAME_RATE, &mut (fps as f32), &what)?;
        // It counts pictures, not seconds.
        let mut interval = frames_in(self.settings.keyframe_interval, fps) as i32;
        self.set(ENCODER_OPTION_IDR_INTERVAL, &mut interval, &what)?;
        self.settings.fps = fps;
        Ok(())
    }
}

/// Lets the library read the planes where they are: no copy on the way in.
struct Source<'a>(&'a Frame);

impl YUVSource for Source<'_> {
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

/// A picture of one colour.
struct Blank<'a> {
    size: (usize, usize),
    luma: &'a [u8],
    chroma: &'a [u8],
}

impl YUVSource for Blank<'_> {
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

/// The colours pictures of this height are in: what [`transform`](crate::transform) converts to.
fn colours_for(height: u32) -> lib::VuiConfig {
    if height < 720 { lib::VuiConfig::bt601() } else { lib::VuiConfig::bt709() }
}

fn frames_in(interval: Duration, fps: f64) -> u32 {
    (interval.as_secs_f64() * fps).round().clamp(1.0, 1e6) as u32
}

/// How many threads share the work of a picture: one for each 720p30 there is in it, as far as
/// there are cores. A slice boundary costs some picture quality and a thread some wake-ups, so that
/// it is one as long as one will do; but 1080p30 is more than one core of a Pi 5 has time for.
#[must_use]
pub fn threads_for(width: u32, height: u32, fps: f64, cores: usize) -> u16 {
    let of_720p30 = f64::from(width) * f64::from(height) * fps / (1280.0 * 720.0 * 30.0);
    // A camera that says 30 may mean 30.02.
    let wanted = (of_720p30 - 0.05).ceil() as usize;
    wanted.clamp(1, cores.clamp(1, MOST_THREADS)) as u16
}

/// Slices get too thin for more, and the library has no more.
const MOST_THREADS: usize = 4;

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
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, channel};

    use super::*;
    use crate::media::MediaTime;
    use crate::media::h264::{NalType, SpsInfo};

    const SETTINGS: EncoderSettings = EncoderSettings {
        width: 320,
        height: 240,
        fps: 30.0,
        bitrate_bps: 600_000,
        keyframe_interval: Duration::from_secs(10),
    };

    fn encoder(settings: EncoderSettings) -> (OpenH264, Receiver<AccessUnit>) {
        let (sink, units) = channel();
        let sink = Box::new(move |unit| sink.send(unit).expect("the test listens"));
        (OpenH264::new(settings, sink).expect("an encoder"), units)
    }

    /// Picture `n` of a night scene: all of it is noise.
    fn noise(n: u64) -> Frame {
        grain(n, 255)
    }

    /// Picture `n` of noise around a middle grey, from 0 to `amplitude` strong.
    fn grain(n: u64, amplitude: u8) -> Frame {
        let mut seed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut random = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let strength = u64::from(amplitude);
            (128 - strength / 2 + seed % strength) as u8
        };
        let size = (SETTINGS.width, SETTINGS.height);
        let bytes: Vec<u8> =
            (0..Frame::packed_len(PixelFormat::I420, size)).map(|_| random()).collect();
        let time = MediaTime::from_nanos(n * 33_333_333);
        Frame::packed(PixelFormat::I420, size, Arc::new(bytes), time, n).expect("a frame")
    }

    #[test]
    fn a_noisy_scene_makes_no_key_pictures_and_drops_none() {
        let (mut encoder, units) = encoder(SETTINGS);
        for n in 0..60 {
            encoder.encode(&noise(n), PictureKind::Any).unwrap();
        }
        let keys: Vec<bool> = units.try_iter().map(|u| u.is_key()).collect();
        assert_eq!(keys.len(), 60);
        assert_eq!(keys.iter().filter(|k| **k).count(), 1, "{keys:?}");
    }

    #[test]
    fn a_key_picture_comes_when_asked_for_and_when_its_time_has_come() {
        let settings = EncoderSettings { keyframe_interval: Duration::from_secs(1), ..SETTINGS };
        let (mut encoder, units) = encoder(settings);
        for n in 0..45 {
            let kind = if n == 10 { PictureKind::Key } else { PictureKind::Any };
            encoder.encode(&noise(n), kind).unwrap();
        }
        let keys: Vec<usize> =
            units.try_iter().enumerate().filter(|(_, u)| u.is_key()).map(|(i, _)| i).collect();
        assert_eq!(keys[..2], [0, 10]);
        assert!(keys[2] == 30 || keys[2] == 40, "{keys:?}");
    }

    #[test]
    fn the_stream_is_constrained_baseline_at_the_level_its_size_needs() {
        let (mut encoder, units) = encoder(SETTINGS);
        encoder.encode(&noise(0), PictureKind::Any).unwrap();
        let unit = units.recv().unwrap();
        let sps = unit.nals().find(|n| NalType::of(n) == NalType::Sps).unwrap();
        let info = SpsInfo::parse(sps).unwrap();
        assert_eq!((info.width, info.height), (320, 240));
        assert_eq!(info.profile_level.profile_name(), "constrained baseline");
        assert_eq!(info.profile_level.level_idc, 13);
        assert!(!info.may_reorder);
    }

    #[test]
    fn the_rate_follows_at_once_without_a_key_picture() {
        let (mut encoder, units) = encoder(SETTINGS);
        let mut rate = |from: u64| -> (usize, usize) {
            for n in from..from + 45 {
                encoder.encode(&grain(n, 24), PictureKind::Any).unwrap();
            }
            let units: Vec<AccessUnit> = units.try_iter().collect();
            let keys = units.iter().skip(1).filter(|u| u.is_key()).count();
            let settled = &units[15..];
            let bits = settled.iter().map(|u| u.bytes().len() * 8).sum::<usize>();
            if from == 0 {
                assert_eq!(encoder.set_bitrate(150_000).unwrap(), 150_000);
            }
            (bits, keys)
        };
        let (before, _) = rate(0);
        let (after, keys) = rate(45);
        assert!(after * 3 < before * 2, "{before} bits before, {after} after");
        assert_eq!(keys, 0);
    }

    #[test]
    fn as_many_threads_work_as_the_picture_needs_and_the_machine_has() {
        for ((width, height, fps), threads) in [
            ((640, 480, 30.0), 1),
            ((1280, 720, 30.0), 1),
            ((1280, 720, 30.02), 1),
            ((1280, 720, 60.0), 2),
            ((1920, 1080, 30.0), 3),
            ((3840, 2160, 60.0), 4),
            ((0, 0, 0.0), 1),
        ] {
            assert_eq!(threads_for(width, height, fps, 8), threads, "{width}×{height} at {fps}");
            assert_eq!(threads_for(width, height, fps, 1), 1);
        }
        assert_eq!(threads_for(1920, 1080, 30.0, 2), 2);
        assert_eq!(threads_for(1920, 1080, f64::NAN, 4), 1);
    }

    #[test]
    fn a_picture_shared_by_threads_is_one_picture_in_slices() {
        let (mut encoder, units) = encoder(SETTINGS);
        encoder.cut_into_slices(3).unwrap();
        assert!(units.try_recv().is_err(), "nobody sees how it is set up");
        let mut decoder = crate::decoder::Decoder::new().unwrap();
        for n in 0..30 {
            let kind = if n == 20 { PictureKind::Key } else { PictureKind::Any };
            encoder.encode(&grain(n, 60), kind).unwrap();
            let unit = units.try_recv().unwrap();
            assert_eq!(unit.is_key(), n == 0 || n == 20);
            assert_eq!(unit.nals().filter(|nal| NalType::of(nal).is_slice()).count(), 3);
            let frame = decoder.decode(&unit).unwrap().expect("a picture at once");
            assert_eq!(frame.time(), unit.time());
        }
        assert_eq!(encoder.set_bitrate(200_000).unwrap(), 200_000);
    }

    #[test]
    fn fewer_pictures_share_the_same_rate() {
        let (mut encoder, units) = encoder(SETTINGS);
        let mut bytes = |from: u64| -> usize {
            for n in from..from + 60 {
                encoder.encode(&grain(n, 24), PictureKind::Any).unwrap();
            }
            if from == 0 {
                encoder.set_fps(10.0).unwrap();
            }
            units.try_iter().skip(20).map(|unit| unit.bytes().len()).sum()
        };
        let (before, after) = (bytes(0), bytes(60));
        assert!(after > 2 * before, "{before} bytes at 30 a second, {after} at 10");
    }

    #[test]
    fn sizes_beyond_the_library_are_refused_with_what_is_possible() {
        for (width, height) in [(321, 240), (320, 14), (4096, 2160), (2160, 3842)] {
            let settings = EncoderSettings { width, height, ..SETTINGS };
            let error = OpenH264::new(settings, Box::new(|_| {})).err().expect("refused");
            assert!(error.to_string().contains("3840×2160"), "{error}");
        }
    }

    #[test]
    fn a_frame_of_another_size_is_an_error_not_a_crash() {
        let settings = EncoderSettings { width: 640, ..SETTINGS };
        let (mut encoder, _units) = encoder(settings);
        assert!(encoder.encode(&noise(0), PictureKind::Any).is_err());
    }
}

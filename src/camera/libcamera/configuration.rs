//! Choosing how the camera is to run.
//!
//! libcamera is asked by proposing a configuration, which it turns into the nearest one it can
//! do. Pipelines differ in what they hold to be near, so several are proposed.

use libcamera::camera::{Camera, CameraConfiguration, Orientation};
use libcamera::color_space::ColorSpace;
use libcamera::formats;
use libcamera::geometry::Size;
use libcamera::pixel_format::PixelFormat as DrmFormat;
use libcamera::stream::{StreamConfigurationRef, StreamRole};

use super::manager;
use super::settings::{CaptureSettings, Flip};
use crate::camera::{CameraError, Constraints, Mode, nearest_mode};
use crate::media::PixelFormat;
use crate::media::layout::Shape;
use crate::transform::MatrixCoefficients;

/// The size where the owner does not say.
const DEFAULT_SIZE: (u32, u32) = (1280, 720);

/// CaptureStream a second where the owner does not say.
pub(super) const DEFAULT_FPS: f64 = 30.0;

/// Buffers to ask for. Two are in the camera, one is in the mailbox, one with the encoder; the
/// others let it be late. A camera may give fewer.
const BUFFERS: u32 = 6;

/// Layouts, best first: the Pi's encoder imports NV12 as it is.
const FORMATS: [(DrmFormat, PixelFormat); 3] = [
    (formats::NV12, PixelFormat::Nv12),
    (formats::YUV420, PixelFormat::I420),
    (formats::YUYV, PixelFormat::Yuyv),
];

/// The configuration nearest to what is wanted.
pub(super) fn choose(
    camera: &Camera<'_>,
    settings: &CaptureSettings,
) -> Result<CameraConfiguration, CameraError> {
    let mut configuration = generate(camera)?;
    let format = {
        let stream = configuration.get(0).ok_or_else(|| nothing_usable(camera, ""))?;
        let offered = stream.formats();
        let offers = |format| offered.pixel_formats().into_iter().any(|o| o == format);
        let known = FORMATS.into_iter().map(|(drm, _)| drm);
        let format = known.into_iter().find(|drm| offers(*drm));
        format.ok_or_else(|| {
            let names: Vec<_> =
                offered.pixel_formats().into_iter().map(|f| f.to_string()).collect();
            nothing_usable(camera, &names.join(", "))
        })?
    };
    let sizes = configuration.get(0).map(|stream| stream.formats().sizes(format));
    let sizes = sizes.unwrap_or_default().into_iter().map(|size| (size.width, size.height));
    let mut candidates = candidates(&settings.constraints, sizes).into_iter();
    let wanted = candidates.next().unwrap_or(DEFAULT_SIZE);
    let given = propose(&mut configuration, format, wanted, settings);
    if given == Some(wanted) {
        return Ok(configuration);
    }
    let exact =
        candidates.find(|size| propose(&mut configuration, format, *size, settings) == Some(*size));
    let best = nearest_size([given, exact].into_iter().flatten(), &settings.constraints)
        .ok_or_else(|| nothing_usable(camera, &format.to_string()))?;
    match propose(&mut configuration, format, best, settings) {
        Some(_) => Ok(configuration),
        None => Err(nothing_usable(camera, &format.to_string())),
    }
}

/// Whether the camera can do `flip` itself.
pub(super) fn can_flip(camera: &Camera<'_>, flip: Flip) -> bool {
    let Ok(mut configuration) = generate(camera) else {
        return false;
    };
    configuration.set_orientation(orientation(flip));
    !configuration.validate().is_invalid() && configuration.orientation() == orientation(flip)
}

/// The orientation of libcamera's that means `flip`.
pub(super) fn orientation(flip: Flip) -> Orientation {
    match flip {
        Flip::None => Orientation::Rotate0,
        Flip::Horizontal => Orientation::Rotate0Mirror,
        Flip::Vertical => Orientation::Rotate180Mirror,
        Flip::Both => Orientation::Rotate180,
    }
}

/// The shape of the frames that a stream will have.
pub(super) fn shape(stream: &StreamConfigurationRef<'_>) -> Result<Shape, CameraError> {
    let format = stream.get_pixel_format();
    let known = FORMATS.iter().find(|(drm, _)| *drm == format);
    let Some((_, ours)) = known else {
        return Err(CameraError::Unsupported(format!(
            "the camera insists on pixel format {format}, which Picket cannot use"
        )));
    };
    let Size { width, height } = stream.get_size();
    Ok(Shape { format: *ours, width, height, stride: stream.get_stride() })
}

fn generate(camera: &Camera<'_>) -> Result<CameraConfiguration, CameraError> {
    let configuration = camera.generate_configuration(&[StreamRole::VideoRecording]);
    configuration.ok_or_else(|| nothing_usable(camera, ""))
}

fn nothing_usable(camera: &Camera<'_>, offered: &str) -> CameraError {
    let model = manager::model(camera);
    CameraError::Unsupported(match offered {
        "" => format!("the camera {model} offers no video"),
        _ => format!(
            "the camera {model} offers {offered}, but not as video in NV12, YUV420 or YUYV; a USB \
             camera may do better as v4l2:/dev/video0"
        ),
    })
}

/// Proposes pictures of `size`; returns the size that the camera makes of it.
fn propose(
    configuration: &mut CameraConfiguration,
    format: DrmFormat,
    (width, height): (u32, u32),
    settings: &CaptureSettings,
) -> Option<(u32, u32)> {
    configuration.set_orientation(orientation(settings.flip));
    {
        let mut stream = configuration.get_mut(0)?;
        stream.set_pixel_format(format);
        stream.set_size(Size::new(width, height));
        stream.set_color_space(Some(color_space_for(height)));
        stream.set_buffer_count(BUFFERS);
    }
    if configuration.validate().is_invalid() {
        return None;
    }
    let Size { width, height } = configuration.get(0)?.get_size();
    Some((width, height))
}

/// The colours that the encoder signals for pictures of this height.
fn color_space_for(height: u32) -> ColorSpace {
    match MatrixCoefficients::for_height(height) {
        MatrixCoefficients::Bt601 => ColorSpace::smpte170m(),
        MatrixCoefficients::Bt709 => ColorSpace::rec709(),
    }
}

/// Sizes to propose: the one that is wanted, then those the camera lists, nearest first.
fn candidates(
    wanted: &Constraints,
    listed: impl IntoIterator<Item = (u32, u32)>,
) -> Vec<(u32, u32)> {
    let even = |side: u64| u32::try_from((side & !1).clamp(2, 16_384)).unwrap_or(2);
    // The other side as in 16:9, the format of nearly every screen.
    let first = match (wanted.width.map(u64::from), wanted.height.map(u64::from)) {
        (None, None) => DEFAULT_SIZE,
        (Some(width), None) => (even(width), even(width * 9 / 16)),
        (None, Some(height)) => (even(height * 16 / 9), even(height)),
        (Some(width), Some(height)) => (even(width), even(height)),
    };
    let wanted =
        Constraints { width: Some(first.0), height: Some(first.1), ..Constraints::default() };
    let mut rest: Vec<_> = listed.into_iter().filter(|size| *size != first).collect();
    let mut sorted = vec![first];
    while let Some(next) = nearest_size(rest.iter().copied(), &wanted) {
        rest.retain(|size| *size != next);
        sorted.push(next);
    }
    sorted
}

fn nearest_size(
    sizes: impl Iterator<Item = (u32, u32)>,
    wanted: &Constraints,
) -> Option<(u32, u32)> {
    let modes: Vec<_> =
        sizes.map(|(width, height)| Mode { width, height, fps: DEFAULT_FPS }).collect();
    nearest_mode(&modes, &Constraints { fps: None, ..*wanted })
        .map(|mode| (mode.width, mode.height))
}

/// The frame duration in microseconds, at the wanted rate as far as the camera's limits (shortest,
/// longest) allow; and the frame rate that this makes.
pub(super) fn frame_duration(
    wanted: Option<f64>,
    limits: Option<(i64, i64)>,
) -> (Option<i64>, f64) {
    let wanted = wanted.filter(|fps| fps.is_finite() && *fps > 0.0).unwrap_or(DEFAULT_FPS);
    let Some((shortest, longest)) = limits.filter(|(min, max)| *min > 0 && min <= max) else {
        return (None, wanted);
    };
    let duration = ((1e6 / wanted).round() as i64).clamp(shortest, longest);
    let fps = 1e6 / duration as f64;
    // 33 333 µs are meant to be 30 frames a second, not 30.0003.
    let whole = fps.round();
    let fps = if whole >= 1.0 && (fps - whole).abs() < 0.01 { whole } else { fps };
    (Some(duration), fps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wanted_size_is_proposed_first_and_then_what_is_nearest_to_it() {
        let wanted = Constraints { width: Some(1281), height: Some(721), ..Constraints::default() };
        let listed = [(320, 240), (1280, 720), (1920, 1080), (1296, 730)];
        assert_eq!(
            candidates(&wanted, listed),
            [(1280, 720), (1296, 730), (1920, 1080), (320, 240)]
        );
        assert_eq!(candidates(&Constraints::default(), []), [DEFAULT_SIZE]);
        let width = Constraints { width: Some(854), ..Constraints::default() };
        assert_eq!(candidates(&width, []), [(854, 480)]);
        let height = Constraints { height: Some(480), ..Constraints::default() };
        assert_eq!(candidates(&height, []), [(852, 480)]);
    }

    #[test]
    fn the_rate_stays_within_what_the_camera_can() {
        let limits = Some((16_666, 200_000));
        assert_eq!(frame_duration(Some(25.0), limits), (Some(40_000), 25.0));
        assert_eq!(frame_duration(None, limits), (Some(33_333), 30.0));
        assert_eq!(frame_duration(Some(90.0), limits), (Some(16_666), 60.0));
        assert_eq!(frame_duration(Some(1.0), limits), (Some(200_000), 5.0));
        assert_eq!(frame_duration(Some(25.0), None), (None, 25.0));
    }

    #[test]
    fn absurd_limits_and_sizes_do_no_harm() {
        let mut rng = fastrand::Rng::with_seed(3);
        for _ in 0..5000 {
            let limits = Some((rng.i64(-9..), rng.i64(..)));
            let (duration, fps) = frame_duration(Some(rng.f64() * 1e9 - 5e8), limits);
            assert!(fps > 0.0 && fps.is_finite(), "{limits:?}");
            assert!(duration.is_none_or(|d| d > 0));
            let wanted = Constraints {
                width: rng.bool().then(|| rng.u32(..)),
                height: rng.bool().then(|| rng.u32(..)),
                fps: None,
            };
            let listed: Vec<_> = (0..rng.u8(..6)).map(|_| (rng.u32(..), rng.u32(..))).collect();
            let (w, h) = candidates(&wanted, listed)[0];
            assert!(w >= 2 && h >= 2 && w % 2 == 0 && h % 2 == 0);
        }
    }
}

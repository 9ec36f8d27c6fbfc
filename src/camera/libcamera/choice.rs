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

use super::{Flip, manager};
use crate::camera::{CameraError, Constraints, Mode, nearest};
use crate::media::PixelFormat;
use crate::media::layout::Shape;

/// What an owner without wishes gets: the size the rest of the house reckons with.
const DEFAULT_SIZE: (u32, u32) = (1280, 720);

/// Pictures a second where the owner does not say.
pub(super) const DEFAULT_FPS: f64 = 30.0;

/// Buffers to ask for. Two are in the camera, one is in the mailbox, one with the encoder; the
/// others let it be late. A camera may give fewer.
const BUFFERS: u32 = 6;

/// Layouts, best first: the Pi's encoder imports NV12 as it is.
const MAIN_FORMATS: [(DrmFormat, PixelFormat); 3] = [
    (formats::NV12, PixelFormat::Nv12),
    (formats::YUV420, PixelFormat::I420),
    (formats::YUYV, PixelFormat::Yuyv),
];

/// The same for the companion: the Pi's noise reduction works only if its second stream is I420.
const COMPANION_FORMATS: [(DrmFormat, PixelFormat); 2] =
    [(formats::YUV420, PixelFormat::I420), (formats::NV12, PixelFormat::Nv12)];

/// What is wanted of a camera.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wishes {
    pub(super) constraints: Constraints,
    pub(super) companion: Option<(u32, u32)>,
    pub(super) flip: Flip,
}

/// The configuration nearest to the wishes.
pub(super) fn choose(
    camera: &Camera<'_>,
    wishes: &Wishes,
) -> Result<CameraConfiguration, CameraError> {
    let mut configuration = generate(camera, wishes.companion.is_some())?;
    let format = {
        let stream = configuration.get(0).ok_or_else(|| nothing_usable(camera, ""))?;
        let offered = stream.formats();
        let offers = |format| offered.pixel_formats().into_iter().any(|o| o == format);
        let known = MAIN_FORMATS.into_iter().map(|(drm, _)| drm);
        let format = known.into_iter().find(|drm| offers(*drm));
        format.ok_or_else(|| {
            let names: Vec<_> =
                offered.pixel_formats().into_iter().map(|f| f.to_string()).collect();
            nothing_usable(camera, &names.join(", "))
        })?
    };
    let sizes = configuration.get(0).map(|stream| stream.formats().sizes(format));
    let sizes = sizes.unwrap_or_default().into_iter().map(|size| (size.width, size.height));
    let mut candidates = candidates(&wishes.constraints, sizes).into_iter();
    let wish = candidates.next().unwrap_or(DEFAULT_SIZE);
    let given = propose(&mut configuration, format, wish, wishes);
    if given == Some(wish) {
        return Ok(configuration);
    }
    let exact =
        candidates.find(|size| propose(&mut configuration, format, *size, wishes) == Some(*size));
    let best = nearest_size([given, exact].into_iter().flatten(), &wishes.constraints)
        .ok_or_else(|| nothing_usable(camera, &format.to_string()))?;
    match propose(&mut configuration, format, best, wishes) {
        Some(_) => Ok(configuration),
        None => Err(nothing_usable(camera, &format.to_string())),
    }
}

/// Whether the camera can do `flip` itself.
pub(super) fn can_flip(camera: &Camera<'_>, flip: Flip) -> bool {
    let Some(mut configuration) = camera.generate_configuration(&[StreamRole::VideoRecording])
    else {
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

/// The pictures a stream will have.
pub(super) fn shape(stream: &StreamConfigurationRef<'_>) -> Result<Shape, CameraError> {
    let format = stream.get_pixel_format();
    let known = MAIN_FORMATS.iter().find(|(drm, _)| *drm == format);
    let Some((_, ours)) = known else {
        return Err(CameraError::Unsupported(format!(
            "the camera insists on pixel format {format}, which Picket cannot use"
        )));
    };
    let Size { width, height } = stream.get_size();
    Ok(Shape { format: *ours, width, height, stride: stream.get_stride() })
}

fn generate(camera: &Camera<'_>, two: bool) -> Result<CameraConfiguration, CameraError> {
    let roles = [StreamRole::VideoRecording, StreamRole::ViewFinder];
    let both = two.then(|| camera.generate_configuration(&roles)).flatten();
    both.filter(|configuration| configuration.len() == 2)
        .or_else(|| camera.generate_configuration(&roles[..1]))
        .ok_or_else(|| nothing_usable(camera, ""))
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
    wishes: &Wishes,
) -> Option<(u32, u32)> {
    configuration.set_orientation(orientation(wishes.flip));
    let colours = colours_for(height);
    {
        let mut main = configuration.get_mut(0)?;
        main.set_pixel_format(format);
        main.set_size(Size::new(width, height));
        main.set_color_space(Some(colours));
        main.set_buffer_count(BUFFERS);
    }
    if let (Some(mut second), Some((w, h))) = (configuration.get_mut(1), wishes.companion) {
        let offered = second.formats();
        let offers = |format| offered.pixel_formats().into_iter().any(|o| o == format);
        let format = COMPANION_FORMATS.into_iter().find(|(drm, _)| offers(*drm));
        if let Some((format, _)) = format {
            second.set_pixel_format(format);
        }
        second.set_size(Size::new(w.min(width) & !1, h.min(height) & !1));
        // The Pi's pipeline wants it to be the same in all streams.
        second.set_color_space(Some(colours));
        second.set_buffer_count(BUFFERS);
    }
    if configuration.validate().is_invalid() {
        return None;
    }
    let Size { width, height } = configuration.get(0)?.get_size();
    Some((width, height))
}

/// The colours the encoder signals for a picture that high
/// ([`Matrix::of_lines`](crate::transform::Matrix::of_lines)).
fn colours_for(height: u32) -> ColorSpace {
    if height < 720 { ColorSpace::smpte170m() } else { ColorSpace::rec709() }
}

/// Sizes to propose: what is wished for, then those the camera lists, nearest first.
fn candidates(
    wanted: &Constraints,
    listed: impl IntoIterator<Item = (u32, u32)>,
) -> Vec<(u32, u32)> {
    let even = |side: u64| u32::try_from((side & !1).clamp(2, 16_384)).unwrap_or(2);
    // The other side as in 16:9, the format of nearly every screen.
    let wish = match (wanted.width.map(u64::from), wanted.height.map(u64::from)) {
        (None, None) => DEFAULT_SIZE,
        (Some(width), None) => (even(width), even(width * 9 / 16)),
        (None, Some(height)) => (even(height * 16 / 9), even(height)),
        (Some(width), Some(height)) => (even(width), even(height)),
    };
    let wanted =
        Constraints { width: Some(wish.0), height: Some(wish.1), ..Constraints::default() };
    let mut rest: Vec<_> = listed.into_iter().filter(|size| *size != wish).collect();
    let mut sorted = vec![wish];
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
    nearest(&modes, &Constraints { fps: None, ..*wanted }).map(|mode| (mode.width, mode.height))
}

/// How long a picture lasts, in microseconds, at the wanted rate as far as the camera's limits go
/// (shortest, longest); and how many that makes a second.
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
    // 33 333 µs are meant to be 30 pictures a second, not 30.0003.
    let whole = fps.round();
    let fps = if whole >= 1.0 && (fps - whole).abs() < 0.01 { whole } else { fps };
    (Some(duration), fps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wish_is_proposed_first_and_then_what_is_nearest_to_it() {
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

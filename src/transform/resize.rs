//! Making pictures smaller (or larger), plane by plane.

use fast_image_resize as fir;
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8;

use super::TransformError;
use super::convert::{MatrixCoefficients, convert};
use super::i420::{CopyMeter, I420Buffer, I420Frame, PlaneView, copy_rows};
use crate::media::{Frame, FramePool};

/// The largest frame that is handed on: its longer and its shorter side, in pixels. No encoder takes
/// a larger one.
pub const MAX_FRAME_SIZE: (u32, u32) = (3840, 2160);

/// The shortest side that encoders take, in pixels.
const MIN_SIDE: u32 = 16;

/// `size` with both sides shrunk by `percent` (at most 90), made even, and within what encoders
/// take. Sides do not fall below 16 pixels, and never grow.
pub(super) fn reduced((width, height): (u32, u32), percent: u8) -> (u32, u32) {
    let keep = 100 - u32::from(percent.min(90));
    let side = |side: u32| ((side * keep / 100) & !1).max(MIN_SIDE.min(side & !1));
    let size @ (w, h) = (side(width), side(height));
    let (long, short) = MAX_FRAME_SIZE;
    let bounds = if w >= h { (long, short) } else { (short, long) };
    if w <= bounds.0 && h <= bounds.1 {
        return size;
    }
    let (fit_w, fit_h) = fit_within(size, bounds);
    (fit_w.max(MIN_SIDE.min(w)), fit_h.max(MIN_SIDE.min(h)))
}

/// The largest even size of the same shape as `size` that fits into `bounds`. Pictures are not
/// enlarged, and never stretched by more than rounding to even takes.
pub(crate) fn fit_within((width, height): (u32, u32), bounds: (u32, u32)) -> (u32, u32) {
    let (w, h) = (u64::from(width.max(1)), u64::from(height.max(1)));
    let (most_w, most_h) = (u64::from(bounds.0).min(w), u64::from(bounds.1).min(h));
    let (w, h) =
        if most_w * h <= most_h * w { (most_w, h * most_w / w) } else { (w * most_h / h, most_h) };
    // Both came down from a `u32`.
    let even = |side: u64| (side as u32 & !1).max(2);
    (even(w), even(h))
}

/// Scales pictures, keeping what it needs between two of them.
#[derive(Default)]
pub(super) struct Resizer {
    inner: fir::Resizer,
    gapless: Vec<u8>,
    pool: FramePool,
    copies: CopyMeter,
}

/// Scales whole frames, for a further encode of them.
#[derive(Default)]
pub(crate) struct FrameResizer {
    resizer: Resizer,
    converted: FramePool,
    copies: CopyMeter,
}

impl FrameResizer {
    /// The frame as I420 of `size`, which is even.
    ///
    /// # Errors
    /// When `size` is odd or impossible, or the frame's format is.
    pub(crate) fn resize(
        &mut self,
        frame: Frame,
        size: (u32, u32),
    ) -> Result<Frame, TransformError> {
        let (time, sequence) = (frame.time(), frame.sequence());
        let matrix = MatrixCoefficients::for_height(size.1);
        let picture = convert(frame, matrix, &self.converted, &self.copies)?;
        Ok(self.resizer.apply(picture, size)?.into_frame(time, sequence)?)
    }
}

impl Resizer {
    pub(super) fn counting(copies: CopyMeter) -> Self {
        Self { copies, ..Self::default() }
    }

    /// Scales a picture; one that has the size already keeps its memory.
    ///
    /// # Errors
    /// When `size` is odd or impossible.
    pub(super) fn apply(
        &mut self,
        picture: I420Frame,
        size: (u32, u32),
    ) -> Result<I420Frame, TransformError> {
        let was = picture.size();
        if was == size {
            return Ok(picture);
        }
        // Both weigh every source pixel that falls into the new one, so fine detail does not
        // flicker; Hamming stays sharper at the same price but steps visibly when enlarging.
        let filter = if size.0 <= was.0 && size.1 <= was.1 {
            fir::FilterType::Hamming
        } else {
            fir::FilterType::Bilinear
        };
        let mut buffer = I420Buffer::new(&self.pool, size)?;
        let (width, height) = (size.0, size.1);
        for (i, (from, to)) in picture.planes().iter().zip(buffer.planes_mut()).enumerate() {
            let shift = u32::from(i > 0);
            self.copies.add(to.len());
            self.plane(from, to, (width >> shift, height >> shift), filter).map_err(|e| {
                TransformError::Other(format!("the picture cannot be resized: {e}"))
            })?;
        }
        Ok(I420Frame::Owned(buffer))
    }

    fn plane(
        &mut self,
        from: &PlaneView<'_>,
        to: &mut [u8],
        (width, height): (u32, u32),
        filter: fir::FilterType,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let bytes = if let Some(bytes) = from.gapless() {
            bytes
        } else {
            self.gapless.resize(from.width() * from.height(), 0);
            copy_rows(from, &mut self.gapless);
            self.copies.add(self.gapless.len());
            &self.gapless
        };
        let (from_width, from_height) =
            (u32::try_from(from.width())?, u32::try_from(from.height())?);
        // Typed: what takes any image compiles the code for fourteen kinds of pixel.
        let from = TypedImageRef::<U8>::from_buffer(from_width, from_height, bytes)?;
        let mut to = TypedImage::<U8>::from_buffer(width, height, to)?;
        let options = fir::ResizeOptions::new().resize_alg(fir::ResizeAlg::Convolution(filter));
        self.inner.resize_typed(&from, &mut to, &options)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{frame_of, planes};
    use super::*;
    use crate::media::{Frame, PixelFormat};

    fn resize(
        resizer: &mut Resizer,
        frame: Frame,
        size: (u32, u32),
    ) -> Result<Frame, TransformError> {
        let (time, sequence) = (frame.time(), frame.sequence());
        Ok(resizer.apply(I420Frame::Borrowed(frame), size)?.into_frame(time, sequence)?)
    }

    #[test]
    fn both_sides_shrink_by_the_percentage() {
        let of = |size| move |percent| reduced(size, percent);
        assert_eq!(of((1280, 720))(0), (1280, 720));
        assert_eq!(of((1280, 720))(20), (1024, 576));
        assert_eq!(of((1280, 720))(50), (640, 360));
        assert_eq!(of((1280, 720))(90), (128, 72));
        assert_eq!(of((1280, 720))(200), (128, 72));
        assert_eq!(of((1920, 1080))(33), (1286, 722));
    }

    #[test]
    fn reduced_sides_are_even_at_least_sixteen_and_never_larger() {
        let mut random = fastrand::Rng::with_seed(9);
        for _ in 0..2000 {
            let (width, height) = (random.u32(1..2000) * 2, random.u32(1..2000) * 2);
            let percent = random.u8(0..=90);
            let (w, h) = reduced((width, height), percent);
            assert!(w % 2 == 0 && h % 2 == 0);
            assert!(w <= width && h <= height);
            assert!(w >= width.min(16) && h >= height.min(16));
        }
    }

    #[test]
    fn a_picture_that_has_to_fit_keeps_its_shape_and_is_not_enlarged() {
        assert_eq!(fit_within((1920, 1080), (1280, 1280)), (1280, 720));
        assert_eq!(fit_within((1080, 1920), (1280, 1280)), (720, 1280));
        assert_eq!(fit_within((640, 480), (1920, 1080)), (640, 480));
        assert_eq!(fit_within((641, 481), (1920, 1080)), (640, 480));
        assert_eq!(fit_within((1000, 10), (100, 100)), (100, 2));
        assert_eq!(fit_within((u32::MAX, 1), (640, 0)), (2, 2));
    }

    #[test]
    fn a_plain_colour_stays_what_it_is_whatever_the_stride() {
        let mut random = fastrand::Rng::with_seed(4);
        let mut resizer = Resizer::default();
        for _ in 0..60 {
            let from = (random.u32(1..60) * 2, random.u32(1..60) * 2);
            let to = (random.u32(1..60) * 2, random.u32(1..60) * 2);
            let frame = frame_of(PixelFormat::I420, from, (random.usize(0..9), 5), |p, _, _| {
                [90, 30, 200][p]
            });
            let got = resize(&mut resizer, frame, to).unwrap();
            assert_eq!((got.width(), got.height()), to);
            assert_eq!((got.time().as_nanos(), got.sequence()), (42, 7));
            for (plane, wanted) in planes(&got).iter().zip([90, 30, 200]) {
                assert!(plane.iter().flatten().all(|p| *p == wanted), "{from:?} {to:?}");
            }
        }
    }

    #[test]
    fn fine_detail_is_averaged_not_skipped() {
        // A chequerboard as fine as can be has only one honest colour at half size: gray.
        let chequered = |_, x, y| if (x + y) % 2 == 0 { 0 } else { 255 };
        let frame = frame_of(PixelFormat::I420, (128, 128), (0, 0), chequered);
        let [y, ..] = planes(&resize(&mut Resizer::default(), frame, (64, 64)).unwrap());
        for pixel in y[2..62].iter().flat_map(|row| &row[2..62]) {
            assert!(pixel.abs_diff(128) <= 12, "{pixel}");
        }
    }

    #[test]
    fn a_gradient_keeps_its_direction_and_range() {
        let frame = frame_of(PixelFormat::I420, (256, 64), (7, 0), |_, x, _| x as u8);
        let [y, ..] = planes(&resize(&mut Resizer::default(), frame, (64, 32)).unwrap());
        for row in y {
            for (x, pixel) in row.iter().enumerate() {
                assert!(pixel.abs_diff((x * 4 + 1) as u8) <= 3, "{x}: {pixel}");
            }
        }
    }

    #[test]
    fn an_odd_size_is_refused() {
        let frame = frame_of(PixelFormat::I420, (32, 32), (0, 0), |_, _, _| 0);
        let refused = resize(&mut Resizer::default(), frame, (15, 16)).unwrap_err();
        assert!(refused.to_string().contains("15×16"), "{refused}");
    }
}

//! Making pictures smaller (or larger), plane by plane.

use fast_image_resize as fir;

use super::TransformError;
use super::convert::{Matrix, convert};
use super::picture::{CopyMeter, Draft, Picture, PlaneView, copy_rows};
use crate::media::{Frame, FramePool};

/// The largest picture that is handed on: the longer side and the shorter one, in pixels. No encoder
/// takes larger ones.
pub const LARGEST: (u32, u32) = (3840, 2160);

/// The least side that encoders take, in pixels.
const LEAST: u32 = 16;

/// `size` with both sides shrunk by `percent` (at most 90), made even, and within what encoders
/// take. Sides do not fall below 16 pixels, and never grow.
pub(super) fn reduced((width, height): (u32, u32), percent: u8) -> (u32, u32) {
    let keep = 100 - u32::from(percent.min(90));
    let side = |side: u32| ((side * keep / 100) & !1).max(LEAST.min(side & !1));
    let size @ (w, h) = (side(width), side(height));
    let (long, short) = LARGEST;
    let bounds = if w >= h { (long, short) } else { (short, long) };
    if w <= bounds.0 && h <= bounds.1 {
        return size;
    }
    let (fit_w, fit_h) = fit_within(size, bounds);
    (fit_w.max(LEAST.min(w)), fit_h.max(LEAST.min(h)))
}

/// The largest even size of the same shape as `size` that fits into `bounds`. Pictures are not
/// enlarged, and never stretched by more than rounding to even takes.
#[must_use]
pub fn fit_within((width, height): (u32, u32), bounds: (u32, u32)) -> (u32, u32) {
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
pub struct Resizer {
    inner: fir::Resizer,
    gapless: Vec<u8>,
    pool: FramePool,
    converted: FramePool,
    copies: CopyMeter,
}

impl Resizer {
    /// A resizer with buffers of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn counting(copies: CopyMeter) -> Self {
        Self { copies, ..Self::default() }
    }

    /// `frame` as I420, exactly `size` pixels.
    ///
    /// # Errors
    /// When `size` is odd or impossible, or the picture's format is.
    pub fn resize(&mut self, frame: Frame, size: (u32, u32)) -> Result<Frame, TransformError> {
        let (time, sequence) = (frame.time(), frame.sequence());
        let matrix = Matrix::of_lines(size.1);
        let draft = convert(frame, matrix, &self.converted, &self.copies)?;
        Ok(self.apply(draft, size)?.into_frame(time, sequence)?)
    }

    /// Scales a picture; one that has the size already keeps its memory.
    pub(super) fn apply(
        &mut self,
        draft: Draft,
        size: (u32, u32),
    ) -> Result<Draft, TransformError> {
        let was = draft.size();
        if was == size {
            return Ok(draft);
        }
        // Both weigh every source pixel that falls into the new one, so fine detail does not
        // flicker; Hamming stays sharper at the same price but steps visibly when enlarging.
        let filter = if size.0 <= was.0 && size.1 <= was.1 {
            fir::FilterType::Hamming
        } else {
            fir::FilterType::Bilinear
        };
        let mut picture = Picture::new(&self.pool, size)?;
        let (width, height) = (size.0, size.1);
        for (i, (from, to)) in draft.planes().iter().zip(picture.planes_mut()).enumerate() {
            let shift = u32::from(i > 0);
            self.copies.add(to.len());
            self.plane(from, to, (width >> shift, height >> shift), filter).map_err(|e| {
                TransformError::Other(format!("the picture cannot be resized: {e}"))
            })?;
        }
        Ok(Draft::Owned(picture))
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
        let from = fir::images::ImageRef::new(
            u32::try_from(from.width())?,
            u32::try_from(from.height())?,
            bytes,
            fir::PixelType::U8,
        )?;
        let mut to = fir::images::Image::from_slice_u8(width, height, to, fir::PixelType::U8)?;
        let options = fir::ResizeOptions::new().resize_alg(fir::ResizeAlg::Convolution(filter));
        self.inner.resize(&from, &mut to, &options)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{frame_of, planes};
    use super::*;
    use crate::media::PixelFormat;

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
        let mut resizer = Resizer::new();
        for _ in 0..60 {
            let from = (random.u32(1..60) * 2, random.u32(1..60) * 2);
            let to = (random.u32(1..60) * 2, random.u32(1..60) * 2);
            let frame = frame_of(PixelFormat::I420, from, (random.usize(0..9), 5), |p, _, _| {
                [90, 30, 200][p]
            });
            let got = resizer.resize(frame, to).unwrap();
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
        let [y, ..] = planes(&Resizer::new().resize(frame, (64, 64)).unwrap());
        for pixel in y[2..62].iter().flat_map(|row| &row[2..62]) {
            assert!(pixel.abs_diff(128) <= 12, "{pixel}");
        }
    }

    #[test]
    fn a_gradient_keeps_its_direction_and_range() {
        let frame = frame_of(PixelFormat::I420, (256, 64), (7, 0), |_, x, _| x as u8);
        let [y, ..] = planes(&Resizer::new().resize(frame, (64, 32)).unwrap());
        for row in y {
            for (x, pixel) in row.iter().enumerate() {
                assert!(pixel.abs_diff((x * 4 + 1) as u8) <= 3, "{x}: {pixel}");
            }
        }
    }

    #[test]
    fn an_odd_size_is_refused() {
        let frame = frame_of(PixelFormat::I420, (32, 32), (0, 0), |_, _, _| 0);
        let refused = Resizer::new().resize(frame, (15, 16)).unwrap_err();
        assert!(refused.to_string().contains("15×16"), "{refused}");
    }
}

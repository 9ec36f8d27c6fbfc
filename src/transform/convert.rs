//! Any picture a camera delivers to I420 of even size.
//!
//! Odd sizes lose their last column or row. YUV sources keep their values, so limited range is
//! assumed of them, as UVC and libcamera deliver it for video; RGB becomes limited-range Y′CbCr
//! under the [`MatrixCoefficients`] the encoder signals for that size.

use yuv::{BufferStoreMut, YuvConversionMode, YuvError, YuvPackedImage, YuvPlanarImageMut};
use yuv::{YuvRange, YuvStandardMatrix};

use super::TransformError;
use super::i420::{CopyMeter, I420Buffer, I420Frame};
use crate::media::{Frame, FrameError, FramePool, PixelFormat};

/// Which weights turn RGB into luma and chroma (ITU-T H.273, `MatrixCoefficients`). An encoder that
/// signals colour has to signal those that were used: [`MatrixCoefficients::for_height`] answers for
/// the height of the picture it codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatrixCoefficients {
    /// ITU-R BT.601: standard definition; `matrix_coefficients` 6.
    Bt601,
    /// ITU-R BT.709: high definition; `matrix_coefficients` 1.
    Bt709,
}

impl MatrixCoefficients {
    /// BT.601 below 720 lines, BT.709 from 720 up: what players assume when nothing is signalled.
    #[must_use]
    pub const fn for_height(height: u32) -> Self {
        if height < 720 { Self::Bt601 } else { Self::Bt709 }
    }

    fn standard(self) -> YuvStandardMatrix {
        match self {
            Self::Bt601 => YuvStandardMatrix::Bt601,
            Self::Bt709 => YuvStandardMatrix::Bt709,
        }
    }
}

/// `frame` as I420 of even size; an I420 picture keeps its memory.
pub(super) fn convert(
    frame: Frame,
    matrix: MatrixCoefficients,
    pool: &FramePool,
    copies: &CopyMeter,
) -> Result<I420Frame, TransformError> {
    if frame.format() == PixelFormat::I420 {
        return Ok(I420Frame::Borrowed(cropped_to_even(frame)?));
    }
    let mut buffer = I420Buffer::new(pool, even(&frame))?;
    match frame.format() {
        PixelFormat::Nv12 => nv12(&frame, &mut buffer),
        PixelFormat::Gray => gray(&frame, &mut buffer),
        PixelFormat::Yuyv => yuyv(&frame, &mut buffer)?,
        PixelFormat::Rgb => rgb(&frame, &mut buffer, 3, matrix, yuv::rgb_to_yuv420)?,
        PixelFormat::Bgr => rgb(&frame, &mut buffer, 3, matrix, yuv::bgr_to_yuv420)?,
        PixelFormat::Rgba => rgb(&frame, &mut buffer, 4, matrix, yuv::rgba_to_yuv420)?,
        PixelFormat::Bgra => rgb(&frame, &mut buffer, 4, matrix, yuv::bgra_to_yuv420)?,
        PixelFormat::I420 | PixelFormat::Other(_) => {
            return Err(FrameError::Format(frame.format()).into());
        }
    }
    copies.add(buffer.planes_mut().iter().map(|p| p.len()).sum());
    Ok(I420Frame::Owned(buffer))
}

fn even(frame: &Frame) -> (u32, u32) {
    (frame.width() & !1, frame.height() & !1)
}

/// The same planes, read without the odd column and row.
fn cropped_to_even(frame: Frame) -> Result<Frame, TransformError> {
    let size @ (width, height) = even(&frame);
    if size == (frame.width(), frame.height()) {
        return Ok(frame);
    }
    if width == 0 || height == 0 {
        return Err(TransformError::Size { width, height });
    }
    let memory = frame.memory().clone();
    Ok(Frame::new(PixelFormat::I420, size, frame.layout(), memory, frame.time(), frame.sequence())?)
}

fn luma_rows(frame: &Frame, buffer: &mut I420Buffer) {
    let width = buffer.size().0 as usize;
    let [y, ..] = buffer.planes_mut();
    let rows = frame.plane(0).chunks(frame.stride(0));
    for (to, from) in y.chunks_exact_mut(width).zip(rows) {
        to.copy_from_slice(&from[..width]);
    }
}

fn gray(frame: &Frame, buffer: &mut I420Buffer) {
    luma_rows(frame, buffer);
    let [_, u, v] = buffer.planes_mut();
    u.fill(128);
    v.fill(128);
}

fn nv12(frame: &Frame, buffer: &mut I420Buffer) {
    luma_rows(frame, buffer);
    let half = buffer.size().0 as usize / 2;
    let [_, u, v] = buffer.planes_mut();
    let rows = frame.plane(1).chunks(frame.stride(1));
    for ((u, v), uv) in u.chunks_exact_mut(half).zip(v.chunks_exact_mut(half)).zip(rows) {
        for ((u, v), uv) in u.iter_mut().zip(v).zip(uv.chunks_exact(2)) {
            (*u, *v) = (uv[0], uv[1]);
        }
    }
}

fn yuyv(frame: &Frame, buffer: &mut I420Buffer) -> Result<(), TransformError> {
    in_whole_rows(frame, buffer, 2, |to, from, stride| {
        let from =
            YuvPackedImage { yuy: from, yuy_stride: stride, width: to.width, height: to.height };
        yuv::yuyv422_to_yuv420(to, &from)
    })
}

type FromRgb = fn(
    &mut YuvPlanarImageMut<'_, u8>,
    &[u8],
    u32,
    YuvRange,
    YuvStandardMatrix,
    YuvConversionMode,
) -> Result<(), YuvError>;

fn rgb(
    frame: &Frame,
    buffer: &mut I420Buffer,
    pixel: usize,
    matrix: MatrixCoefficients,
    convert: FromRgb,
) -> Result<(), TransformError> {
    in_whole_rows(frame, buffer, pixel, |to, from, stride| {
        let (range, mode) = (YuvRange::Limited, YuvConversionMode::Balanced);
        convert(to, from, stride, range, matrix.standard(), mode)
    })
}

/// Hands a packed picture to `convert` in pieces of exactly as many bytes as rows times stride:
/// the library refuses more, passes over a last row that is shorter, and a camera's last row is
/// short where the others are padded. `pixel` is bytes a pixel.
fn in_whole_rows(
    frame: &Frame,
    buffer: &mut I420Buffer,
    pixel: usize,
    mut convert: impl FnMut(&mut YuvPlanarImageMut<'_, u8>, &[u8], u32) -> Result<(), YuvError>,
) -> Result<(), TransformError> {
    let (width, height) = buffer.size();
    let (w, h) = (width as usize, height as usize);
    let (bytes, stride) = (frame.plane(0), frame.stride(0));
    let [y, u, v] = buffer.planes_mut();
    let mut piece = |rows: std::ops::Range<usize>, from: &[u8], stride: usize| {
        let chroma = rows.start / 2 * (w / 2)..rows.end / 2 * (w / 2);
        let mut to = YuvPlanarImageMut {
            y_plane: BufferStoreMut::Borrowed(&mut y[rows.start * w..rows.end * w]),
            y_stride: width,
            u_plane: BufferStoreMut::Borrowed(&mut u[chroma.clone()]),
            u_stride: width / 2,
            v_plane: BufferStoreMut::Borrowed(&mut v[chroma]),
            v_stride: width / 2,
            width,
            height: rows.len() as u32,
        };
        let stride = u32::try_from(stride).map_err(|_| YuvError::PointerOverflow)?;
        convert(&mut to, from, stride)
    };
    let outcome = if let Some(whole) = bytes.get(..stride * h) {
        piece(0..h, whole, stride)
    } else {
        // The last two rows go by way of a gapless copy; two, because they share their chroma.
        let body = h - 2;
        let tail: Vec<u8> = bytes[body * stride..]
            .chunks(stride)
            .flat_map(|row| &row[..w * pixel])
            .copied()
            .collect();
        match body {
            0 => Ok(()),
            _ => piece(0..body, &bytes[..body * stride], stride),
        }
        .and_then(|()| piece(body..h, &tail, w * pixel))
    };
    outcome.map_err(|e| TransformError::Other(format!("{frame:?} cannot be converted: {e}")))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{READABLE, differences, frame_of, frame_showing, planes};
    use super::*;
    use crate::media::MediaTime;
    use std::sync::Arc;

    fn converted(frame: Frame, matrix: MatrixCoefficients) -> Frame {
        let (time, sequence) = (frame.time(), frame.sequence());
        convert(frame, matrix, &FramePool::new(), &CopyMeter::default())
            .and_then(|picture| Ok(picture.into_frame(time, sequence)?))
            .unwrap()
    }

    /// ColourMode that change slowly in every direction, other ones each way.
    fn scene(x: usize, y: usize) -> [f32; 3] {
        [x as f32 * 1.7, y as f32 * 2.1, 255.0 - (x + y) as f32].map(|c| c.clamp(0.0, 255.0))
    }

    #[test]
    fn every_format_shows_the_same_picture() {
        let mut random = fastrand::Rng::with_seed(5);
        for _ in 0..40 {
            let size = (random.u32(1..60) * 2, random.u32(1..40) * 2);
            let spacing = (random.usize(0..40), random.usize(0..40));
            let matrix = [MatrixCoefficients::Bt601, MatrixCoefficients::Bt709][random.usize(0..2)];
            let wanted = frame_showing(PixelFormat::I420, size, (0, 0), matrix, scene);
            for format in READABLE {
                let got = converted(frame_showing(format, size, spacing, matrix, scene), matrix);
                let [y, u, v] = differences(&got, &wanted);
                assert!(y <= 2, "{format} {size:?} {spacing:?}: luma is {y} off");
                if format != PixelFormat::Gray {
                    assert!(u <= 2 && v <= 2, "{format} {size:?} {spacing:?}: {u} {v}");
                }
                assert_eq!((got.time().as_nanos(), got.sequence()), (42, 7), "{format}");
            }
        }
    }

    #[test]
    fn odd_sizes_lose_their_last_column_and_row_only() {
        for format in READABLE {
            for size in [(17, 9), (18, 9), (17, 10), (3, 3), (2, 3)] {
                let whole = frame_showing(format, size, (5, 3), MatrixCoefficients::Bt601, scene);
                let even = (size.0 & !1, size.1 & !1);
                let wanted = frame_showing(
                    PixelFormat::I420,
                    even,
                    (0, 0),
                    MatrixCoefficients::Bt601,
                    scene,
                );
                let got = converted(whole, MatrixCoefficients::Bt601);
                let [y, u, v] = differences(&got, &wanted);
                assert!(y <= 2, "{format} {size:?}: luma is {y} off");
                if format != PixelFormat::Gray {
                    assert!(u <= 2 && v <= 2, "{format} {size:?}: {u} {v}");
                }
            }
        }
    }

    #[test]
    fn known_colours_come_out_as_the_standards_say() {
        // ITU-R BT.601 and BT.709, the corners of the RGB cube as 8-bit limited-range Y′CbCr.
        let known = [
            ([255.0, 255.0, 255.0], [235, 128, 128], [235, 128, 128]),
            ([0.0, 0.0, 0.0], [16, 128, 128], [16, 128, 128]),
            ([255.0, 0.0, 0.0], [81, 90, 240], [63, 102, 240]),
            ([0.0, 255.0, 0.0], [145, 54, 34], [173, 42, 26]),
            ([0.0, 0.0, 255.0], [41, 240, 110], [32, 240, 118]),
        ];
        for format in [PixelFormat::Rgb, PixelFormat::Bgr, PixelFormat::Rgba, PixelFormat::Bgra] {
            for (rgb, bt601, bt709) in known {
                for (matrix, wanted) in
                    [(MatrixCoefficients::Bt601, bt601), (MatrixCoefficients::Bt709, bt709)]
                {
                    let frame = frame_showing(format, (6, 4), (1, 0), matrix, |_, _| rgb);
                    for (plane, wanted) in planes(&converted(frame, matrix)).iter().zip(wanted) {
                        for got in plane.iter().flatten() {
                            assert!(got.abs_diff(wanted) <= 2, "{format} {rgb:?} {got}, {wanted}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn hd_is_bt709_and_anything_smaller_bt601() {
        assert_eq!(MatrixCoefficients::for_height(576), MatrixCoefficients::Bt601);
        assert_eq!(MatrixCoefficients::for_height(718), MatrixCoefficients::Bt601);
        assert_eq!(MatrixCoefficients::for_height(720), MatrixCoefficients::Bt709);
        assert_eq!(MatrixCoefficients::for_height(1080), MatrixCoefficients::Bt709);
    }

    #[test]
    fn i420_keeps_its_memory_even_when_it_is_cropped() {
        for size in [(16, 16), (17, 15)] {
            let frame = frame_of(PixelFormat::I420, size, (3, 9), |_, x, y| (x * y) as u8);
            let memory = frame.memory().clone();
            let got = converted(frame, MatrixCoefficients::Bt601);
            assert!(Arc::ptr_eq(&memory, got.memory()));
            assert_eq!((got.width(), got.height()), (16, size.1 & !1));
        }
    }

    #[test]
    fn a_picture_a_pixel_wide_is_refused_with_its_size() {
        for format in READABLE {
            let frame = frame_of(format, (1, 8), (0, 0), |_, _, _| 0);
            let outcome =
                convert(frame, MatrixCoefficients::Bt601, &FramePool::new(), &CopyMeter::default());
            let message = outcome.err().unwrap().to_string();
            assert!(message.contains("0×8"), "{message}");
        }
    }

    #[test]
    fn a_format_nobody_can_read_is_named() {
        let format = PixelFormat::Other(*b"MJPG");
        let memory = Arc::new(vec![0; 64]);
        let refused = Frame::packed(format, (4, 4), memory, MediaTime::default(), 0).unwrap_err();
        assert!(TransformError::from(refused).to_string().contains("MJPG"));
    }
}

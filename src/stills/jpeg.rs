//! Raw pictures to JPEG.

use jpeg_encoder::{Encoder, EncodingError, ImageBuffer, JpegColorType};

use crate::media::{Frame, PixelFormat};

/// JPEG quality, 1 to 100.
const QUALITY: u8 = 85;

/// Video keeps to 16–235; JPEG uses all 256 values (JFIF 1.02 §"Conversion to and from RGB").
const LUMA: [u8; 256] = full_range((16, 0), 219);

/// The same for colour: video keeps to 16–240, with none at 128.
const CHROMA: [u8; 256] = full_range((128, 128), 224);

/// `from` of a video's value is `to` of JPEG's; the video's reach over `range`.
const fn full_range((from, to): (i32, i32), range: i32) -> [u8; 256] {
    let mut table = [0; 256];
    let mut value = 0;
    while value < 256 {
        let scaled = (value - from) * 255;
        let full = to + (scaled + scaled.signum() * range / 2) / range;
        let full = if full < 0 { 0 } else { full };
        table[value as usize] = if full > 255 { 255 } else { full as u8 };
        value += 1;
    }
    table
}

/// Writes an I420 or NV12 picture as a baseline JPEG.
///
/// # Errors
/// When the picture is too large for a JPEG.
pub(super) fn write(frame: &Frame) -> Result<Vec<u8>, EncodingError> {
    let (width, height) = (u64::from(frame.width()), u64::from(frame.height()));
    let side = |n: u64| u16::try_from(n).unwrap_or(u16::MAX);
    // A tenth of the raw picture is what most take.
    let mut jpeg = Vec::with_capacity((width * height / 8) as usize);
    let picture = Video { frame, width: side(width), height: side(height) };
    Encoder::new(&mut jpeg, QUALITY).encode_image(picture)?;
    Ok(jpeg)
}

/// Whether [`write`] can read it.
pub(super) fn can_write(format: PixelFormat) -> bool {
    matches!(format, PixelFormat::I420 | PixelFormat::Nv12)
}

/// A picture of a video, row by row as the library wants it.
struct Video<'a> {
    frame: &'a Frame,
    width: u16,
    height: u16,
}

impl ImageBuffer for Video<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        self.width
    }

    fn height(&self) -> u16 {
        self.height
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let (frame, y, width) = (self.frame, usize::from(y), usize::from(self.width));
        let row = |plane: usize, y: usize, len: usize| {
            &frame.plane(plane)[y * frame.stride(plane)..][..len]
        };
        let [luma, u, v, _] = buffers;
        luma.extend(row(0, y, width).iter().map(|y| LUMA[usize::from(*y)]));
        // Each colour stands for two pixels of two rows; the library halves it again.
        let half = width.div_ceil(2);
        let wide = |to: &mut Vec<u8>, from: &mut dyn Iterator<Item = u8>| {
            to.extend(from.flat_map(|c| [CHROMA[usize::from(c)]; 2]).take(width));
        };
        if frame.format() == PixelFormat::Nv12 {
            let uv = row(1, y / 2, half * 2).chunks_exact(2);
            wide(u, &mut uv.clone().map(|uv| uv[0]));
            wide(v, &mut uv.map(|uv| uv[1]));
        } else {
            wide(u, &mut row(1, y / 2, half).iter().copied());
            wide(v, &mut row(2, y / 2, half).iter().copied());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::media::MediaTime;

    #[test]
    fn video_range_becomes_full_range() {
        assert_eq!([16, 235, 0, 255].map(|n| LUMA[n]), [0, 255, 0, 255]);
        assert_eq!([128, 16, 240].map(|n| CHROMA[n]), [128, 0, 255]);
    }

    #[test]
    fn both_layouts_of_one_picture_give_one_jpeg_at_any_size() {
        for (width, height) in [(64, 48), (33, 17), (1, 1), (2, 3)] {
            let size = (width, height);
            let mut random = fastrand::Rng::with_seed(1);
            let mut planar = vec![0; Frame::packed_len(PixelFormat::I420, size)];
            random.fill(&mut planar);
            let luma = (width * height) as usize;
            let (u, v) = planar[luma..].split_at((planar.len() - luma) / 2);
            let pairs = u.iter().zip(v).flat_map(|(u, v)| [*u, *v]);
            let woven: Vec<u8> = planar[..luma].iter().copied().chain(pairs).collect();
            let frame = |format, bytes: Vec<u8>| {
                Frame::packed(format, size, Arc::new(bytes), MediaTime::default(), 0).unwrap()
            };
            let jpeg = write(&frame(PixelFormat::I420, planar.clone())).unwrap();
            assert_eq!(jpeg, write(&frame(PixelFormat::Nv12, woven)).unwrap());
            assert!(jpeg.starts_with(&[0xff, 0xd8]) && jpeg.ends_with(&[0xff, 0xd9]));
        }
    }
}

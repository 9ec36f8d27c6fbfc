//! Motion JPEG, as USB cameras send it.

use std::sync::Arc;

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::media::{Frame, FramePool, MediaTime, PixelFormat};

/// "End of image" (ITU-T T.81, table B.1). It cannot occur within coded data.
const EOI: [u8; 2] = [0xff, 0xd9];

/// Decodes the pictures of one camera.
#[derive(Default)]
pub struct MjpegDecoder {
    pool: FramePool,
    /// Whether this camera ends its pictures with an EOI marker, as it should. Some never do.
    writes_eoi: bool,
}

impl MjpegDecoder {
    /// The picture in `jpeg`, which must be of this size; `None` when it is damaged, or was cut
    /// short on the wire.
    pub fn decode(
        &mut self,
        jpeg: &[u8],
        size: (u32, u32),
        time: MediaTime,
        sequence: u64,
    ) -> Option<Frame> {
        let has_eoi = jpeg.windows(EOI.len()).rev().any(|bytes| bytes == EOI);
        if self.writes_eoi && !has_eoi {
            return None;
        }
        let (width, height) = (size.0 as usize, size.1 as usize);
        let options = DecoderOptions::new_fast()
            .jpeg_set_out_colorspace(ColorSpace::RGB)
            .set_max_width(width)
            .set_max_height(height);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(jpeg), options);
        decoder.decode_headers().ok()?;
        if decoder.dimensions()? != (width, height) {
            return None;
        }
        let mut pixels = self.pool.take(Frame::packed_len(PixelFormat::Rgb, size));
        decoder.decode_into(&mut pixels).ok()?;
        self.writes_eoi |= has_eoi;
        Frame::packed(PixelFormat::Rgb, size, Arc::new(pixels), time, sequence).ok()
    }
}

/// The entry point for fuzzing: whatever a camera sends, it is a picture of the right size or none.
///
/// # Panics
/// If there is a mistake in this room.
#[cfg(any(fuzzing, test))]
pub(crate) fn fuzz(pictures: &[&[u8]]) {
    let mut camera = MjpegDecoder::default();
    for (n, jpeg) in pictures.iter().enumerate() {
        let sequence = n as u64;
        if let Some(frame) = camera.decode(jpeg, (48, 32), MediaTime::default(), sequence) {
            assert_eq!((frame.width(), frame.height(), frame.sequence()), (48, 32, sequence));
            assert_eq!(frame.plane(0).len(), 48 * 32 * 3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture with something in it.
    pub(super) fn jpeg((width, height): (u16, u16)) -> Vec<u8> {
        let pixels: Vec<u8> = (0..usize::from(width) * usize::from(height) * 3)
            .map(|i| (i * 7 % 251) as u8)
            .collect();
        let mut bytes = Vec::new();
        jpeg_encoder::Encoder::new(&mut bytes, 80)
            .encode(&pixels, width, height, jpeg_encoder::ColorType::Rgb)
            .expect("encoded");
        bytes
    }

    fn decode(camera: &mut MjpegDecoder, jpeg: &[u8]) -> bool {
        camera.decode(jpeg, (48, 32), MediaTime::default(), 0).is_some()
    }

    #[test]
    fn a_picture_that_was_cut_short_is_not_shown_and_the_next_one_is() {
        let (mut camera, whole) = (MjpegDecoder::default(), jpeg((48, 32)));
        assert!(decode(&mut camera, &whole));
        for len in [0, 1, 2, 20, whole.len() / 2, whole.len() - 2] {
            assert!(!decode(&mut camera, &whole[..len]), "{len} of {}", whole.len());
        }
        assert!(decode(&mut camera, &whole));
    }

    #[test]
    fn padding_behind_a_picture_does_no_harm() {
        let mut padded = jpeg((48, 32));
        padded.resize(padded.len() + 1000, 0);
        let mut camera = MjpegDecoder::default();
        assert!(decode(&mut camera, &padded) && decode(&mut camera, &padded));
    }

    #[test]
    fn a_camera_that_never_ends_its_pictures_is_shown_as_it_is() {
        let mut camera = MjpegDecoder::default();
        let whole = jpeg((48, 32));
        assert!(decode(&mut camera, &whole[..whole.len() - 2]));
    }

    #[test]
    fn another_size_than_was_agreed_on_is_no_picture() {
        assert!(!decode(&mut MjpegDecoder::default(), &jpeg((64, 32))));
        assert!(!decode(&mut MjpegDecoder::default(), &jpeg((16, 16))));
    }

    #[test]
    fn no_damage_makes_it_panic() {
        let mut random = fastrand::Rng::with_seed(9);
        let whole = jpeg((48, 32));
        for _ in 0..3000 {
            let mut pictures = [whole.clone(), whole.clone(), whole.clone()];
            for picture in &mut pictures {
                for _ in 0..random.usize(..6) {
                    let at = random.usize(..picture.len().max(1));
                    match random.u8(..4) {
                        0 => picture.truncate(at),
                        1 => picture.insert(at, random.u8(..)),
                        2 if !picture.is_empty() => picture[at] = random.u8(..),
                        _ if !picture.is_empty() => picture[at] ^= 1 << random.u8(..8),
                        _ => {}
                    }
                }
            }
            fuzz(&pictures.each_ref().map(Vec::as_slice));
        }
    }
}

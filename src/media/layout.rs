//! Where the planes of a picture lie, from what the driver says of a buffer.

use super::{PixelFormat, Plane};

/// A stream's pictures, as the camera was configured for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) format: PixelFormat,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Bytes between the starts of two rows of the first plane.
    pub(crate) stride: u32,
}

/// What a driver says of one plane of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Number of the file descriptor behind which it lies.
    pub(crate) fd: i32,
    /// First byte, if the driver says.
    pub(crate) offset: Option<usize>,
    pub(crate) len: usize,
}

/// Why a buffer cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LayoutError {
    #[error("a {0} picture has {expected} planes, but the driver tells of {1}", expected = .0.planes())]
    Count(PixelFormat, usize),
    #[error(
        "the planes of a picture lie behind several file descriptors; only one shared by all can \
         be passed on"
    )]
    Scattered,
    #[error("the driver does not say where plane {0} begins")]
    NoOffset(usize),
    #[error("rows {stride} bytes apart do not fit plane {plane}")]
    Stride { plane: usize, stride: u32 },
    #[error("plane {plane} needs {needed} bytes, but the driver gives it {given}")]
    Short { plane: usize, needed: usize, given: usize },
    #[error("the planes end at byte {end} of a buffer of {held}")]
    PastTheEnd { end: usize, held: usize },
}

/// The planes of a picture of `shape` in a buffer of `pieces`, behind whose descriptor there are
/// `held` bytes; and how many bytes of it belong to the picture.
pub(crate) fn planes(
    shape: &Shape,
    pieces: &[Piece],
    held: usize,
) -> Result<(Vec<Plane>, usize), LayoutError> {
    let Shape { format, width, height, stride } = *shape;
    if format.planes() == 0 || pieces.len() != format.planes() {
        return Err(LayoutError::Count(format, pieces.len()));
    }
    if pieces.iter().any(|piece| piece.fd != pieces[0].fd) {
        return Err(LayoutError::Scattered);
    }
    let mut end = 0;
    let mut planes = Vec::with_capacity(pieces.len());
    for (plane, piece) in pieces.iter().enumerate() {
        let offset = piece.offset.ok_or(LayoutError::NoOffset(plane))?;
        let (row, rows) = format.plane_size(plane, width, height).unwrap_or_default();
        let wrong_stride = LayoutError::Stride { plane, stride };
        let stride = plane_stride(format, plane, stride).ok_or(wrong_stride)?;
        if stride < row {
            return Err(wrong_stride);
        }
        let needed = stride.saturating_mul(rows.saturating_sub(1)).saturating_add(row);
        if needed > piece.len {
            return Err(LayoutError::Short { plane, needed, given: piece.len });
        }
        end = end.max(offset.saturating_add(needed));
        planes.push(Plane { offset, stride });
    }
    if end > held {
        return Err(LayoutError::PastTheEnd { end, held });
    }
    Ok((planes, end))
}

/// libcamera gives the stride of the first plane; those of the others follow from it, as in V4L2
/// ("Planar YUV formats", bytesperline).
fn plane_stride(format: PixelFormat, plane: usize, stride: u32) -> Option<usize> {
    let stride = stride as usize;
    match (format, plane) {
        (PixelFormat::I420, 1 | 2) => stride.is_multiple_of(2).then_some(stride / 2),
        _ => Some(stride),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::media::{Frame, MediaTime};

    const NV12: Shape = Shape { format: PixelFormat::Nv12, width: 640, height: 360, stride: 640 };

    fn piece(offset: usize, len: usize) -> Piece {
        Piece { fd: 9, offset: Some(offset), len }
    }

    #[test]
    fn a_padded_nv12_buffer_is_taken_as_the_driver_lays_it_out() {
        // The Pi's ISP: rows aligned to 32 bytes, chroma right behind.
        let shape = Shape { width: 1000, stride: 1024, ..NV12 };
        let pieces = [piece(0, 1024 * 360), piece(1024 * 360, 1024 * 180)];
        let (found, len) = planes(&shape, &pieces, 1024 * 540).unwrap();
        assert_eq!(
            found,
            [Plane { offset: 0, stride: 1024 }, Plane { offset: 1024 * 360, stride: 1024 }]
        );
        assert_eq!(len, 1024 * 539 + 1000);
    }

    #[test]
    fn chroma_of_i420_has_half_the_stride() {
        let shape = Shape { format: PixelFormat::I420, ..NV12 };
        let pieces = [piece(0, 230_400), piece(230_400, 57_600), piece(288_000, 57_600)];
        let (found, len) = planes(&shape, &pieces, 345_600).unwrap();
        assert_eq!(found.iter().map(|p| p.stride).collect::<Vec<_>>(), [640, 320, 320]);
        assert_eq!(len, 345_600);
    }

    #[test]
    fn what_does_not_fit_is_refused_and_said_why() {
        let good = [piece(0, 230_400), piece(230_400, 115_200)];
        let refusal = |shape: Shape, pieces: &[Piece], held| planes(&shape, pieces, held);
        assert_eq!(
            refusal(NV12, &good[..1], 345_600),
            Err(LayoutError::Count(PixelFormat::Nv12, 1))
        );
        assert_eq!(
            refusal(NV12, &[good[0], Piece { fd: 10, ..good[1] }], 345_600),
            Err(LayoutError::Scattered)
        );
        assert_eq!(
            refusal(NV12, &[good[0], Piece { offset: None, ..good[1] }], 345_600),
            Err(LayoutError::NoOffset(1))
        );
        assert_eq!(
            refusal(Shape { stride: 639, ..NV12 }, &good, 345_600),
            Err(LayoutError::Stride { plane: 0, stride: 639 })
        );
        assert_eq!(
            refusal(Shape { height: 368, ..NV12 }, &good, 345_600),
            Err(LayoutError::Short { plane: 0, needed: 235_520, given: 230_400 })
        );
        assert_eq!(
            refusal(NV12, &good, 345_599),
            Err(LayoutError::PastTheEnd { end: 345_600, held: 345_599 })
        );
    }

    /// Whatever a driver says, what is accepted can be read from end to end.
    #[test]
    fn no_driver_can_make_a_picture_that_reaches_outside_its_memory() {
        let mut rng = fastrand::Rng::with_seed(7);
        let formats =
            [PixelFormat::Nv12, PixelFormat::I420, PixelFormat::Yuyv, PixelFormat::Other(*b"MJPG")];
        let (mut accepted, mut refused) = (0, 0);
        for _ in 0..20_000 {
            let format = formats[rng.usize(..formats.len())];
            let (width, height) = (rng.u32(1..80), rng.u32(1..60));
            // Mostly about right, at times absurd.
            let stride = match rng.u8(..8) {
                0 => rng.u32(..),
                1 => 0,
                _ => width * rng.u32(1..4) + rng.u32(..3),
            };
            let mut offset = rng.usize(..16);
            let count = if rng.u8(..8) == 0 { rng.usize(..5) } else { format.planes() };
            let pieces: Vec<Piece> = (0..count)
                .map(|_| {
                    let len = match rng.u8(..16) {
                        0 => rng.usize(..),
                        _ => rng.usize(..40_000),
                    };
                    let piece = Piece {
                        fd: if rng.u8(..32) == 0 { -1 } else { 5 },
                        offset: (rng.u8(..32) > 0).then_some(match rng.u8(..32) {
                            0 => rng.usize(..),
                            _ => offset,
                        }),
                        len,
                    };
                    offset = offset.wrapping_add(len);
                    piece
                })
                .collect();
            let held = rng.usize(..60_000);
            let shape = Shape { format, width, height, stride };
            let Ok((planes, len)) = planes(&shape, &pieces, held) else {
                refused += 1;
                continue;
            };
            accepted += 1;
            assert!(len <= held, "{shape:?} {pieces:?}");
            let memory = Arc::new(vec![0u8; len]);
            let time = MediaTime::default();
            let frame = Frame::new(format, (width, height), &planes, memory, time, 0).unwrap();
            for plane in 0..format.planes() {
                assert!(!frame.plane(plane).is_empty());
            }
        }
        assert!(accepted > 500 && refused > 500, "{accepted} accepted, {refused} refused");
    }
}

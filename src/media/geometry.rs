//! Where a driver of the kernel puts the planes of a picture that it describes by a size and a
//! stride.

use std::ops::Deref;

use super::{Frame, PixelFormat, Plane};

/// Where the planes of a raw picture lie in a buffer with this stride, by the kernel's rule for
/// formats in one buffer: chroma rows follow the luma rows at once, and planar chroma has half the
/// stride ("Multi-planar and single-planar YUV formats").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) format: PixelFormat,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) stride: usize,
}

/// The planes of a picture. Not a `Vec`, because each picture asks for them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planes {
    planes: [Plane; 3],
    count: usize,
}

impl Deref for Planes {
    type Target = [Plane];

    fn deref(&self) -> &[Plane] {
        &self.planes[..self.count]
    }
}

impl Geometry {
    /// Offset and stride of each plane. `None` when the numbers, which a driver gave, are beyond
    /// any picture.
    pub(crate) fn planes(self) -> Option<Planes> {
        let Self { format, width, height, stride } = self;
        if width == 0 || height == 0 {
            return None;
        }
        let count = format.planes();
        let mut planes = [Plane { offset: 0, stride }; 3];
        let mut offset = 0_usize;
        for (i, plane) in planes.iter_mut().take(count).enumerate() {
            let stride = match (format, i) {
                (PixelFormat::I420, 1 | 2) => stride / 2,
                _ => stride,
            };
            let (row, rows) = format.plane_size(i, width, height)?;
            if stride < row {
                return None;
            }
            *plane = Plane { offset, stride };
            offset = stride.checked_mul(rows)?.checked_add(offset)?;
        }
        Some(Planes { planes, count })
    }

    /// The planes, if a picture of which `used` bytes were written is whole: one that was cut short
    /// on the wire is not shown.
    pub(crate) fn whole_in(self, used: usize) -> Option<Planes> {
        let planes = self.planes()?;
        let (last, plane) = planes.iter().enumerate().next_back()?;
        let (row, rows) = self.format.plane_size(last, self.width, self.height)?;
        let end = plane.stride.checked_mul(rows.checked_sub(1)?)?;
        let end = end.checked_add(row)?.checked_add(plane.offset)?;
        (end <= used).then_some(planes)
    }

    /// Copies a picture, which may be smaller, to where a device wants it in `room`; says how many
    /// bytes that were.
    pub(crate) fn copy_in(self, frame: &Frame, room: &mut [u8]) -> Result<usize, CopyError> {
        if frame.format() != self.format {
            return Err(CopyError::Format(self.format));
        }
        // Its planes would run into one another.
        if frame.width() > self.width || frame.height() > self.height {
            return Err(CopyError::Size(self.width, self.height));
        }
        let planes = self.planes().ok_or(CopyError::Rows)?;
        let mut copied = 0;
        for (i, &Plane { offset, stride }) in planes.iter().enumerate() {
            let size = self.format.plane_size(i, frame.width(), frame.height());
            let (row, rows) = size.unwrap_or_default();
            let from = frame.plane(i).chunks(frame.stride(i)).take(rows);
            let to = room.get_mut(offset..).unwrap_or_default().chunks_mut(stride);
            let mut written = 0;
            for (from, to) in from.zip(to) {
                let to = to.get_mut(..row).ok_or(CopyError::Room)?;
                to.copy_from_slice(from.get(..row).ok_or(CopyError::Rows)?);
                written += 1;
            }
            if written < rows {
                return Err(CopyError::Room);
            }
            copied += row * rows;
        }
        Ok(copied)
    }
}

/// Why a picture cannot be copied to where a device wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CopyError {
    #[error("it wants {0} pictures")]
    Format(PixelFormat),
    #[error("it wants pictures of {0}×{1} at most")]
    Size(u32, u32),
    #[error("its rows are too short")]
    Rows,
    #[error("its buffers are too small for its own format")]
    Room,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chroma_follows_luma_with_the_stride_of_its_kind() {
        let planes = |format, stride| {
            Geometry { format, width: 640, height: 360, stride }.planes().unwrap().to_vec()
        };
        assert_eq!(
            planes(PixelFormat::Nv12, 640),
            [Plane { offset: 0, stride: 640 }, Plane { offset: 640 * 360, stride: 640 }]
        );
        assert_eq!(
            planes(PixelFormat::I420, 704),
            [
                Plane { offset: 0, stride: 704 },
                Plane { offset: 704 * 360, stride: 352 },
                Plane { offset: 704 * 360 + 352 * 180, stride: 352 }
            ]
        );
    }

    #[test]
    fn a_picture_larger_than_the_device_s_is_not_copied() {
        let memory = std::sync::Arc::new(vec![0; 96]);
        let time = crate::media::MediaTime::default();
        let frame = Frame::packed(PixelFormat::I420, (8, 8), memory, time, 0).unwrap();
        let copy = |width, height| {
            let geometry = Geometry { format: PixelFormat::I420, width, height, stride: 16 };
            geometry.copy_in(&frame, &mut [0; 1000])
        };
        assert_eq!(copy(16, 16), Ok(96));
        assert_eq!(copy(8, 6), Err(CopyError::Size(8, 6)));
        assert_eq!(copy(6, 8), Err(CopyError::Size(6, 8)));
    }

    #[test]
    fn numbers_of_a_mad_driver_make_no_picture() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..20_000 {
            let any = |random: &mut fastrand::Rng| match random.u8(0..4) {
                0 => random.u32(..),
                1 => u32::MAX,
                _ => random.u32(0..5000),
            };
            let geometry = Geometry {
                format: if random.bool() { PixelFormat::Nv12 } else { PixelFormat::I420 },
                width: any(&mut random),
                height: any(&mut random),
                stride: if random.bool() { usize::MAX } else { any(&mut random) as usize },
            };
            for (i, plane) in geometry.planes().iter().flat_map(|p| p.iter()).enumerate() {
                let (row, _) =
                    geometry.format.plane_size(i, geometry.width, geometry.height).unwrap();
                assert!(plane.stride >= row, "{geometry:?}");
            }
        }
    }
}

//! Raw pictures and the memory they lie in.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, Weak};

use super::MediaTime;

/// How the pixels of a [`Frame`] are laid out in memory.
///
/// Multi-byte names give the byte order in memory, lowest address first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    /// Planar 4:2:0: Y, then U, then V, each chroma plane half as wide and half as high.
    I420,
    /// Semi-planar 4:2:0: Y, then interleaved U and V.
    Nv12,
    /// Packed 4:2:2: Y0 U Y1 V.
    Yuyv,
    /// Packed 24 bit: R G B.
    Rgb,
    /// Packed 24 bit: B G R (what OpenCV calls its default).
    Bgr,
    /// Packed 32 bit: R G B A.
    Rgba,
    /// Packed 32 bit: B G R A.
    Bgra,
    /// 8 bit luma only.
    Gray,
    /// Anything else, named by its four-character code, so that the error can name it too.
    Other([u8; 4]),
}

/// Bytes in a row and number of rows of a plane, from the picture's width and height.
type PlaneSize = fn(usize, usize) -> (usize, usize);

impl PixelFormat {
    /// For each plane: bytes in a row of a picture `width` wide, and rows in one `height` high.
    /// Empty for formats Picket cannot lay out. Odd sizes round chroma up.
    fn layout(self) -> &'static [PlaneSize] {
        match self {
            Self::I420 => &[|w, h| (w, h), half_half, half_half],
            Self::Nv12 => &[|w, h| (w, h), |w, h| (w.div_ceil(2) * 2, h.div_ceil(2))],
            Self::Yuyv => &[|w, h| (w.div_ceil(2) * 4, h)],
            Self::Rgb | Self::Bgr => &[|w, h| (w * 3, h)],
            Self::Rgba | Self::Bgra => &[|w, h| (w * 4, h)],
            Self::Gray => &[|w, h| (w, h)],
            Self::Other(_) => &[],
        }
    }

    /// Number of planes; 0 for [`PixelFormat::Other`].
    #[must_use]
    pub fn planes(self) -> usize {
        self.layout().len()
    }

    /// Bytes in a row and number of rows of plane `plane`, or `None` when there is no such plane.
    #[must_use]
    pub fn plane_size(self, plane: usize, width: u32, height: u32) -> Option<(usize, usize)> {
        let (w, h) = (width as usize, height as usize);
        self.layout().get(plane).map(|f| f(w, h))
    }
}

fn half_half(w: usize, h: usize) -> (usize, usize) {
    (w.div_ceil(2), h.div_ceil(2))
}

impl fmt::Display for PixelFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(code) => write!(f, "{}", code.escape_ascii()),
            known => write!(f, "{}", format!("{known:?}").to_uppercase()),
        }
    }
}

/// Where one plane of a frame begins in its memory, and the distance between its rows, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plane {
    /// First byte of the plane.
    pub offset: usize,
    /// Bytes from the start of one row to the start of the next; at least one row's worth.
    pub stride: usize,
}

/// Memory that holds a picture. Dropping the last handle gives it back to whoever lent it: a pool,
/// or the camera.
pub trait FrameMemory: Send + Sync {
    /// The bytes, readable by the CPU. A camera that lends device memory maps it on first use.
    fn bytes(&self) -> &[u8];

    /// How many bytes. For device memory this must not need a mapping.
    fn len(&self) -> usize {
        self.bytes().len()
    }

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same memory as a DMABUF, for an encoder that can import it without a copy.
    fn dmabuf(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

impl FrameMemory for Vec<u8> {
    fn bytes(&self) -> &[u8] {
        self
    }
}

/// Why bytes are not the picture they were said to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A format Picket cannot read.
    #[error(
        "pixel format {0} is not supported: use I420, NV12, YUYV, RGB, BGR, RGBA, BGRA or gray"
    )]
    Format(PixelFormat),
    /// No pixels, or more than a side of 16 384.
    #[error("a picture of {width}×{height} pixels is not possible: sides are 1 to 16384")]
    Size {
        /// Claimed width in pixels.
        width: u32,
        /// Claimed height in pixels.
        height: u32,
    },
    /// A plane is missing, its stride is shorter than its row, or it ends past the memory.
    #[error(
        "plane {plane} of a {width}×{height} {format} picture needs {needed} bytes, but the memory given for it holds {held}"
    )]
    Memory {
        /// Which plane, from 0.
        plane: usize,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The format.
        format: PixelFormat,
        /// Bytes needed from the start of the memory.
        needed: usize,
        /// Bytes there are.
        held: usize,
    },
}

/// One raw picture. Cheap to clone: clones share the memory.
#[derive(Clone)]
pub struct Frame {
    format: PixelFormat,
    width: u32,
    height: u32,
    planes: [Plane; 3],
    memory: Arc<dyn FrameMemory>,
    time: MediaTime,
    sequence: u64,
}

/// No camera Picket drives comes near; the bound keeps every size computation far from overflow.
const MAX_SIDE: u32 = 16_384;

impl Frame {
    /// A picture whose planes lie in `memory` where `planes` says.
    ///
    /// # Errors
    /// When the format is unknown, the size impossible, or a plane does not fit in the memory.
    /// After that every accessor is infallible.
    pub fn new(
        format: PixelFormat,
        (width, height): (u32, u32),
        planes: &[Plane],
        memory: Arc<dyn FrameMemory>,
        time: MediaTime,
        sequence: u64,
    ) -> Result<Self, FrameError> {
        if format.planes() == 0 {
            return Err(FrameError::Format(format));
        }
        if width == 0 || height == 0 || width > MAX_SIDE || height > MAX_SIDE {
            return Err(FrameError::Size { width, height });
        }
        let held = memory.len();
        let mut kept = [Plane { offset: 0, stride: 0 }; 3];
        for (i, slot) in kept.iter_mut().enumerate().take(format.planes()) {
            let (row, rows) = format.plane_size(i, width, height).unwrap_or_default();
            let bad = |needed| FrameError::Memory { plane: i, width, height, format, needed, held };
            let plane = *planes.get(i).ok_or_else(|| bad(row * rows))?;
            let end = plane
                .stride
                .checked_mul(rows - 1)
                .and_then(|n| n.checked_add(row))
                .and_then(|n| n.checked_add(plane.offset))
                .ok_or_else(|| bad(usize::MAX))?;
            if plane.stride < row || end > held {
                return Err(bad(end.max(row * rows)));
            }
            *slot = plane;
        }
        Ok(Self { format, width, height, planes: kept, memory, time, sequence })
    }

    /// A picture whose planes follow each other without gaps, as most programs hold them.
    ///
    /// # Errors
    /// As [`Frame::new`].
    pub fn packed(
        format: PixelFormat,
        size: (u32, u32),
        memory: Arc<dyn FrameMemory>,
        time: MediaTime,
        sequence: u64,
    ) -> Result<Self, FrameError> {
        Self::new(format, size, &Self::packed_planes(format, size), memory, time, sequence)
    }

    /// The planes of a gapless picture.
    #[must_use]
    pub fn packed_planes(format: PixelFormat, (width, height): (u32, u32)) -> Vec<Plane> {
        let mut offset = 0;
        (0..format.planes())
            .filter_map(|i| format.plane_size(i, width, height))
            .map(|(row, rows)| {
                let plane = Plane { offset, stride: row };
                offset += row * rows;
                plane
            })
            .collect()
    }

    /// Bytes a gapless picture takes.
    #[must_use]
    pub fn packed_len(format: PixelFormat, (width, height): (u32, u32)) -> usize {
        (0..format.planes())
            .filter_map(|i| format.plane_size(i, width, height))
            .map(|(row, rows)| row * rows)
            .sum()
    }

    /// How the pixels are laid out.
    #[must_use]
    pub fn format(&self) -> PixelFormat {
        self.format
    }

    /// Width in pixels.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// When the picture was exposed.
    #[must_use]
    pub fn time(&self) -> MediaTime {
        self.time
    }

    /// The camera's count of its pictures; a gap means the camera dropped some.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The bytes of plane `i`, first row to last, `stride(i)` apart.
    ///
    /// # Panics
    /// When the format has no plane `i`.
    #[must_use]
    pub fn plane(&self, i: usize) -> &[u8] {
        let (row, rows) = self
            .format
            .plane_size(i, self.width, self.height)
            .unwrap_or_else(|| panic!("{} has no plane {i}", self.format));
        let Plane { offset, stride } = self.planes[i];
        &self.memory.bytes()[offset..offset + stride * (rows - 1) + row]
    }

    /// Bytes between the starts of two rows of plane `i`.
    ///
    /// # Panics
    /// When `i` is above 2.
    #[must_use]
    pub fn stride(&self, i: usize) -> usize {
        self.planes[i].stride
    }

    /// Where the planes lie in the memory.
    #[must_use]
    pub fn layout(&self) -> &[Plane] {
        &self.planes[..self.format.planes()]
    }

    /// The memory itself, for an encoder that imports DMABUFs.
    #[must_use]
    pub fn memory(&self) -> &Arc<dyn FrameMemory> {
        &self.memory
    }

    /// The same picture with other stamps.
    #[must_use]
    pub fn restamped(mut self, time: MediaTime, sequence: u64) -> Self {
        self.time = time;
        self.sequence = sequence;
        self
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { format, width, height, sequence, time, .. } = self;
        write!(f, "Frame #{sequence} {width}×{height} {format} at {time:?}")
    }
}

/// Buffers that are used again and again, so that a running stream allocates no picture memory.
#[derive(Clone, Default)]
pub struct FramePool {
    idle: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// More idle buffers than this are freed rather than kept.
const MAX_IDLE: usize = 8;

impl FramePool {
    /// An empty pool; it grows to what is in flight at once.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A buffer of `len` bytes with unspecified contents.
    #[must_use]
    pub fn take(&self, len: usize) -> PoolBuffer {
        let recycled = self.idle.lock().ok().and_then(|mut idle| {
            // Buffers of another size are left over from before a mode change.
            idle.retain(|b| b.len() == len);
            idle.pop()
        });
        PoolBuffer {
            bytes: recycled.unwrap_or_else(|| vec![0; len]),
            home: Arc::downgrade(&self.idle),
        }
    }
}

/// A buffer on loan from a [`FramePool`]; goes back when dropped.
pub struct PoolBuffer {
    bytes: Vec<u8>,
    home: Weak<Mutex<Vec<Vec<u8>>>>,
}

impl Deref for PoolBuffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for PoolBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl FrameMemory for PoolBuffer {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for PoolBuffer {
    fn drop(&mut self) {
        if let Some(home) = self.home.upgrade()
            && let Ok(mut idle) = home.lock()
            && idle.len() < MAX_IDLE
        {
            idle.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(format: PixelFormat, size: (u32, u32), len: usize) -> Result<Frame, FrameError> {
        Frame::packed(format, size, Arc::new(vec![0u8; len]), MediaTime::default(), 0)
    }

    #[test]
    fn odd_sizes_round_chroma_up() {
        assert_eq!(Frame::packed_len(PixelFormat::I420, (5, 3)), 15 + 2 * 6);
        let f = frame(PixelFormat::I420, (5, 3), 27).unwrap();
        assert_eq!((f.plane(1).len(), f.plane(2).len()), (6, 6));
        assert_eq!(Frame::packed_len(PixelFormat::Nv12, (5, 3)), 15 + 12);
        assert_eq!(Frame::packed_len(PixelFormat::Yuyv, (5, 3)), 36);
    }

    #[test]
    fn memory_that_is_too_short_is_refused_with_both_sizes() {
        let e = frame(PixelFormat::I420, (4, 4), 23).unwrap_err();
        assert_eq!(
            e.to_string(),
            "plane 2 of a 4×4 I420 picture needs 24 bytes, but the memory given for it holds 23"
        );
    }

    #[test]
    fn a_format_we_cannot_read_is_named() {
        let e = frame(PixelFormat::Other(*b"pRAA"), (4, 4), 100).unwrap_err();
        assert!(e.to_string().contains("pRAA"), "{e}");
    }

    #[test]
    fn strides_and_offsets_from_a_hostile_driver_do_not_overflow() {
        for plane in [
            Plane { offset: usize::MAX, stride: 4 },
            Plane { offset: 0, stride: usize::MAX },
            Plane { offset: 0, stride: 3 },
        ] {
            let r = Frame::new(
                PixelFormat::Gray,
                (4, 4),
                &[plane],
                Arc::new(vec![0u8; 64]),
                MediaTime::default(),
                0,
            );
            assert!(r.is_err(), "{plane:?}");
        }
    }

    #[test]
    fn a_pool_hands_the_same_memory_out_again() {
        let pool = FramePool::new();
        let first = pool.take(64).as_ptr();
        let again = pool.take(64);
        assert_eq!(first, again.as_ptr());
        assert_eq!(pool.take(32).len(), 32);
    }
}

//! Frames while they are being worked on: I420 of even size in memory that may be written to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::TransformError;
use crate::media::{Frame, FrameError, FramePool, MediaTime, PixelFormat, PoolBuffer};

/// Counts the picture bytes that were written into fresh memory: by conversion, scaling, turning, and
/// copying because a picture was shared. Clones count together.
///
/// Zero over a running stream means that pictures reach the encoder in the memory the camera filled.
#[derive(Clone, Debug, Default)]
pub struct CopyMeter(Arc<AtomicU64>);

impl CopyMeter {
    /// Bytes written so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// One plane of a picture, for reading.
#[derive(Clone, Copy)]
pub(crate) struct PlaneView<'a> {
    bytes: &'a [u8],
    stride: usize,
    width: usize,
    height: usize,
}

impl<'a> PlaneView<'a> {
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    pub(crate) fn height(&self) -> usize {
        self.height
    }

    /// The rows, top to bottom, each exactly as long as the plane is wide.
    pub(crate) fn rows(&self) -> impl DoubleEndedIterator<Item = &'a [u8]> + use<'a> {
        let Self { width, height, .. } = *self;
        // Not `chunks_exact`: the last row need not be padded to the stride.
        self.bytes.chunks(self.stride).take(height).map(move |row| &row[..width])
    }

    /// Row `i` from the top.
    pub(crate) fn row(&self, i: usize) -> &'a [u8] {
        &self.bytes[i * self.stride..][..self.width]
    }

    /// All bytes at once, when no padding lies between the rows.
    pub(crate) fn gapless(&self) -> Option<&'a [u8]> {
        (self.stride == self.width).then(|| &self.bytes[..self.width * self.height])
    }
}

/// An I420 picture of even size in memory of its own, its planes one behind the other without gaps.
pub(crate) struct I420Buffer {
    buffer: PoolBuffer,
    width: usize,
    height: usize,
}

impl I420Buffer {
    /// A picture with unspecified contents.
    pub(crate) fn new(
        pool: &FramePool,
        (width, height): (u32, u32),
    ) -> Result<Self, TransformError> {
        let possible = |side: u32| side.is_multiple_of(2) && (2..=16_384).contains(&side);
        if !possible(width) || !possible(height) {
            return Err(TransformError::Size { width, height });
        }
        Ok(Self {
            buffer: pool.take(Frame::packed_len(PixelFormat::I420, (width, height))),
            width: width as usize,
            height: height as usize,
        })
    }

    pub(crate) fn size(&self) -> (u32, u32) {
        // Never above 16 384, see `new`.
        (self.width as u32, self.height as u32)
    }

    /// Y, U and V, for reading.
    pub(crate) fn planes(&self) -> [PlaneView<'_>; 3] {
        let (y, chroma) = self.buffer.split_at(self.width * self.height);
        let (u, v) = chroma.split_at(chroma.len() / 2);
        let view = |bytes, width, height| PlaneView { bytes, stride: width, width, height };
        let (half_width, half_height) = (self.width / 2, self.height / 2);
        [
            view(y, self.width, self.height),
            view(u, half_width, half_height),
            view(v, half_width, half_height),
        ]
    }

    /// Y, U and V, for writing: gapless, U and V half as wide and half as high as Y.
    pub(crate) fn planes_mut(&mut self) -> [&mut [u8]; 3] {
        let (y, chroma) = self.buffer.split_at_mut(self.width * self.height);
        let (u, v) = chroma.split_at_mut(chroma.len() / 2);
        [y, u, v]
    }

    /// The finished picture.
    pub(crate) fn into_frame(self, time: MediaTime, sequence: u64) -> Result<Frame, FrameError> {
        let size = self.size();
        Frame::packed(PixelFormat::I420, size, Arc::new(self.buffer), time, sequence)
    }
}

/// An I420 picture of even size on its way through the chain: the camera's own memory until a step
/// has to write, ours from then on.
pub(super) enum I420Frame {
    Borrowed(Frame),
    Owned(I420Buffer),
}

impl I420Frame {
    pub(super) fn size(&self) -> (u32, u32) {
        match self {
            Self::Borrowed(frame) => (frame.width(), frame.height()),
            Self::Owned(buffer) => buffer.size(),
        }
    }

    pub(super) fn planes(&self) -> [PlaneView<'_>; 3] {
        match self {
            Self::Borrowed(frame) => {
                let (width, height) = (frame.width() as usize, frame.height() as usize);
                std::array::from_fn(|i| {
                    let shift = usize::from(i > 0);
                    PlaneView {
                        bytes: frame.plane(i),
                        stride: frame.stride(i),
                        width: width >> shift,
                        height: height >> shift,
                    }
                })
            }
            Self::Owned(buffer) => buffer.planes(),
        }
    }

    /// The picture in memory of our own, copied if it was not there yet.
    pub(super) fn into_buffer(
        self,
        pool: &FramePool,
        copies: &CopyMeter,
    ) -> Result<I420Buffer, TransformError> {
        if let Self::Owned(buffer) = self {
            return Ok(buffer);
        }
        let mut buffer = I420Buffer::new(pool, self.size())?;
        for (from, to) in self.planes().iter().zip(buffer.planes_mut()) {
            copy_rows(from, to);
            copies.add(to.len());
        }
        Ok(buffer)
    }

    pub(super) fn into_frame(self, time: MediaTime, sequence: u64) -> Result<Frame, FrameError> {
        match self {
            Self::Borrowed(frame) => Ok(frame),
            Self::Owned(buffer) => buffer.into_frame(time, sequence),
        }
    }
}

/// Copies a plane into gapless memory of the same size.
pub(super) fn copy_rows(from: &PlaneView<'_>, to: &mut [u8]) {
    if let Some(bytes) = from.gapless() {
        to.copy_from_slice(bytes);
        return;
    }
    for (from, to) in from.rows().zip(to.chunks_exact_mut(from.width)) {
        to.copy_from_slice(from);
    }
}

//! What is said to a device and what it answers, in plain values.

use std::os::fd::BorrowedFd;

use v4l::v4l_sys as sys;

use crate::media::MediaTime;

/// Which way buffers go, seen from the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queue {
    /// Pictures out of a camera, in the older interface that USB cameras have.
    Capture,
    /// What a codec has made.
    CaptureMplane,
    /// What a codec is to work on.
    OutputMplane,
}

/// Whose memory a queue's buffers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemoryType {
    /// The device's, to be mapped.
    Mmap,
    /// Another device's, handed over frame by frame as DMABUF.
    Dmabuf,
}

/// A buffer on its way to the device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Buffer<'a> {
    pub(crate) index: u32,
    /// Bytes of picture in it, for [`Queue::OutputMplane`].
    pub(crate) used: u32,
    /// How long the memory is.
    pub(crate) len: u32,
    pub(crate) dmabuf: Option<BorrowedFd<'a>>,
    pub(crate) time: MediaTime,
}

/// A buffer that came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DequeuedBuffer {
    pub(crate) index: u32,
    /// Bytes the device wrote, and where they begin.
    pub(crate) used: u32,
    pub(crate) offset: u32,
    pub(crate) time: MediaTime,
    pub(crate) sequence: u32,
    /// Its contents are damaged.
    pub(crate) error: bool,
    /// The last one before a drain ends.
    pub(crate) last: bool,
}

/// Something that a driver reports beside its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeviceEvent {
    /// A drain has ended.
    EndOfStream,
    /// The format is not what it was.
    SourceChange,
    Other(u32),
}

/// A control and what it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ControlInfo {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) min: i64,
    pub(crate) max: i64,
    pub(crate) step: u64,
    pub(crate) default: i64,
}

/// What a device says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Capability {
    pub(crate) driver: String,
    pub(crate) card: String,
    pub(crate) bus: String,
    pub(super) flags: u32,
}

impl Capability {
    /// A camera, or another source of pictures.
    pub(crate) fn captures(&self) -> bool {
        self.flags & sys::V4L2_CAP_VIDEO_CAPTURE != 0 && self.flags & sys::V4L2_CAP_STREAMING != 0
    }

    /// A codec or scaler that takes pictures from memory and gives them back.
    pub(crate) fn is_m2m(&self) -> bool {
        self.flags & sys::V4L2_CAP_VIDEO_M2M_MPLANE != 0
    }
}

impl Queue {
    pub(super) const fn number(self) -> u32 {
        match self {
            Self::Capture => sys::v4l2_buf_type_V4L2_BUF_TYPE_VIDEO_CAPTURE,
            Self::CaptureMplane => sys::v4l2_buf_type_V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE,
            Self::OutputMplane => sys::v4l2_buf_type_V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE,
        }
    }

    pub(super) const fn is_mplane(self) -> bool {
        !matches!(self, Self::Capture)
    }
}

impl MemoryType {
    pub(super) const fn number(self) -> u32 {
        match self {
            Self::Mmap => sys::v4l2_memory_V4L2_MEMORY_MMAP,
            Self::Dmabuf => sys::v4l2_memory_V4L2_MEMORY_DMABUF,
        }
    }
}

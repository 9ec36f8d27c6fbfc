//! The formats of what goes into the device and what comes out, as agreed with its driver.

use super::error::{DeviceError, During};
use super::node::Node;
use crate::encoder::EncoderSettings;
use crate::media::geometry::Geometry;
use crate::media::{Frame, PixelFormat};
use crate::transform::MatrixCoefficients;
use crate::v4l2::{Device, FourCc, Mapping, MemoryType, Queue, VideoFormat};

/// Smallest and largest buffer for a coded picture, in bytes. The Pi's driver offers 512 KiB, which
/// large key frames overflow; it then goes on in the next buffer and does not say so.
pub(super) const CODED_BUFFER_SIZE: std::ops::RangeInclusive<u32> = 1 << 20..=8 << 20;

/// How frames come in. A session serves one format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InputFormat {
    pub(super) format: PixelFormat,
    width: u32,
    height: u32,
    /// Of the first plane, for frames that are imported.
    stride: usize,
    pub(super) memory: MemoryType,
}

impl InputFormat {
    /// That of `frame`: imported where it is, if that may be tried and it has a DMABUF whose planes lie
    /// as the kernel has them.
    pub(super) fn of(frame: &Frame, may_import: bool) -> Self {
        let (format, width, height) = (frame.format(), frame.width(), frame.height());
        let stride = frame.stride(0);
        let as_in_the_kernel = Geometry { format, width, height, stride }
            .planes()
            .is_some_and(|planes| *planes == *frame.layout());
        let import = may_import && as_in_the_kernel && frame.memory().dmabuf().is_some();
        match import {
            true => Self { format, width, height, stride, memory: MemoryType::Dmabuf },
            false => Self { format, width, height, stride: 0, memory: MemoryType::Mmap },
        }
    }
}

/// Sets the format of what the device codes.
pub(super) fn set_coded_format(
    device: &Device,
    node: &Node,
    settings: &EncoderSettings,
    size: u32,
) -> Result<(), DeviceError> {
    let code = node.format().code();
    let wanted = VideoFormat {
        code,
        width: settings.width,
        height: settings.height,
        stride: 0,
        size,
        matrix: None,
    };
    let set = device.set_format(Queue::CaptureMplane, &wanted).during("setting what it codes")?;
    match set.code == code {
        true => Ok(()),
        false => Err(DeviceError::Unsupported(format!("it codes {} rather than {code}", set.code))),
    }
}

/// Sets the format of what the device reads. Its answer decides where rows begin, never our own
/// arithmetic.
pub(super) fn set_raw_format(
    device: &Device,
    input: InputFormat,
) -> Result<VideoFormat, DeviceError> {
    let InputFormat { format, width, height, stride, memory } = input;
    let code = FourCc::of_pixel_format(format)
        .ok_or_else(|| DeviceError::Unsupported(format!("it takes no {format} pictures")))?;
    let wanted = VideoFormat {
        code,
        width,
        height,
        stride: u32::try_from(stride).unwrap_or(0),
        size: 0,
        matrix: Some(MatrixCoefficients::for_height(height)),
    };
    let set = device.set_format(Queue::OutputMplane, &wanted).during("setting what it reads")?;
    if set.code != code {
        return Err(DeviceError::Unsupported(format!("it reads {} rather than {code}", set.code)));
    }
    let other_rows = memory == MemoryType::Dmabuf && set.stride as usize != stride;
    // A driver that rounds the height up puts the chroma further down than it is.
    let other_height = memory == MemoryType::Dmabuf && set.height != height;
    if other_rows || other_height {
        return Err(DeviceError::Import(format!(
            "its rows are {} bytes and {} in number, the camera's {stride} and {height}",
            set.stride, set.height
        )));
    }
    if set.width < width || set.height < height {
        return Err(DeviceError::Unsupported(format!(
            "it codes at most {}×{} pixels of {width}×{height}",
            set.width, set.height
        )));
    }
    Ok(set)
}

/// Copies a frame to where the device's rows are. Returns how many bytes that were.
pub(super) fn copy_in(
    frame: &Frame,
    agreed: &VideoFormat,
    mapping: &mut Mapping,
) -> Result<usize, DeviceError> {
    let VideoFormat { width, height, stride, .. } = *agreed;
    let geometry = Geometry { format: frame.format(), width, height, stride: stride as usize };
    let copied = geometry.copy_in(frame, mapping.bytes_mut());
    copied.map_err(|why| DeviceError::Unsupported(why.to_string()))
}

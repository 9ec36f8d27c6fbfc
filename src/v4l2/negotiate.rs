//! Asking a device which formats, frame sizes and frame rates it has, and agreeing on one.

// As in `device`: each unsafe block is a structure of plain numbers, of which zero is a valid
// value, or the member of a union that the driver has just filled in.
#![allow(unsafe_code)]

use std::io;
use std::mem::zeroed;

use v4l::v4l_sys as sys;
use v4l::v4l2::vidioc;

use super::device::Device;
use super::format::{FourCc, FrameSizeRange, VideoFormat};
use super::types::Queue;
use crate::transform::MatrixCoefficients;

impl Device {
    /// The formats a queue offers, the driver's favourites first.
    pub(crate) fn formats(&self, queue: Queue) -> Vec<FourCc> {
        // A driver that never says "no more" must not keep us here.
        (0..64)
            .map_while(|index| {
                // SAFETY: see `capability`.
                let mut raw: sys::v4l2_fmtdesc = unsafe { zeroed() };
                (raw.index, raw.type_) = (index, queue.number());
                self.ioctl(vidioc::VIDIOC_ENUM_FMT, &mut raw).ok()?;
                Some(FourCc::from_number(raw.pixelformat))
            })
            .collect()
    }

    /// The sizes a format comes in; empty when the driver does not say.
    pub(crate) fn frame_sizes(&self, code: FourCc) -> Vec<FrameSizeRange> {
        (0..64)
            .map_while(|index| {
                // SAFETY: see `capability`.
                let mut raw: sys::v4l2_frmsizeenum = unsafe { zeroed() };
                (raw.index, raw.pixel_format) = (index, code.number());
                self.ioctl(vidioc::VIDIOC_ENUM_FRAMESIZES, &mut raw).ok()?;
                let discrete = raw.type_ == sys::v4l2_frmsizetypes_V4L2_FRMSIZE_TYPE_DISCRETE;
                // SAFETY: `type_` says which of the two the driver filled in; both are numbers.
                let (one, many) =
                    unsafe { (raw.__bindgen_anon_1.discrete, raw.__bindgen_anon_1.stepwise) };
                Some(if discrete {
                    let size = (one.width, one.height);
                    FrameSizeRange { min: size, max: size }
                } else {
                    FrameSizeRange {
                        min: (many.min_width, many.min_height),
                        max: (many.max_width, many.max_height),
                    }
                })
            })
            .collect()
    }

    /// The rates a format and size come in, in pictures a second, fastest first as drivers list
    /// them; of a range, both ends.
    pub(crate) fn frame_rates(&self, code: FourCc, (width, height): (u32, u32)) -> Vec<f64> {
        (0..64)
            .map_while(|index| {
                // SAFETY: see `capability`.
                let mut raw: sys::v4l2_frmivalenum = unsafe { zeroed() };
                raw.index = index;
                raw.pixel_format = code.number();
                (raw.width, raw.height) = (width, height);
                self.ioctl(vidioc::VIDIOC_ENUM_FRAMEINTERVALS, &mut raw).ok()?;
                let discrete = raw.type_ == sys::v4l2_frmivaltypes_V4L2_FRMIVAL_TYPE_DISCRETE;
                // SAFETY: see `sizes`.
                let (one, many) =
                    unsafe { (raw.__bindgen_anon_1.discrete, raw.__bindgen_anon_1.stepwise) };
                let intervals = if discrete { vec![one] } else { vec![many.min, many.max] };
                Some(intervals.into_iter().filter_map(rate).collect::<Vec<_>>())
            })
            .flatten()
            .collect()
    }

    /// Sets the format of a queue. Returns what the driver has really set.
    pub(crate) fn set_format(&self, queue: Queue, wanted: &VideoFormat) -> io::Result<VideoFormat> {
        // SAFETY: see `capability`.
        let mut raw: sys::v4l2_format = unsafe { zeroed() };
        raw.type_ = queue.number();
        if queue.is_mplane() {
            raw.fmt.pix_mp = mplane_format(wanted);
        } else {
            raw.fmt.pix = single_plane_format(wanted);
        }
        self.ioctl(vidioc::VIDIOC_S_FMT, &mut raw)?;
        if !queue.is_mplane() {
            // SAFETY: the driver has filled in the member that belongs to the queue's type.
            let pix = unsafe { raw.fmt.pix };
            return Ok(VideoFormat {
                code: FourCc::from_number(pix.pixelformat),
                width: pix.width,
                height: pix.height,
                stride: pix.bytesperline,
                size: pix.sizeimage,
                matrix: wanted.matrix,
            });
        }
        // SAFETY: as above.
        let pix = unsafe { raw.fmt.pix_mp };
        if pix.num_planes != 1 {
            return Err(io::Error::other("the driver wants the picture in several buffers"));
        }
        Ok(VideoFormat {
            code: FourCc::from_number(pix.pixelformat),
            width: pix.width,
            height: pix.height,
            stride: pix.plane_fmt[0].bytesperline,
            size: pix.plane_fmt[0].sizeimage,
            matrix: wanted.matrix,
        })
    }

    /// Sets the frame rate of a queue. Returns what the driver has really set.
    pub(crate) fn set_frame_rate(&self, queue: Queue, fps: f64) -> io::Result<f64> {
        // SAFETY: see `capability`.
        let mut raw: sys::v4l2_streamparm = unsafe { zeroed() };
        raw.type_ = queue.number();
        let interval =
            sys::v4l2_fract { numerator: 1000, denominator: (fps * 1000.0).clamp(1.0, 1e9) as u32 };
        if queue == Queue::OutputMplane {
            raw.parm.output.timeperframe = interval;
        } else {
            raw.parm.capture.timeperframe = interval;
        }
        self.ioctl(vidioc::VIDIOC_S_PARM, &mut raw)?;
        // SAFETY: both members have the interval at the same place, and the driver filled it in.
        let set = unsafe {
            match queue {
                Queue::OutputMplane => raw.parm.output.timeperframe,
                _ => raw.parm.capture.timeperframe,
            }
        };
        Ok(rate(set).unwrap_or(fps))
    }
}

fn single_plane_format(wanted: &VideoFormat) -> sys::v4l2_pix_format {
    sys::v4l2_pix_format {
        width: wanted.width,
        height: wanted.height,
        pixelformat: wanted.code.number(),
        field: sys::v4l2_field_V4L2_FIELD_NONE,
        bytesperline: wanted.stride,
        sizeimage: wanted.size,
        // SAFETY: see `capability`.
        ..unsafe { zeroed() }
    }
}

fn mplane_format(wanted: &VideoFormat) -> sys::v4l2_pix_format_mplane {
    let mut pix = sys::v4l2_pix_format_mplane {
        width: wanted.width,
        height: wanted.height,
        pixelformat: wanted.code.number(),
        field: sys::v4l2_field_V4L2_FIELD_NONE,
        num_planes: 1,
        // SAFETY: see `capability`.
        ..unsafe { zeroed() }
    };
    if let Some(matrix) = wanted.matrix {
        let (colorspace, encoding) = match matrix {
            MatrixCoefficients::Bt601 => (
                sys::v4l2_colorspace_V4L2_COLORSPACE_SMPTE170M,
                sys::v4l2_ycbcr_encoding_V4L2_YCBCR_ENC_601,
            ),
            MatrixCoefficients::Bt709 => (
                sys::v4l2_colorspace_V4L2_COLORSPACE_REC709,
                sys::v4l2_ycbcr_encoding_V4L2_YCBCR_ENC_709,
            ),
        };
        pix.colorspace = colorspace;
        pix.__bindgen_anon_1.ycbcr_enc = encoding as u8;
        pix.xfer_func = sys::v4l2_xfer_func_V4L2_XFER_FUNC_709 as u8;
        pix.quantization = sys::v4l2_quantization_V4L2_QUANTIZATION_LIM_RANGE as u8;
    }
    pix.plane_fmt[0].bytesperline = wanted.stride;
    pix.plane_fmt[0].sizeimage = wanted.size;
    pix
}

/// The frame rate of a frame interval.
fn rate(interval: sys::v4l2_fract) -> Option<f64> {
    let sane = interval.numerator > 0 && interval.denominator > 0;
    sane.then(|| f64::from(interval.denominator) / f64::from(interval.numerator))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_of_nothing_is_no_rate() {
        assert_eq!(rate(sys::v4l2_fract { numerator: 0, denominator: 30 }), None);
        assert_eq!(
            rate(sys::v4l2_fract { numerator: 1001, denominator: 30_000 }).map(f64::round),
            Some(30.0)
        );
    }
}

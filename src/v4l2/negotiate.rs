//! Asking a device which formats, sizes and rates it has, and agreeing on one.

// As in `device`: each unsafe block is a structure of plain numbers, of which zero is a valid
// value, or the member of a union that the driver has just filled in.
#![allow(unsafe_code)]

use std::io;
use std::mem::zeroed;

use v4l::v4l_sys as sys;
use v4l::v4l2::vidioc;

use super::device::{Device, Queue};
use super::format::{Colours, FourCc, PictureFormat, SizeRange};

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
    pub(crate) fn sizes(&self, code: FourCc) -> Vec<SizeRange> {
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
                    SizeRange { least: size, most: size }
                } else {
                    SizeRange {
                        least: (many.min_width, many.min_height),
                        most: (many.max_width, many.max_height),
                    }
                })
            })
            .collect()
    }

    /// The rates a format and size come in, in pictures a second, fastest first as drivers list
    /// them; of a range, both ends.
    pub(crate) fn rates(&self, code: FourCc, (width, height): (u32, u32)) -> Vec<f64> {
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

    /// Sets the format of a queue, and says what the driver made of it.
    pub(crate) fn set_format(
        &self,
        queue: Queue,
        wanted: &PictureFormat,
    ) -> io::Result<PictureFormat> {
        // SAFETY: see `capability`.
        let mut raw: sys::v4l2_format = unsafe { zeroed() };
        raw.type_ = queue.number();
        let (colorspace, encoding, transfer) = match wanted.colours {
            None => (0, 0, 0),
            Some(Colours::Bt601) => (
                sys::v4l2_colorspace_V4L2_COLORSPACE_SMPTE170M,
                sys::v4l2_ycbcr_encoding_V4L2_YCBCR_ENC_601,
                sys::v4l2_xfer_func_V4L2_XFER_FUNC_709,
            ),
            Some(Colours::Bt709) => (
                sys::v4l2_colorspace_V4L2_COLORSPACE_REC709,
                sys::v4l2_ycbcr_encoding_V4L2_YCBCR_ENC_709,
                sys::v4l2_xfer_func_V4L2_XFER_FUNC_709,
            ),
        };
        let limited = sys::v4l2_quantization_V4L2_QUANTIZATION_LIM_RANGE;
        let quantization = wanted.colours.map_or(0, |_| limited);
        let field = sys::v4l2_field_V4L2_FIELD_NONE;
        if queue.is_mplane() {
            let mut pix = sys::v4l2_pix_format_mplane {
                width: wanted.width,
                height: wanted.height,
                pixelformat: wanted.code.number(),
                field,
                colorspace,
                num_planes: 1,
                quantization: quantization as u8,
                xfer_func: transfer as u8,
                // SAFETY: see `capability`.
                ..unsafe { zeroed() }
            };
            pix.__bindgen_anon_1.ycbcr_enc = encoding as u8;
            pix.plane_fmt[0].bytesperline = wanted.stride;
            pix.plane_fmt[0].sizeimage = wanted.size;
            raw.fmt.pix_mp = pix;
        } else {
            raw.fmt.pix = sys::v4l2_pix_format {
                width: wanted.width,
                height: wanted.height,
                pixelformat: wanted.code.number(),
                field,
                bytesperline: wanted.stride,
                sizeimage: wanted.size,
                // SAFETY: see `capability`.
                ..unsafe { zeroed() }
            };
        }
        self.ioctl(vidioc::VIDIOC_S_FMT, &mut raw)?;
        // SAFETY: the driver has filled in the member that belongs to the queue's type.
        Ok(if queue.is_mplane() {
            let pix = unsafe { raw.fmt.pix_mp };
            if pix.num_planes != 1 {
                return Err(io::Error::other("the driver wants the picture in several buffers"));
            }
            PictureFormat {
                code: FourCc::from_number(pix.pixelformat),
                width: pix.width,
                height: pix.height,
                stride: pix.plane_fmt[0].bytesperline,
                size: pix.plane_fmt[0].sizeimage,
                colours: wanted.colours,
            }
        } else {
            let pix = unsafe { raw.fmt.pix };
            PictureFormat {
                code: FourCc::from_number(pix.pixelformat),
                width: pix.width,
                height: pix.height,
                stride: pix.bytesperline,
                size: pix.sizeimage,
                colours: wanted.colours,
            }
        })
    }

    /// Sets the rate of a queue in pictures a second, and says what the driver made of it.
    pub(crate) fn set_rate(&self, queue: Queue, fps: f64) -> io::Result<f64> {
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

/// Pictures a second from the time one takes.
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

//! Formats and sizes as drivers name them.

use std::fmt;

use crate::media::PixelFormat;
use crate::transform::MatrixCoefficients;

/// A format's four-character code.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FourCc(pub(crate) [u8; 4]);

impl FourCc {
    pub(crate) const I420: Self = Self(*b"YU12");
    pub(crate) const NV12: Self = Self(*b"NV12");
    pub(crate) const YUYV: Self = Self(*b"YUYV");
    pub(crate) const MJPEG: Self = Self(*b"MJPG");
    pub(crate) const H264: Self = Self(*b"H264");
    /// The kernel's own codec, which `vicodec` speaks.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) const FWHT: Self = Self(*b"FWHT");

    pub(crate) const fn number(self) -> u32 {
        u32::from_le_bytes(self.0)
    }

    pub(crate) const fn from_number(number: u32) -> Self {
        Self(number.to_le_bytes())
    }

    /// The raw format of this name; `None` for coded ones.
    pub(crate) const fn pixel_format(self) -> Option<PixelFormat> {
        match &self.0 {
            b"YU12" => Some(PixelFormat::I420),
            b"NV12" => Some(PixelFormat::Nv12),
            b"YUYV" => Some(PixelFormat::Yuyv),
            b"RGB3" => Some(PixelFormat::Rgb),
            b"BGR3" => Some(PixelFormat::Bgr),
            b"GREY" => Some(PixelFormat::Gray),
            _ => None,
        }
    }

    /// The name of a raw format.
    pub(crate) const fn of_pixel_format(format: PixelFormat) -> Option<Self> {
        match format {
            PixelFormat::I420 => Some(Self::I420),
            PixelFormat::Nv12 => Some(Self::NV12),
            PixelFormat::Yuyv => Some(Self::YUYV),
            PixelFormat::Rgb => Some(Self(*b"RGB3")),
            PixelFormat::Bgr => Some(Self(*b"BGR3")),
            PixelFormat::Gray => Some(Self(*b"GREY")),
            _ => None,
        }
    }
}

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a queue carries. Drivers answer with what they will really do: always go by the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct VideoFormat {
    pub(crate) code: FourCc,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Bytes from one row of the first plane to the next; 0 for coded formats, and to let the
    /// driver choose.
    pub(crate) stride: u32,
    /// Bytes a buffer holds; 0 to let the driver choose.
    pub(crate) size: u32,
    /// In limited range; `None` leaves it to the driver.
    pub(crate) matrix: Option<MatrixCoefficients>,
}

/// Frame sizes that a driver offers: from a smallest to a largest, in steps; or a single one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameSizeRange {
    pub(crate) min: (u32, u32),
    pub(crate) max: (u32, u32),
}

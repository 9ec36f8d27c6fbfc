//! The modes that a device offers.

use crate::camera::{CaptureMode, Mode};
use crate::v4l2::{Device, FourCc, FrameSizeRange, Queue};

/// A mode in one of its formats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FormatMode {
    pub(super) code: FourCc,
    pub(super) mode: Mode,
}

/// Formats Picket can use, the best first: coded ones cost nothing, raw ones near the encoder's
/// own cost little, JPEG has to be decoded.
const FORMATS: [FourCc; 6] =
    [FourCc::H264, FourCc::NV12, FourCc::I420, FourCc::YUYV, FourCc::MJPEG, FourCc(*b"RGB3")];

/// Sizes tried of a device that takes any.
const COMMON_SIZES: [(u32, u32); 7] =
    [(1280, 720), (1920, 1080), (640, 480), (640, 360), (800, 600), (1024, 768), (320, 240)];

/// All modes of a device, the best format first. H.264 that is not to be passed through has to be
/// decoded, which is worth it only where there is nothing else.
pub(super) fn format_modes(device: &Device, capture_mode: CaptureMode) -> Vec<FormatMode> {
    let formats = usable(&device.formats(Queue::Capture), capture_mode);
    formats.into_iter().flat_map(|code| modes_of(device, code)).collect()
}

fn usable(there: &[FourCc], capture_mode: CaptureMode) -> Vec<FourCc> {
    let mut usable: Vec<_> = FORMATS.into_iter().filter(|code| there.contains(code)).collect();
    if capture_mode == CaptureMode::Decode && usable != [FourCc::H264] {
        usable.retain(|code| *code != FourCc::H264);
    }
    usable
}

fn modes_of(device: &Device, code: FourCc) -> Vec<FormatMode> {
    let sizes = sizes(&device.frame_sizes(code));
    let modes = sizes.into_iter().flat_map(|(width, height)| {
        let rates = device.frame_rates(code, (width, height));
        // A driver that does not say is asked for the usual.
        let rates = if rates.is_empty() { vec![30.0] } else { rates };
        rates.into_iter().map(move |fps| Mode { width, height, fps })
    });
    modes.map(|mode| FormatMode { code, mode }).collect()
}

/// Single sizes, out of ranges.
fn sizes(ranges: &[FrameSizeRange]) -> Vec<(u32, u32)> {
    let mut sizes = Vec::new();
    for FrameSizeRange { min, max } in ranges {
        if min == max {
            sizes.push(*min);
            continue;
        }
        let within =
            |(w, h): &(u32, u32)| (min.0..=max.0).contains(w) && (min.1..=max.1).contains(h);
        sizes.extend(COMMON_SIZES.into_iter().filter(within));
        sizes.push(*max);
    }
    if ranges.is_empty() {
        sizes.push(COMMON_SIZES[0]);
    }
    sizes.retain(|(w, h)| (16..=16_384).contains(w) && (16..=16_384).contains(h));
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_sizes_is_taken_at_the_common_ones_and_its_end() {
        let one = FrameSizeRange { min: (160, 90), max: (160, 90) };
        let many = FrameSizeRange { min: (16, 16), max: (1000, 600) };
        assert_eq!(
            sizes(&[one, many]),
            [(160, 90), (640, 480), (640, 360), (800, 600), (320, 240), (1000, 600)]
        );
        assert_eq!(sizes(&[]), [(1280, 720)]);
    }

    #[test]
    fn coded_pictures_are_avoided_where_there_are_others() {
        let both = [FourCc::YUYV, FourCc::H264];
        assert_eq!(usable(&both, CaptureMode::PassThrough), [FourCc::H264, FourCc::YUYV]);
        assert_eq!(usable(&both, CaptureMode::Decode), [FourCc::YUYV]);
        assert_eq!(usable(&[FourCc::H264], CaptureMode::Decode), [FourCc::H264]);
        assert_eq!(usable(&[FourCc::FWHT], CaptureMode::PassThrough), []);
    }

    #[test]
    fn impossible_sizes_are_left_out() {
        let impossible = |min, max| sizes(&[FrameSizeRange { min, max }]);
        assert_eq!(impossible((0, 0), (0, 0)), []);
        assert_eq!(impossible((u32::MAX, 1), (u32::MAX, 1)), []);
        assert_eq!(impossible((500, 500), (1, 1)), []);
    }
}

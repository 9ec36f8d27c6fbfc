//! What a device offers, in Picket's words.

use super::Coded;
use crate::camera::Mode;
use crate::v4l2::{Device, FourCc, Queue, SizeRange};

/// A format in a mode.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Offer {
    pub(super) code: FourCc,
    pub(super) mode: Mode,
}

/// Formats Picket can use, the best first: coded ones cost nothing, raw ones near the encoder's
/// own cost little, JPEG has to be decoded.
const FORMATS: [FourCc; 6] =
    [FourCc::H264, FourCc::NV12, FourCc::I420, FourCc::YUYV, FourCc::MJPEG, FourCc(*b"RGB3")];

/// Sizes tried of a device that takes any.
const COMMON: [(u32, u32); 7] =
    [(1280, 720), (1920, 1080), (640, 480), (640, 360), (800, 600), (1024, 768), (320, 240)];

/// All offers of a device, the best format first. H.264 that is not to be passed on has to be
/// decoded, which is worth it only where there is nothing else.
pub(super) fn offers(device: &Device, coded: Coded) -> Vec<Offer> {
    let formats = usable(&device.formats(Queue::Capture), coded);
    formats.into_iter().flat_map(|code| offers_of(device, code)).collect()
}

fn usable(there: &[FourCc], coded: Coded) -> Vec<FourCc> {
    let mut usable: Vec<_> = FORMATS.into_iter().filter(|code| there.contains(code)).collect();
    if coded == Coded::Avoid && usable != [FourCc::H264] {
        usable.retain(|code| *code != FourCc::H264);
    }
    usable
}

fn offers_of(device: &Device, code: FourCc) -> Vec<Offer> {
    let sizes = sizes(&device.sizes(code));
    let modes = sizes.into_iter().flat_map(|(width, height)| {
        let rates = device.rates(code, (width, height));
        // A driver that does not say is asked for the usual.
        let rates = if rates.is_empty() { vec![30.0] } else { rates };
        rates.into_iter().map(move |fps| Mode { width, height, fps })
    });
    modes.map(|mode| Offer { code, mode }).collect()
}

/// Single sizes, out of ranges.
fn sizes(ranges: &[SizeRange]) -> Vec<(u32, u32)> {
    let mut sizes = Vec::new();
    for SizeRange { least, most } in ranges {
        if least == most {
            sizes.push(*least);
            continue;
        }
        let within =
            |(w, h): &(u32, u32)| (least.0..=most.0).contains(w) && (least.1..=most.1).contains(h);
        sizes.extend(COMMON.into_iter().filter(within));
        sizes.push(*most);
    }
    if ranges.is_empty() {
        sizes.push(COMMON[0]);
    }
    sizes.retain(|(w, h)| (16..=16_384).contains(w) && (16..=16_384).contains(h));
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_sizes_is_taken_at_the_common_ones_and_its_end() {
        let one = SizeRange { least: (160, 90), most: (160, 90) };
        let many = SizeRange { least: (16, 16), most: (1000, 600) };
        assert_eq!(
            sizes(&[one, many]),
            [(160, 90), (640, 480), (640, 360), (800, 600), (320, 240), (1000, 600)]
        );
        assert_eq!(sizes(&[]), [(1280, 720)]);
    }

    #[test]
    fn coded_pictures_are_avoided_where_there_are_others() {
        let both = [FourCc::YUYV, FourCc::H264];
        assert_eq!(usable(&both, Coded::PassOn), [FourCc::H264, FourCc::YUYV]);
        assert_eq!(usable(&both, Coded::Avoid), [FourCc::YUYV]);
        assert_eq!(usable(&[FourCc::H264], Coded::Avoid), [FourCc::H264]);
        assert_eq!(usable(&[FourCc::FWHT], Coded::PassOn), []);
    }

    #[test]
    fn sizes_of_a_mad_driver_are_left_out() {
        let mad = |least, most| sizes(&[SizeRange { least, most }]);
        assert_eq!(mad((0, 0), (0, 0)), []);
        assert_eq!(mad((u32::MAX, 1), (u32::MAX, 1)), []);
        assert_eq!(mad((500, 500), (1, 1)), []);
    }
}
